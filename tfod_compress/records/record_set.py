"""Read a record set, without TensorFlow."""

import functools
import json
import pathlib

from tfod_compress.labels import label_map as label_maps
from tfod_compress.records import example as examples
from tfod_compress.records import task_names
from tfod_compress.records.framing import read_records
from tfod_compress.support import formats
from tfod_compress.support.errors import InputError


class RecordSet:
    """The TFRecords of one data set at one codec and quality.

    Attributes:
      path: the folder; name: its name, e.g. "jpeg-q20".
      manifest: the content of manifest.json.
      label_map: {1: "PassengerCar", …}.

    Raises:
      InputError: the folder is missing, unfinished, no record set, or holds no frame.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name = self.path.resolve().name
        if not self.path.is_dir():
            hint = " (an unfinished one is there: run make_tfrecords again)" if (
                self.path.parent / f"{self.path.name}.unfinished").is_dir() else ""
            raise InputError(f"{self.path}: no such record set{hint}; make it with tools.make_tfrecords")
        try:
            self.manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self.path}: not a record set: it has no manifest.json; make one with "
                             "tools.make_tfrecords") from None
        except ValueError as error:
            raise InputError(f"{self.path / 'manifest.json'}: damaged ({error}); make the record set again") from error
        if not isinstance(self.manifest, dict) or not isinstance(self.manifest.get("files"), dict):
            raise InputError(f"{self.path / 'manifest.json'}: not the manifest of a record set")
        formats.check(self.manifest, self.path / "manifest.json")
        if not self.splits:
            raise InputError(f"{self.path}: the record set is empty; make it again with tools.make_tfrecords")
        self.label_map = label_maps.read(self.path / "label_map.pbtxt", "make the record set again")

    @functools.cached_property
    def splits(self):
        """Names of the splits that hold frames, e.g. ["train", "val"]."""
        return [name for name, count in self.manifest.get("frames", {}).items() if name != "broken" and count]

    @functools.cached_property
    def task(self):
        """The `Task` whose labels it holds; InputError where this version has none of that name."""
        try:
            return task_names.find(self.manifest.get("task", task_names.DEFAULT))
        except InputError as error:
            raise InputError(f"{self.path / 'manifest.json'}: {error}") from error

    @property
    def has_areas(self):
        """Whether `Example.areas` are those of the objects' outlines, as COCO's labels have them."""
        return self.manifest.get("areas") == "labels"

    def files(self, split):
        """The split's shards, sorted: [Path]; empty where it has none.

        Raises:
          InputError: the manifest lists a shard that is not there.
        """
        paths = [self.path / name for name in sorted(self.manifest["files"])
                 if name.startswith(f"{split}-") and name.endswith(".tfrecord")]
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: missing; make the record set again")
        return paths

    def examples(self, split):
        """Yields the split's frames as the task's examples (`Task.from_features`); InputError where a shard is damaged.
        """
        for path in self.files(split):
            for index, data in enumerate(read_records(path)):
                try:
                    yield examples.parse(data, self.task)
                except ValueError as error:
                    raise InputError(f"{path}: record {index}: {error}; make the record set again") from error
