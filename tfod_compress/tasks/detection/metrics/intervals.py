"""Detection metrics with their intervals, and the difference between two detectors on the same images."""

import numpy as np

from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import compared, intervals, left_out
from tfod_compress.tasks.detection.metrics.matching import Matches
from tfod_compress.tasks.detection.metrics.scores import Scorer

METRICS = ("weighted_map", "map", "coco_ap", "f1")


def evaluated(ground_truth, detections, metrics=METRICS, score_threshold=0.5, groups=None):
    """Metrics with their 95 % intervals.

    Args:
      ground_truth: GroundTruth.
      detections: Detections.
      metrics: some of METRICS.
      score_threshold: of F1.
      groups: int64 [I]; by default the ground truth's own.

    Returns:
      {metric: {"value", "low", "high"}}.
    """
    scorer, = _scorers(ground_truth, (detections,), score_threshold, metrics)
    return intervals(scorer, metrics, _units(scorer, groups))


def together(ground_truth, detections, metric="weighted_map", groups=None, score_threshold=0.5):
    """A metric of several detectors on the same images, without the same units.

    Args:
      ground_truth: GroundTruth.
      detections: list of D Detections on it.
      metric: one of METRICS.
      groups: int64 [I]; by default the ground truth's own.
      score_threshold: of F1.

    Returns:
      float64 [D, 1 + n], as `left_out` gives them.

    Raises:
      ValueError: for an unknown metric.
      InputError: where detections do not fit the ground truth.
    """
    scorers = _scorers(ground_truth, detections, score_threshold, (metric,))
    return np.stack([left_out(scorer, (metric,), _units(scorer, groups))[metric] for scorer in scorers])


def paired_difference(ground_truth, detections_a, detections_b, metric="weighted_map", groups=None,
                      score_threshold=0.5):
    """The difference a - b of a metric between two detectors on the same images.

    The same units are left out of both, so what is hard about an image hits both and cancels. Arguments and what is
    raised are those of `together`.

    Returns:
      {"value", "low", "high", "p_value"}, see `jackknife.difference`.
    """
    a, b = together(ground_truth, (detections_a, detections_b), metric, groups, score_threshold)
    return jackknife.difference(a - b)


def compare(ground_truth, detections_a, detections_b, score_threshold=0.5, groups=None, margin=None):
    """All of METRICS for two detectors on the same images.

    Args:
      ground_truth: GroundTruth.
      detections_a: Detections on it.
      detections_b: likewise.
      score_threshold: of F1.
      groups: int64 [I]; by default the ground truth's own.
      margin: of the non-inferiority of a to b, a Margin or a number, or None.

    Returns:
      {"images", "unit" ("image" or "sequence"), "units", "metrics": {metric: {"a", "b", "value", "low", "high",
      "p_value"}}}; with a margin, every metric also has "not_worse".
    """
    scorers = _scorers(ground_truth, (detections_a, detections_b), score_threshold, METRICS)
    units = _units(scorers[0], groups)
    table = compared(*scorers, dict.fromkeys(METRICS, (True, True)), units, margin)
    return {"images": scorers[0].images, "unit": units.name, "units": units.count, "metrics": table}


def _units(scorer, groups):
    return jackknife.units(scorer.images, scorer.matches.ground_truth.groups if groups is None else groups)


def _scorers(ground_truth, detections, score_threshold, metrics):
    unknown = set(metrics) - set(METRICS)
    if unknown:
        raise ValueError(f"unknown metric {min(unknown)!r}; there are {', '.join(METRICS)}")
    return [Scorer(Matches(ground_truth, found), score_threshold) for found in detections]
