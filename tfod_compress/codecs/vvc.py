"""VVC (ITU-T H.266) intra by vvenc, in the FFmpeg program that imageio-ffmpeg brings.

The bytes are one byte stream (Annex B) with its parameter sets, without container, SEI and delimiters, and the
closing unit of 5 bytes (see nal.py). Pictures are BT.601 YCbCr 4:2:0 at full range, 10 bits.
vvenc wants even sides of 16 pixels and more; what other pictures are padded by stands in two bytes before the stream.

FFmpeg runs as a process of its own, for encoding and decoding: pixels and bytes go through pipes, and a decoder that
crashes or hangs over damaged bytes takes nothing else with it.
"""

import functools
import re
import subprocess

import imageio_ffmpeg
import numpy as np

from tfod_compress.codecs import nal, ycbcr
from tfod_compress.codecs.base import Codec, check_sides, cropped, padded, split_header
from tfod_compress.support.errors import InputError

_LEAST, _MOST = 16, 25_328  # pixels a side: the most of level 6.3 (H.266, A.4.2), beyond which decoders refuse
_UNITS = (7, 8, 15, 16, 17, 19, 22)  # IDR pictures, SPS, PPS, APS, picture header, end of bitstream
_BITS = 10
# Seconds that a picture may take: by far more than any does on a machine that is not stuck.
_DECODE_SECONDS, _ENCODE_SECONDS, _ENCODE_SECONDS_A_MEGAPIXEL = 60, 120, 300
_MAX_ALLOCATION = 1 << 30  # bytes that FFmpeg may ask for at once
_COLOUR = ("-color_range", "pc", "-colorspace", "smpte170m")
PRESETS = ("faster", "fast", "medium", "slow", "slower")


class Vvc(Codec):
    """VVC intra, chroma at half the resolution both ways (4:2:0), 10 bits.

    Args:
      preset: vvenc's.
    """

    name = "vvc"
    extension = ".vvc"
    lowest, highest, default_quality = 0, 63, 27
    higher_is_better = False
    scale = "VVC's quantisation parameter QP; 6 more double the step"
    rate_falls = (0, 16)
    parameter = "qp"

    def __init__(self, preset="faster"):
        if preset not in PRESETS:
            raise InputError(f"preset {preset!r}: {self.name} takes {', '.join(PRESETS)}")
        self.preset, self._program = preset, _program()

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        check_sides(rgb, _MOST, self.name)
        rgb, header = padded(rgb, 2, _LEAST)
        samples = b"".join(plane.astype("<u2").tobytes() for plane in self._planes(rgb))
        height, width, _ = rgb.shape
        return [header + self._coded(samples, width, height, quality)[0] + nal.END_VVC for quality in qualities]

    def _planes(self, rgb):
        return ycbcr.from_rgb(rgb, True, _BITS)

    def _coded(self, samples, width, height, quality, level="error"):
        """(stream, what FFmpeg says)."""
        return _run([
            self._program, "-v", level, "-hide_banner", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuv420p10le",
            "-s", f"{width}x{height}", "-r", "25", *_COLOUR, "-i", "pipe:0", "-c:v", "libvvenc",
            "-preset", self.preset, "-qp", str(quality), "-qpa", "0", "-threads", "1", "-g", "1", *_COLOUR,
            "-vvenc-params", ":".join(f"{name}={value}" for name, value in self._parameters().items()),
            "-f", "vvc", "pipe:1"], samples, _ENCODE_SECONDS + _ENCODE_SECONDS_A_MEGAPIXEL * width * height / 1e6,
            f"{self.name}: a frame of {width}x{height} cannot be coded")

    def _parameters(self):
        # intraqpoffset=0: the picture's QP is the one that was asked for. FFmpeg does not hand the range on.
        return {"intraqpoffset": 0, "accessunitdelimiter": 0, "range": "full"}

    def decode(self, data):
        right, bottom, stream = split_header(data)
        nal.check(stream, nal.KIND_VVC, _UNITS, nal.END_VVC, self.name)
        made, _ = _run([
            self._program, "-v", "error", "-hide_banner", "-nostdin", "-max_alloc", str(_MAX_ALLOCATION),
            "-threads", "1", "-max_pixels", str(self.max_pixels), "-err_detect", "crccheck+bitstream+buffer+explode",
            "-f", "vvc", "-i", "pipe:0", "-frames:v", "2", "-f", "yuv4mpegpipe", "-strict", "-1", "pipe:1"],
            stream, _DECODE_SECONDS, f"{self.name}: cannot be decoded")
        return cropped(ycbcr.to_rgb(_y4m_planes(made, self.name), _BITS), right, bottom, self.name)

    def version(self):
        return f"vvenc {_version()} (imageio-ffmpeg {imageio_ffmpeg.__version__})"

    def settings(self):
        return {"preset": self.preset, "qpa": 0, "chroma": "4:2:0", "bits": _BITS, "colour": "BT.601 full range",
                "chroma_filter": "bicubic", "vvenc": self._parameters()}


class VvcGray(Vvc):
    """VVC of the ITU-R BT.601 luma. FFmpeg's vvenc knows 4:2:0 alone, so the chroma is there, and constant.

    Decodes to three equal channels.
    """

    name = "vvc-gray"

    def _planes(self, rgb):
        y = ycbcr.luma(rgb, _BITS)
        flat = np.full((y.shape[0] // 2, y.shape[1] // 2), 1 << _BITS - 1, np.uint16)
        return [y, flat, flat]

    def decode(self, data):
        # Quantised flat chroma comes back flat; the first channel is the luma then.
        rgb = super().decode(data)
        if (rgb != rgb[:, :, :1]).any():
            raise InputError(f"{self.name}: damaged, or not grey")
        return rgb

    def settings(self):
        return {**super().settings(), "chroma": "4:2:0, constant"}


@functools.cache
def _program():
    """Path of an FFmpeg program that has vvenc."""
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        said = subprocess.run([program, "-hide_banner", "-h", "encoder=libvvenc"], capture_output=True, text=True,
                              timeout=_DECODE_SECONDS, check=False).stdout
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        raise InputError("codec vvc needs the FFmpeg program of the package imageio-ffmpeg, which this machine lacks "
                         f"({error}); pip install imageio-ffmpeg") from error
    if "Encoder libvvenc" not in said:
        raise InputError(f"codec vvc: {program} is without libvvenc; unset IMAGEIO_FFMPEG_EXE to use the one that the "
                         "package imageio-ffmpeg brings")
    return program


def _run(command, data, seconds, failure):
    """(stdout, stderr text) of a command that is given `data`; InputError where it fails or takes too long."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{failure}: FFmpeg took more than {seconds:.0f} s") from error
    said = done.stderr.decode(errors="replace")
    if done.returncode or not done.stdout:
        raise InputError(f"{failure}: {' '.join(said.split())[-200:] or f'FFmpeg ended with {done.returncode}'}")
    return done.stdout, said


def _y4m_planes(data, what):
    """[Y, Cb, Cr], uint16, of a YUV4MPEG2 stream of one 10-bit 4:2:0 picture."""
    head, _, rest = data.partition(b"\nFRAME\n")
    found = re.match(rb"YUV4MPEG2 W(\d+) H(\d+) .*\bC420p10\b", head)
    if not found:
        raise InputError(f"{what}: damaged, or not 10-bit 4:2:0")
    width, height = map(int, found.groups())
    shapes = [(height, width)] + [(-(-height // 2), -(-width // 2))] * 2
    if len(rest) != 2 * sum(rows * columns for rows, columns in shapes) or width % 2 or height % 2:
        raise InputError(f"{what}: damaged: not one picture")
    samples, planes = np.frombuffer(rest, "<u2"), []
    for rows, columns in shapes:
        planes.append(samples[:rows * columns].reshape(rows, columns))
        samples = samples[rows * columns:]
    return planes


@functools.cache
def _version():
    said = Vvc()._coded(bytes(16 * 16 * 3), 16, 16, 30, "info")[1]
    found = re.search(r"libvvenc version: (\S+)", said)
    return found.group(1) if found else "unknown"
