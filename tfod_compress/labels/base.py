"""What every label format gives: the boxes of one frame, as the file has them."""

import dataclasses
import os
import pathlib
import typing

from tfod_compress.support.errors import InputError

MAX_LABEL_BYTES = 32 << 20  # of the label file of one frame; real ones have a few kilobytes


class LabelError(InputError):
    """A label file that cannot be read; one line that names it."""


class Label(typing.Protocol):
    """What one frame is labelled with, as far as whoever knows no task must know. Digests are of its text form, repr.

    Attributes:
      names: the class names in it, one for each object.
      width, height: the frame's size in pixels as the labels say it; None where they do not.
      areas: what the text form leaves out of the objects' areas; None where the labels have none.
    """

    names: list[str]
    width: int | None
    height: int | None
    areas: list[float | None] | None


class Labels(typing.Protocol):
    """The labels of a data set, opened.

    Attributes:
      path: where they are, for messages.
      ignored: class names that the format ignores by itself.
    """

    path: pathlib.Path
    ignored: tuple[str, ...]

    def has(self, source_id: str) -> bool:
        """Whether this frame is labelled, if only as empty."""

    def read(self, source_id: str) -> Label:
        """The label of a frame that `has`; LabelError where it is damaged."""


@dataclasses.dataclass(frozen=True, slots=True)
class LabelledBox:
    """One labelled object as its file has it: not yet clipped or checked, its class not yet mapped.

    Attributes:
      name: the source's class name.
      xmin, ymin, xmax, ymax: edges, in pixels or, where `FrameLabels.relative`, as fractions of the frame.
      difficult: VOC's flag.
      truncated: whether the frame's edge cuts the object off; None where the format does not say.
      occluded: KITTI's grade 0 to 3, or 0 and 1 where the format has a flag; None where it does not say.
      is_crowd: COCO's flag: the box holds many objects.
      area: COCO's: of the object's outline, in square pixels of the frame; None where the format has none. It is not
        part of the text form, which digests of labels without areas are made from.
    """

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool | None = None
    occluded: int | None = None
    is_crowd: bool = False
    area: float | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class FrameLabels:
    """The labels of one frame.

    Attributes:
      boxes: [LabelledBox], empty for a frame without objects.
      relative: whether the boxes are fractions of the frame instead of pixels.
      width, height: the frame's size in pixels as the labels say it; None where they do not.
    """

    boxes: list
    relative: bool = False
    width: int | None = None
    height: int | None = None

    @property
    def names(self):
        """[class name], one for each box."""
        return [box.name for box in self.boxes]

    @property
    def areas(self):
        """[area or None], one for each box, or None where no box has one."""
        areas = [box.area for box in self.boxes]
        return areas if any(area is not None for area in areas) else None


class LabelFolder:
    """A folder with one label file a frame, mirroring the frames folder by stem.

    labels/seq003/000012.xml belongs to frames/seq003/000012.bmp. A label file elsewhere is found by its file
    name where that is unique among the labels and among the frames. Subclasses set `extensions` and write
    `parse`.
    """

    extensions = ()
    passed_over = ()
    ignored = ()

    def __init__(self, folder, source_ids):
        self.path = pathlib.Path(folder)
        by_path, by_name = {}, {}
        for path in label_files(folder, self.extensions):
            if os.path.basename(path) in self.passed_over:
                continue
            stem = os.path.splitext(os.path.relpath(path, folder))[0].replace(os.sep, "/")
            by_path.setdefault(stem, path)
            by_name.setdefault(os.path.basename(stem), []).append(path)
        frames_named = {}
        for source_id in source_ids:
            frames_named[_basename(source_id)] = frames_named.get(_basename(source_id), 0) + 1
        self._files = {}
        for source_id in source_ids:
            found = by_path.get(source_id) or by_path.get(os.path.splitext(source_id)[0])
            name = _basename(source_id)
            if found is None and frames_named[name] == 1 and len(by_name.get(name, ())) == 1:
                found = by_name[name][0]
            if found is not None:
                self._files[source_id] = found

    def has(self, source_id):
        """Whether this frame is labelled, if only as empty."""
        return source_id in self._files

    def read(self, source_id):
        """`FrameLabels` of a frame that `has`.

        Raises:
          LabelError: the file is damaged.
        """
        path = self._files[source_id]
        try:
            if os.path.getsize(path) > MAX_LABEL_BYTES:
                raise LabelError(f"{path}: more than {MAX_LABEL_BYTES >> 20} MiB for one frame")
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise LabelError(f"{path}: {error.strerror or error}") from error
        try:
            return self.parse(data)
        except ValueError as error:
            raise LabelError(f"{path}: {error}") from error

    def parse(self, data):
        """`FrameLabels` from a file's bytes; ValueError, one line, where they are damaged."""
        raise NotImplementedError


class LabelTable:
    """Labels of all frames held by one file: {key: FrameLabels}, keys being frame paths without extension."""

    ignored = ()

    def __init__(self, path, labels, source_ids):
        self.path = pathlib.Path(path)
        self._frames = {}
        by_name = {}
        for key in labels:
            by_name.setdefault(_basename(key), []).append(key)
        frames_named = {}
        for source_id in source_ids:
            frames_named[_basename(source_id)] = frames_named.get(_basename(source_id), 0) + 1
        for source_id in source_ids:
            name = _basename(source_id)
            if source_id in labels:
                self._frames[source_id] = labels[source_id]
            elif frames_named[name] == 1 and len(by_name.get(name, ())) == 1:
                self._frames[source_id] = labels[by_name[name][0]]

    def has(self, source_id):
        """Whether this frame is labelled, if only as empty."""
        return source_id in self._frames

    def read(self, source_id):
        """`FrameLabels` of a frame that `has`."""
        return self._frames[source_id]


def label_files(folder, extensions):
    """Paths below `folder` with one of the extensions, sorted; hidden ones are passed over."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(root, name) for name in sorted(files)
                  if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions]
    return found


def decode_text(data):
    """Text of a label file: UTF-8, with or without a byte order mark; ValueError where it is not."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start})") from error


def number(text, what):
    """A float; ValueError saying `what` is wrong. NaN and infinity pass: the box rules drop them."""
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} is {_short(text)}, not a number") from None


def stem_of(name):
    """A frame's file name as a key: forward slashes, without the extension."""
    name = str(name).replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    return os.path.splitext(name)[0]


def _basename(source_id):
    return source_id.rsplit("/", 1)[-1]


def _short(text):
    text = " ".join(str(text).split())
    return repr(text if len(text) <= 40 else text[:37] + "...")
