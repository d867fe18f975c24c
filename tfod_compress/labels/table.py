"""The CSV of the TF OD API's tutorials: filename, width, height, class, xmin, ymin, xmax, ymax (pixels).

One row a box; columns may stand in any order, others are passed over. Frames without a row have no labels.
"""

import csv
import sys

from tfod_compress.labels.base import FrameLabels, LabelError, LabelledBox, LabelTable, number, stem_of
from tfod_compress.support.errors import InputError

COLUMNS = ("filename", "class", "xmin", "ymin", "xmax", "ymax")


def matches(text):
    """Whether a file that starts with `text` is of this format."""
    header = text.lstrip("\ufeff").split("\n", 1)[0]
    return set(COLUMNS) <= {name.strip().strip('"') for name in header.strip().split(",")}


def read_csv(path, source_ids):
    """`LabelTable` of a CSV file.

    Raises:
      InputError: the file is missing, has other columns, or holds a row that is not one.
    """
    frames = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise LabelError(f"{path}: column {missing[0]!r} is missing; it needs {', '.join(COLUMNS)}")
            at = {name: header.index(name) for name in (*COLUMNS, "width", "height") if name in header}
            for row in rows:
                if row:
                    _add(frames, row, at)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--labels)") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{path}: {error}") from error
    except (ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        reason = "too few columns" if isinstance(error, IndexError) else error
        raise LabelError(f"{path}: line {rows.line_num}: {reason}") from error
    return LabelTable(path, frames, source_ids)


def _add(frames, row, at):
    key = stem_of(row[at["filename"]].strip())
    name = sys.intern(row[at["class"]].strip())
    if not name:
        raise ValueError("no class")
    edges = [number(row[at[column]], column) for column in ("xmin", "ymin", "xmax", "ymax")]
    if key not in frames:
        width, height = (_size(row, at, column) for column in ("width", "height"))
        frames[key] = FrameLabels([], width=width, height=height)
    frames[key].boxes.append(LabelledBox(name, *edges))


def _size(row, at, column):
    if column not in at or not row[at[column]].strip():
        return None
    value = number(row[at[column]], column)
    return int(value) if 0 < value < 1 << 31 else None
