"""Codecs that Pillow brings."""

import io

import numpy as np
import PIL
from PIL import Image, features

from tfod_compress.codecs.base import Codec
from tfod_compress.frames import contiguous

PNG_LEVEL = 6  # zlib's own default; higher levels take several times as long for one or two per cent


class Png(Codec):
    """PNG (ISO/IEC 15948): the lossless anchor, and what stands in for codecs that TensorFlow cannot read."""

    name = "png"
    lowest = highest = default_quality = None
    stored_as = "png"

    def encode(self, rgb, quality=None):
        buffer = io.BytesIO()
        # fromarray leaves nothing of the source file's metadata.
        Image.fromarray(contiguous(rgb)).save(buffer, "PNG", compress_level=PNG_LEVEL)
        return buffer.getvalue()

    def decode(self, data):
        try:
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise ValueError(f"PNG: {error}") from error

    def version(self):
        library = features.version_feature("zlib_ng") or features.version_codec("zlib")
        return f"pillow {PIL.__version__} (zlib {library})"

    def settings(self):
        return {"compress_level": PNG_LEVEL, "optimize": False}
