"""COCO instances JSON (cocodataset.org, "Data format"): boxes as x, y, width, height in pixels.

The file is read as a stream, one image or annotation at a time, so that the polygons of a large file never
stand in memory together. `iscrowd` is kept, and so is `area`, which is that of the object's outline and not of its
box. An image without annotations is a frame without objects.
"""

import math
import sys

from tfod_compress.labels.base import FrameLabels, LabelError, LabelledBox, LabelTable, number, stem_of
from tfod_compress.labels.json_stream import JsonError, top_level_items
from tfod_compress.support.errors import InputError


def matches(text):
    """Whether a file that starts with `text` is of this format."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read_coco(path, source_ids):
    """`LabelTable` of a COCO file.

    Raises:
      InputError: the file is missing, not COCO, or holds an entry that is none.
    """
    images, categories, boxes = {}, {}, {}
    kept = {"images": images, "categories": categories, "annotations": boxes}
    seen = set()
    try:
        with open(path, encoding="utf-8-sig") as file:
            for key, index, item in top_level_items(file, set(kept)):
                seen.add(key)
                if index is None:
                    continue
                try:
                    _READERS[key](kept[key], item)
                except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                    reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
                    raise LabelError(f"{path}: {key}[{index}]: {reason}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--labels)") from error
    except (JsonError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: {error}") from error
    missing = sorted(set(kept) - seen)
    if missing:
        raise LabelError(f"{path}: no {missing[0]!r}: not a COCO instances file")
    return LabelTable(path, _join(path, images, categories, boxes), source_ids)


def _join(path, images, categories, boxes):
    unknown = [image for image in boxes if image not in images]
    if unknown:
        raise LabelError(f"{path}: an annotation has image_id {unknown[0]}, which no image has")
    frames = {}
    for number_, (name, width, height) in images.items():
        items = []
        for category, *edges, crowd, area in boxes.get(number_, ()):
            if category not in categories:
                raise LabelError(f"{path}: an annotation has category_id {category}, which no category has")
            items.append(LabelledBox(categories[category], *edges, is_crowd=crowd, area=area))
        if name in frames:
            raise LabelError(f"{path}: two images are called {name}")
        frames[name] = FrameLabels(items, width=width, height=height)
    return frames


def _image(images, item):
    if not isinstance(item["file_name"], str) or not item["file_name"]:
        raise ValueError("file_name is no text")
    size = [_size(item.get(key), key) for key in ("width", "height")]
    images[_key(item["id"])] = (stem_of(item["file_name"]), *size)


def _size(value, key):
    if value is None:
        return None
    value = number(value, key)
    return int(value) if 0 < value < 1 << 31 else None


def _category(categories, item):
    categories[_key(item["id"])] = sys.intern(str(item["name"]))


def _annotation(boxes, item):
    if not isinstance(item["bbox"], list) or len(item["bbox"]) != 4:
        raise ValueError("bbox has not four numbers")
    x, y, width, height = (number(value, "bbox") for value in item["bbox"])
    crowd = number(item.get("iscrowd") or 0, "iscrowd") != 0
    boxes.setdefault(_key(item["image_id"]), []).append(
        (_key(item["category_id"]), x, y, x + width, y + height, crowd, _area(item.get("area"))))


def _area(value):
    if value is None:
        return None
    value = number(value, "area")
    if not 0 <= value < math.inf:
        raise ValueError(f"area is {value:g}")
    return value


def _key(value):
    if not isinstance(value, (int, str)):
        raise ValueError(f"id {str(value)[:40]!r} is neither a number nor text")
    return value


_READERS = {"images": _image, "categories": _category, "annotations": _annotation}
