"""Find frames in a folder and read them: BMP, PNG or JPEG, told by content and not by extension.

Pixels are uint8 RGB [H, W, 3]. Rules: alpha is dropped (the stored colours stay, as in TensorFlow's and
OpenCV's decoders), 16-bit samples keep their high byte, palettes and grey become RGB, EXIF orientation is
applied to JPEG, CMYK is converted. Of an animation the first picture is read.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

from tfod_compress.frames import bmp
from tfod_compress.support.errors import InputError

EXTENSIONS = (".bmp", ".dib", ".png", ".jpg", ".jpeg", ".jpe")
MAX_PIXELS = 64_000_000

# The limit on pixels is this module's own, checked on the header before anything is allocated.
Image.MAX_IMAGE_PIXELS = None

_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError,
                  OverflowError, MemoryError, NotImplementedError, AssertionError, struct.error, zlib.error,
                  Image.DecompressionBombError)


class BrokenFrame(InputError):
    """A frame that cannot be read. The message is the reason, without the path."""


@dataclasses.dataclass(frozen=True, slots=True)
class FramePath:
    """One frame: `source_id` is the path below the frames folder without its extension, with forward slashes."""

    source_id: str
    path: str


def find_frames(folder):
    """Frames in `folder` at any depth, sorted by source_id.

    Hidden files and folders are passed over. Where two files differ in nothing but the extension, both
    keep it in their source_id.

    Returns:
      [FramePath], at least one.

    Raises:
      InputError: no folder, or no frame in it.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the folder of frames with --frames")
    relative, others, seen = [], 0, set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        base = os.path.relpath(root, folder)
        for name in files:
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1].lower() in EXTENSIONS:
                relative.append(os.path.normpath(os.path.join(base, name)))
            else:
                others += 1
    if not relative:
        raise InputError(f"{folder}: no frames ({' '.join(EXTENSIONS)}) at any depth, {others} other files; "
                         "name the folder of frames with --frames")
    stems = {}
    for path in relative:
        stems[os.path.splitext(path)[0]] = stems.get(os.path.splitext(path)[0], 0) + 1
    frames = []
    for path in relative:
        stem = os.path.splitext(path)[0]
        source_id = (stem if stems[stem] == 1 else path).replace(os.sep, "/")
        try:
            source_id.encode()
        except UnicodeEncodeError:
            source_id = source_id.encode("utf-8", "backslashreplace").decode()
        frames.append(FramePath(source_id, os.path.join(folder, path)))
    return sorted(frames, key=lambda frame: (frame.source_id, frame.path))


def kind(data):
    """"bmp", "png" or "jpeg", by the first bytes of the file; None for anything else."""
    if data[:2] == b"BM":
        return "bmp"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    return None


def read_frame(path, max_pixels=MAX_PIXELS):
    """Pixels of one frame.

    Args:
      path: the file.
      max_pixels: a frame of more pixels is refused before it is decoded.

    Returns:
      uint8 RGB [H, W, 3], read-only. For an uncompressed 24-bit BMP it is a view of the mapped file.

    Raises:
      BrokenFrame: the file cannot be read, is no frame, is cut off or damaged, or is too large.
    """
    return read_with_kind(path, max_pixels)[0]


def contiguous(rgb):
    """The same pixels as a C-contiguous array; fast for the views of BGR rows that `read_frame` gives."""
    if rgb.flags.c_contiguous:
        return rgb
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(rgb[:, :, ::-1]), cv2.COLOR_BGR2RGB)


def read_with_kind(path, max_pixels=MAX_PIXELS):
    """As `read_frame`, with what the file is: (pixels, "bmp", "png" or "jpeg")."""
    try:
        with open(path, "rb") as file:
            head = file.read(160)
            if not head:
                raise BrokenFrame("empty file")
            found = kind(head)
            if found is None:
                raise BrokenFrame(f"not BMP, PNG or JPEG: starts with {head[:8].hex(' ')}")
            if found == "bmp":
                return _read_bmp(file, head, max_pixels), found
            return _read_pillow(file, found, max_pixels), found
    except BrokenFrame:
        raise
    except OSError as error:
        raise BrokenFrame(f"cannot be read: {error.strerror or error}") from error


def _read_bmp(file, head, max_pixels):
    try:
        header = bmp.read_header(head)
        _check_size(header.width, header.height, max_pixels)
        if header.compression in (bmp.JPEG, bmp.PNG):
            file.seek(header.offset)
            embedded = file.read()
            return _read_pillow(io.BytesIO(embedded), kind(embedded), max_pixels)
        if header.bits == 24 and header.compression == bmp.RGB:
            return bmp.map_pixels(file, header)
        file.seek(0)
        return bmp.decode(file.read(header.offset + 2 * header.stride * header.height + 1024), header)
    except bmp.BmpError as error:
        raise BrokenFrame(f"BMP: {error}") from error
    except _PILLOW_ERRORS as error:
        raise BrokenFrame(f"BMP: {_reason(error)}") from error


def _read_pillow(file, found, max_pixels):
    if found not in ("png", "jpeg"):
        raise BrokenFrame("BMP: what it embeds is neither PNG nor JPEG")
    name = found.upper()
    try:
        file.seek(0)
        # Odd metadata, which Pillow warns of, does not keep the pixels from being read.
        with _quiet(), Image.open(file, formats=(name,)) as image:
            _check_size(*image.size, max_pixels)
            image.load()
            if found == "jpeg":
                image = _upright(image)
            return _to_rgb(image)
    except BrokenFrame:
        raise
    except _PILLOW_ERRORS as error:
        raise BrokenFrame(f"{name}: {_reason(error)}") from error


@contextlib.contextmanager
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _upright(image):
    try:
        return ImageOps.exif_transpose(image)
    except _PILLOW_ERRORS:
        return image  # EXIF data that cannot be read says nothing about the orientation


def _to_rgb(image):
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "RGBX"):
        return np.ascontiguousarray(np.asarray(image)[:, :, :3])
    if image.mode == "LA":
        image = image.getchannel("L")
    elif image.mode == "PA":
        image = image.convert("RGBA")
        return np.ascontiguousarray(np.asarray(image)[:, :, :3])
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _check_size(width, height, max_pixels):
    if width <= 0 or height <= 0:
        raise BrokenFrame(f"impossible size {width}x{height}")
    if width * height > max_pixels:
        raise BrokenFrame(f"{width}x{height} is more than {max_pixels} pixels (--max_pixels)")


def _reason(error):
    text = " ".join(str(error).split())
    if "cannot identify image file" in text:
        return "damaged header"
    return text or type(error).__name__
