"""Resolution as a rate: frames are made smaller, coded by another codec, and scaled back after decoding.

After Koziarski and Cyganek, Impact of low resolution on image recognition with deep neural networks, 2018
(https://doi.org/10.2478/amcs-2018-0056), who lose resolution without a codec: here that is `png-scale0.5`.
"""

import struct

import numpy as np
from PIL import Image

from tfod_compress.codecs import headers
from tfod_compress.codecs.base import Codec, VideoCodec
from tfod_compress.frames import contiguous
from tfod_compress.support.errors import InputError

_SIZE = struct.Struct(">HH")


class Scaled(Codec):
    """Another codec on frames whose sides are multiplied by `factor`.

    The bytes are the original's width and height, two bytes each, and the other codec's bytes of the small frame; the
    rate is theirs over the original's pixels. Both ways Pillow's bicubic filter, widened when it shrinks so that
    nothing aliases. Sides up to 65,535 pixels.

    Args:
      codec: the other one; no video.
      factor: above 0 and below 1.

    Raises:
      InputError: a factor out of range, or a video codec.
    """

    stored_as = None

    def __init__(self, codec, factor):
        if not 0 < factor < 1:
            raise InputError(f"codec {codec.name}-scale{factor:g}: the scale must lie between 0 and 1")
        if isinstance(codec, VideoCodec):
            raise InputError(f"codec {codec.name}-scale{factor:g}: video cannot be scaled here; choose another codec")
        self._codec, self.factor = codec, factor
        self.name = f"{codec.name}-scale{factor:g}"
        self.extension = f".scaled{codec.extension}"
        for name in ("lowest", "highest", "higher_is_better", "scale", "default_quality", "whole_numbers", "parameter",
                     "qualities", "rate_falls", "rate_steps"):
            setattr(self, name, getattr(codec, name))

    @property
    def lossless(self):
        return False

    def check_quality(self, quality):
        return self._codec.check_quality(quality)

    def prepare(self, quality):
        self._codec.prepare(quality)

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        height, width, _ = rgb.shape
        small = _resized(rgb, self._small(width, height))
        try:
            head = _SIZE.pack(width, height)
        except struct.error:
            raise InputError(f"{self.name}: a frame of {width}x{height} is too large") from None
        return [head + data for data in self._codec.encode_many(small, qualities)]

    def decode(self, data):
        if len(data) <= _SIZE.size:
            raise InputError(f"{self.name}: damaged: {len(data)} bytes")
        size = headers.check_size(_SIZE.unpack_from(data), self.max_pixels, self.name)
        small = self._codec.decode(data[_SIZE.size:])
        if small.shape[1::-1] != self._small(*size):
            raise InputError(f"{self.name}: damaged: {small.shape[1]}x{small.shape[0]} is not the scale of "
                             f"{size[0]}x{size[1]}")
        return _resized(small, size)

    def version(self):
        return self._codec.version()

    def settings(self):
        return {**self._codec.settings(), "scale": self.factor, "filter": "bicubic"}

    def _small(self, width, height):
        return tuple(max(1, round(side * self.factor)) for side in (width, height))


def _resized(rgb, size):
    return np.asarray(Image.fromarray(contiguous(rgb)).resize(size, Image.Resampling.BICUBIC))
