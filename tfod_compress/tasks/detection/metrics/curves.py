"""Precision-recall curves whose images carry weights, so that leaving some of them out is one vector of weights.

An image of weight 0 is not there, one of weight 3 is there three times: its detections, objects and errors count so
often. Average precision needs the precision only where a true positive stands (recall moves nowhere else, and
the envelope's maxima are there), so a curve keeps those places and no others.
"""

import copy

import numpy as np

COCO_RECALLS = np.linspace(0.0, 1.0, 101)


class Curve:
    """The detections of one ranking (one class, or all pooled) in falling order of score.

    Args:
      scores: float64 [D]; equal scores keep the order given.
      images: int64 [D].
      true_positive: bool [D].
      ignored: bool [D].

    Attributes:
      order: int64 [K], which of the detections stand in the ranking, in falling order of score.
      images, scores: of those.
    """

    def __init__(self, scores, images, true_positive, ignored):
        kept = np.nonzero(~ignored)[0]
        self.order = kept[np.argsort(-scores[kept], kind="stable")]
        self.images = images[self.order]
        self.scores = scores[self.order]
        self.hits = np.nonzero(true_positive[self.order])[0]  # places of the true positives in the ranking

    def with_hits(self, true_positive):
        """The same ranking with other true positives (bool [D]), sharing `images`."""
        other = copy.copy(self)
        other.hits = np.nonzero(true_positive[self.order])[0]
        return other

    def total(self, weights):
        """The weight of the detections down to each one, float64 [B, D]; curves that share `images` share it."""
        return np.cumsum(np.take(weights, self.images, axis=1), axis=1)

    def precision(self, weights, total=None):
        """Cumulative true positives and precision at every true positive.

        Args:
          weights: float64 [B, I], the images' weights in B resamples.
          total: what `total` gives for them, if it is known.

        Returns:
          (float64 [B, K] weight found so far, float64 [B, K] precision) at the K true positives.
        """
        total = (self.total(weights) if total is None else total)[:, self.hits]
        found = np.cumsum(np.take(weights, self.images[self.hits], axis=1), axis=1)
        return found, np.divide(found, total, out=np.zeros_like(found), where=found > 0)


def envelope(precision):
    """The largest precision at this or a later place, along the last axis."""
    return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def voc_average_precision(curve, weights, objects, total=None):
    """The area under the precision envelope over all points (PASCAL VOC 2010 and later; the OD API's AP).

    Args:
      curve: Curve.
      weights: float64 [B, I].
      objects: float64 [B], the weight of the objects that count.
      total: what the curve's `total` gives for the weights, if it is known.

    Returns:
      float64 [B]; NaN where there are no objects.
    """
    if not len(curve.hits):
        return np.where(objects > 0, 0.0, np.nan)
    found, precision = curve.precision(weights, total)
    steps = np.diff(found, axis=1, prepend=0.0)
    area = (steps * envelope(precision)).sum(axis=1)
    return np.divide(area, objects, out=np.full(len(objects), np.nan), where=objects > 0)


def coco_average_precision(curve, weights, objects, total=None):
    """The mean envelope at 101 recalls (COCO; pycocotools' COCOeval.accumulate).

    pycocotools adds 2.2e-16 to the denominator of a precision, which leaves a single perfect detection at
    0.9999999999999998; here it is 1.

    Args:
      curve: Curve.
      weights: float64 [B, I].
      objects: float64 [B], the weight of the objects that count.
      total: what the curve's `total` gives for the weights, if it is known.

    Returns:
      float64 [B]; NaN where there are no objects.
    """
    present = objects > 0
    if not len(curve.hits):
        return np.where(present, 0.0, np.nan)
    found, precision = curve.precision(weights, total)
    best = np.concatenate([envelope(precision), np.zeros((len(found), 1))], axis=1)
    recall = np.divide(found, objects[:, None], out=np.zeros_like(found), where=present[:, None])
    at = np.zeros((len(found), len(COCO_RECALLS)))
    for row in np.nonzero(present)[0]:
        at[row] = best[row, recall[row].searchsorted(COCO_RECALLS)]
    return np.where(present, at.mean(axis=1), np.nan)


def best_f1(curve, objects):
    """The score threshold with the largest F1, all images of weight 1.

    Args:
      curve: Curve.
      objects: number of objects that count.

    Returns:
      {"score_threshold", "precision", "recall", "f1"}; the threshold is None where nothing was found.
    """
    if not len(curve.hits):
        return {"score_threshold": None, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    # F1 is largest where a run of equal scores ends: a threshold takes all of them or none.
    last = np.nonzero(np.append(curve.scores[1:] < curve.scores[:-1], True))[0]
    found = np.searchsorted(curve.hits, last, side="right")
    f1 = 2 * found / (last + 1 + objects)
    best = int(f1.argmax())
    return {"score_threshold": float(curve.scores[last[best]]), "precision": float(found[best] / (last[best] + 1)),
            "recall": float(found[best] / objects), "f1": float(f1[best])}
