"""Which frames make up a sequence: what stays on one side of a split, what a video codec codes, and the unit that
statistics draw, because neighbouring frames are nearly copies of each other."""

import re

import numpy as np

from tfod_compress.records import splits
from tfod_compress.support.errors import InputError

FOLDER = r"^(.+)/"  # a frame's folder


def of_manifest(manifest: dict) -> str | None:
    """The regular expression whose group is a frame's sequence, of a record set; None where frames have none."""
    return manifest.get("sequence_by") or manifest.get("split_by") or manifest.get("sequences_by")


def numbers(source_ids, sequence_by: str | None):
    """The sequence of every frame, int64 [I], numbered as they come, or None where frames do not come in sequences.

    Args:
      source_ids: of the frames.
      sequence_by: regular expression, see `splits.group_key`, or None. A frame that it does not match is a sequence of
        its own.
    """
    if not sequence_by:
        return None
    pattern = re.compile(sequence_by)
    names = []
    for source_id in source_ids:
        key = splits.group_key(pattern, source_id)
        names.append(("frame", source_id) if key is None else ("sequence", key))
    found = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([found[name] for name in names], np.int64)


def for_video(source_ids, expression):
    """`expression`, or the frame's folder where it is None.

    Raises:
      InputError: frames without a folder, and no `expression`.
    """
    if expression:
        return expression
    bare = next((name for name in source_ids if "/" not in name), None)
    if bare is not None:
        raise InputError(f"{bare}: a video codec needs sequences; put the frames of each into a folder of its own, or "
                         "say with --sequence_by what a sequence is")
    return FOLDER


def check_nested(source_ids, sequence_by, split_by):
    """Raises InputError where frames of one sequence would stand on two sides of a split by `split_by`."""
    sides = {}
    for source_id, sequence, group in zip(source_ids, splits.group_keys(source_ids, sequence_by, "--sequence_by"),
                                          splits.group_keys(source_ids, split_by), strict=True):
        first = sides.setdefault(sequence, (group, source_id))
        if first[0] != group:
            raise InputError(f"{first[1]} and {source_id} are of one sequence ({sequence}) by --sequence_by, and "
                             f"--split_by {split_by!r} may part them; leave out --split_by, or make it coarser")


def parted(source_ids, sides, sequence_by):
    """A line about sequences that stand on more than one side of a split, or None where there is none."""
    found = {}
    keys = splits.group_keys(source_ids, sequence_by, "--sequence_by")
    for source_id, side, key in zip(source_ids, sides, keys, strict=True):
        found.setdefault(key, {}).setdefault(side, source_id)
    both = [key for key, members in found.items() if len(members) > 1]
    if not both:
        return None
    (one, first), (other, second) = list(found[both[0]].items())[:2]
    return (f"{len(both)} of {len(found)} sequences have frames on two sides, for example {first} ({one}) and {second} "
            f"({other}): a detector is tested on what it has nearly seen; keep each in one list (--split_files)")


def check_sizes(good, expression):
    """Raises InputError where a sequence holds frames of different sizes; `good` is [(FramePath, Scanned)]."""
    first = {}
    for (frame, look), key in zip(good, splits.group_keys([frame.source_id for frame, _ in good], expression),
                                  strict=True):
        (width, height), other = look.size, first.setdefault(key, (look.size, frame.path))
        if look.size != other[0]:
            raise InputError(f"{frame.path}: {width}x{height}, but {other[1]} of the same sequence is "
                             f"{other[0][0]}x{other[0][1]}; a video has frames of one size")


def in_shards(frames, expression, count):
    """Deals whole sequences out to shards.

    Args:
      frames: [FramePath] of one split.
      expression: from `for_video`.
      count: of shards; there are fewer where there are fewer sequences.

    Returns:
      [[[FramePath]]]: for each shard, its sequences, each in the order of its frames' names, in which numbers count
      as numbers (frame10 comes after frame9).
    """
    found = {}
    for frame, key in zip(frames, splits.group_keys([frame.source_id for frame in frames], expression), strict=True):
        found.setdefault(key, []).append(frame)
    ordered = [sorted(members, key=_natural) for members in found.values()]
    return [ordered[index::count] for index in range(min(count, len(ordered)))]


def _natural(frame):
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", frame.source_id))]
