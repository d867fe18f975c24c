"""What single pictures were taken for."""

import numpy as np

from tfod_compress.tasks.views import Seen


class ClassViewer:
    """See tasks.views.Viewer."""

    what = "score of a picture's own class"

    def __init__(self, truth, predictions):
        self._truth, self._predictions = truth, predictions

    def scores(self):
        """The score of each picture's own class, 0 where it is not among those that were kept; ones."""
        own = self._predictions.class_ids == self._truth.class_ids[:, None]
        return (self._predictions.scores * own).sum(axis=1), np.ones(len(own), np.int64)

    def seen(self, index):
        names, predicted = self._truth.class_names, self._predictions
        first, own = int(predicted.class_ids[index, 0]), int(self._truth.class_ids[index])
        verdict = "right" if first == own else f"wrong, it is {names[own]}"
        return Seen(f"taken for {names[first]} ({predicted.scores[index, 0]:.2f}), {verdict}")
