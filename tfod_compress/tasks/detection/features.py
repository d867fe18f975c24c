"""Boxes in records, under the keys of the OD API's dataset_tools/create_pascal_tf_record.py."""

import dataclasses

import numpy as np

from tfod_compress.records import Example, wire


@dataclasses.dataclass(frozen=True)
class DetectionExample(Example):
    """One frame with its boxes, as read.

    Attributes:
      boxes: float32 [N, 4], (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: int64 [N], 1-based.
      class_names: [N] texts.
      difficult, is_crowd: bool [N].
      areas: float32 [N], square pixels: of the objects' outlines where the labels had them, else of the boxes.
    """

    boxes: np.ndarray
    class_ids: np.ndarray
    class_names: list
    difficult: np.ndarray
    is_crowd: np.ndarray
    areas: np.ndarray


def write(boxes, width, height, label_map) -> bytes:
    """The features of a frame's boxes.

    Args:
      boxes: `boxes.Boxes`.
      width: of the frame, in pixels.
      height: likewise.
      label_map: {class id: name}.
    """
    edges = boxes.edges
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]) * (width * height)
    if boxes.areas is not None:
        areas = np.where(np.isnan(boxes.areas), areas, boxes.areas).astype(np.float32)
    parts = [
        *wire.bytes_feature("image/object/class/text",
                            [label_map[number].encode() for number in boxes.class_ids.tolist()]),
        *wire.int_feature("image/object/class/label", boxes.class_ids.tolist()),
        *wire.int_feature("image/object/difficult", boxes.difficult.tolist()),
        *wire.int_feature("image/object/is_crowd", boxes.is_crowd.tolist()),
        *wire.float_feature("image/object/area", areas)]
    for column, key in enumerate(("ymin", "xmin", "ymax", "xmax")):
        parts += wire.float_feature(f"image/object/bbox/{key}", edges[:, column])
    for key in ("truncated", "occluded"):
        if getattr(boxes, key) is not None:
            parts += wire.int_feature(f"image/object/{key}", getattr(boxes, key).tolist())
    return b"".join(parts)


def read(stored, features) -> DetectionExample:
    """See `Task.from_features`."""
    edges = [np.array(features.get(f"image/object/bbox/{key}", ()), np.float32)
             for key in ("ymin", "xmin", "ymax", "xmax")]
    count = len(edges[0])

    def flags(key):
        return np.array(features.get(key) or [0] * count, bool)

    return DetectionExample(
        **vars(stored),
        boxes=np.stack(edges, axis=-1),
        class_ids=np.array(features.get("image/object/class/label", ()), np.int64),
        class_names=[text.decode() for text in features.get("image/object/class/text", ())],
        difficult=flags("image/object/difficult"),
        is_crowd=flags("image/object/is_crowd"),
        areas=np.array(features.get("image/object/area", ()), np.float32))


def annotations(example, has_areas) -> list[dict]:
    """COCO's annotations of an example, its normalised boxes in pixels; see `Task.annotations`."""
    made = []
    for index, (ymin, xmin, ymax, xmax) in enumerate(example.boxes.astype(float).tolist()):
        x, y = xmin * example.width, ymin * example.height
        width, height = xmax * example.width - x, ymax * example.height - y
        made.append({"category_id": int(example.class_ids[index]), "bbox": [x, y, width, height],
                     "area": float(example.areas[index]) if has_areas else width * height,
                     "iscrowd": int(example.is_crowd[index]), "difficult": int(example.difficult[index])})
    return made
