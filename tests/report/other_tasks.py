"""Tasks other than detection, for tests: its mirror, of which lower is better, and a toy with a unit."""

from tfod_compress.tasks import Metric, Task
from tfod_compress.tasks.detection.task import Detection


class Mirrored(Detection):
    """Detection by its error, 1 - weighted mAP."""

    name = "mirrored"
    metrics = (Metric("error", "error", higher_is_better=False, scorer="error"),)
    listed = ()

    def scorer(self, truth, predictions, score_threshold=None):
        return _Error(super().scorer(truth, predictions, score_threshold))


class _Error:
    def __init__(self, scorer):
        self.images, self.scored, self._scorer = scorer.images, scorer.scored, scorer

    def value(self, metric, weights):
        assert metric == "error"
        return 1 - self._scorer.value("weighted_map", weights)


class Toy(Task):
    """Corners, by how far off they are."""

    name = "corners"
    metrics = (Metric("offset.mean", "mean offset", unit="px", higher_is_better=False, meaning="of all corners"),)


Toy.__abstractmethods__ = frozenset()  # a report asks a task for none of them
