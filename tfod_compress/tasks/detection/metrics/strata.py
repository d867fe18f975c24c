"""COCO AP of some objects only: by size, and by distance from the image centre.

As in COCO's size classes, objects outside a stratum are ignored, and so are false detections outside it.
"""

import numpy as np

from tfod_compress.tasks.detection.metrics.matching import COCO_THRESHOLDS, coco_match
from tfod_compress.tasks.detection.metrics.scores import coco_curves, coco_table, count_objects

COCO_SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels


def by_size(matches):
    """AP by COCO's size classes (both bounds belong to a class); a list of strata, see `stratum`."""
    return [stratum(matches, name, low, high, (matches.g_area >= low) & (matches.g_area <= high),
                    (matches.d_area >= low) & (matches.d_area <= high)) for name, (low, high) in COCO_SIZES.items()]


def by_size_quantile(matches, parts=4):
    """AP by size in equal parts of this data set's own objects; bounds in square pixels."""
    bounds = np.quantile(matches.g_area[~matches.g_crowd], np.linspace(0, 1, parts + 1))
    return _between(matches, matches.g_area, matches.d_area, bounds)


def by_distance(matches, rings=4):
    """AP by the distance of a box's centre from the image's, in rings of equal width; 1 is the image's corner.

    A fisheye lens resolves less and bends more towards the border.
    """
    sizes = matches.ground_truth.sizes
    return _between(matches, distances(matches.g_boxes, sizes[matches.g_image]),
                    distances(matches.d_boxes, sizes[matches.d_image]), np.linspace(0, 1, rings + 1))


def distances(boxes, sizes):
    """Distances of boxes' centres [N, 4] from the image centre, in half diagonals of sizes [N, 2] (h, w)."""
    x = boxes[:, 0] + boxes[:, 2] / 2 - sizes[:, 1] / 2
    y = boxes[:, 1] + boxes[:, 3] / 2 - sizes[:, 0] / 2
    return np.hypot(x, y) / np.maximum(np.hypot(sizes[:, 1], sizes[:, 0]) / 2, 1e-9)


def stratum(matches, name, low, high, g_inside, d_inside):
    """{"name", "low", "high", "objects", "AP", "AP50"}; the last two are None without objects.

    Args:
      matches: Matches.
      name: what the stratum is called.
      low: its lower bound.
      high: its upper bound.
      g_inside: bool [N].
      d_inside: bool [D].
    """
    match = coco_match(matches, g_inside, d_inside)
    objects = count_objects(matches, match.counted)
    table = coco_table(coco_curves(matches, match), objects, np.ones((1, matches.images)))[0]
    return {"name": name, "low": float(low), "high": float(high), "objects": int(objects.sum()),
            "AP": mean(table), "AP50": mean(table[:, COCO_THRESHOLDS.searchsorted(0.5)])}


def mean(values):
    """The mean without NaNs as a float; None where nothing is left."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def _between(matches, g_values, d_values, bounds):
    """Strata between successive bounds, each half open but for the last; below and above belong to the ends."""
    g_part, d_part = (np.searchsorted(bounds[1:-1], values, side="right") for values in (g_values, d_values))
    return [stratum(matches, f"{low:.4g}-{high:.4g}", low, high, g_part == part, d_part == part)
            for part, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))]
