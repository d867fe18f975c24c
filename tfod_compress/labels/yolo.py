"""YOLO text: one file a frame, "class x y width height" a line, the centre and size as fractions of the frame.

A line with three or more points (a polygon of Ultralytics' segmentation format) becomes its bounding box.
Class names come from a names file: classes.txt, *.names (one a line) or a YAML file with `names`, found
beside or above the labels or given with --names, which also takes a shipped label map (`coco`: its names in order are
classes 0, 1, …); without one the names are the numbers themselves.
"""

import math
import os
import pathlib

from tfod_compress.labels import label_map
from tfod_compress.labels.base import FrameLabels, LabelFolder, LabelledBox, decode_text, number
from tfod_compress.support.errors import InputError

NAMES_FILES = ("classes.txt", "obj.names", "classes.names", "coco.names", "classes.yaml", "data.yaml", "dataset.yaml")
_MAX_NAMES_BYTES = 1 << 20


def matches(text):
    """Whether a file that starts with `text` is of this format."""
    for line in text.splitlines():
        fields = line.split()
        if fields:
            return _fits(len(fields)) and fields[0].isdigit() and all(map(_number_like, fields))
    return False


class Yolo(LabelFolder):
    """A folder of .txt files."""

    extensions = (".txt",)
    passed_over = ("classes.txt", "README.txt", "README.roboflow.txt", "train.txt", "val.txt", "test.txt")

    def __init__(self, folder, source_ids, names_file=None):
        super().__init__(folder, source_ids)
        self.names_file = names_file or find_names(folder)
        self.names = read_names(self.names_file) if self.names_file else {}

    def parse(self, data):
        boxes = []
        for at, line in enumerate(decode_text(data).splitlines(), 1):
            fields = line.split()
            if not fields:
                continue
            if not _fits(len(fields)):
                raise ValueError(f"line {at} has {len(fields)} fields, YOLO has 5, or a class and 3 or more points")
            if not fields[0].isdigit() or len(fields[0]) > 9:
                raise ValueError(f"line {at}: class {fields[0][:40]!r} is not a whole number")
            values = [number(text, f"line {at}: field {index}") for index, text in enumerate(fields[1:], 2)]
            boxes.append(LabelledBox(self._name(int(fields[0]), at), *_edges(values)))
        return FrameLabels(boxes, relative=True)

    def _name(self, number_, at):
        if not self.names:
            return str(number_)
        if number_ not in self.names:
            raise ValueError(f"line {at}: class {number_} is not in {self.names_file}")
        return self.names[number_]


def find_names(folder):
    """The names file in `folder` or up to two folders above it; None where there is none."""
    folder = pathlib.Path(folder).resolve()
    for place in (folder, *folder.parents[:2]):
        for name in NAMES_FILES:
            if (place / name).is_file():
                return place / name
    return None


def read_names(path):
    """{number: name} from a names file, or from a shipped label map: its names in order are classes 0, 1, …

    Raises:
      InputError: missing, or not a list of names.
    """
    if str(path) in label_map.shipped() and not pathlib.Path(path).is_file():
        return dict(enumerate(label_map.load(str(path)).values()))
    try:
        data = pathlib.Path(path).read_bytes()
        if len(data) > _MAX_NAMES_BYTES:
            raise InputError(f"{path}: too large for a file of class names (--names)")
        text = decode_text(data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--names)") from error
    except ValueError as error:
        raise InputError(f"{path}: {error} (--names)") from error
    if os.path.splitext(path)[1].lower() not in (".yaml", ".yml"):
        return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())} (--names)") from error
    names = content.get("names") if isinstance(content, dict) else content
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(
            str(key).isdigit() and not isinstance(name, (dict, list)) for key, name in names.items()):
        raise InputError(f"{path}: has no list of class names under `names` (--names)")
    return {int(key): str(name) for key, name in names.items()}


def _fits(count):
    return count == 5 or (count >= 7 and count % 2 == 1)


def _edges(values):
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if not all(map(math.isfinite, values)):
        return (math.nan,) * 4
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _number_like(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
