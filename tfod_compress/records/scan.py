"""Look at every frame and its labels once, before any work: what is broken, how large, what is in it."""

import dataclasses

import cv2
import google_crc32c
import numpy as np

from tfod_compress.frames import BrokenFrame, read_with_kind
from tfod_compress.labels.base import LabelError
from tfod_compress.records.sources import jpeg_quality

HASH_WIDTH, HASH_HEIGHT = 17, 16  # difference hash: 16 comparisons in each of 16 rows, 256 bits


@dataclasses.dataclass(frozen=True, slots=True)
class Scanned:
    """What a look at one frame found.

    Attributes:
      reason: why the frame cannot be used; None where it can. The rest is empty then.
      kind: "bmp", "png" or "jpeg", by content.
      size: (width, height) in pixels.
      pixels_crc: CRC-32C of the pixels, whatever the file format.
      look: 32 bytes, a perceptual (difference) hash; near duplicates differ in few bits.
      labelled: whether there are labels.
      labels_crc: CRC-32C of the labels as parsed, without areas.
      areas_crc: CRC-32C of the objects' areas; 0 where the labels have none.
      jpeg_quality: of a JPEG frame, as estimated; None of others.
    """

    reason: str | None
    kind: str = ""
    size: tuple = (0, 0)
    pixels_crc: int = 0
    look: bytes = b""
    labelled: bool = False
    labels_crc: int = 0
    areas_crc: int = 0
    jpeg_quality: int | None = None

    @property
    def pixels(self):
        """Width times height."""
        return self.size[0] * self.size[1]


def scan_frame(frame, labels, max_pixels, names):
    """Looks at one frame.

    Args:
      frame: `FramePath`.
      labels: what `open_labels` gave.
      max_pixels: limit on the frame's size.
      names: Counter of class names, to which the frame's objects are added.

    Returns:
      `Scanned`.
    """
    try:
        rgb, kind = read_with_kind(frame.path, max_pixels)
        height, width, _ = rgb.shape
        labelled = labels.has(frame.source_id)
        found = labels.read(frame.source_id) if labelled else None
    except (BrokenFrame, LabelError) as error:
        return Scanned(reason=str(error))
    crc = areas_crc = 0
    if found is not None:
        if found.width and found.height and (found.width, found.height) != (width, height):
            return Scanned(reason=f"its labels are for a frame of {found.width}x{found.height}, it is {width}x{height}")
        names.update(found.names)
        crc = google_crc32c.value(repr(found).encode("utf-8", "backslashreplace"))
        if found.areas is not None:
            areas_crc = google_crc32c.value(repr(found.areas).encode())
    rows = _bitmap_rows(rgb)
    return Scanned(None, kind, (width, height), google_crc32c.value(rows.reshape(-1)), _look(rows), labelled, crc,
                   areas_crc, jpeg_quality(frame.path) if kind == "jpeg" else None)


def _bitmap_rows(rgb):
    """The pixels as bottom-up BGR rows, as most bitmaps hold them: no copy for those without row padding."""
    if rgb.flags.c_contiguous:
        return cv2.flip(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), 0)
    return np.ascontiguousarray(rgb[::-1, :, ::-1])


def _look(rows):
    height, width, _ = rows.shape
    # Every eighth row and column of a large frame is enough for 17x16 means, and costs a tenth.
    step = max(1, min(height // (4 * HASH_HEIGHT), width // (4 * HASH_WIDTH)))
    small = cv2.resize(np.ascontiguousarray(rows[::step, ::step]), (HASH_WIDTH, HASH_HEIGHT),
                       interpolation=cv2.INTER_AREA)
    luma = small.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)
    return np.packbits(luma[:, 1:] > luma[:, :-1]).tobytes()
