"""H.264 (ITU-T H.264) video by x264, inside PyAV: frames of a sequence, each predicted from others.

The bytes are one byte stream (Annex B) without container and SEI; parameter sets are in the unit of the frame they
precede, and the last unit ends with the 4 bytes that close the stream (see nal.py).
Pictures are BT.601 YCbCr 4:2:0 at full range, 8 bits, 25 a second (which x264's rate control takes into account).
What pictures with odd sides are padded by stands in two bytes before the stream.
"""

import functools

import numpy as np

from tfod_compress.codecs import libav, nal, ycbcr
from tfod_compress.codecs.base import Unit, VideoCodec, cropped, padded, split_header
from tfod_compress.support.errors import InputError

_LEAST = 16  # pixels a side
_SEI = 6
_UNITS = (1, 5, 7, 8, 11)  # slices, SPS, PPS, end of stream
# x264's AVX-512 code was seen to give other bytes from one run to the next; what has AVX gives the same as AVX2,
# and TensorFlow needs it anyway.
_PARAMETERS = {"threads": 1, "lookahead-threads": 1, "asm": "AVX"}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


class H264(VideoCodec):
    """H.264 at a constant rate factor.

    Args:
      preset: x264's.
    """

    name = "h264"
    extension = ".h264"
    lowest, highest, default_quality = 0, 51, 23
    higher_is_better = False
    whole_numbers = False
    scale = "x264's constant rate factor CRF; 6 more halve the rate, about"
    parameter = "crf"

    def __init__(self, preset="medium"):
        if preset not in PRESETS:
            raise InputError(f"preset {preset!r}: {self.name} takes {', '.join(PRESETS)}")
        libav.require("libx264")
        self.preset = preset

    def encode_sequence(self, frames, qualities):
        encoders, units, size, header, count = [], [[] for _ in qualities], None, b"", 0
        for place, frame in enumerate(frames):
            if size is None:
                size = frame.shape
                _, header = padded(frame, 2, _LEAST)
            elif frame.shape != size:
                raise InputError(f"{self.name}: frame {place + 1} of the sequence is {frame.shape[1]}x"
                                 f"{frame.shape[0]}, those before it are {size[1]}x{size[0]}")
            planes = ycbcr.from_rgb(padded(frame, 2, _LEAST)[0], True)
            encoders = encoders or [self._encoder(planes[0].shape, quality) for quality in qualities]
            for encoder, coded in zip(encoders, units, strict=True):
                coded += _units(encoder.encode(libav.picture(planes, "yuv420p", place)))
            count += 1
        for encoder, coded in zip(encoders, units, strict=True):
            coded += _units(encoder.encode(None))
            if sorted(unit.place for unit in coded) != list(range(count)):
                raise RuntimeError(f"x264 made {len(coded)} units of {count} frames")
            coded[0] = Unit(coded[0].place, header + coded[0].data)
            coded[-1] = Unit(coded[-1].place, coded[-1].data + nal.END_H264)
        return units

    def _encoder(self, shape, quality):
        return libav.encoder("libx264", shape[1], shape[0], "yuv420p", {
            "preset": self.preset, "crf": f"{quality:g}",
            "x264-params": ":".join(f"{name}={value}" for name, value in _PARAMETERS.items())})

    def decode_sequence(self, units):
        added = None

        def streams():
            nonlocal added
            last = b""
            for unit in units:
                if added is None:
                    *added, unit = split_header(unit)
                    if unit[:4] != b"\0\0\0\1":
                        raise InputError(f"{self.name}: damaged, or no stream of this codec")
                if last:
                    yield _checked(last, False)
                last = unit
            if added is None:
                raise InputError(f"{self.name}: no bytes")
            yield _checked(last, True)

        for planes in libav.pictures(libav.decoder("h264", self.max_pixels), streams(), "yuv420p", self.name):
            yield cropped(ycbcr.to_rgb(planes), *added, self.name)

    def version(self):
        return f"x264 {_version()} (PyAV {libav.av.__version__})"

    def settings(self):
        return {"preset": self.preset, "x264": _PARAMETERS, "frames_a_second": int(libav.RATE), "chroma": "4:2:0",
                "bits": 8, "colour": "BT.601 full range", "chroma_filter": "bicubic"}


def _units(packets):
    """[Unit] of libav packets, without SEI: x264's holds its settings, 700 bytes."""
    return [Unit(packet.pts, b"".join(data for kind, data in nal.split(bytes(packet), nal.KIND_H264) if kind != _SEI))
            for packet in packets]


def _checked(unit, last):
    if last != unit.endswith(nal.END_H264):
        raise InputError("h264: cut off, or more than one stream")
    odd = {kind for kind, _ in nal.split(unit, nal.KIND_H264)} - set(_UNITS)
    if odd:
        raise InputError(f"h264: damaged, or of another encoder: units of type {', '.join(map(str, sorted(odd)))}")
    return unit


@functools.cache
def _version():
    encoder = H264("ultrafast")._encoder((16, 16), 30)
    planes = [np.zeros((16, 16), np.uint8)] + [np.zeros((8, 8), np.uint8)] * 2
    packets = encoder.encode(libav.picture(planes, "yuv420p", 0)) + encoder.encode(None)
    return libav.named_version(b"".join(map(bytes, packets)), rb"x264 - core (\d+(?: r\d+)?)")
