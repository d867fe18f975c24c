"""A task of one number a frame, for tests: only what has to be written."""

import numpy as np

from tfod_compress.frames import read_frame
from tfod_compress.tasks import Metric, Task
from tfod_compress.tasks.frame_labels import FrameLabel, FrameLabels


class Level(Task):
    """The mean grey level of a frame."""

    name = "level"
    metrics = (Metric("error.mean", "mean error", unit="levels", higher_is_better=False, scorer="mean"),
               Metric("error.never", "never", scorer="never"), Metric("plain", "without a scorer"))

    def open_labels(self, path, label_format, frames, *, folder, names_file=None, label_map=None, may_be_empty=False):
        """Of the pictures."""
        return FrameLabels(folder, {frame.source_id: FrameLabel("frame", float(read_frame(frame.path).mean()))
                                    for frame in frames}), "pictures"

    def scorer(self, truth, predicted, score_threshold=None):
        """The mean distance; a metric that is not defined anywhere."""
        return _Scorer(np.abs(np.array(truth.labels) - np.array(predicted)))


class _Scorer:
    def __init__(self, errors):
        self.images = self.scored = len(errors)
        self._errors = errors

    def value(self, metric, weights):
        found = weights @ self._errors / weights.sum(axis=1)
        return found if metric == "mean" else np.full(len(weights), np.nan)
