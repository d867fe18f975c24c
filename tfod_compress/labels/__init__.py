"""Labels of frames in five formats, told apart by content.

    labels = open_labels("data/labels", "auto", source_ids)
    labels.has("seq003/000012"), labels.read("seq003/000012") -> FrameLabels

One module a format; each has `matches(text)` and something that makes an object with `has` and `read`.
"""

import os
import pathlib

from tfod_compress.labels import coco, kitti, table, voc, yolo
from tfod_compress.labels.base import FrameLabels, LabelError, LabelledBox, label_files
from tfod_compress.labels.classes import ClassMap, read_class_map
from tfod_compress.support.errors import InputError

__all__ = ["FORMATS", "ClassMap", "FrameLabels", "LabelError", "LabelledBox", "detect_format", "open_labels",
           "read_class_map"]

FORMATS = ("voc", "kitti", "coco", "yolo", "csv")
_FOLDERS = {"voc": voc, "kitti": kitti, "yolo": yolo}
_FILES = {"coco": coco, "csv": table}
_ANY = (".xml", ".txt", ".json", ".csv")
_LOOKED_AT = 50  # label files that detection opens
_HEAD = 4096  # characters of each


def open_labels(path, label_format, source_ids, names_file=None, may_be_empty=False):
    """Opens the labels of a data set.

    Args:
      path: a folder (VOC, KITTI, YOLO), or a file or the folder with it (COCO, CSV).
      label_format: one of FORMATS, or "auto".
      source_ids: the frames' source_ids.
      names_file: for YOLO, the file of class names, or a shipped label map by name; None looks for a file.
      may_be_empty: whether a folder without a single label file will do; it counts as VOC.

    Returns:
      (labels, format); labels has `has(source_id)` and `read(source_id)`.

    Raises:
      InputError: missing, of no known format, or damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; name the labels with --labels")
    if label_format == "auto" and may_be_empty and path.is_dir() and not label_files(path, _ANY):
        label_format = "voc"
    elif label_format == "auto":
        label_format = detect_format(path)
    elif label_format not in FORMATS:
        raise InputError(f"unknown label format {label_format!r}; there are auto, {', '.join(FORMATS)} "
                         "(--label_format)")
    if label_format in _FILES:
        file = path if path.is_file() else _only_file(path, label_format)
        reader = coco.read_coco if label_format == "coco" else table.read_csv
        return reader(file, source_ids), label_format
    if not path.is_dir():
        raise InputError(f"{path}: {label_format} labels are a folder with a file for each frame (--labels)")
    if label_format == "yolo":
        return yolo.Yolo(path, source_ids, names_file), label_format
    return {"voc": voc.Voc, "kitti": kitti.Kitti}[label_format](path, source_ids), label_format


def detect_format(path):
    """The format of the labels at `path`, by their content.

    Raises:
      InputError: none of the formats, or several of them.
    """
    path = pathlib.Path(path)
    if path.is_file():
        text = _head(path)
        for name, module in _FILES.items():
            if module.matches(text):
                return name
        raise InputError(f"{path}: neither COCO JSON nor a CSV with {', '.join(table.COLUMNS)}; "
                         "say what it is with --label_format")
    found = {}
    files = label_files(path, _ANY)
    # Files spread over the folder, so that one odd sequence does not decide.
    for file in files[::max(1, len(files) // _LOOKED_AT)]:
        text = _head(file)
        suffix = os.path.splitext(file)[1].lower()
        for name, module in {**_FOLDERS, **_FILES}.items():
            if suffix in _SUFFIXES[name] and module.matches(text):
                found.setdefault(name, file)
    if len(found) > 1:
        listed = ", ".join(f"{name} ({file})" for name, file in sorted(found.items()))
        raise InputError(f"{path}: labels of several formats: {listed}; choose one with --label_format")
    if not found:
        raise InputError(f"{path}: no labels in any of the formats {', '.join(FORMATS)} among {len(files)} "
                         ".xml, .txt, .json and .csv files; name the labels with --labels")
    return next(iter(found))


_SUFFIXES = {"voc": (".xml",), "kitti": (".txt",), "yolo": (".txt",), "coco": (".json",), "csv": (".csv",)}


def _only_file(folder, label_format):
    files = [file for file in label_files(folder, _SUFFIXES[label_format])
             if _FILES[label_format].matches(_head(file))]
    if len(files) != 1:
        raise InputError(f"{folder}: {len(files)} {label_format} files; name one of them with --labels")
    return files[0]


def _head(path):
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read(_HEAD)
    except OSError:
        return ""
