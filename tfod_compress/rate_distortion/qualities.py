"""The qualities that a codec is measured at where none are asked for: about 0.1 to 3 bits per pixel."""

_PERCENT = tuple(range(5, 100, 5))
_DEFAULTS = {
    "jpeg": _PERCENT,
    "jpeg444": _PERCENT,
    "jpeg-gray": _PERCENT,
    "webp": _PERCENT,
}
_POINTS = 9  # of a codec that has no list here


def default_qualities(codec):
    """The list of a codec, worst first; [None] for a lossless one.

    A codec without a list of its own gets evenly spaced ones from its range without the ends, which are of little use
    (libx265's lossless 0, JPEG's 1).
    """
    if codec.lossless:
        return [None]
    if codec.name in _DEFAULTS:
        found = list(_DEFAULTS[codec.name])
    else:
        step = (codec.highest - codec.lowest) / (_POINTS + 1)
        found = [codec.lowest + step * index for index in range(1, _POINTS + 1)]
        found = [round(quality) if codec.whole_numbers else float(f"{quality:.3g}") for quality in found]
    found = list(dict.fromkeys(codec.check_quality(quality) for quality in found))
    return found if codec.higher_is_better else sorted(found, reverse=True)
