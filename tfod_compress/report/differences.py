"""Paired differences over a study's runs, and shares of the loss, as results.json has them."""

import dataclasses
import math

from tfod_compress.report import words
from tfod_compress.report.study_folder import Comparison
from tfod_compress.statistics import jackknife
from tfod_compress.tasks import Metric

SHOWN, NOT_SHOWN, NOT_TESTED = "shown", "not shown", "not tested"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference in a metric, one comparison a run."""

    comparisons: tuple[Comparison, ...]
    metric: Metric

    @property
    def value(self):
        return sum(c.value for c in self.comparisons) / len(self.comparisons)

    @property
    def low(self):
        """The lowest bound of all runs; the lowest that there can be where one has none."""
        return min(-self._furthest if c.low is None else c.low for c in self.comparisons)

    @property
    def high(self):
        """The highest bound of all runs; the highest that there can be where one has none."""
        return max(self._furthest if c.high is None else c.high for c in self.comparisons)

    @property
    def _furthest(self):
        return 1.0 if self.metric.share else math.inf

    @property
    def gain(self):
        """By how much the first side is better: below 0 where it is worse."""
        return self.metric.sign * self.value

    @property
    def gain_interval(self):
        """(low, high) of `gain`."""
        return (self.low, self.high) if self.metric.higher_is_better else (-self.high, -self.low)

    @property
    def units(self):
        """How many units the interval rests on, of several runs the fewest; None where no run says it."""
        return min((c.units for c in self.comparisons if c.units is not None), default=None)

    @property
    def can_divide(self):
        """Whether every run's is large enough to tell shares of it, as results.json has them."""
        return all(jackknife.can_divide(c.value, c.low, c.high) for c in self.comparisons)

    @property
    def few_units(self):
        """"6 sequences" where an interval rests on so few units that nothing is claimed from it; else None."""
        if self.units is None or self.units >= jackknife.ENOUGH:
            return None
        unit = next(c.unit for c in self.comparisons if c.units == self.units)
        return f"{self.units} {'sequence' if unit == 'sequence' else 'frame'}{'s' if self.units > 1 else ''}"

    @property
    def verdict(self):
        """SHOWN where every run's interval lies on the same side of zero."""
        known = [c for c in self.comparisons if c.low is not None]
        same_side = all(c.low > 0 for c in known) or all(c.high < 0 for c in known)
        return SHOWN if same_side and len(known) == len(self.comparisons) else NOT_SHOWN

    def __str__(self):
        value = words.signed(self.value, self.metric)
        if any(c.low is None for c in self.comparisons):
            return f"{value}, without an interval: it rests on {self.few_units or 'one unit'}"
        text = f"{value}, 95 % interval {words.interval(self.low, self.high, self.metric)}"
        return text if len(self.comparisons) == 1 else f"{text} over {len(self.comparisons)} runs"


@dataclasses.dataclass(frozen=True)
class Recovered:
    """The share of the loss that retraining wins back: the mean of the runs, from the lowest low to the highest high.

    Attributes:
      value: the share.
      low, high: None where results.json, of an older version, has no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self):
        text = words.percent(self.value)
        return text if self.low is None else f"{text} [{words.percent(self.low)}, {words.percent(self.high)}]"


def find_difference(comparisons, regime_a, set_a, regime_b, set_b, detector, metric):
    """The paired difference a - b over all runs for which it was computed (either way round), or None."""
    found = []
    for comparison in comparisons:
        if comparison.metric != metric.key or _run(comparison.a) != _run(comparison.b):
            continue
        if comparison.detector not in (None, detector):
            continue
        a, b = (comparison.a.regime, comparison.a.record_set), (comparison.b.regime, comparison.b.record_set)
        if (a, b) == ((regime_a, set_a), (regime_b, set_b)):
            found.append(comparison)
        elif (b, a) == ((regime_a, set_a), (regime_b, set_b)):
            found.append(comparison.reversed())
    # The frames of all folds together are one sample; the folds by themselves are parts of it.
    pooled = [comparison for comparison in found if comparison.a.fold is None]
    return Difference(tuple(pooled or found), metric) if found else None


def find_recovered(recoveries, regime, over, record_set, reference, detector):
    """The Recovered of a regime over all runs; None where a run has none, its loss being too small to divide by."""
    wanted = regime, over, record_set, reference, detector
    found = [each for each in recoveries
             if (each.regime, each.over, each.record_set, each.reference, each.detector) == wanted]
    found = [each for each in found if each.fold is None] or found
    if not found or any(each.value is None for each in found):
        return None
    return Recovered(sum(each.value for each in found) / len(found), min(each.low for each in found),
                     max(each.high for each in found))


def _run(side):
    return side.seed, side.fold
