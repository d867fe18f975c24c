"""Classes of pictures in records, and what an inspection tells of them."""

import collections
import dataclasses

from tfod_compress.records import Example, wire
from tfod_compress.support.text import CLASSES, listed

LABEL, TEXT = "image/class/label", "image/class/text"


@dataclasses.dataclass(frozen=True)
class ClassificationExample(Example):
    """One picture with its class, as read.

    Attributes:
      class_id: of the record set's label map, from 1.
      class_name: its text.
    """

    class_id: int
    class_name: str


def write(class_id, class_name) -> bytes:
    """The features of a picture's class."""
    return b"".join([*wire.int_feature(LABEL, [class_id]), *wire.bytes_feature(TEXT, [class_name.encode()])])


def read(stored, features) -> ClassificationExample:
    """See `Task.from_features`."""
    class_id, = features[LABEL]
    class_name, = features[TEXT]
    return ClassificationExample(**vars(stored), class_id=int(class_id), class_name=class_name.decode())


class ClassTally:
    """Pictures per class; see `tasks.base.Tally`."""

    note = ""

    def __init__(self, label_map):
        self._label_map, self._counts = label_map, collections.Counter()

    def add(self, example):
        """Counts one picture; returns what is odd about its class."""
        name = self._label_map.get(example.class_id)
        self._counts[name or f"id {example.class_id}"] += 1
        if name is None:
            return [f"class id {example.class_id} is not in the label map"]
        return [] if name == example.class_name else ["the class text does not fit its id"]

    def lines(self):
        """The classes, those with most pictures first, and those without any."""
        lines = [f"classes: {len(self._counts)} of {len(self._label_map)}: " + listed(
            [f"{count} {name}" for name, count in self._counts.most_common()], CLASSES)]
        missing = [name for name in self._label_map.values() if name not in self._counts]
        return [*lines, f"without a picture: {listed(missing, CLASSES)}"] if missing else lines
