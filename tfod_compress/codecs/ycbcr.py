"""RGB to YCbCr and back, in integers, so that the same picture gives the same samples on every machine.

ITU-R BT.601 at full range (as JPEG and BPG use it; in H.273's terms matrix_coefficients 6, full range 1):

    Y  = 0.299 R + 0.587 G + 0.114 B
    Cb = (B - Y) / 1.772 + mid
    Cr = (R - Y) / 1.402 + mid

With 4:2:0, chroma samples lie in the middle of 2x2 pixels; down and up by bicubic interpolation (four taps).
"""

import numpy as np

_RED, _BLUE = 0.299, 0.114
# Catmull-Rom's cubic (a = -0.5) half way between samples, and a quarter of the way.
_DOWN, _DOWN_SUM = (-2, 18, 18, -2), 32
_UP, _UP_SUM = (-9, 111, 29, -3), 128


def luma(rgb, bits=8):
    """Y samples, uint8 or (for more than 8 bits) uint16 [H, W], of uint8 RGB [H, W, 3]."""
    return _luma(_planes(rgb), bits)


def from_rgb(rgb, subsampled, bits=8):
    """Samples of a picture.

    Args:
      rgb: uint8 [H, W, 3]; with `subsampled`, H and W are even.
      subsampled: whether chroma has half the resolution both ways (4:2:0).
      bits: of a sample, 8 to 10.

    Returns:
      [Y, Cb, Cr], uint8 or (for more than 8 bits) uint16; [H, W], chroma [H/2, W/2] where subsampled.
    """
    planes = _planes(rgb)
    top = (1 << bits) - 1
    made = [_luma(planes, bits)]
    for own, share in ((2, _BLUE), (0, _RED)):
        other = _RED if own == 2 else _BLUE
        # (own - Y) / (2 (1 - share)), in 1/256 of a sample, from the planes and not from the rounded Y.
        weights = [0.0, 0.0, 0.0]
        weights[own], weights[2 - own] = 0.5, -0.5 * other / (1 - share)
        weights[1] = -0.5 - weights[2 - own]
        chroma = _weighted(planes, weights, bits) + (1 << 7) >> 8
        fraction = 8
        if subsampled:
            chroma = _halve(_halve(chroma).T).T
            fraction += 10
        chroma = (chroma + (1 << fraction - 1) >> fraction) + (1 << bits - 1)
        made.append(np.clip(chroma, 0, top).astype(made[0].dtype))
    return made


def to_rgb(planes, bits=8):
    """uint8 RGB [H, W, 3] of what `from_rgb` gives; from Y alone, three equal channels."""
    y = planes[0].astype(np.int32)
    scale = 255 / ((1 << bits) - 1)
    if len(planes) == 1:
        grey = y if bits == 8 else y * round(scale * 65536) + 32768 >> 16
        return np.repeat(np.minimum(grey, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    cb, cr = (_centred(plane, y.shape, bits) for plane in planes[1:])  # in 1/256 of a sample
    y *= round(scale * 4096) << 8
    green = 1 - _RED - _BLUE
    rgb = np.empty((*y.shape, 3), np.uint8)
    for channel, (blue, red) in enumerate((
            (0.0, 2 * (1 - _RED)), (-2 * _BLUE * (1 - _BLUE) / green, -2 * _RED * (1 - _RED) / green),
            (2 * (1 - _BLUE), 0.0))):
        value = y + (1 << 19)
        for weight, chroma in ((blue, cb), (red, cr)):
            if weight:
                value += chroma * round(weight * scale * 4096)
        rgb[:, :, channel] = np.clip(value >> 20, 0, 255)
    return rgb


def _planes(rgb):
    return [rgb[:, :, channel].astype(np.int32) for channel in range(3)]


def _luma(planes, bits):
    value = _weighted(planes, (_RED, 1 - _RED - _BLUE, _BLUE), bits) + (1 << 15) >> 16
    return value.astype(np.uint8 if bits == 8 else np.uint16)


def _weighted(planes, weights, bits):
    """Sum of the planes times `weights`, in 1/65536 of a sample of that many bits."""
    scale = ((1 << bits) - 1) / 255 * 65536
    whole = [round(weight * scale) for weight in weights]
    whole[1] = round(sum(weights) * scale) - whole[0] - whole[2]  # so that white is exactly white, grey exactly grey
    value = planes[0] * whole[0]
    value += planes[1] * whole[1]
    value += planes[2] * whole[2]
    return value


def _halve(rows):
    """Half as many rows, 32 times the values."""
    padded = np.pad(rows, ((1, 1), (0, 0)), "edge")
    count = len(rows) // 2
    return sum(padded[tap:tap + 2 * count:2] * weight for tap, weight in enumerate(_DOWN))


def _double(rows):
    """Twice as many rows, 128 times the values."""
    padded = np.pad(rows, ((2, 2), (0, 0)), "edge")
    count = len(rows)
    made = np.empty((2 * count, rows.shape[1]), np.int32)
    # Each pixel lies a quarter of a chroma sample from the nearest one.
    made[0::2] = sum(padded[3 - tap:3 - tap + count] * weight for tap, weight in enumerate(_UP))
    made[1::2] = sum(padded[1 + tap:1 + tap + count] * weight for tap, weight in enumerate(_UP))
    return made


def _centred(plane, shape, bits):
    """A chroma plane at the resolution of Y, zero in the middle, in 1/256 of a sample."""
    chroma = plane.astype(np.int32) - (1 << bits - 1)
    if plane.shape == shape:
        return chroma << 8
    return _double(_double(chroma).T).T + (1 << 5) >> 6
