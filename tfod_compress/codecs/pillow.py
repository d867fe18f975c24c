"""Codecs that Pillow brings: PNG, WebP, AVIF and JPEG 2000.

Pictures are saved from `Image.fromarray`, which knows nothing of the source file's metadata.
"""

import io

import numpy as np
import PIL
from PIL import Image, features

from tfod_compress.codecs import headers
from tfod_compress.codecs.base import Codec, check_sides
from tfod_compress.frames import contiguous
from tfod_compress.support.errors import InputError

_AVIF_MOST = 32_768  # pixels a side that libavif reads, unless told otherwise
PNG_LEVEL = 6  # zlib's own default; higher levels take several times as long for one or two per cent

# What Pillow's decoders raise for bytes that they cannot make sense of.
_ERRORS = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, MemoryError, OverflowError, IndexError, KeyError,
           TypeError, AttributeError, AssertionError, Image.DecompressionBombError)


def decode(data, kind, max_pixels, size):
    """uint8 RGB [H, W, 3] of a file that Pillow reads.

    Args:
      data: bytes.
      kind: Pillow's name of the format.
      max_pixels: larger pictures are refused.
      size: (width, height) as read from the header.

    Raises:
      InputError: damaged, of another format, or too large.
    """
    name = kind.replace("JPEG2000", "JPEG 2000").replace("WEBP", "WebP")
    headers.check_size(size, max_pixels, name)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            if image.size != size:
                raise InputError(f"{name}: damaged: two different sizes")
            return np.asarray(image.convert("RGB"))
    except InputError:
        raise
    except _ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: cannot be decoded: {reason}") from error


def grey(rgb):
    """PIL image in mode L: libjpeg's integer ITU-R BT.601 luma."""
    return Image.fromarray(contiguous(rgb)).convert("L")


def _saved(image, kind, **options):
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{kind}: a frame of {image.width}x{image.height} cannot be coded: {error}") from error
    return buffer.getvalue()


class Png(Codec):
    """PNG (ISO/IEC 15948): the lossless anchor, and what stands in for codecs that TensorFlow cannot read."""

    name = "png"
    extension = ".png"
    lowest = highest = default_quality = None
    scale = "lossless"
    stored_as = "png"

    def encode(self, rgb, quality=None):
        return _saved(Image.fromarray(contiguous(rgb)), "PNG", compress_level=PNG_LEVEL)

    def decode(self, data):
        return decode(data, "PNG", self.max_pixels, headers.png_size(data))

    def version(self):
        library = features.version_feature("zlib_ng") or features.version_codec("zlib")
        return f"pillow {PIL.__version__} (zlib {library})"

    def settings(self):
        return {"compress_level": PNG_LEVEL, "optimize": False}


class WebP(Codec):
    """Lossy WebP (RFC 9649): VP8 intra frames, always 4:2:0. The format has no pictures without chroma.

    The bytes are a whole WebP file: 20 bytes of RIFF headers and the VP8 frame. Sides up to 16,383 pixels.
    """

    name = "webp"
    extension = ".webp"
    lowest, highest, default_quality = 0, 100, 90
    scale = "libwebp's quality factor"
    rate_falls = (0.01, 32)
    method = 6  # the slowest, as in the published curves

    def encode(self, rgb, quality):
        return _saved(Image.fromarray(contiguous(rgb)), "WEBP", quality=quality, method=self.method)

    def decode(self, data):
        return decode(data, "WEBP", self.max_pixels, headers.webp_size(data))

    def version(self):
        return f"libwebp {features.version_module('webp')} (pillow {PIL.__version__})"

    def settings(self):
        return {"method": self.method, "subsampling": "4:2:0"}


class Avif(Codec):
    """AVIF: one AV1 intra frame by libaom, 8 bits a sample, BT.601 at full range.

    The bytes are a whole AVIF file: about 300 bytes of boxes, then the AV1 frame.

    Args:
      speed: libaom's, 0 (slowest) to 10.
    """

    name = "avif"
    extension = ".avif"
    lowest, highest, default_quality = 0, 100, 80
    scale = "libavif's quality: AV1 quantiser from 63 (0) to 0 (100)"
    rate_falls = (0, 16)
    subsampling = "4:2:0"

    def __init__(self, speed=6):
        if speed not in range(11):
            raise InputError(f"speed {speed}: {self.name} takes 0 (slowest) to 10")
        self.speed = speed

    def encode(self, rgb, quality):
        check_sides(rgb, _AVIF_MOST, self.name)
        # One thread and no automatic tiles: either would let the number of cores decide the bytes.
        return _saved(self._image(rgb), "AVIF", quality=quality, speed=self.speed, subsampling=self.subsampling,
                      codec="aom", range="full", max_threads=1, autotiling=False)

    def _image(self, rgb):
        return Image.fromarray(contiguous(rgb))

    def decode(self, data):
        return decode(data, "AVIF", self.max_pixels, headers.avif_size(data))

    def version(self):
        from PIL import _avif

        return (f"libaom {_aom(_avif.codec_versions())} in libavif {features.version_module('avif')} "
                f"(pillow {PIL.__version__})")

    def settings(self):
        return {"speed": self.speed, "subsampling": self.subsampling, "range": "full", "max_threads": 1, "tiles": 1}


class Avif444(Avif):
    """AVIF with chroma at full resolution."""

    name = "avif444"
    subsampling = "4:4:4"


class AvifGray(Avif):
    """AVIF without chroma: ITU-R BT.601 luma. Decodes to three equal channels."""

    name = "avif-gray"
    subsampling = "4:0:0"

    def _image(self, rgb):
        return grey(rgb).convert("RGB")


def _aom(versions):
    """The encoder's version in e.g. "dav1d [dec]:1.5.1, aom [enc/dec]:v3.12.1"."""
    for part in versions.split(", "):
        name, _, version = part.partition(":")
        if name.startswith("aom"):
            return version.removeprefix("v")
    return "unknown"


class Jpeg2000(Codec):
    """JPEG 2000 part 1 (ITU-T T.800) by OpenJPEG: a bare codestream, 9-7 wavelet, one layer, one tile.

    The quality is the PSNR that OpenJPEG's rate allocation aims at, over the transformed components; it need not
    be a whole number. The comment that OpenJPEG writes ("Created by …") is taken out.
    """

    name = "jpeg2000"
    extension = ".j2k"
    lowest, highest, default_quality = 20, 60, 45
    whole_numbers = False
    scale = "PSNR in dB that the encoder aims at"
    rate_falls = (0, 0)
    components = 3

    def encode(self, rgb, quality):
        # Without the component transform colour would cost twice.
        data = _saved(self._image(rgb), "JPEG2000", no_jp2=True, irreversible=True, mct=int(self.components == 3),
                      quality_mode="dB", quality_layers=[quality], num_resolutions=_resolutions(rgb.shape))
        return _without_comment(data)

    def _image(self, rgb):
        return Image.fromarray(contiguous(rgb))

    def decode(self, data):
        return decode(data, "JPEG2000", self.max_pixels, headers.jpeg2000_size(data))

    def version(self):
        return f"OpenJPEG {features.version_codec('jpg_2000')} (pillow {PIL.__version__})"

    def settings(self):
        return {"wavelet": "9-7", "components": self.components, "layers": 1, "levels": "5, fewer below 32 pixels",
                "code_blocks": "64x64", "progression": "LRCP"}


class Jpeg2000Gray(Jpeg2000):
    """JPEG 2000 with one component: ITU-R BT.601 luma. Decodes to three equal channels."""

    name = "jpeg2000-gray"
    components = 1

    def _image(self, rgb):
        return grey(rgb)


def _resolutions(shape):
    """Resolutions of the wavelet: 6, but none that would be smaller than a pixel."""
    return min(6, min(shape[:2]).bit_length())


def _without_comment(data):
    """A JPEG 2000 codestream without COM segments in its main header; nothing in it counts from the start."""
    kept, at = [data[:2]], 2
    while data[at:at + 2] != b"\xff\x90":
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at:at + 2] != b"\xff\x64":
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
