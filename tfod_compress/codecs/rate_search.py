"""Which qualities to code to find the one whose rate is nearest below a target.

Were the rate sure to rise with the quality, bisection would do. Of hardly any codec is that so: JPEG XL's falls by up
to a third where another way of coding sets in, WebP's by a few parts in a thousand here and there, JPEG's by a byte or
two from quality 1 to 2. Without a bound on such falls every quality would have to be coded. So each codec says how far
its rate falls at most (`Codec.rate_falls`, `Codec.rate_steps`; brute force over real frames holds it to that), and the
search goes on from where bisection ends until no quality that was not coded can be the one.
"""

import dataclasses
import math

from tfod_compress.support.errors import InputError

FALL_AT_STEP = 0.5  # share of itself by which a rate may fall from one way of coding to another
_STEPS = 1000  # of a scale of fractions, at least


class Levels:
    """A codec's qualities as integers from 0 to `last`, from the lowest rate to the highest.

    Attributes:
      last: the highest level.
      runs: [(first, last)] levels that are coded in one way.
      share, size: see `Codec.rate_falls`; 1 and 0 where nothing is known.

    Raises:
      InputError: the codec is lossless.
    """

    def __init__(self, codec):
        if codec.lowest is None:
            why = "is lossless" if codec.lossless else "has no quality"
            raise InputError(f"codec {codec.name} {why}: no quality can match a rate (--target_bpp)")
        self._codec = codec
        self.share, self.size = codec.rate_falls or (1.0, 0)
        if codec.qualities is not None:
            self.last = len(codec.qualities) - 1
        else:
            span = codec.highest - codec.lowest
            # A power of ten, so that qualities are short numbers.
            self._step = 1 if codec.whole_numbers else 10.0 ** math.floor(math.log10(span / _STEPS))
            self.last = math.floor(span / self._step + 1e-9)
        steps = range(1, self.last + 1) if codec.rate_steps else ()
        starts = [0, *(level for level in steps if self.quality(level) in codec.rate_steps)]
        self.runs = [(first, after - 1) for first, after in zip(starts, [*starts[1:], self.last + 1], strict=True)]

    def quality(self, level):
        """The quality at a level."""
        if self._codec.qualities is not None:
            return self._codec.qualities[level]
        if self._codec.higher_is_better:
            found = self._codec.lowest + level * self._step
        else:
            found = self._codec.highest - level * self._step
        return self._codec.check_quality(found if self._codec.whole_numbers else float(f"{found:.6g}"))


@dataclasses.dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
      levels: `Levels`.
      target: rate.
      share: by which a rate falls at most as the level rises, within one way of coding.
      slack: rate by which it may fall besides.
      start: the level to try first.
      step: how far from there the target is looked for at first.
    """

    levels: Levels
    target: float
    share: float
    slack: float
    start: int
    step: int

    def wanted(self, rates):
        """Yields the levels to code, none of which `rates` holds.

        Args:
          rates: {level: rate} of what has been coded; the caller adds that of each level before it asks for the next.
        """
        path = {}
        while (level := next_level(path, self.target, 0, self.levels.last, self.start, self.step)) is not None:
            if level not in rates:
                yield level
            path[level] = rates[level]
        while (level := self._doubtful(rates)) is not None:
            yield level

    def far(self, rates):
        """{level: rate} of a level, of those coded, that rules out the ways of coding beyond it; empty with one way."""
        dear = sorted(level for level, rate in rates.items() if rate * (1 - FALL_AT_STEP) > 1.2 * self.target)
        return {level: rates[level] for level in dear[:1]} if len(self.levels.runs) > 1 else {}

    def _doubtful(self, rates):
        """A level that was not coded and may be the one; None where there is none left."""
        here = nearest_below(rates, self.target) or 0
        for first, last in sorted(self.levels.runs, key=lambda run: max(run[0] - here, here - run[1], 0)):
            low, high = self._open(rates, first, last)
            left = [level for level in range(low, high + 1) if level not in rates]
            if left:
                near = min(max(here, low), high)
                if near not in rates:
                    return near
                inside = {level: rate for level, rate in rates.items() if low <= level <= high}
                level = next_level(inside, self.target, low, high, near, 1)
                return min(left, key=lambda level: abs(level - near)) if level is None else level
        return None

    def _open(self, rates, first, last):
        """(lowest, highest) of a run's levels that may be the one or are coded; the highest is below where none may."""
        nearest = nearest_below(rates, self.target)
        best = -math.inf if nearest is None else rates[nearest]
        # A rate r before a level says that it costs (1 - share) r - slack at least, and one behind it turned round.
        kept = 1 - self._share(FALL_AT_STEP, rates, 0, self.levels.last)
        if (any(level < first and rate * kept - self.slack > self.target for level, rate in rates.items())
                or any(level > last and rate + self.slack <= best * kept for level, rate in rates.items())):
            return first, first - 1
        kept = 1 - self._share(self.share, rates, first, last)
        inside = {level: rate for level, rate in rates.items() if first <= level <= last}
        return (max((level for level, rate in inside.items() if rate + self.slack <= best * kept), default=first),
                min((level for level, rate in inside.items() if rate * kept - self.slack > self.target), default=last))

    def _share(self, share, rates, first, last):
        """A share that rates fall by at most: twice what is seen, where that is more than it was to be."""
        seen = fall(rates, first, last, self.slack)
        return share if seen <= share else min(1.0, 2 * seen)


def next_level(rates, target, first, last, start, step):
    """The level to measure next where rates rise with the level, or None where two neighbours enclose the target.

    Args:
      rates: {level: rate} measured so far.
      target: rate.
      first: the lowest level.
      last: the highest.
      start: the first level to try.
      step: how far from there the target is looked for at first.
    """
    above = min((level for level, rate in rates.items() if rate > target), default=None)
    below = max((level for level, rate in rates.items() if rate <= target and (above is None or level < above)),
                default=None)
    if below is None and above is None:
        return start
    if above is None:
        return None if below == last else min(last, below + max(step, below - min(rates)))
    if below is None:
        return None if above == first else max(first, above - max(step, max(rates) - above))
    return None if above - below == 1 else (above + below) // 2


def nearest_below(rates, target):
    """The level of the largest rate that is not above the target, of several the highest; None where there is none."""
    return max(((rate, level) for level, rate in rates.items() if rate <= target), default=(None, None))[1]


def fall(rates, first, last, slack=0.0):
    """The share by which rates are seen to fall within these levels, beyond the slack."""
    highest = seen = 0.0
    for level in sorted(level for level in rates if first <= level <= last):
        highest = max(highest, rates[level])
        if highest:
            seen = max(seen, 1 - (rates[level] + slack) / highest)
    return seen
