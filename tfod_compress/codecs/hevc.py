"""HEVC (ITU-T H.265) intra by x265, inside PyAV: what BPG files hold, without BPG's container.

The bytes are one byte stream (Annex B) with its parameter sets, without container, SEI and delimiters: VPS, SPS, PPS
and the slice come to about 90 bytes more than the slice's data, the closing unit to 5 (see nal.py).
Pictures are BT.601 YCbCr at full range, 8 bits. x265 wants even sides (4:2:0) of 16 pixels and more; what other
pictures are padded by stands in two bytes before the stream.
"""

import functools

import numpy as np

from tfod_compress.codecs import libav, nal, ycbcr
from tfod_compress.codecs.base import Codec, cropped, padded, split_header
from tfod_compress.support.errors import InputError

_LEAST = 16  # pixels a side
_UNITS = (19, 20, 32, 33, 34, 37)  # IDR pictures, VPS, SPS, PPS, end of bitstream
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


class Hevc(Codec):
    """HEVC intra, chroma at half the resolution both ways (4:2:0).

    Args:
      preset: x265's.
    """

    name = "hevc"
    extension = ".hevc"
    lowest, highest, default_quality = 0, 51, 22
    higher_is_better = False
    scale = "HEVC's quantisation parameter QP; 6 more double the step"
    rate_falls = (0, 32)
    parameter = "qp"
    layout, chroma = "yuv420p", "4:2:0"

    def __init__(self, preset="slow"):
        if preset not in PRESETS:
            raise InputError(f"preset {preset!r}: {self.name} takes {', '.join(PRESETS)}")
        libav.require("libx265")
        self.preset = preset

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        rgb, header = padded(rgb, 2 if self.layout == "yuv420p" else 1, _LEAST)
        planes = self._planes(rgb)
        return [header + self._coded(planes, quality) + nal.END_HEVC for quality in qualities]

    def _planes(self, rgb):
        return ycbcr.from_rgb(rgb, self.layout == "yuv420p")

    def _coded(self, planes, quality, *more):
        height, width = planes[0].shape
        parameters = [f"{name}={value}" for name, value in self._parameters().items()]
        context = libav.encoder("libx265", width, height, self.layout, {
            "preset": self.preset, "tune": "psnr", "x265-params": ":".join([*parameters, f"qp={quality}", *more])})
        packets = context.encode(libav.picture(planes, self.layout, 0)) + context.encode(None)
        return b"".join(map(bytes, packets))

    def _parameters(self):
        # ipratio=1: the picture's QP is the one that was asked for. info=0: no SEI of 2 KB with the settings.
        return {"keyint": 1, "ipratio": 1, "info": 0, "vui-timing-info": 0, "wpp": 0, "frame-threads": 1,
                "pools": "none", "log-level": "none"}

    def decode(self, data):
        right, bottom, stream = split_header(data)
        what = self.name
        nal.check(stream, nal.KIND_HEVC, _UNITS, nal.END_HEVC, what)
        found = list(libav.pictures(libav.decoder("hevc", self.max_pixels), [stream], self.layout, what))
        if len(found) != 1:
            raise InputError(f"{what}: damaged: {len(found)} pictures")
        return cropped(ycbcr.to_rgb(found[0]), right, bottom, what)

    def version(self):
        return f"x265 {_version()} (PyAV {libav.av.__version__})"

    def settings(self):
        return {"preset": self.preset, "tune": "psnr", "chroma": self.chroma, "bits": 8, "colour": "BT.601 full range",
                "chroma_filter": "bicubic", "x265": self._parameters()}


class Hevc444(Hevc):
    """HEVC intra with chroma at full resolution: what BPG's published points use."""

    name = "hevc444"
    layout, chroma = "yuv444p", "4:4:4"


class HevcGray(Hevc):
    """HEVC intra without chroma (4:0:0): ITU-R BT.601 luma. Decodes to three equal channels."""

    name = "hevc-gray"
    layout, chroma = "gray", "4:0:0"

    def _planes(self, rgb):
        return [ycbcr.luma(rgb)]


@functools.cache
def _version():
    data = Hevc("ultrafast")._coded([np.zeros((16, 16), np.uint8)] + [np.zeros((8, 8), np.uint8)] * 2, 30, "info=1")
    return libav.named_version(data, rb"x265 \(build \d+\) - ([\w.+-]+)")
