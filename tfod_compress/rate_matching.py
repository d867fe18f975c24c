"""Find the quality whose true rate is nearest below a target, so that codecs can be compared at one rate.

Rates are bits per pixel of bytes that were really coded. Qualities lie on a grid of levels, rising with the rate:
whole numbers, or for codecs that take fractions about a thousand steps over their range. The search takes the rate to
rise with the level: it ends at a level whose rate is not above the target while that of the next one is.
"""

import dataclasses
import hashlib
import math

from tfod_compress.errors import InputError

SAMPLE_FRAMES = 24  # frames that the first search looks at; data sets up to this size are searched whole
_STEPS = 1000  # of a scale of fractions, at least


@dataclasses.dataclass(frozen=True)
class RateTarget:
    """What a record set is to cost, in the place of a quality.

    Attributes:
      bpp: bits per pixel that are not to be exceeded: by the record set as a whole, or by each frame.
      per_frame: whether each frame gets its own quality.
      quality: what was found for the record set; None before the search, and with `per_frame`.
    """

    bpp: float
    per_frame: bool = False
    quality: float | None = None


class Levels:
    """A codec's qualities as integers from 0 to `last`, in the order of rising rate.

    Raises:
      InputError: the codec is lossless.
    """

    def __init__(self, codec):
        if codec.lowest is None:
            why = "is lossless" if codec.lossless else "has no quality"
            raise InputError(f"codec {codec.name} {why}: no quality can match a rate (--target_bpp)")
        self._codec = codec
        if codec.qualities is not None:
            self.last = len(codec.qualities) - 1
            return
        span = codec.highest - codec.lowest
        # A power of ten, so that qualities are short numbers.
        self._step = 1 if codec.whole_numbers else 10.0 ** math.floor(math.log10(span / _STEPS))
        self.last = math.floor(span / self._step + 1e-9)

    def quality(self, level):
        """The quality at a level."""
        if self._codec.qualities is not None:
            return self._codec.qualities[level]
        if self._codec.higher_is_better:
            found = self._codec.lowest + level * self._step
        else:
            found = self._codec.highest - level * self._step
        return self._codec.check_quality(found if self._codec.whole_numbers else float(f"{found:.6g}"))


def next_level(rates, target, last, start, step):
    """The level to measure next, or None where the search has ended.

    Args:
      rates: {level: rate} measured so far.
      target: rate.
      last: the highest level.
      start: the first level to try.
      step: how far from there the target is looked for at first.
    """
    below, above = _around(rates, target)
    if below is None and above is None:
        return start
    if above is None:
        return None if below == last else min(last, below + max(step, below - min(rates)))
    if below is None:
        return None if above == 0 else max(0, above - max(step, max(rates) - above))
    return None if above - below == 1 else (above + below) // 2


def found_level(rates, target):
    """The level nearest below the target among those measured; None where all lie above."""
    return _around(rates, target)[0]


def _around(rates, target):
    above = min((level for level, rate in rates.items() if rate > target), default=None)
    below = max((level for level, rate in rates.items() if rate <= target and (above is None or level < above)),
                default=None)
    return below, above


def match(codec, frames, targets, measure):
    """Finds the quality of each target for a whole record set: on a sample first, then on all frames.

    Args:
      codec: the codec.
      frames: {frame: pixels}.
      targets: bits per pixel.
      measure: called with (frames, qualities, what is being done); returns [bytes of all these frames], one for each.

    Returns:
      {target: (quality, {quality: bits per pixel of all frames})}; the second holds what was coded for the proof:
      the rate at the quality and, where the codec has a next better one, a rate above the target at that.

    Raises:
      InputError: a target below what the codec's lowest rate is, or a lossless codec.
    """
    levels = Levels(codec)
    sample = sorted(frames, key=lambda frame: hashlib.sha256(str(frame).encode()).digest())[:SAMPLE_FRAMES]
    measured = _rates(sample, frames, measure, levels, "a sample")
    starts = dict.fromkeys(targets, levels.last // 2)
    seen = _search(levels, starts, max(1, levels.last // 8), {}, measured)
    if len(sample) < len(frames):
        measured = _rates(list(frames), frames, measure, levels, "all frames")
        starts = {target: found_level(rates, target) or 0 for target, rates in seen.items()}
        # Each start and its neighbour in one pass: where the sample was like the rest, that is all.
        near = {min(level + more, levels.last) for level in starts.values() for more in (0, 1)}
        seen = _search(levels, starts, 1, measured(sorted(near)), measured)
    found = {}
    for target, rates in seen.items():
        level = found_level(rates, target)
        if level is None:
            raise InputError(f"--target_bpp {target:g}: {codec.name} needs {rates[0]:.4f} bits per pixel at its lowest "
                             f"rate, {codec.parameter}{levels.quality(0):g}, on these frames")
        proof = {levels.quality(at): rates[at] for at in (level, level + 1) if at in rates}
        found[target] = levels.quality(level), proof
    return found


def _rates(chosen, frames, measure, levels, what):
    """A function from [level] to {level: bits per pixel of the chosen frames}."""
    pixels = sum(frames[frame] for frame in chosen)

    def rates(wanted):
        sizes = measure(chosen, [levels.quality(level) for level in wanted], what)
        return {level: 8 * size / pixels for level, size in zip(wanted, sizes, strict=True)}

    return rates


def _search(levels, starts, step, known, measured):
    """{target: {level: rate}} until every target is settled; all targets share the passes over the frames.

    Each target looks at the levels of its own path only: a neighbour of its start is worth more to it than a level
    that another target was measured at.
    """
    seen = {target: {} for target in starts}
    while True:
        wanted = {}
        for target, start in starts.items():
            while (level := next_level(seen[target], target, levels.last, start, step)) in known:
                seen[target][level] = known[level]
            if level is not None:
                wanted[target] = level
        if not wanted:
            return seen
        known = known | measured(sorted(set(wanted.values())))


def encode_frame(codec, rgb, target):
    """Codes one frame at the quality nearest below the target.

    Args:
      codec: the codec.
      rgb: uint8 [H, W, 3].
      target: bits per pixel of this frame.

    Returns:
      (quality, bytes): of the codec's lowest rate where even that is above the target.
    """
    levels, pixels, coded, rates = Levels(codec), rgb.shape[0] * rgb.shape[1], {}, {}
    while (level := next_level(rates, target, levels.last, levels.last // 2, max(1, levels.last // 4))) is not None:
        coded[level] = codec.encode_many(rgb, [levels.quality(level)])[0]
        rates[level] = 8 * len(coded[level]) / pixels
    best = found_level(rates, target)
    best = 0 if best is None else best
    return levels.quality(best), coded[best]


def encode_at(codec, rgb, wanted):
    """Codes one frame for each of several record sets.

    Args:
      codec: the codec.
      rgb: uint8 [H, W, 3].
      wanted: [quality or `RateTarget` that `match` has found a quality for, or one that is `per_frame`].

    Returns:
      [(quality, bytes)].
    """
    fixed = {key: key.quality if isinstance(key, RateTarget) else key for key in wanted
             if not (isinstance(key, RateTarget) and key.per_frame)}
    qualities = list(dict.fromkeys(fixed.values()))
    coded = dict(zip(qualities, codec.encode_many(rgb, qualities), strict=True))
    return [(fixed[key], coded[fixed[key]]) if key in fixed else encode_frame(codec, rgb, key.bpp) for key in wanted]


def record_set_name(codec, target):
    """Folder name of a rate-matched record set: jpeg-bpp0.1, jpeg-bpp0.1-per-frame."""
    return f"{codec.name}-bpp{target.bpp:g}{'-per-frame' if target.per_frame else ''}"
