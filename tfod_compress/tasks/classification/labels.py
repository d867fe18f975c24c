"""A class for each picture, from three formats.

  folders   DIR/stop/0001.png: the class is the name of the folder that holds the picture
  csv       a header with `path` (or `filename`) and `class`, then a row a picture; other columns are passed over
  list      ImageNet's text form: a path and a class a line, the class being its last word

Paths are those below the frames folder, with or without the extension. Classes of a csv or a list may be numbers: with
a file of names (--names) they count its names from 0, without one they are ids of the label map.
"""

import csv
import dataclasses
import os
import pathlib
import sys

from tfod_compress.frames import find_frames
from tfod_compress.labels import yolo
from tfod_compress.labels.base import LabelError, decode_text
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import CLASSES, listed

FORMATS = ("folders", "csv", "list")
PATHS = ("path", "filename")  # names that the column of paths may have
_HEAD = 4096  # bytes of a file by which its format is told
_MOST_DIGITS = 9


@dataclasses.dataclass(frozen=True, slots=True)
class PictureClass:
    """The label of one picture; see `labels.base.Label`.

    Attributes:
      name: its class.
    """

    name: str
    width = height = areas = None  # of which these formats say nothing

    @property
    def names(self):
        """[the class]."""
        return [self.name]


class PictureClasses:
    """The classes of all pictures; see `labels.base.Labels`.

    Args:
      path: where they come from.
      classes: {source_id: class}.
    """

    ignored = ()

    def __init__(self, path, classes):
        self.path = pathlib.Path(path)
        self._classes = classes

    def has(self, source_id):
        """Whether this picture has a class."""
        return source_id in self._classes

    def read(self, source_id):
        """`PictureClass` of a picture that `has`."""
        return PictureClass(self._classes[source_id])


def open_labels(path, label_format, frames, folder, names_file, label_map):
    """See `Task.open_labels`.

    Raises:
      InputError: a class folder without a picture, a picture that is listed twice or is not there, numbers without
        names, or a file that is none of the formats.
    """
    if label_format not in ("auto", *FORMATS):
        raise InputError(f"unknown label format {label_format!r}; for classification there are auto, "
                         f"{', '.join(FORMATS)} (--label_format)")
    if label_format == "folders" or (label_format == "auto" and path is None):
        if path is not None:
            raise InputError(f"{path}: with --label_format folders the classes are the folders below --frames; leave "
                             "out --labels")
        if names_file:
            raise InputError("--names goes with classes that are numbers, and folders have names; leave it out, or "
                             "rename them with --class_map")
        return PictureClasses(folder, _of_folders(folder, frames)), "folders"
    if path is None:
        raise InputError(f"--label_format {label_format}: name the file with --labels")
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; name the labels with --labels")
    if path.is_dir():
        raise InputError(f"{path}: a folder; --labels names a csv or a list, and without it the folders that hold the "
                         "frames are the classes")
    if label_format == "auto":
        label_format = "csv" if path.suffix.lower() == ".csv" or _is_header(_first_line(path)) else "list"
    rows = list(_of_csv(path) if label_format == "csv" else _of_list(path))
    if not rows:
        raise InputError(f"{path}: names no picture (--labels)")
    return PictureClasses(path, _by_frame(path, rows, folder, _names(path, rows, names_file, label_map))), label_format


def _of_folders(folder, frames):
    """{source_id: name of its folder} of the frames that lie in one."""
    filled = {os.path.dirname(frame.path) for frame in find_frames(folder)}  # of all, however many are taken
    for root, folders, _ in os.walk(pathlib.Path(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if not folders and root not in filled:
            raise InputError(f"{root}: a class folder without a picture (BMP, PNG or JPEG); fill it or remove it")
    found = {frame.source_id: sys.intern(frame.source_id.split("/")[-2]) for frame in frames if "/" in frame.source_id}
    if not found:
        raise InputError(f"{folder}: its pictures lie in no folder below it, and the folders are the classes; name a "
                         "file of classes with --labels")
    return found


def _of_csv(path):
    """Yields (line, path, class)."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if not _is_header(header):
                raise LabelError(f"{path}: its first line must name the columns, among them path and class, and has "
                                 f"{listed(header, CLASSES) or 'nothing'}")
            at = next(header.index(name) for name in PATHS if name in header), header.index("class")
            for row in rows:
                if row:
                    yield rows.line_num, *_row(path, rows.line_num, [row[i] for i in at if i < len(row)])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--labels)") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{path}: {error}") from error


def _of_list(path):
    """Yields (line, path, class)."""
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--labels)") from error
    except ValueError as error:
        raise LabelError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, *_row(path, number, line.rsplit(None, 1))


def _row(path, line, fields):
    """(path, class) of the two fields of a line."""
    fields = [field.strip() for field in fields]
    if len(fields) != 2 or not all(fields):
        raise LabelError(f"{path}: line {line}: needs a path and a class")
    return fields[0].replace("\\", "/").removeprefix("./"), sys.intern(fields[1])


def _names(path, rows, names_file, label_map):
    """{class as it is written: its name}."""
    written = dict.fromkeys(name for _, _, name in rows)
    numbers = all(name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS for name in written)
    if not numbers or (not names_file and label_map and set(written) <= set(label_map.values())):
        if names_file:
            odd = next(name for name in written if not name.isdigit())
            raise InputError(f"{path}: class {odd!r} is a name, and --names goes with numbers; leave it out")
        return {name: name for name in written}
    if not names_file and not label_map:
        raise InputError(f"{path}: its classes are numbers, such as {next(iter(written))}; say what they mean with "
                         "--names FILE (its names are 0, 1, …) or --label_map FILE (its ids)")
    names = yolo.read_names(names_file) if names_file else label_map
    missing = [name for name in written if int(name) not in names]
    if missing:
        cure = f"{names_file} has {min(names)} to {max(names)} (--names)" if names_file else (
            f"the label map has ids {min(names)} to {max(names)}; numbers that count from 0 need --names FILE")
        raise InputError(f"{path}: no class has the number {listed(missing, CLASSES)}: {cure}")
    return {name: sys.intern(names[int(name)]) for name in written}


def _by_frame(path, rows, folder, names):
    """{source_id: class} of the rows, each of which names another frame that is there."""
    source_ids = {}
    for frame in find_frames(folder):  # all that there are, however many are taken
        source_ids[frame.source_id] = frame.source_id
        source_ids[os.path.relpath(frame.path, folder).replace(os.sep, "/")] = frame.source_id
    found, lines = {}, {}
    for line, picture, name in rows:
        source_id = source_ids.get(picture)
        if source_id is None:
            raise InputError(f"{path}: line {line}: {picture} is not there: no BMP, PNG or JPEG of that name below "
                             f"{folder} (--frames)")
        if source_id in found:
            raise InputError(f"{path}: {picture} is named twice, in lines {lines[source_id]} and {line}")
        found[source_id], lines[source_id] = names[name], line
    return found


def _is_header(names):
    return "class" in names and any(name in names for name in PATHS)


def _first_line(path):
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [name.strip().strip('"') for name in file.readline(_HEAD).split(",")]
    except OSError:
        return []
