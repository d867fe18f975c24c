"""Baseline JPEG (ITU-T T.81) by the libjpeg-turbo inside OpenCV.

OpenCV takes BGR rows as bitmaps hold them and gives, byte for byte, what Pillow's `save` gives with the same
quality, subsampling and no `optimize`; a test holds it to that.
Settings: baseline, accurate integer DCT, standard Huffman tables, the quantisation tables of T.81 annex K
scaled by libjpeg's quality rule, no restart markers, no metadata besides the 18-byte JFIF header.
"""

import functools
import re

import cv2
import numpy as np
from PIL import Image

from tfod_compress.codecs import headers
from tfod_compress.codecs.base import Codec
from tfod_compress.frames import contiguous
from tfod_compress.support.errors import InputError

_SETTINGS = {"progressive": False, "optimize": False, "dct": "integer accurate", "restart_interval": 0}


class Jpeg(Codec):
    """Colour JPEG with chroma at half the resolution in both directions (4:2:0)."""

    name = "jpeg"
    extension = ".jpg"
    scale = "libjpeg's quality"
    rate_falls = (0, 8)
    stored_as = "jpeg"
    subsampling, _factor = "4:2:0", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        bgr = _bgr(rgb)
        return [_encode(bgr, quality, self._factor) for quality in qualities]

    def decode(self, data):
        return _decode(data, self.max_pixels)

    def version(self):
        return _version()

    def settings(self):
        return {"subsampling": self.subsampling, **_SETTINGS}


class Jpeg444(Jpeg):
    """Colour JPEG with chroma at full resolution (4:4:4)."""

    name = "jpeg444"
    subsampling, _factor = "4:4:4", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444


class JpegGray(Codec):
    """JPEG with one component: ITU-R BT.601 luma, as Pillow's mode L. Decodes to three equal channels."""

    name = "jpeg-gray"
    extension = ".jpg"
    scale = "libjpeg's quality"
    rate_falls = (0, 8)
    stored_as = "jpeg"

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        # OpenCV's luma differs by one level here and there; Pillow's is libjpeg's own.
        luma = np.asarray(Image.fromarray(contiguous(rgb)).convert("L"))
        return [_encode(luma, quality) for quality in qualities]

    def decode(self, data):
        return _decode(data, self.max_pixels)

    def version(self):
        return _version()

    def settings(self):
        return {"components": 1, **_SETTINGS}


def _bgr(rgb):
    """Contiguous uint8 BGR [H, W, 3]; a plain row copy where `rgb` is a view of BGR rows."""
    if rgb.flags.c_contiguous:
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _encode(pixels, quality, factor=cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420):
    done, data = cv2.imencode(".jpg", pixels, [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
    if not done:
        raise InputError(f"JPEG: a frame of {pixels.shape[1]}x{pixels.shape[0]} cannot be coded")
    return data.tobytes()


def _decode(data, max_pixels):
    size = headers.check_size(headers.jpeg_size(data), max_pixels, "JPEG")
    try:
        # IMREAD_COLOR would apply an EXIF orientation; what this module encodes has none.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise InputError(f"JPEG: the bytes cannot be decoded ({' '.join(str(error).split())})") from error
    if pixels is None or pixels.shape[1::-1] != size:
        raise InputError("JPEG: the bytes cannot be decoded")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


@functools.cache
def _version():
    found = re.search(r"JPEG:.*libjpeg-turbo \(ver ([\d.]+)", cv2.getBuildInformation())
    return f"libjpeg-turbo {found.group(1) if found else 'unknown'} (opencv {cv2.__version__})"
