"""Which frames a model was trained on, so that no number is made from them by mistake. No TensorFlow.

A model's folder has the config that it was trained by, which names the records and the checkpoint that it started from,
whose folder has a config of its own, and so on back to random weights or a published model, whose frames nobody has.
The record sets' images.csv then say which frames those were. What a config is, is the task's affair.
"""

from __future__ import annotations

import csv
import dataclasses
import pathlib
import re

from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed


@dataclasses.dataclass(frozen=True)
class TrainedFrames:
    """The frames that a model has seen.

    Attributes:
      frames: {key: record set folder}; a key is (source_id, width, height, CRC-32C of the pixels, or "" where the
        version that made the record set did not note it).
      unknown: record set folders that are named, but no longer there to tell.
    """

    frames: dict = dataclasses.field(default_factory=dict)
    unknown: tuple = ()

    def among(self, record_set, split) -> list[str]:
        """source_ids of a record set's split that the model was trained on."""
        seen = {key[:3]: set() for key in self.frames}
        for *name, crc in self.frames:
            seen[tuple(name)].add(crc)
        found = []
        for *name, crc in _rows(record_set.path, (split,)):
            known = seen.get(tuple(name), ())
            # Where either side has no checksum, a frame of the same name and size counts as the same.
            if crc in known or (known and (not crc or "" in known)):
                found.append(name[0])
        return found


def refuse(trained, record_sets, split, checkpoint, allowed=False):
    """{record set name: what its metrics.json says of frames that were trained on}.

    Args:
      trained: TrainedFrames.
      record_sets: [RecordSet].
      split: that is evaluated.
      checkpoint: what was trained, for the message.
      allowed: whether there may be some.

    Raises:
      InputError: there are some, in a split that is not for training, and that is not allowed.
    """
    found = {}
    for record_set in record_sets:
        seen = trained.among(record_set, split) if trained.frames and split in record_set.splits else []
        if seen and split != "train" and not allowed:
            raise InputError(f"{record_set.path}: {len(seen)} of its {record_set.manifest['frames'][split]} {split} "
                             f"frames, such as {seen[0]}, are among those that {checkpoint} was trained on "
                             f"({listed(dict.fromkeys(trained.frames.values()), 2)}); evaluate on frames that it has "
                             "not seen, or --allow_training_frames, which marks the numbers")
        found[record_set.name] = {**({"training_frames": len(seen)} if seen else {}),
                                  **({"training_frames_unknown": list(trained.unknown)} if trained.unknown else {})}
    return found


def of_chain(config, patterns, start, name, read) -> TrainedFrames:
    """The frames of a config and of those that it starts from.

    Args:
      config: the first one, of any kind.
      patterns: gives a config's patterns of TFRecord files.
      start: gives the checkpoint that it starts from, or nothing.
      name: of the config's file in a model's folder.
      read: reads it.

    Raises:
      InputError: a config on the way cannot be read.
    """
    frames, unknown, seen = {}, [], set()
    while config is not None:
        for folder, splits in _folders(patterns(config)).items():
            try:
                for key in _rows(folder, splits):
                    frames.setdefault(key, str(folder))
            except InputError:
                unknown.append(str(folder))
        checkpoint = start(config)
        path = pathlib.Path(checkpoint).resolve() if checkpoint else None
        path = path and (path if path.is_dir() else path.parent) / name
        config = read(path) if path and path not in seen and path.is_file() else None
        seen.add(path)
    return TrainedFrames(frames, tuple(dict.fromkeys(unknown)))


def _folders(patterns):
    """{record set folder: {split}} of the shards that a reader names."""
    found = {}
    for pattern in patterns:
        match = re.match(r"(\w+)-", pathlib.Path(pattern).name)
        if match:
            found.setdefault(pathlib.Path(pattern).parent, set()).add(match.group(1))
    return found


def _rows(folder, splits):
    """Yields (source_id, width, height, checksum) of some splits' frames."""
    path = pathlib.Path(folder) / "images.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["split"] in splits:
                    yield row["source_id"], int(row["width"]), int(row["height"]), row.get("pixels_crc32c") or ""
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make the record set again") from error
