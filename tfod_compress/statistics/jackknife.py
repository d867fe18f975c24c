"""95 % intervals by leaving out one unit at a time: no chance, so the same numbers every time.

A *unit* is what was drawn independently of the rest: a sequence of frames where frames come in sequences, because
neighbours are nearly copies of each other, else a frame. A metric is computed again without each unit; how much it
moves tells its standard error and its bias (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 11.2
and 10.6), and quantiles of Student's t with n - 1 degrees of freedom widen the interval where units are few.

- A difference of two detectors, both without the same unit: value +- t * SE, and an end that the skewness of the units
  asks to lie further out does (Hall, JRSS B 54, 1992: compression hurts a few sequences much and most a little). As
  skewness is known badly from few units, it never draws an end in, nor out by more than half of t * SE.
- An accuracy in [0, 1]: the same on the scale of log odds, which keeps it in that range, and wide enough to hold that
  interval around the bias-corrected value too. With rare classes mAP is biased upwards, by 0.06 with 10 sequences where
  the rarest of 7 classes has a fiftieth of the objects: its corrected interval is what covers.
- A number with a unit, such as pixels, has no known range: it and its differences have the interval of a difference.
- A ratio of two differences: the ratios r for which the interval of numerator - r * denominator holds zero (Fieller,
  JRSS B 16, 1954). There is none of a denominator that is too small to divide by.

`benchmarks.coverage` simulates how often they hold the truth; docs/statistics.md has the table. Resampling with
replacement (the percentile bootstrap) was worse throughout: too narrow with few units, above all below, because images
that are drawn twice inflate the AP of rare classes, and its bounds depended on the seed.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import optimize, stats

CONFIDENCE = 0.95
ENOUGH = 10  # units from which the intervals cover; with fewer, nothing is claimed to be safe
SURE = 0.5  # of its value, what the interval of a number that is divided by keeps away from zero
FURTHEST = 1.5  # times t * SE, as far as skewness draws an end out
MOST = 1000  # units left out one by one; more are left out in as many blocks of neighbours


@dataclasses.dataclass(frozen=True)
class Units:
    """What is left out at a time.

    Attributes:
      name: "image" or "sequence".
      count: how many units there are.
      parts: how many are left out one after the other: `count`, or MOST blocks of them.
      of_image: int64 [I], the part that each image belongs to.
    """

    name: str
    count: int
    parts: int
    of_image: np.ndarray

    def weights(self) -> np.ndarray:
        """float64 [1 + parts, I]: all images, then all but each part."""
        weights = np.ones((1 + self.parts, len(self.of_image)))
        weights[1 + self.of_image, np.arange(len(self.of_image))] = 0.0
        return weights


def units(images: int, groups: np.ndarray | None) -> Units:
    """The units of a set of images; `groups`, int64 [I] or None, says which images are one sequence.

    One sequence alone stays one unit, from which no interval can be had: its frames are not independent of each other.
    """
    name, of_image = "image", np.arange(images)
    if groups is not None:
        name, of_image = "sequence", np.unique(groups, return_inverse=True)[1]
    count = int(of_image.max()) + 1
    parts = min(count, MOST)
    return Units(name, count, parts, of_image * parts // count)


def accuracy(values: np.ndarray, share: bool = True) -> dict:
    """The interval of an accuracy, or of another metric.

    Args:
      values: float64 [1 + n]: with all units, then without each; in [0, 1] where it is a share.
      share: whether it is one, or a number with a unit.

    Returns:
      {"value", "low", "high"}; the bounds are None where there is one unit alone, or one without which the metric is
      not defined.
    """
    value, error, bias, n = _moments(values)
    if not share:
        low, high = _ends(values)
        return {"value": float(value), "low": low, "high": high}
    if error is None:
        return {"value": float(value), "low": None, "high": None}
    if error == 0:
        return {"value": float(value), "low": float(value), "high": float(value)}
    reach = _quantile(n) * error / (value * (1 - value))
    # No correction goes more than half the way to 0 or 1: of a few units, the bias itself is known badly.
    corrected = min(max(value - bias, value / 2), 1 - (1 - value) / 2)
    odds = [math.log(centre / (1 - centre)) for centre in (value, corrected)]
    return {"value": float(value), "low": _of_log_odds(min(odds) - reach), "high": _of_log_odds(max(odds) + reach)}


def difference(values: np.ndarray, share: bool = True) -> dict:
    """The interval of a difference of two accuracies, and its p-value.

    Args:
      values: float64 [1 + n], of the differences.
      share: as for `accuracy`; differences of shares lie in [-1, 1].

    Returns:
      {"value", "low", "high", "p_value"}: the last two-sided, of the difference being 0; None as in `accuracy`.
    """
    low, high = _ends(values)
    if low is None:
        return {"value": float(values[0]), "low": None, "high": None, "p_value": None}
    low, high = (max(low, -1.0), min(high, 1.0)) if share else (low, high)
    return {"value": float(values[0]), "low": low, "high": high,
            "p_value": min(1.0, 2 * min(p_above(values, 0.0), p_above(-values, 0.0)))}


def p_above(values: np.ndarray, bound: float) -> float | None:
    """The one-sided p-value of a difference being at most `bound`, below 0.025 where the lower end is above it.

    None as in `accuracy`.
    """
    value, error, _, n = _moments(values)
    if error is None:
        return None
    if error == 0:
        return 0.0 if value > bound else 1.0
    statistic = (value - bound) / error
    drawn_out = min(statistic, _unskewed(statistic, _skewness(values)))
    return float(stats.t.sf(max(drawn_out, statistic / FURTHEST) if statistic > 0 else drawn_out, n - 1))


def can_divide(value: float, low: float | None, high: float | None) -> bool:
    """Whether a difference with this interval can be divided by.

    Not every one that is shown can: a share of a small loss grows beyond all bounds, and "646 % of a loss of 0.006"
    tells nothing. So its interval has to keep away from zero by half of its value, on the same side.
    """
    if low is None or high is None:
        return False
    return (low if value > 0 else -high) >= SURE * abs(value) > 0


def ratio(numerator: np.ndarray, denominator: np.ndarray, share: bool = True) -> dict:
    """The ratio of two differences.

    Args:
      numerator: float64 [1 + n].
      denominator: float64 [1 + n], without the same units.
      share: as for `difference`.

    Returns:
      {"value", "low", "high"}; all None where the denominator is too small, see `can_divide`, or as in `accuracy`.
    """
    below = difference(denominator, share)
    if np.isnan(numerator).any() or not can_divide(below["value"], below["low"], below["high"]):
        return {"value": None, "low": None, "high": None}
    if denominator[0] < 0:
        numerator, denominator = -numerator, -denominator
    value = float(numerator[0] / denominator[0])

    def end(side):
        def beyond(distance):
            """Below 0 while the interval of what is left at this distance from the ratio holds zero."""
            low, high = _ends(numerator - (value + side * distance) * denominator)
            return low if side < 0 else -high

        reach = 1.0
        while beyond(reach) <= 0:  # far out only the denominator counts, and that keeps away from zero
            reach *= 2
        return value + side * (optimize.brentq(beyond, 0.0, reach) if beyond(0.0) < 0 else 0.0)

    return {"value": value, "low": end(-1), "high": end(1)}


def _ends(values):
    """(low, high) of the interval of a difference, in whatever range; None where there is none."""
    value, error, _, n = _moments(values)
    if error is None:
        return None, None
    reach, skewness = _quantile(n), _skewness(values)
    down, up = (min(max(reach, each), FURTHEST * reach) for each in (
        _skewed(reach, skewness), -_skewed(-reach, skewness)))
    return float(value - down * error), float(value + up * error)


def _moments(values):
    """(value, standard error, bias, n); the error is None where it cannot be had."""
    value, without = values[0], values[1:]
    n = len(without)
    if n < 2 or np.isnan(values).any():
        return value, None, None, n
    mean = without.mean()
    error = math.sqrt((n - 1) / n * float(((without - mean) ** 2).sum()))
    return value, error if error > 1e-12 else 0.0, (n - 1) * (mean - value), n


def _skewness(values):
    """Of the units' influence, divided by the root of their number."""
    influence = values[1:].mean() - values[1:]
    square = float((influence**2).mean())
    return float((influence**3).mean()) / square**1.5 / math.sqrt(len(influence)) if square > 1e-24 else 0.0


def _unskewed(statistic, skewness):
    """Hall's transformation of (value - truth) / SE, after which it is nearly normal."""
    return statistic + skewness * statistic**2 / 3 + skewness**2 * statistic**3 / 27 + skewness / 6


def _skewed(normal, skewness):
    """The inverse of `_unskewed`."""
    if abs(skewness) < 1e-6:
        return normal
    return 3 / skewness * (float(np.cbrt(1 + skewness * (normal - skewness / 6))) - 1)


def _quantile(n):
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))


def _of_log_odds(value):
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
