"""Write one shard of every record set of a run: its frames are coded at every quality in one pass."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib

from tfod_compress.codecs.rate_matching import RateTarget
from tfod_compress.records import bitstreams, coded_frames, example
from tfod_compress.records.framing import frame as record_frame
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, sha256, write_json

FLUSH_BYTES = 4_000_000  # written to a shard before the disk is asked to take them


@dataclasses.dataclass(frozen=True)
class Shard:
    """One shard to write, in all record sets where it is missing.

    Attributes:
      name: "train-00000-of-00004.tfrecord".
      split: "train".
      frames: [FramePath].
      measured: source_ids of the frames whose PSNR is measured.
      folders: {quality, or `RateTarget` with its quality found: folder of the unfinished record set}.
      bitstreams: {the same: folder that gets the coded files}, where they are to be kept.
      class_map: `ClassMap`.
      sequences: for video, the number of frames of each sequence; `frames` holds them one after the other.
    """

    name: str
    split: str
    frames: list
    measured: frozenset
    folders: dict
    class_map: object
    bitstreams: dict = dataclasses.field(default_factory=dict)
    sequences: tuple = ()


def shard_names(split, count):
    """The usual names of `count` shards."""
    return [f"{split}-{index:05d}-of-{count:05d}.tfrecord" for index in range(count)]


def counted(task):
    """Under which name notes and manifests count a task's labels by class."""
    return task.objects or "images"


def note_path(folder, name):
    """Where the note about a finished shard lies until the whole record set is finished."""
    return pathlib.Path(folder) / f"{name}.json"


def read_note(folder, name):
    """The note about a finished shard; OSError or ValueError where there is none."""
    return json.loads(note_path(folder, name).read_text(encoding="utf-8"))


def finished_note(folder, name):
    """The note of a shard that is whole, or None: its bytes are checked against the note."""
    try:
        note = read_note(folder, name)
        if note["sha256"] == sha256(pathlib.Path(folder) / name):
            return note
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def write_shard(shard, codec, task, labels, min_box_px, max_pixels, on_frame):
    """Writes the shard and, beside it, the note about what it holds; both whole or not at all.

    Args:
      shard: `Shard`.
      codec: the codec.
      task: the `Task`.
      labels: what its `open_labels` gave.
      min_box_px: see `Task.to_features`.
      max_pixels: limit on a frame's size.
      on_frame: called with (frames, raw bytes) after every frame.

    Raises:
      InputError: a frame can no longer be read.
    """
    label_map = shard.class_map.label_map
    with contextlib.ExitStack() as stack:
        # The disk takes the first frames while the next ones are coded, instead of all of them at the end.
        disk = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        writers = [stack.enter_context(_Writer(pathlib.Path(folder) / shard.name, disk, label_map, counted(task),
                                               isinstance(quality, RateTarget) and quality.per_frame))
                   for quality, folder in shard.folders.items()]
        code = coded_frames.sequences if shard.sequences else coded_frames.frames
        for path, rgb, features, coded in code(
                shard, codec, lambda path: _read(path, task, labels, shard.class_map, min_box_px, max_pixels),
                lambda key, source_id, data: bitstreams.write(shard.bitstreams[key], source_id, codec.extension, data)):
            height, width, _ = rgb.shape
            part = example.features_of_frame(path.source_id, os.path.basename(path.path), width, height,
                                             features.data)
            for writer, made in zip(writers, coded, strict=True):
                writer.add(example.build(part, made.stored, made.format, made.size), path.source_id, width, height,
                           made, features)
            on_frame(1, rgb.size)
    for folder, writer in zip(shard.folders.values(), writers, strict=True):
        write_json(note_path(folder, shard.name), {"split": shard.split, **writer.note})


def _read(path, task, labels, class_map, min_box_px, max_pixels):
    rgb = coded_frames.pixels(path, max_pixels)
    found = labels.read(path.source_id) if labels.has(path.source_id) else None
    try:
        return rgb, task.to_features(found, rgb.shape[1], rgb.shape[0], class_map, min_box_px)
    except KeyError as error:
        raise InputError(f"{path.path}: its labels changed while they were converted; run again") from error


class _Writer:
    """One shard file of one record set while it is written, and what will be said about it."""

    def __init__(self, path, disk, label_map, counted, own_qualities):
        """`disk` is an executor that brings to the disk what is written."""
        self._label_map, self._counted = label_map, counted
        self._path, self._digest, self._own_qualities = path, hashlib.sha256(), own_qualities
        self._disk, self._flushing, self._flushed = disk, None, 0
        self.note = {"sha256": "", "bytes": 0, "frames": [], counted: dict.fromkeys(label_map.values(), 0),
                     "dropped": [], "clipped": 0, "ignored": 0, "negatives": 0}

    def __enter__(self):
        self._context = atomic_file(self._path)
        self._file = self._context.__enter__()
        return self

    def __exit__(self, *error):
        self.note["sha256"] = self._digest.hexdigest()
        # The disk tells an error once; the last flush would not hear of it again.
        failed = self._flushing.exception() if self._flushing and error[0] is None else None
        if failed:
            self._context.__exit__(type(failed), failed, failed.__traceback__)
            raise failed
        return self._context.__exit__(*error)

    def add(self, data, source_id, width, height, coded, features):
        header, footer = record_frame(data)
        for part in (header, data, footer):
            self._file.write(part)
            self._digest.update(part)
            self.note["bytes"] += len(part)
        if self.note["bytes"] - self._flushed > FLUSH_BYTES and (not self._flushing or self._flushing.done()):
            self._file.flush()
            self._flushed = self.note["bytes"]
            self._flushing = self._disk.submit(os.fsync, self._file.fileno())
        psnr = coded.psnr
        if psnr is not None:
            psnr = "inf" if psnr == float("inf") else round(psnr, 4)
        row = [source_id, width, height, coded.size, psnr]
        self.note["frames"].append([*row, coded.quality] if self._own_qualities else row)
        for number in features.class_ids:
            self.note[self._counted][self._label_map[int(number)]] += 1
        self.note["dropped"] += [[source_id, name, [str(round(edge, 3)) for edge in edges], reason]
                                 for name, edges, reason in features.dropped]
        self.note["clipped"] += features.clipped
        self.note["ignored"] += features.ignored
        self.note["negatives"] += not len(features.class_ids)
