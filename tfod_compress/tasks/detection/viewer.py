"""Detections on single frames: which objects were found and missed, which detections are right and wrong."""

import numpy as np

from tfod_compress.tasks.detection.metrics import Matches
from tfod_compress.tasks.views import Mark, Seen


class BoxViewer:
    """See tasks.views.Viewer; detections below the score threshold are not looked at."""

    what = "F1 in one frame"

    def __init__(self, truth, detections, score_threshold):
        self._truth, self._matches, self._threshold = truth, Matches(truth, detections), score_threshold
        matches = self._matches
        self._kept = (matches.d_score >= score_threshold) & ~matches.voc.ignored
        self._found = np.zeros(len(matches.g_boxes), bool)
        right = matches.voc.true_positive & (matches.d_score >= score_threshold)
        self._found[matches.voc.matched[right]] = True

    def scores(self):
        """F1 (0 where a frame has neither objects nor detections), and how many objects count."""
        truth, matches, images = self._truth, self._matches, len(self._truth.image_ids)
        right = np.bincount(matches.d_image[self._kept & matches.voc.true_positive], minlength=images)
        objects = np.bincount(truth.image[~truth.difficult], minlength=images)
        detections = np.bincount(matches.d_image[self._kept], minlength=images)
        return 2 * right / np.maximum(detections + objects, 1), objects

    def seen(self, index):
        matches, found = self._matches, self._found
        objects = np.flatnonzero((matches.g_image == index) & ~matches.g_difficult)
        kept = np.flatnonzero((matches.d_image == index) & self._kept)
        marks = [_mark("found" if found[i] else "missed", matches.g_boxes[i], self._name(matches.g_class[i]))
                 for i in objects]
        marks += [_mark("right" if matches.voc.true_positive[i] else "wrong", matches.d_boxes[i],
                        f"{self._name(matches.d_class[i])} {matches.d_score[i]:.2f}") for i in kept]
        wrong = int((~matches.voc.true_positive[kept]).sum())
        return Seen(f"{int(found[objects].sum())} of {len(objects)} found, {wrong} wrong", tuple(marks))

    def _name(self, place):
        return self._truth.class_names[int(self._matches.classes[place])]


def _mark(kind, box, label):
    return Mark(kind, *map(float, box), label)
