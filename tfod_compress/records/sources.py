"""What the source frames were before this kit coded them: their formats, and how hard JPEGs had been compressed.

COCO's, LSP's and many fleets' frames are JPEGs already. Their quality is estimated from the quantisation table of the
luma: the setting of libjpeg (1 to 100) whose table, the standard one of ISO/IEC 10918-1, K.1, scaled as libjpeg's
jcparam.c scales it, is nearest.
"""

import collections
import functools
import statistics

import numpy as np
from PIL import Image

# ISO/IEC 10918-1, table K.1, row by row.
_LUMA = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99])


def jpeg_quality(path: str) -> int | None:
    """libjpeg's quality, 1 to 100, whose luma table is nearest to a JPEG file's; None where the file has no table."""
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            table = image.quantization.get(0)
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, AttributeError):
        return None  # the frame itself was read; an odd header says nothing about its quality
    return None if table is None or len(table) != 64 else nearest_quality(np.array(table))


def nearest_quality(table: np.ndarray) -> int:
    """As `jpeg_quality`, for a luma table: int [64], row by row."""
    distances = np.abs(_tables() - np.clip(table, 1, 255)).sum(axis=1)
    return int(distances.argmin()) + 1


@functools.lru_cache(1)
def _tables():
    """int [100, 64]: libjpeg's tables of quality 1 to 100."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((_LUMA * scale[:, None] + 50) // 100, 1, 255)


def summary(looks) -> dict:
    """What manifest.json says of the sources.

    Args:
      looks: [scan.Scanned] of the frames that are used.

    Returns:
      {"formats": {format: frames}, "jpeg_quality": {"lowest", "median", "highest", "frames"}, or None without JPEGs}.
    """
    looks = list(looks)
    formats = collections.Counter(look.kind for look in looks)
    qualities = [look.jpeg_quality for look in looks if look.jpeg_quality is not None]
    found = None
    if qualities:
        found = {"lowest": min(qualities), "median": int(statistics.median_low(qualities)), "highest": max(qualities),
                 "frames": len(qualities)}
    return {"formats": dict(formats.most_common()), "jpeg_quality": found}


def told(sources: dict) -> str:
    """One or two sentences for a person about what `summary` gave."""
    formats, quality = sources["formats"], sources.get("jpeg_quality")
    total, lossy = sum(formats.values()), formats.get("jpeg", 0)
    if not lossy:
        listed = ", ".join(f"{count} {name.upper()}" for name, count in formats.items())
        return f"The source frames are lossless ({listed}): rates and losses are those of this compression alone."
    which = f"{lossy} of the {total} source frames are" if lossy < total else f"All {total} source frames are"
    text = f"{which} JPEGs"
    if quality:
        low, high = quality["lowest"], quality["highest"]
        text += f" of quality {low}" if low == high else f" of quality {low} to {high}, median {quality['median']}"
        text += " (estimated from their quantisation tables)"
    return (f"{text}: what is measured here is compression on top of that one, so the curve has no lossless end, and "
            "the loss at high qualities, above all near the sources' own, looks smaller than it would on raw frames.")
