"""The records that a model is trained on: where each lies, and what is labelled in it. No TensorFlow.

Reading them once, checksums and labels but no pictures, finds before step 0 what else would hang or mislead a run,
and afterwards any record can be read at any time, so that the order of the frames needs no shuffle buffer.
"""

import dataclasses
import os

import numpy as np

from tfod_compress.records import wire
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.progress import Bar

HEADER, FOOTER = 12, 4  # bytes around a record's data
MEGABYTE = 1_000_000
EDGES = tuple(f"image/object/bbox/{edge}" for edge in ("ymin", "xmin", "ymax", "xmax"))


@dataclasses.dataclass(frozen=True)
class Frames:
    """N records of some TFRecord files.

    Attributes:
      files: [path].
      file: int32 [N], which of the files each is in; offset: int64 [N], where its data begin; length: int64 [N].
      source_ids: [N] texts.
      boxes: int32 [N, C], how many boxes (or other labels) each frame has of each class; column c is class id c + 1.
    """

    files: list
    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    source_ids: list
    boxes: np.ndarray

    def __len__(self):
        return len(self.source_ids)

    def read(self, indices):
        """[bytes]: the serialised tf.train.Examples of some frames, in the order asked for."""
        found = []
        for index in np.asarray(indices).tolist():
            handle = os.open(self.files[self.file[index]], os.O_RDONLY)
            try:
                found.append(os.pread(handle, int(self.length[index]), int(self.offset[index])))
            finally:
                os.close(handle)
        return found

    def take(self, keep):
        """The frames that an index array or a slice picks, as Frames."""
        kept = np.arange(len(self))[keep]
        return Frames(self.files, self.file[kept], self.offset[kept], self.length[kept],
                      [self.source_ids[index] for index in kept], self.boxes[kept])


def boxes_of(data, ids, classes):
    """(source id, int32 [classes], boxes of each class) of a detector's record; ValueError says what is wrong with it.

    Args:
      data: a serialised tf.train.Example.
      ids: {name: class id} of the label map.
      classes: the model's number of classes.
    """
    features, name = _frame(data)
    edges = [np.array(features.get(key, ()), np.float32) for key in EDGES]
    numbers = list(features.get("image/object/class/label", ()))
    texts = [text.decode() for text in features.get("image/object/class/text", ())]
    if len({len(edge) for edge in edges}) > 1:
        raise ValueError(f"{name}: its boxes lack edges")
    ymin, xmin, ymax, xmax = edges
    # The OD API takes the text where there is one, and the number only where there is none.
    found = [ids.get(text, 0) for text in texts] or numbers
    if len(found) != len(ymin):
        raise ValueError(f"{name}: {len(ymin)} boxes, but {len(found)} classes")
    for number, text in zip(found, texts, strict=False):
        if not number:
            raise ValueError(f"{name}: class {text!r} is not in the label map")
    for number, text, said in zip(found, texts, numbers, strict=False):
        if number != said:
            raise ValueError(f"{name}: class {text!r} has id {said}, but the label map says {number}")
    for number in found:
        if not 1 <= number <= classes:
            raise ValueError(f"{name}: class id {number} is not in 1..{classes}, the detector's classes")
    stacked = np.stack(edges)
    # Annotations in pixels may end a rounded pixel outside; the OD API clips them.
    if not np.isfinite(stacked).all() or (stacked < -0.01).any() or (stacked > 1.01).any():
        raise ValueError(f"{name}: a box reaches outside the frame")
    if (ymax < ymin).any() or (xmax < xmin).any():
        raise ValueError(f"{name}: a box ends before it begins")
    return name, np.bincount(np.array(found, np.int64) - 1, minlength=classes).astype(np.int32)


def class_of(data, ids, classes):
    """As `boxes_of`, of a classifier's record: one of the counts is 1."""
    features, name = _frame(data)
    numbers, texts = (list(features.get(f"image/class/{key}", ())) for key in ("label", "text"))
    if len(numbers) != 1:
        raise ValueError(f"{name}: it has {len(numbers)} classes (image/class/label), not one")
    number, = numbers
    if number not in ids.values() or not 1 <= number <= classes:
        raise ValueError(f"{name}: class id {number} is not in the label map")
    for text in texts:
        if ids.get(text.decode()) != number:
            raise ValueError(f"{name}: class {text.decode()!r} has id {number}, but the label map says "
                             f"{ids.get(text.decode(), 'nothing of it')}")
    return name, (np.arange(1, classes + 1) == number).astype(np.int32)


def scan(files, label_map, classes, labels_of=boxes_of):
    """Reads and checks the labels of every record.

    Args:
      files: TFRecord files.
      label_map: {class id: name}.
      classes: the model's number of classes.
      labels_of: `boxes_of` or `class_of`.

    Returns:
      Frames.

    Raises:
      InputError: a file is missing, empty, cut off or damaged; a record is no labelled frame, has a class id
        outside of 1..classes, a class text that the label map gives another id, or a box that is none.
    """
    ids = {name: number for number, name in label_map.items()}
    places, source_ids, boxes = [], [], []
    done = shown = 0
    with Bar("checking records", sum(os.path.getsize(path) for path in files) // MEGABYTE, "MB") as bar:
        for number, path in enumerate(files):
            offset = 0
            for index, data in enumerate(read_records(path)):
                try:
                    source_id, counts = labels_of(data, ids, classes)
                except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                    raise InputError(f"{path}: record {index}: {_reason(error)}; make the record set again") from error
                places.append((number, offset + HEADER, len(data)))
                source_ids.append(source_id)
                boxes.append(counts)
                offset += HEADER + len(data) + FOOTER
                if (done + offset) // MEGABYTE > shown:
                    shown = (done + offset) // MEGABYTE
                    bar.update(shown, f"{len(places)} frames")
            done += offset
    if not places:
        raise InputError(f"{files[0]}: the records are empty; make the record set again")
    file, offset, length = (np.array(column, np.int64) for column in zip(*places, strict=True))
    return Frames(list(map(str, files)), file.astype(np.int32), offset, length, source_ids, np.stack(boxes))


def _frame(data):
    """({key: values}, source id) of a record with a picture."""
    features = wire.parse(data)
    if not features.get("image/encoded"):
        raise ValueError("it holds no picture (image/encoded)")
    return features, (features.get("image/source_id") or features.get("image/filename") or [b"?"])[0].decode()


def _reason(error):
    return str(error) if isinstance(error, ValueError) else f"no labelled frame ({error!r})"
