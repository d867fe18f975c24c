"""The four metrics that carry intervals, each a function of (matches, image weights).

Every function takes weights float64 [B, I], and returns float64 [B], a value for each row; all ones give the
metric itself. A class without objects under some weights takes no part in it, as in the OD API's evaluators.
"""

import functools
import itertools

import numpy as np

from tfod_compress.tasks.detection.metrics.curves import Curve, coco_average_precision, voc_average_precision


class Scorer:
    """Computes metrics of `matches` for any image weights; curves are made once and kept.

    Args:
      matches: Matches.
      score_threshold: detections below it take no part in precision, recall and F1.
    """

    def __init__(self, matches, score_threshold=None):
        self.matches = matches
        self.score_threshold = score_threshold
        shape = (len(matches.classes), matches.images)
        self.voc_objects = _count(shape, matches.g_class, matches.g_image, ~matches.g_difficult)

    @property
    def images(self):
        """Number of images."""
        return self.matches.images

    @property
    def scored(self):
        """Number of detections, which are ranked."""
        return len(self.matches.d_image)

    def value(self, metric, weights):
        """One of the metrics below by its name, float64 [B]."""
        return getattr(self, metric)(weights)

    def weighted_map(self, weights):
        """The OD API's weighted VOC mAP: one ranking of all classes' detections, matched within their classes."""
        per_class = weights @ self.voc_objects.T
        if (per_class > 0).all():
            return voc_average_precision(self.pooled, weights, per_class.sum(axis=1))
        # Detections of a class without objects are left out: they have no weight. Those that found an object have none
        # anyway, as its image has none.
        present = (per_class > 0).astype(np.float64)
        total = np.cumsum(np.take(weights, self.pooled.images, axis=1) * np.take(present, self._pooled_classes, axis=1),
                          axis=1)
        return voc_average_precision(self.pooled, weights, per_class.sum(axis=1), total)

    def voc_per_class(self, weights):
        """VOC AP at IoU >= 0.5, float64 [B, C]; NaN for classes without objects."""
        objects = weights @ self.voc_objects.T
        return np.stack([voc_average_precision(curve, weights, objects[:, number])
                         for number, curve in enumerate(self._voc_curves)], axis=1)

    def map(self, weights):
        """VOC mAP: the mean of the classes' AP at IoU >= 0.5."""
        return _mean(self.voc_per_class(weights))

    def coco_table(self, weights):
        """COCO AP by class and IoU threshold, float64 [B, C, T]."""
        return coco_table(self._coco_curves, self._coco_objects, weights)

    def coco_ap(self, weights):
        """COCO AP: the mean over classes and the IoU thresholds 0.50 to 0.95."""
        return _mean(self.coco_table(weights).reshape(len(weights), -1))

    def operating_point(self, weights):
        """(precision, recall, F1) at `score_threshold` and IoU >= 0.5, all classes pooled, each float64 [B].

        What lies below the threshold is as if never found. Precision is 0 where nothing lies above it.
        """
        found, wrong, objects = (weights @ counts for counts in self._point_counts)
        zero = np.zeros(len(weights))
        return (np.divide(found, found + wrong, out=zero.copy(), where=found + wrong > 0),
                np.divide(found, objects, out=np.full(len(weights), np.nan), where=objects > 0),
                np.divide(2 * found, found + wrong + objects, out=np.full(len(weights), np.nan), where=objects > 0))

    def f1(self, weights):
        """F1 at `score_threshold`."""
        return self.operating_point(weights)[2]

    def _curve(self, ignored, chosen=slice(None)):
        matches = self.matches
        return Curve(matches.d_score[chosen], matches.d_image[chosen], matches.voc.true_positive[chosen],
                     ignored[chosen])

    @functools.cached_property
    def pooled(self):
        """The Curve of all classes pooled under VOC's rules."""
        return self._curve(self.matches.voc.ignored)

    @functools.cached_property
    def _pooled_classes(self):
        """The class of each detection of `pooled`, in its order."""
        return self.matches.d_class[self.pooled.order]

    @functools.cached_property
    def _voc_curves(self):
        return [self._curve(self.matches.voc.ignored, chosen=chosen) for chosen in class_slices(self.matches)]

    @functools.cached_property
    def _coco_curves(self):
        return coco_curves(self.matches, self.matches.coco)

    @functools.cached_property
    def _coco_objects(self):
        return count_objects(self.matches, self.matches.coco.counted)

    @functools.cached_property
    def _point_counts(self):
        matches, voc = self.matches, self.matches.voc
        above = matches.d_score >= self.score_threshold
        return tuple(np.bincount(images, minlength=matches.images).astype(np.float64) for images in (
            matches.d_image[above & voc.true_positive],
            matches.d_image[above & ~voc.true_positive & ~voc.ignored],
            matches.g_image[~matches.g_difficult]))


def coco_curves(matches, match):
    """Curves by class and threshold, [C][T], of a CocoMatch."""
    table = []
    for chosen in class_slices(matches):
        curves = []
        for hits, ignored in zip(match.true_positive[:, chosen], match.ignored[:, chosen], strict=True):
            # Thresholds mostly ignore the same detections, and then share one ranking.
            if curves and np.array_equal(ignored, match.ignored[len(curves) - 1, chosen]):
                curves.append(curves[-1].with_hits(hits))
            else:
                curves.append(Curve(matches.d_score[chosen], matches.d_image[chosen], hits, ignored))
        table.append(curves)
    return table


def coco_table(curves, objects, weights):
    """COCO AP, float64 [B, C, T], from `coco_curves` and `count_objects`; NaN where a class has no objects."""
    table = np.empty((len(weights), len(curves), len(curves[0])))
    counts = weights @ objects.T
    for row, of_class in enumerate(curves):
        images = total = None
        for column, curve in enumerate(of_class):
            if curve.images is not images:
                images, total = curve.images, curve.total(weights)
            table[:, row, column] = coco_average_precision(curve, weights, counts[:, row], total)
    return table


def class_slices(matches):
    """Where each class's detections stand in the sorted arrays."""
    edges = np.searchsorted(matches.d_class, np.arange(len(matches.classes) + 1))
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def count_objects(matches, counted):
    """float64 [C, I]: the objects of each class on each image that `counted` (bool [N]) marks."""
    return _count((len(matches.classes), matches.images), matches.g_class, matches.g_image, counted)


def _count(shape, rows, columns, chosen):
    flat = np.bincount(rows[chosen] * shape[1] + columns[chosen], minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)


def _mean(values):
    """The mean along axis 1 without the NaNs; NaN where nothing is left."""
    present = ~np.isnan(values)
    count = present.sum(axis=1)
    total = np.where(present, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
