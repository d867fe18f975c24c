"""Frames to train a codec on: from a folder or a record set, split for good, cropped as a function of seed and step."""

import dataclasses
import pathlib

import numpy as np

from tfod_compress.frames import BrokenFrame, contiguous, find_frames, read_frame
from tfod_compress.records.splits import assign, group_keys
from tfod_compress.support.errors import InputError
from tfod_compress.support.progress import Bar

_CACHE_BYTES = 1_500_000_000  # of decoded frames that are kept; further ones are read again each time


@dataclasses.dataclass(frozen=True)
class Frames:
    """Frames of one split.

    Attributes:
      source_ids: [text].
      read: function of a number below len(source_ids) -> uint8 RGB [H, W, 3].
    """

    source_ids: list
    read: object

    def __len__(self):
        return len(self.source_ids)


def open_frames(path, val_fraction=0.1, split_by=None, seed=0, say=lambda line: None):
    """Frames to train on and frames to validate on; none is in both.

    Args:
      path: folder of frames, or a record set, whose own splits train and val are taken; of its pictures, those that
        are stored: give the lossless one.
      val_fraction: share of a folder's frames for validation; at least one frame.
      split_by: regular expression on source_id; frames with the same first group stay on one side.
      seed: of the split.
      say: called with each line that the user should read.

    Returns:
      (Frames to train on, Frames to validate on).

    Raises:
      InputError: nothing to train or to validate on.
    """
    if (pathlib.Path(path) / "manifest.json").is_file():
        return _of_record_set(path)
    found = find_frames(path)
    good = []
    with Bar("looking at frames", len(found)) as bar:
        for frame in found:
            try:
                read_frame(frame.path)
                good.append(frame)
            except BrokenFrame as error:
                say(f"warning: {frame.path} is left out: {error}")
            bar.advance()
    if len(good) < 2:
        raise InputError(f"{path}: {len(good)} frames can be read, and two are the least: one to train on and one to "
                         "validate on (--frames)")
    sides = assign(group_keys([frame.source_id for frame in good], split_by), {"val": val_fraction}, seed)
    split = {side: [frame for frame, its in zip(good, sides, strict=True) if its == side] for side in ("train", "val")}
    if not all(split.values()):
        raise InputError(f"{path}: --val_fraction {val_fraction:g} leaves no frame to "
                         f"{'validate' if split['train'] else 'train'} on; --split_by may make too few groups")
    return tuple(Frames([frame.source_id for frame in split[side]],
                        _cached(lambda number, side=side: contiguous(read_frame(split[side][number].path))))
                 for side in ("train", "val"))


def _of_record_set(path):
    from tfod_compress.records import RecordSet

    record_set = RecordSet(path)
    found = []
    for side in ("train", "val"):
        if side not in record_set.splits:
            raise InputError(f"{path}: the record set has no split {side!r}; make it with --val_fraction above 0")
        # The coded pictures are small beside the decoded ones.
        examples = [(example.source_id, example.encoded, example.format) for example in record_set.examples(side)]
        found.append(Frames([example[0] for example in examples], _cached(_decoder(examples))))
    return tuple(found)


def _decoder(examples):
    from tfod_compress import codecs

    return lambda number: codecs.get(examples[number][2]).decode(examples[number][1])


def _cached(read):
    kept, size = {}, 0

    def cached(number):
        nonlocal size
        if number not in kept:
            rgb = read(number)
            if size + rgb.nbytes > _CACHE_BYTES:
                return rgb
            kept[number] = np.array(rgb)
            size += rgb.nbytes
        return kept[number]

    return cached


def batch(frames, step, batch_size, crop, seed):
    """The crops of one training step, a function of `seed` and `step` alone.

    Args:
      frames: `Frames`.
      step: number of the step, from 0.
      batch_size: crops.
      crop: side in pixels; smaller frames are padded with their last row and column.
      seed: integer.

    Returns:
      (uint8 [batch_size, crop, crop, 3], [source_id]).
    """
    generator = np.random.default_rng((seed, step))
    chosen = generator.integers(len(frames), size=batch_size)
    return (np.stack([_crop(frames.read(int(number)), crop, generator) for number in chosen]),
            [frames.source_ids[int(number)] for number in chosen])


def _crop(rgb, side, generator):
    height, width, _ = rgb.shape
    top, left = (int(generator.integers(max(length - side, 0) + 1)) for length in (height, width))
    part = rgb[top:top + side, left:left + side]
    return np.pad(part, ((0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)), "edge")
