"""One label a frame: what a task's labels and records are unless it says otherwise. No TensorFlow."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_compress.records import Example, Features, wire
from tfod_compress.support.text import CLASSES, listed

if TYPE_CHECKING:
    import PIL.Image

    from tfod_compress.labels import ClassMap

LABEL, TEXT, VALUE = "image/class/label", "image/class/text", "image/label/value"


@dataclasses.dataclass(frozen=True, slots=True)
class FrameLabel:
    """The label of one frame; see `labels.base.Label`.

    Attributes:
      name: its class, by which frames are counted, divided and ignored; of what has no classes, one name for all.
      value: what is predicted, anything that JSON holds; None where that is the class.
    """

    name: str
    value: Any = None
    width = height = areas = None

    @property
    def names(self) -> list[str]:
        """[the class]."""
        return [self.name]


class FrameLabels:
    """The labels of all frames; see `labels.base.Labels`.

    Args:
      path: where they come from, for messages.
      labels: {source_id: its label}; a frame that is not in it has none.
    """

    ignored = ()

    def __init__(self, path, labels: dict[str, FrameLabel]):
        self.path, self._labels = pathlib.Path(path), labels

    def has(self, source_id: str) -> bool:
        """Whether this frame has a label."""
        return source_id in self._labels

    def read(self, source_id: str) -> FrameLabel:
        """That of a frame that `has` one."""
        return self._labels[source_id]


@dataclasses.dataclass(frozen=True)
class FrameExample(Example):
    """One frame with its label, as read.

    Attributes:
      class_id: of the record set's label map, from 1.
      class_name: its text.
      value: see `FrameLabel`.
    """

    class_id: int
    class_name: str
    value: Any = None

    @property
    def label(self) -> Any:
        """What is to be predicted: the value, or without one the class's name."""
        return self.class_name if self.value is None else self.value


def write(label: FrameLabel, class_map: ClassMap) -> Features:
    """See `Task.to_features`."""
    number, value = class_map.class_id(label.name), getattr(label, "value", None)
    parts = [*wire.int_feature(LABEL, [number]), *wire.bytes_feature(TEXT, [class_map.label_map[number].encode()])]
    if value is not None:
        parts += wire.bytes_feature(VALUE, [json.dumps(value, allow_nan=False, sort_keys=True).encode()])
    return Features(b"".join(parts), [number])


def read(stored: Example, features: dict) -> FrameExample:
    """See `Task.from_features`."""
    (class_id,), (class_name,), (value,) = features[LABEL], features[TEXT], features.get(VALUE, [b"null"])
    return FrameExample(**vars(stored), class_id=int(class_id), class_name=class_name.decode(), value=json.loads(value))


def annotations(example: FrameExample) -> list[dict]:
    """See `Task.annotations`."""
    return [{"category_id": example.class_id, **({} if example.value is None else {"value": example.value})}]


def picture(rgb: np.ndarray) -> PIL.Image.Image:
    """The picture as it is, for a label that has no place in it."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(rgb))


class ClassTally:
    """Frames per class; see `tasks.base.Tally`.

    Args:
      label_map: {class id: name}.
      frame: what a frame is called.
    """

    note = ""

    def __init__(self, label_map: dict[int, str], frame: str = "frame"):
        self._label_map, self._frame, self._counts = label_map, frame, collections.Counter()

    def add(self, example) -> list[str]:
        """Counts one frame; returns what is odd about its class."""
        name = self._label_map.get(example.class_id)
        self._counts[name or f"id {example.class_id}"] += 1
        if name is None:
            return [f"class id {example.class_id} is not in the label map"]
        return [] if name == example.class_name else ["the class text does not fit its id"]

    def lines(self) -> list[str]:
        """The classes, those with most frames first, and those without any."""
        lines = [f"classes: {len(self._counts)} of {len(self._label_map)}: " + listed(
            [f"{count} {name}" for name, count in self._counts.most_common()], CLASSES)]
        missing = [name for name in self._label_map.values() if name not in self._counts]
        return [*lines, f"without a {self._frame}: {listed(missing, CLASSES)}"] if missing else lines
