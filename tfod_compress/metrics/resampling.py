"""Bootstrap intervals by image, and the paired bootstrap between two detectors on the same images.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: the percentile interval (section 13.3). Whole images
are drawn with replacement, as many as there are; frames of one sequence are drawn together, because neighbours
are nearly copies of each other and drawing them apart would make every interval too narrow.
"""

import numpy as np

from tfod_compress.metrics.margin import Margin, can_show
from tfod_compress.metrics.matching import Matches
from tfod_compress.metrics.scores import Scorer

METRICS = ("weighted_map", "map", "coco_ap", "f1")
BLOCK = 1 << 21  # floating-point numbers held at once


def image_weights(images, groups, resamples, seed):
    """How often each image is drawn in each resample.

    Args:
      images: number of images.
      groups: int64 [I] or None; images of one group are drawn together. With fewer than two groups there is
        nothing to resample, and images are drawn singly.
      resamples: number of resamples.
      seed: of the generator; same seed, same draws.

    Returns:
      (int32 [resamples, I], unit "image" or "sequence", number of units).
    """
    generator = np.random.default_rng(seed)
    unit, of_image = "image", np.arange(images)
    if groups is not None:
        names, numbers = np.unique(groups, return_inverse=True)
        if len(names) > 1:
            unit, of_image = "sequence", numbers
    count = int(of_image.max()) + 1
    draws = generator.integers(count, size=(resamples, count))
    weights = np.stack([np.bincount(draw, minlength=count) for draw in draws]).astype(np.int32)
    return weights[:, of_image], unit, count


def resample(scorers, metrics, weights):
    """The metrics of every resample.

    Args:
      scorers: list of Scorer over the same images.
      metrics: names of Scorer's methods.
      weights: int [R, I].

    Returns:
      {metric: float64 [len(scorers), R]}.
    """
    results = {metric: np.empty((len(scorers), len(weights))) for metric in metrics}
    longest = max([len(scorer.matches.d_image) for scorer in scorers] + [weights.shape[1]])
    step = max(1, BLOCK // max(1, longest))
    for start in range(0, len(weights), step):
        block = weights[start:start + step].astype(np.float64)
        for number, scorer in enumerate(scorers):
            for metric in metrics:
                results[metric][number, start:start + step] = getattr(scorer, metric)(block)
    return results


def interval(samples, confidence=0.95):
    """The percentile interval (low, high) of float64 [R]; resamples where the metric is undefined are left out."""
    samples = samples[~np.isnan(samples)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def bootstrap(ground_truth, detections, metrics=METRICS, score_threshold=0.5, resamples=1000, seed=0, groups=None):
    """Metrics with their 95 % intervals.

    Args:
      ground_truth: GroundTruth.
      detections: Detections.
      metrics: some of METRICS.
      score_threshold: of F1.
      resamples: see image_weights.
      seed: see image_weights.
      groups: int64 [I]; by default the ground truth's own.

    Returns:
      {metric: {"value", "low", "high"}}.
    """
    return intervals(Scorer(Matches(ground_truth, detections), score_threshold), metrics, resamples, seed, groups)


def intervals(scorer, metrics, resamples, seed, groups=None):
    """As `bootstrap`, for a Scorer."""
    values, samples = _resampled([scorer], metrics, resamples, seed, groups)
    result = {}
    for metric in metrics:
        low, high = interval(samples[metric][0])
        result[metric] = {"value": float(values[metric][0]), "low": low, "high": high}
    return result


def paired_bootstrap(ground_truth, detections_a, detections_b, metric="weighted_map", resamples=1000, seed=0,
                     groups=None, score_threshold=0.5):
    """The difference a - b of a metric between two detectors on the same images.

    Both are evaluated on the same resamples, so what is hard about an image hits both and cancels.

    Args:
      ground_truth: GroundTruth.
      detections_a: Detections on it.
      detections_b: likewise.
      metric: one of METRICS.
      resamples: see image_weights.
      seed: see image_weights.
      groups: int64 [I]; by default the ground truth's own.
      score_threshold: of F1.

    Returns:
      {"value": a - b, "low", "high" (95 % interval), "p_value"}: two-sided, twice the share of resamples on the
      other side of zero, (1 + count) / (1 + resamples) so that it is never 0 (Davison and Hinkley 1997, section 4.2).

    Raises:
      ValueError: for an unknown metric.
      InputError: where detections do not fit the ground truth.
    """
    scorers = _scorers(ground_truth, (detections_a, detections_b), score_threshold, (metric,))
    (a, b), differences, _ = _paired(scorers, (metric,), resamples, seed, groups)[metric]
    return {"value": a - b, **two_sided(differences)}


def resampled(ground_truth, detections, metric="weighted_map", resamples=1000, seed=0, groups=None,
              score_threshold=0.5):
    """A metric of several detectors on the same images, and on the same resamples of them.

    Args:
      ground_truth: GroundTruth.
      detections: list of D Detections on it.
      metric: as for paired_bootstrap, and so is what is raised.
      resamples: likewise.
      seed: likewise.
      groups: likewise.
      score_threshold: likewise.

    Returns:
      (float64 [D], float64 [D, resamples]), NaN where the metric is undefined.
    """
    scorers = _scorers(ground_truth, detections, score_threshold, (metric,))
    values, samples = _resampled(scorers, (metric,), resamples, seed, groups)
    return values[metric], samples[metric]


def non_inferiority(ground_truth, candidate, reference, margin, metric="weighted_map", resamples=1000, seed=0,
                    groups=None, score_threshold=0.5):
    """Whether a detector is worse than a reference by less than a stated margin.

    Not finding a difference proves nothing; this turns the question round: the null hypothesis is that the candidate
    is worse by `margin` or more (Piaggio et al., CONSORT for non-inferiority trials, JAMA 2012). It is rejected only
    where the reference is good enough for the margin to tell (metrics.margin).

    Args:
      ground_truth: GroundTruth.
      candidate: Detections on it.
      reference: likewise.
      margin: the largest loss of the metric that does not matter, a Margin or a number above 0; state it before
        looking.
      metric: one of METRICS.
      resamples: see image_weights.
      seed: see image_weights.
      groups: int64 [I]; by default the ground truth's own.
      score_threshold: of F1.

    Returns:
      {"value": candidate - reference, "lower": its one-sided 95 % bound, "margin" (absolute), "p_value", "reference"
      ({"value", "low", "high"}, 95 % interval), "can_show", "non_inferior"}. `can_show` is whether the margin is small
      enough for this reference, `non_inferior` whether it is and the bound lies above -margin.

    Raises:
      ValueError: for an unknown metric or a margin that is none.
      InputError: where detections do not fit the ground truth.
    """
    scorers = _scorers(ground_truth, (candidate, reference), score_threshold, (metric,))
    (a, b), differences, of_reference = _paired(scorers, (metric,), resamples, seed, groups)[metric]
    return {"value": a - b, **_not_worse(differences, b, of_reference, margin)}


def compare(ground_truth, detections_a, detections_b, score_threshold=0.5, resamples=1000, seed=0, groups=None,
            margin=None):
    """All of METRICS for two detectors on the same images.

    Args:
      ground_truth: GroundTruth.
      detections_a: Detections on it.
      detections_b: likewise.
      score_threshold: of F1.
      resamples: see image_weights.
      seed: see image_weights.
      groups: int64 [I]; by default the ground truth's own.
      margin: of the non-inferiority of a to b, a Margin or a number, or None.

    Returns:
      {"images", "unit" ("image" or "sequence"), "metrics": {metric: {"a", "b", "value", "low", "high", "p_value"}}};
      with a margin, every metric also has "not_worse" (see non_inferiority).
    """
    scorers = _scorers(ground_truth, (detections_a, detections_b), score_threshold, METRICS)
    groups = ground_truth.groups if groups is None else groups
    images = len(ground_truth.image_ids)
    table = {}
    for metric, ((a, b), differences, of_reference) in _paired(scorers, METRICS, resamples, seed, groups).items():
        table[metric] = {"a": a, "b": b, "value": a - b, **two_sided(differences)}
        if margin is not None:
            table[metric]["not_worse"] = _not_worse(differences, b, of_reference, margin)
    return {"images": images, "unit": image_weights(images, groups, 1, seed)[1], "metrics": table}


def _scorers(ground_truth, detections, score_threshold, metrics):
    unknown = set(metrics) - set(METRICS)
    if unknown:
        raise ValueError(f"unknown metric {min(unknown)!r}; there are {', '.join(METRICS)}")
    return [Scorer(Matches(ground_truth, found), score_threshold) for found in detections]


def _paired(scorers, metrics, resamples, seed, groups):
    """{metric: ((a, b), differences a - b of the resamples in which both are defined, b of all resamples)}."""
    values, samples = _resampled(scorers, metrics, resamples, seed, groups)
    result = {}
    for metric in metrics:
        differences = samples[metric][0] - samples[metric][1]
        result[metric] = tuple(values[metric].tolist()), differences[~np.isnan(differences)], samples[metric][1]
    return result


def _resampled(scorers, metrics, resamples, seed, groups):
    """({metric: float64 [len(scorers)]}, {metric: float64 [len(scorers), resamples]})."""
    groups = scorers[0].matches.ground_truth.groups if groups is None else groups
    images = scorers[0].matches.images
    weights, _, _ = image_weights(images, groups, resamples, seed)
    ones = np.ones((1, images))
    values = {metric: np.array([getattr(scorer, metric)(ones)[0] for scorer in scorers], np.float64)
              for metric in metrics}
    return values, resample(scorers, metrics, weights)


def two_sided(differences):
    """The 95 % interval of resampled differences, float64 [R] without NaN, and the p-value (see paired_bootstrap).

    Returns:
      {"low", "high", "p_value"}.
    """
    low, high = interval(differences)
    smaller = min((differences <= 0).sum(), (differences >= 0).sum())
    return {"low": low, "high": high, "p_value": float(min(1.0, 2 * (1 + smaller) / (1 + len(differences))))}


def _not_worse(differences, reference, of_reference, margin):
    """What `non_inferiority` returns but for "value"; `of_reference` are the reference's resamples, float64 [R]."""
    loss = Margin.of(margin).absolute(reference)
    lower = float(np.percentile(differences, 5))
    low, high = interval(of_reference)
    enough = can_show(loss, low)
    return {"lower": lower, "margin": loss, "reference": {"value": reference, "low": low, "high": high},
            "can_show": enough, "non_inferior": enough and lower > -loss,
            "p_value": float((1 + (differences <= -loss).sum()) / (1 + len(differences)))}
