"""Metrics with their intervals, and the difference between two detectors on the same images (`jackknife`)."""

import numpy as np

from tfod_compress.statistics import jackknife
from tfod_compress.statistics.margin import Margin, can_show, is_within
from tfod_compress.tasks.detection.metrics.matching import Matches
from tfod_compress.tasks.detection.metrics.scores import Scorer

METRICS = ("weighted_map", "map", "coco_ap", "f1")
BLOCK = 1 << 21  # floating-point numbers held at once


def left_out(scorer, metrics, units):
    """Metrics with all units, and without each.

    Args:
      scorer: Scorer.
      metrics: names of its methods.
      units: jackknife.Units of its images.

    Returns:
      {metric: float64 [1 + n]}, NaN where it is undefined.
    """
    weights = units.weights()
    results = {metric: np.empty(len(weights)) for metric in metrics}
    step = max(1, BLOCK // max(1, len(scorer.matches.d_image), weights.shape[1]))
    for start in range(0, len(weights), step):
        for metric in metrics:
            results[metric][start:start + step] = getattr(scorer, metric)(weights[start:start + step])
    return results


def intervals(scorer, metrics=METRICS, groups=None):
    """{metric: {"value", "low", "high"}} of a Scorer, see `jackknife.accuracy`; `groups` as for `evaluated`."""
    found = left_out(scorer, metrics, _units(scorer, groups))
    return {metric: jackknife.accuracy(found[metric]) for metric in metrics}


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
    return intervals(Scorer(Matches(ground_truth, detections), score_threshold), metrics, groups)


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


def non_inferiority(ground_truth, candidate, reference, margin, metric="weighted_map", groups=None,
                    score_threshold=0.5):
    """Whether a detector is worse than a reference by less than a stated margin: the rule of `not_worse`.

    Args:
      ground_truth: GroundTruth.
      candidate: Detections on it.
      reference: likewise.
      margin: the largest loss of the metric that does not matter, a Margin or a number above 0; state it before
        looking.
      metric: one of METRICS.
      groups: int64 [I]; by default the ground truth's own.
      score_threshold: of F1.

    Returns:
      {"value": candidate - reference, and what `not_worse` gives}.

    Raises:
      ValueError: for an unknown metric or a margin that is none.
      InputError: where detections do not fit the ground truth.
    """
    a, b = together(ground_truth, (candidate, reference), metric, groups, score_threshold)
    groups = ground_truth.groups if groups is None else groups
    count = jackknife.units(len(ground_truth.image_ids), groups).count
    return {"value": float(a[0] - b[0]), **not_worse(a, b, margin, count)}


def not_worse(candidate, reference, margin, count):
    """The test of non-inferiority.

    Not finding a difference proves nothing; this turns the question round: the null hypothesis is that the candidate is
    worse by the margin or more. It is rejected by the rule of `margin.is_within`, and only of a reference that is good
    enough for the margin to tell (`margin.can_show`).

    Args:
      candidate: float64 [1 + n], of `together`.
      reference: likewise.
      margin: a Margin or a number.
      count: how many units there are.

    Returns:
      {"lower": of the difference, or None, "margin" (absolute), "p_value", "reference" ({"value", "low", "high"}),
      "can_show", "units", "non_inferior"}.
    """
    loss, of_reference = Margin.of(margin).absolute(float(reference[0])), jackknife.accuracy(reference)
    lower = jackknife.difference(candidate - reference)["low"]
    shows = can_show(loss, of_reference["low"])
    return {"lower": lower, "margin": loss, "p_value": jackknife.p_above(candidate - reference, -loss),
            "reference": of_reference, "can_show": shows, "units": count,
            "non_inferior": shows and is_within(loss, lower, count)}


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
    found, table = [left_out(scorer, METRICS, units) for scorer in scorers], {}
    for metric in METRICS:
        a, b = (each[metric] for each in found)
        table[metric] = {"a": float(a[0]), "b": float(b[0]), **jackknife.difference(a - b)}
        if margin is not None:
            table[metric]["not_worse"] = not_worse(a, b, margin, units.count)
    return {"images": scorers[0].matches.images, "unit": units.name, "units": units.count, "metrics": table}


def _units(scorer, groups):
    return jackknife.units(scorer.matches.images, scorer.matches.ground_truth.groups if groups is None else groups)


def _scorers(ground_truth, detections, score_threshold, metrics):
    unknown = set(metrics) - set(METRICS)
    if unknown:
        raise ValueError(f"unknown metric {min(unknown)!r}; there are {', '.join(METRICS)}")
    return [Scorer(Matches(ground_truth, found), score_threshold) for found in detections]
