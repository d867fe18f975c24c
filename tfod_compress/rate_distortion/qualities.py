"""The qualities that a codec is measured at where none are asked for: about 0.1 to 3 bits per pixel."""

_PERCENT = tuple(range(5, 100, 5))
_QP = (12, 17, 22, 27, 32, 37, 42, 47)  # the steps of published HEVC and VVC points
_AV1 = (5, 15, 25, 35, 45, 55, 65, 75, 85, 92)
_JXL = (5, 20, 35, 50, 60, 70, 80, 87, 92, 96)
_DEFAULTS = {
    "jpeg": _PERCENT, "jpeg444": _PERCENT, "jpeg-gray": _PERCENT, "webp": _PERCENT,
    "hevc": _QP, "hevc444": _QP, "hevc-gray": _QP, "vvc": _QP, "vvc-gray": _QP,
    "avif": _AV1, "avif444": _AV1, "avif-gray": _AV1, "jxl": _JXL, "jxl-gray": _JXL,
    "jpeg2000": tuple(range(26, 47, 2)), "jpeg2000-gray": tuple(range(26, 47, 2)),
    "h264": (18, 23, 25, 30, 35, 40, 45, 50),
}
_POINTS = 9  # of a codec that has no list here


def default_qualities(codec):
    """The list of a codec, by rising rate; [None] for one without a quality.

    A codec without a list of its own gets evenly spaced ones from its range, without the ends.
    """
    if codec.lowest is None:
        return [None]
    if codec.qualities is not None:
        return list(codec.qualities)
    name = codec.name.partition("-scale")[0]
    if name in _DEFAULTS:
        found = list(_DEFAULTS[name])
    else:
        step = (codec.highest - codec.lowest) / (_POINTS + 1)
        found = [codec.lowest + step * index for index in range(1, _POINTS + 1)]
        found = [round(quality) if codec.whole_numbers else float(f"{quality:.3g}") for quality in found]
    found = list(dict.fromkeys(codec.check_quality(quality) for quality in found))
    return sorted(found, reverse=not codec.higher_is_better)
