"""The rules that turn a frame's labels into boxes of a record."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class Boxes:
    """The objects of one frame.

    Attributes:
      edges: float32 [N, 4], (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: int64 [N], 1-based.
      difficult, is_crowd: bool [N].
      truncated, occluded: int64 [N]; None where no box of the frame says it, -1 where one does not.
      dropped: [(class name, (xmin, ymin, xmax, ymax) in pixels, reason)].
      clipped: how many of the N reached over the frame's edge.
      ignored: how many were passed over because of their class.
      areas: float64 [N], of the objects' outlines in square pixels as the labels say; None where no box of the frame
        has one, NaN where one does not.
    """

    edges: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    is_crowd: np.ndarray
    truncated: np.ndarray | None
    occluded: np.ndarray | None
    dropped: list
    clipped: int
    ignored: int
    areas: np.ndarray | None = None


def clean(labels, width, height, class_map, min_box_px):
    """Applies the box rules.

    A box is dropped where a coordinate is not finite, where its area is zero or negative, where it lies
    wholly outside the frame, and where, once clipped to the frame, its shorter side is under `min_box_px`.

    Args:
      labels: `FrameLabels`.
      width: of the frame, in pixels.
      height: likewise.
      class_map: `ClassMap`; every name must be mapped.
      min_box_px: pixels.

    Returns:
      `Boxes`.
    """
    across, down = (width, height) if labels.relative else (1, 1)
    kept, edges, dropped, clipped, ignored = [], [], [], 0, 0
    for box in labels.boxes:
        number = class_map.class_id(box.name)
        if not number:
            ignored += 1
            continue
        corners = (box.xmin * across, box.ymin * down, box.xmax * across, box.ymax * down)
        reason, inside = _check(corners, width, height, min_box_px)
        if reason:
            dropped.append((box.name, corners, reason))
            continue
        clipped += inside != corners
        kept.append((box, number))
        edges.append((inside[1] / height, inside[0] / width, inside[3] / height, inside[2] / width))
    return Boxes(
        np.clip(np.array(edges, np.float32).reshape(-1, 4), 0, 1),
        np.array([number for _, number in kept], np.int64),
        np.array([box.difficult for box, _ in kept], bool),
        np.array([box.is_crowd for box, _ in kept], bool),
        _optional([box.truncated for box, _ in kept]), _optional([box.occluded for box, _ in kept]),
        dropped, clipped, ignored, _areas([box.area for box, _ in kept]))


def _check(corners, width, height, min_box_px):
    """(reason to drop or None, corners clipped to the frame)."""
    if not all(map(math.isfinite, corners)):
        return "not finite", corners
    xmin, ymin, xmax, ymax = corners
    if xmax <= xmin or ymax <= ymin:
        return "zero or negative area", corners
    if xmax <= 0 or ymax <= 0 or xmin >= width or ymin >= height:
        return "outside the frame", corners
    inside = (max(xmin, 0), max(ymin, 0), min(xmax, width), min(ymax, height))
    if min(inside[2] - inside[0], inside[3] - inside[1]) < min_box_px:
        return f"smaller than {min_box_px:g} px", corners
    return None, inside


def _areas(values):
    if all(value is None for value in values):
        return None
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _optional(values):
    if all(value is None for value in values):
        return None
    return np.array([-1 if value is None else int(value) for value in values], np.int64)
