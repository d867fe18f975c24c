"""Check a record set and say what is in it."""

import collections
import dataclasses
import hashlib
import pathlib

import numpy as np

from tfod_compress.records import sources
from tfod_compress.records.example import parse
from tfod_compress.records.framing import read_records
from tfod_compress.records.record_set import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import sha256

TOLD = 20  # oddities told one by one


@dataclasses.dataclass
class Split:
    """Counts of one split: shards, frames, stored and coded bytes, and the task's own of the labels."""

    labels: object  # `tasks.base.Tally`
    shards: int = 0
    frames: int = 0
    stored_bytes: int = 0
    smallest_shard: int = 0
    largest_shard: int = 0
    coded_bits: list = dataclasses.field(default_factory=list)
    frame_sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass
class Inspection:
    """What an inspection found.

    Attributes:
      name: of the record set; manifest: its manifest.
      splits: {name: Split}.
      odd: [line]: everything that is wrong or strange.
    """

    name: str
    manifest: dict
    splits: dict
    odd: list

    def text(self):
        """Several lines for a person."""
        manifest = self.manifest
        lines = [f"{self.name}: codec {manifest.get('codec')}, quality {manifest.get('quality')}, "
                 f"{manifest.get('codec_version')}, made by {manifest.get('version')}"]
        if "sources" in manifest:
            lines.append(sources.told(manifest["sources"]))
        for name, split in self.splits.items():
            bits = np.array(split.coded_bits or [0.0])
            lines += [
                f"{name}: {split.frames} frames{split.labels.note} in {split.shards} shards of "
                f"{split.smallest_shard / 1e6:.2f} to {split.largest_shard / 1e6:.2f} MB",
                f"  bpp: {bits.min():.3f} lowest, {np.median(bits):.3f} median, {bits.max():.3f} highest",
                "  frames: " + ", ".join(f"{count} of {width}x{height}" for (width, height), count in
                                         split.frame_sizes.most_common(4)),
                *(f"  {line}" for line in split.labels.lines())]
        lines += [f"odd: {line}" for line in self.odd[:TOLD]]
        if len(self.odd) > TOLD:
            lines.append(f"odd: {len(self.odd) - TOLD} more")
        return "\n".join(lines if self.odd else [*lines, "all checksums are right, nothing is odd"])


def inspect(path, gallery=None, pictures=16):
    """Reads a whole record set.

    Checked: the files' SHA-256 against the manifest, every record's CRC, the stored picture's SHA-256, labels,
    class ids and texts, duplicate source ids, frames in two splits, counts; the first picture of every shard is
    decoded.

    Args:
      path: the record set's folder.
      gallery: folder that gets pictures with what the task draws of their labels; None writes none.
      pictures: how many, spread over the set.

    Returns:
      `Inspection`.

    Raises:
      InputError: not a record set.
    """
    records = RecordSet(path)
    found = Inspection(records.name, records.manifest, {}, [])
    _check_files(records, found.odd)
    total = sum(records.manifest["frames"].get(split, 0) for split in records.splits)
    every, seen, index = max(1, -(-total // pictures)) if pictures else 0, {}, 0
    for name in records.splits:
        split = found.splits[name] = Split(records.task.tally(records.label_map))
        for shard in sorted(file for file in records.manifest["files"]
                            if file.startswith(f"{name}-") and file.endswith(".tfrecord")):
            for example, first in _examples(records.path / shard, records.task, split, found.odd):
                _count(split, example)
                found.odd += [f"{shard}: {example.source_id}: {line}" for line in split.labels.add(example)]
                if example.sha256 and hashlib.sha256(example.encoded).hexdigest() != example.sha256:
                    found.odd.append(f"{shard}: {example.source_id}: the picture's SHA-256 differs from "
                                     "image/key/sha256")
                if example.source_id in seen:
                    found.odd.append(f"{shard}: source_id {example.source_id} is also in {seen[example.source_id]}")
                seen[example.source_id] = shard
                if first or (gallery and index % every == 0):
                    _look(example, shard, gallery if index % every == 0 else None, records, found.odd)
                index += 1
        said = records.manifest["frames"][name]
        if split.frames != said:
            found.odd.append(f"{name} holds {split.frames} frames, the manifest says {said}")
    return found


def _check_files(records, odd):
    for name, digest in sorted(records.manifest["files"].items()):
        path = records.path / name
        if not path.is_file():
            odd.append(f"{name} is missing")
        elif sha256(path) != digest:
            odd.append(f"{name} is not the file that was made: its SHA-256 differs from the manifest's")
    expected = {*records.manifest["files"], "manifest.json"}
    odd += [f"{path.name} does not belong here" for path in sorted(records.path.iterdir()) if path.name not in expected]


def _examples(path, task, split, odd):
    """Yields (example, whether it is the shard's first); damage goes to `odd`."""
    try:
        size = path.stat().st_size
    except OSError:
        return
    split.shards += 1
    split.stored_bytes += size
    split.smallest_shard = min(split.smallest_shard or size, size)
    split.largest_shard = max(split.largest_shard, size)
    index = -1
    try:
        for index, data in enumerate(read_records(path)):
            yield parse(data, task), index == 0
    except InputError as error:
        odd.append(str(error))
    except ValueError as error:
        odd.append(f"{path.name}: record {index}: {error}")


def _count(split, example):
    split.frames += 1
    split.coded_bits.append(8 * example.compressed_bytes / max(1, example.width * example.height))
    split.frame_sizes[example.width, example.height] += 1


def _look(example, shard, gallery, records, odd):
    try:
        rgb = example.pixels()
    except (ValueError, InputError) as error:
        odd.append(f"{shard}: {example.source_id}: {error}")
        return
    if rgb.shape != (example.height, example.width, 3):
        odd.append(f"{shard}: {example.source_id}: the picture is {rgb.shape[1]}x{rgb.shape[0]}, the record says "
                   f"{example.width}x{example.height}")
    if gallery:
        pathlib.Path(gallery).mkdir(parents=True, exist_ok=True)
        name = f"{example.source_id.replace('/', '__')}.png"
        records.task.draw(rgb, example, records.label_map).save(pathlib.Path(gallery) / name)
