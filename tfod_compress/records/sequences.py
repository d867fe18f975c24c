"""Which frames make up a sequence, for video codecs."""

import re

from tfod_compress.errors import InputError
from tfod_compress.records import splits

FOLDER = r"^(.+)/"  # a frame's folder


def pattern(source_ids, split_by):
    """The regular expression whose group is a frame's sequence: `split_by`, or the frame's folder without one.

    Raises:
      InputError: frames without a folder, and no `split_by`.
    """
    if split_by:
        return split_by
    bare = next((name for name in source_ids if "/" not in name), None)
    if bare is not None:
        raise InputError(f"{bare}: a video codec needs sequences; put the frames of each into a folder of its own, or "
                         "say with --split_by what a sequence is")
    return FOLDER


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
      expression: from `pattern`.
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
