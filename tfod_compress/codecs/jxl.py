"""JPEG XL (ISO/IEC 18181) by libjxl, inside pillow-jxl-plugin: bare codestreams.

Lossy (VarDCT in the XYB space) below quality 100, lossless there, as in libjxl's own tools.
"""

import importlib.metadata

import numpy as np
import pillow_jxl

from tfod_compress.codecs import headers
from tfod_compress.codecs.base import Codec
from tfod_compress.codecs.pillow import grey
from tfod_compress.frames import contiguous
from tfod_compress.support.errors import InputError


class Jxl(Codec):
    """JPEG XL in colour; chroma is not subsampled.

    Args:
      effort: libjxl's, 1 (fast) to 9.
    """

    name = "jxl"
    extension = ".jxl"
    lowest, highest, default_quality = 0, 100, 90
    scale = "libjxl's quality: butteraugli distance 1 at 90, 6.4 at 30, 25 at 0; 100 is lossless"
    rate_falls, rate_steps = (0.08, 32), (19, 100)  # libjxl codes otherwise from quality 19 on; lossless at 100
    _mode, _channels = "RGB", 3

    def __init__(self, effort=7):
        if effort not in range(1, 10):
            raise InputError(f"effort {effort}: {self.name} takes 1 (fast) to 9")
        self.effort = effort

    def encode(self, rgb, quality):
        height, width, _ = rgb.shape
        encode = pillow_jxl.Encoder(mode=self._mode, lossless=quality == 100, quality=quality, effort=self.effort,
                                    decoding_speed=0, use_container=False, use_original_profile=False, num_threads=0)
        try:
            return bytes(encode(self._samples(rgb).tobytes(), width, height, False))
        except RuntimeError as error:
            raise InputError(f"JPEG XL: a frame of {width}x{height} cannot be coded: {error}") from error

    def _samples(self, rgb):
        return contiguous(rgb)

    def decode(self, data):
        width, height = headers.check_size(headers.jxl_size(data), self.max_pixels, "JPEG XL")
        try:
            recoded, info, samples, *_ = pillow_jxl.Decoder(num_threads=0)(data)
        except (RuntimeError, ValueError, NotImplementedError, MemoryError) as error:
            raise InputError(f"JPEG XL: cannot be decoded: {' '.join(str(error).split())}") from error
        except BaseException as error:
            # A panic in the decoder's Rust part is no Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise InputError(f"JPEG XL: cannot be decoded: {' '.join(str(error).split())}") from error
        if recoded or info.mode != self._mode or len(samples) != width * height * self._channels:
            raise InputError(f"JPEG XL: damaged, or not one 8-bit picture in mode {self._mode}")
        pixels = np.frombuffer(samples, np.uint8).reshape(height, width, self._channels)
        return np.repeat(pixels, 3 // self._channels, axis=2)

    def version(self):
        return f"pillow-jxl-plugin {importlib.metadata.version('pillow-jxl-plugin')} (with its own libjxl)"

    def settings(self):
        return {"effort": self.effort, "components": self._channels, "container": False}


class JxlGray(Jxl):
    """JPEG XL with one component: ITU-R BT.601 luma. Decodes to three equal channels."""

    name = "jxl-gray"
    _mode, _channels = "L", 1

    def _samples(self, rgb):
        return np.asarray(grey(rgb))
