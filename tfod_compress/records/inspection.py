"""Check a record set and say what is in it."""

import collections
import dataclasses
import hashlib
import pathlib

import numpy as np
from PIL import Image, ImageDraw

from tfod_compress.records import sources
from tfod_compress.records.example import parse
from tfod_compress.records.framing import read_records
from tfod_compress.records.record_set import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import sha256
from tfod_compress.support.text import CLASSES, listed

SMALL, MEDIUM = 32**2, 96**2  # px^2: COCO's bounds between small, medium and large
TOLD = 20  # oddities told one by one
_COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4")


@dataclasses.dataclass
class Split:
    """Counts of one split: shards, frames, stored and coded bytes, boxes per class and per COCO size."""

    shards: int = 0
    frames: int = 0
    stored_bytes: int = 0
    smallest_shard: int = 0
    largest_shard: int = 0
    coded_bits: list = dataclasses.field(default_factory=list)
    negatives: int = 0
    boxes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
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
                f"{name}: {split.frames} frames ({split.negatives} without boxes) in {split.shards} shards of "
                f"{split.smallest_shard / 1e6:.2f} to {split.largest_shard / 1e6:.2f} MB",
                f"  bpp: {bits.min():.3f} lowest, {np.median(bits):.3f} median, {bits.max():.3f} highest",
                "  frames: " + ", ".join(f"{count} of {width}x{height}" for (width, height), count in
                                         split.frame_sizes.most_common(4)),
                "  boxes: " + (listed([f"{count} {cls}" for cls, count in split.boxes.most_common()], CLASSES)
                               or "none"),
                "  box sizes: " + ", ".join(f"{split.sizes[size]} {size}" for size in ("small", "medium", "large"))]
        lines += [f"odd: {line}" for line in self.odd[:TOLD]]
        if len(self.odd) > TOLD:
            lines.append(f"odd: {len(self.odd) - TOLD} more")
        return "\n".join(lines if self.odd else [*lines, "all checksums are right, nothing is odd"])


def inspect(path, gallery=None, pictures=16):
    """Reads a whole record set.

    Checked: the files' SHA-256 against the manifest, every record's CRC, the stored picture's SHA-256, boxes,
    class ids and texts, duplicate source ids, frames in two splits, counts; the first picture of every shard is
    decoded.

    Args:
      path: the record set's folder.
      gallery: folder that gets pictures with their boxes; None writes none.
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
        split = found.splits[name] = Split()
        for shard in sorted(file for file in records.manifest["files"]
                            if file.startswith(f"{name}-") and file.endswith(".tfrecord")):
            for example, first in _examples(records.path / shard, split, found.odd):
                _count(split, example, records.label_map)
                _check(example, f"{shard}: {example.source_id}", records.label_map, found.odd)
                if example.source_id in seen:
                    found.odd.append(f"{shard}: source_id {example.source_id} is also in {seen[example.source_id]}")
                seen[example.source_id] = shard
                if first or (gallery and index % every == 0):
                    _look(example, shard, gallery if index % every == 0 else None, records.label_map, found.odd)
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


def _examples(path, split, odd):
    """Yields (Example, whether it is the shard's first); damage goes to `odd`."""
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
            yield parse(data), index == 0
    except InputError as error:
        odd.append(str(error))
    except ValueError as error:
        odd.append(f"{path.name}: record {index}: {error}")


def _count(split, example, label_map):
    split.frames += 1
    split.negatives += not len(example.boxes)
    split.coded_bits.append(8 * example.compressed_bytes / max(1, example.width * example.height))
    split.frame_sizes[example.width, example.height] += 1
    for number in example.class_ids:
        split.boxes[label_map.get(int(number), f"id {number}")] += 1
    area = (example.boxes[:, 2] - example.boxes[:, 0]) * (example.boxes[:, 3] - example.boxes[:, 1])
    for value in area * (example.width * example.height):
        split.sizes["small" if value < SMALL else "medium" if value < MEDIUM else "large"] += 1


def _check(example, where, label_map, odd):
    boxes = example.boxes
    if not np.isfinite(boxes).all() or (boxes < 0).any() or (boxes > 1).any():
        odd.append(f"{where}: a box reaches outside the frame")
    elif (boxes[:, 2:] <= boxes[:, :2]).any():
        odd.append(f"{where}: a box has no area")
    odd += [f"{where}: class id {number} is not in the label map"
            for number in sorted(set(example.class_ids.tolist()) - set(label_map))]
    if len(example.class_ids) != len(boxes) or len(example.class_names) != len(boxes):
        odd.append(f"{where}: {len(boxes)} boxes, {len(example.class_ids)} class ids, "
                   f"{len(example.class_names)} class names")
    elif any(label_map.get(int(number), name) != name
             for number, name in zip(example.class_ids, example.class_names, strict=True)):
        odd.append(f"{where}: a class text does not fit its id")
    if example.sha256 and hashlib.sha256(example.encoded).hexdigest() != example.sha256:
        odd.append(f"{where}: the picture's SHA-256 differs from image/key/sha256")


def _look(example, shard, gallery, label_map, odd):
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
        draw_boxes(rgb, example.boxes, example.class_ids, label_map).save(pathlib.Path(gallery) / name)


def draw_boxes(rgb, boxes, class_ids, label_map):
    """A picture with its boxes and class names.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4] (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: [N].
      label_map: {id: name}.

    Returns:
      PIL image.
    """
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    draw = ImageDraw.Draw(picture)
    line = max(1, round(rgb.shape[0] / 300))
    for (ymin, xmin, ymax, xmax), number in zip(boxes, class_ids, strict=True):
        colour = _COLOURS[(int(number) - 1) % len(_COLOURS)]
        left, top = xmin * picture.width, ymin * picture.height
        draw.rectangle((left, top, max(left, xmax * picture.width - 1), max(top, ymax * picture.height - 1)),
                       outline=colour, width=line)
        text = label_map.get(int(number), f"id {number}")
        size = draw.textbbox((left, top), text)
        lift = min(top, size[3] - size[1] + 4)
        draw.rectangle((size[0], size[1] - lift, size[2] + 1, size[3] - lift + 1), fill=colour)
        draw.text((left, top - lift), text, fill="black")
    return picture
