"""Intervals and the test of non-inferiority for any score that is a function of image weights (`jackknife`)."""

from typing import Protocol

import numpy as np

from tfod_compress.statistics import jackknife
from tfod_compress.statistics.margin import Margin, can_show, is_within, surely_reached

BLOCK = 1 << 21  # floating-point numbers held at once


class Scorer(Protocol):
    """What scores the predictions on a set of images.

    Attributes:
      images: number of images I.
      scored: number of things that are ranked or counted, by which the memory of one row of weights goes.
    """

    images: int
    scored: int

    def value(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """A metric for every row of image weights, float64 [B, I] -> [B]; NaN where it is undefined."""


def left_out(scorer: Scorer, metrics, units) -> dict[str, np.ndarray]:
    """Metrics with all units, and without each.

    Args:
      scorer: Scorer.
      metrics: their names.
      units: jackknife.Units of its images.

    Returns:
      {metric: float64 [1 + n]}, NaN where it is undefined.
    """
    weights = units.weights()
    results = {metric: np.empty(len(weights)) for metric in metrics}
    step = max(1, BLOCK // max(1, scorer.scored, weights.shape[1]))
    for start in range(0, len(weights), step):
        for metric in metrics:
            results[metric][start:start + step] = scorer.value(metric, weights[start:start + step])
    return results


def intervals(scorer: Scorer, metrics, units, share: bool = True) -> dict[str, dict]:
    """{metric: {"value", "low", "high"}}, see `jackknife.accuracy`; other arguments as for `left_out`."""
    found = left_out(scorer, metrics, units)
    return {metric: jackknife.accuracy(found[metric], share) for metric in metrics}


def compared(a: Scorer, b: Scorer, metrics, units, margin=None) -> dict[str, dict]:
    """Paired differences of two scorers of the same images: the same units are left out of both.

    Args:
      a: Scorer.
      b: likewise.
      metrics: {name of a metric of theirs: (whether higher is better, whether it lies between 0 and 1)}.
      units: jackknife.Units of the images.
      margin: of the non-inferiority of a to b, a Margin or a number, or None.

    Returns:
      {metric: {"a", "b", "value", "low", "high", "p_value"}}, of the difference a - b; with a margin, every metric also
      has "not_worse".

    Raises:
      ValueError: for a margin that is none, or none for such a metric.
    """
    found, table = [left_out(scorer, metrics, units) for scorer in (a, b)], {}
    for metric, (higher_is_better, share) in metrics.items():
        ours, theirs = (each[metric] for each in found)
        table[metric] = {"a": float(ours[0]), "b": float(theirs[0]), **jackknife.difference(ours - theirs, share)}
        if margin is not None:
            table[metric]["not_worse"] = not_worse(ours, theirs, margin, units.count, higher_is_better, share)
    return table


def not_worse(candidate, reference, margin, count, higher_is_better: bool = True, share: bool = True) -> dict:
    """The test of non-inferiority.

    Not finding a difference proves nothing; this turns the question round: the null hypothesis is that the candidate is
    worse by the margin or more. It is rejected by the rule of `margin.is_within`, and only of a reference that is good
    enough for the margin to tell (`margin.can_show`).

    Args:
      candidate: float64 [1 + n], of `left_out`.
      reference: likewise.
      margin: the largest loss that does not matter, a Margin or a number above 0; state it before looking.
      count: how many units there are.
      higher_is_better: of the metric; else what counts is how much the candidate lies below the reference.
      share: whether the metric lies between 0 and 1; one with a unit has relative margins alone.

    Returns:
      {"lower": of how much better the candidate is, or None, "margin" (absolute), "p_value", "reference" ({"value",
      "low", "high"}), "can_show", "units", "non_inferior"}.

    Raises:
      ValueError: for a margin that is none, or none for such a metric.
    """
    margin, of_reference = Margin.of(margin).fitting(share), jackknife.accuracy(reference, share)
    gain = candidate - reference if higher_is_better else reference - candidate
    loss = margin.absolute(float(reference[0]))
    lower = jackknife.difference(gain, share)["low"]
    shows = can_show(loss, surely_reached(of_reference["low"], of_reference["high"], higher_is_better, share))
    return {"lower": lower, "margin": loss, "p_value": jackknife.p_above(gain, -loss),
            "reference": of_reference, "can_show": shows, "units": count,
            "non_inferior": shows and is_within(loss, lower, count)}
