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

Then what stays within the margin keeps at least four fifths of that accuracy.
"""

from __future__ import annotations

import dataclasses

from tfod_compress.statistics.jackknife import ENOUGH

PART = 5  # the reference's lower bound is at least this many margins


@dataclasses.dataclass(frozen=True)
class Margin:
    """A loss of accuracy that does not matter.

    Attributes:
      amount: above 0 and at most 1: accuracy, or the share of the reference's accuracy.
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
        """The margin in units of accuracy, given that of the reference."""
        return self.amount * reference if self.relative else self.amount

    def __str__(self):
        return f"{100 * self.amount:.6g} %" if self.relative else f"{self.amount:g}"


def is_within(margin: float, low: float | None, units: int | None) -> bool:
    """Whether a loss is shown to be smaller than a margin: the rule above.

    Args:
      margin: in units of accuracy, see `Margin.absolute`.
      low: the low end of the interval of candidate - reference, None where there is none.
      units: how many sequences or single images it rests on; None where that is not known, of older results.
    """
    return low is not None and low > -margin and (units is None or units >= ENOUGH)


def can_show(margin: float, low: float | None) -> bool:
    """Whether a test against a margin can show anything: the rule above.

    Args:
      margin: in units of accuracy, see `Margin.absolute`.
      low: lower 95 % bound of the reference's accuracy, of several runs the lowest; None where there is none.
    """
    return low is not None and margin > 0 and PART * margin <= low


def nothing(value: float, low: float | None, high: float | None) -> str:
    """What is told where nothing can be shown, of the reference's accuracy and its 95 % interval."""
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"Nothing can be concluded: the detector itself reaches only {value:.3f}{interval}"


def why_nothing(margin: float, low: float | None) -> str:
    """The reason, as a clause."""
    if low is None:
        return "its accuracy has no interval"
    return f"a margin of {margin:.3g} is more than a fifth of its lower bound, {low:.3f}"
