"""How large a loss does not matter, when it is shown to be smaller, and when that can show anything.

That a loss is smaller than a margin is a claim of non-inferiority (Piaggio et al., CONSORT for non-inferiority trials,
JAMA 2012). Reports and commands make it by one rule, `is_within`:

    the low end of the 95 % interval of the paired difference > -margin, and the interval rests on 10 units or more

That is a one-sided test at 2.5 %, half the level of a two-sided one (ICH E9, Statistical Principles for Clinical
Trials, 1998, section 5.5). Intervals of fewer units may miss the truth too often (docs/statistics.md).

The claim proves something only if a larger loss would have shown: *assay sensitivity*, ICH E10, Choice of Control Group
in Clinical Trials, 2000, section 1.5. A detector that finds nothing loses nothing to any compression, and one that
finds little has little to lose. So the margin has to be a small part of what the reference surely reaches (section
1.5.1.1, which leaves the part to judgement):

    margin <= 1/5 of the lower 95 % bound of the reference's accuracy

Then what stays within the margin keeps at least four fifths of that accuracy. Of a metric of which lower is better, a
loss is a rise. A share, such as an error rate, reaches what its upper bound leaves to 1. A metric with a unit has no
worst value to measure from: its margins are shares of the reference, at most a fifth of its lower bound, which says
that it is known well enough for such a share, and not that the reference is any good.
"""

from __future__ import annotations

import dataclasses

from tfod_compress.statistics.jackknife import ENOUGH

PART = 5  # the reference's lower bound is at least this many margins


class MarginError(ValueError):
    """A margin that a metric cannot have."""


@dataclasses.dataclass(frozen=True)
class Margin:
    """A loss of accuracy that does not matter.

    Attributes:
      amount: above 0 and at most 1: accuracy, or the share of the reference's.
      relative: whether it is that share.

    Raises:
      ValueError: for an amount that is out of range.
    """

    amount: float
    relative: bool = False

    def __post_init__(self):
        if not 0 < self.amount <= 1:
            raise ValueError(f"a margin must be above 0 and at most {'100 %' if self.relative else 1}, not {self}")

    @classmethod
    def parse(cls, text: str) -> Margin:
        """The margin that "0.02" or "5%" says; raises ValueError where it says none."""
        number = text.strip()
        relative = number.endswith("%")
        try:
            amount = float(number.removesuffix("%"))
        except ValueError:
            raise ValueError(f"{text!r} is no margin; give an accuracy such as 0.02, or a share of the reference's "
                             "such as 5%") from None
        return cls(amount / 100 if relative else amount, relative)

    @classmethod
    def of(cls, margin: Margin | float) -> Margin:
        """A Margin as it is; of a number the absolute one."""
        return margin if isinstance(margin, cls) else cls(margin)

    def absolute(self, reference: float) -> float:
        """The margin in units of the metric, given that of the reference."""
        return self.amount * abs(reference) if self.relative else self.amount

    def fitting(self, share: bool) -> Margin:
        """Itself; MarginError where it is absolute, and the metric no share."""
        if not share and not self.relative:
            raise MarginError(f"a margin of {self} says nothing of a metric with a unit; give a share of the "
                             "reference's, such as 5%")
        return self

    def __str__(self):
        return f"{100 * self.amount:.6g} %" if self.relative else f"{self.amount:g}"


def is_within(margin: float, low: float | None, units: int | None) -> bool:
    """Whether a loss is shown to be smaller than a margin: the rule above.

    Args:
      margin: in units of the metric, see `Margin.absolute`.
      low: the low end of the interval of how much better the candidate is, None where there is none.
      units: how many sequences or single images it rests on; None where that is not known, of older results.
    """
    return low is not None and low > -margin and (units is None or units >= ENOUGH)


def surely_reached(low: float | None, high: float | None, higher_is_better: bool, share: bool) -> float | None:
    """What a reference surely reaches, given the 95 % interval of its metric: what `can_show` measures margins by.

    Args:
      low: of several runs the lowest; None where there is none.
      high: of several runs the highest.
      higher_is_better: of the metric.
      share: whether it lies between 0 and 1.
    """
    if higher_is_better or not share:
        return low
    return None if high is None else 1 - high


def can_show(margin: float, reached: float | None) -> bool:
    """Whether a test against a margin can show anything: the rule above.

    Args:
      margin: in units of the metric, see `Margin.absolute`.
      reached: by the reference, see `surely_reached`: of an accuracy its lower 95 % bound.
    """
    return reached is not None and margin > 0 and PART * margin <= reached


def nothing(value: float, low: float | None, high: float | None, model: str = "detector",
            higher_is_better: bool = True) -> str:
    """What is told where nothing can be shown, of the reference's accuracy and its 95 % interval."""
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    reached = "reaches only" if higher_is_better else "comes only down to"
    return f"Nothing can be concluded: the {model} itself {reached} {value:.3f}{interval}"


def why_nothing(margin: float, reached: float | None, higher_is_better: bool = True, share: bool = True) -> str:
    """The reason, as a clause; arguments as for `can_show` and `surely_reached`."""
    if reached is None:
        return "its accuracy has no interval"
    bound = "its lower bound" if higher_is_better or not share else "what its upper bound leaves to 1"
    return f"a margin of {margin:.3g} is more than a fifth of {bound}, {reached:.3f}"
