"""Find the quality whose true rate is nearest below a target, so that codecs can be compared at one rate.

Rates are bits per pixel of bytes that were really coded. The quality is the one whose rate is the largest that is not
above the target; of several with that rate, the best. `rate_search` says which have to be coded to be sure of it.
"""

import dataclasses
import hashlib

from tfod_compress.codecs.rate_search import Levels, Search, fall, nearest_below
from tfod_compress.support.errors import InputError

SAMPLE_FRAMES = 24  # frames that the first search looks at; data sets up to this size are searched whole


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


def match(codec, frames, targets, measure):
    """Finds the quality of each target for a whole record set: on a sample first, then on all frames.

    Args:
      codec: the codec.
      frames: {frame: pixels}.
      targets: bits per pixel.
      measure: called with (frames, qualities, what is being done); returns [bytes of all these frames], one for each.

    Returns:
      {target: (quality, {quality: bits per pixel of all frames})}; the second holds the two rates that enclose the
      target: the one at the quality and, unless the codec's highest is below the target, the least coded one above.

    Raises:
      InputError: a target below what the codec's lowest rate is, or a lossless codec.
    """
    levels, middle = Levels(codec), Levels(codec).last // 2
    sample = sorted(frames, key=lambda frame: hashlib.sha256(str(frame).encode()).digest())[:SAMPLE_FRAMES]
    of_sample, pixels = _rates(sample, frames, measure, levels, "a sample")
    of_all, _ = _rates(list(frames), frames, measure, levels, "all frames")
    slack, rates, whole, seen = 8 * levels.size * len(sample) / pixels, {}, {}, -1
    aims = {target: target for target in targets}  # what the sample costs where all frames cost the target
    while len(rates) > seen:
        seen = len(rates)
        _settle([Search(levels, aim, levels.share, slack, middle, max(1, levels.last // 8)) for aim in aims.values()],
                rates, of_sample)
        if len(sample) == len(frames):
            whole = rates
            break
        # Falls of single frames cancel out in a sum, unless the frames are alike, which the sample shows.
        share = max(levels.share / SAMPLE_FRAMES**0.5, *(2 * fall(rates, *run) for run in levels.runs))
        searches = [Search(levels, target, share, 0.0, nearest_below(rates, aim) or 0, 1)
                    for target, aim in aims.items()]
        if not whole:  # What they want of the sample comes in one pass: where it is like the rest, that is all.
            whole = of_all(sorted(set().union(*(_wanted(search, rates, of_sample) for search in searches))))
        _settle(searches, whole, of_all)
        for target in targets:
            level = nearest_below(whole, target) or 0
            if level not in rates:
                rates |= of_sample([level])
            aims[target] = target * rates[level] / whole[level]
    return {target: _found(codec, levels, whole, target) for target in targets}


def _rates(chosen, frames, measure, levels, what):
    """(function from [level] to {level: bits per pixel of the chosen frames}, pixels of these frames)."""
    pixels = sum(frames[frame] for frame in chosen)

    def rates(wanted):
        sizes = measure(chosen, [levels.quality(level) for level in wanted], what)
        return {level: 8 * size / pixels for level, size in zip(wanted, sizes, strict=True)}

    return rates, pixels


def _settle(searches, rates, measured):
    """Completes `rates` by what the searches want; all share the passes over the frames."""
    running = [search.wanted(rates) for search in searches]
    while wanted := {next(levels, None) for levels in running} - {None}:
        rates.update(measured(sorted(wanted)))


def _wanted(search, rates, measured):
    """The levels that a search wants; `rates` is completed where they are not in it."""
    mine = search.far(rates)
    for level in search.wanted(mine):
        if level not in rates:
            rates.update(measured([level]))
        mine[level] = rates[level]
    return mine.keys()


def _found(codec, levels, rates, target):
    level = nearest_below(rates, target)
    if level is None:
        raise InputError(f"--target_bpp {target:g}: {codec.name} needs {rates[0]:.4f} bits per pixel at its lowest "
                         f"rate, {codec.parameter}{levels.quality(0):g}, on these frames")
    above = min(((rate, other) for other, rate in rates.items() if rate > target), default=(None, level))[1]
    return levels.quality(level), {levels.quality(at): rates[at] for at in (level, above)}


def encode_frame(codec, rgb, target, coded=None):
    """Codes one frame at the quality nearest below the target.

    Args:
      codec: the codec.
      rgb: uint8 [H, W, 3].
      target: bits per pixel of this frame.
      coded: {level: bytes} of the frame, from targets before: what is there is not coded again, what was is added.

    Returns:
      (quality, bytes): of the lowest level where no quality's rate is as low as the target.
    """
    levels, pixels, coded = Levels(codec), rgb.shape[0] * rgb.shape[1], {} if coded is None else coded
    rates = {level: 8 * len(data) / pixels for level, data in coded.items()}
    search = Search(levels, target, levels.share, 8 * levels.size / pixels, levels.last // 2, max(1, levels.last // 4))
    for level in search.wanted(rates):
        coded[level], = codec.encode_many(rgb, [levels.quality(level)])
        rates[level] = 8 * len(coded[level]) / pixels
    best = nearest_below(rates, target) or 0
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
    coded, searched = dict(zip(qualities, codec.encode_many(rgb, qualities), strict=True)), {}
    return [(fixed[key], coded[fixed[key]]) if key in fixed else encode_frame(codec, rgb, key.bpp, searched)
            for key in wanted]


def record_set_name(codec, target):
    """Folder name of a rate-matched record set: jpeg-bpp0.1, jpeg-bpp0.1-per-frame."""
    return f"{codec.name}-bpp{target.bpp:g}{'-per-frame' if target.per_frame else ''}"
