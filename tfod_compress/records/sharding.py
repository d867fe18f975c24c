"""Which frames go into which shard, and which of them are measured."""

import hashlib
import math

from tfod_compress.records import sequences, shards

SMALL_SHARD, MAX_SMALL_SHARDS, LARGE_SHARD = 10, 16, 500  # frames a shard, see `shard_count`
# Frames whose PSNR a "sample" holds: this many, this share of all, and as many as make up these pixels.
MEASURED_FRAMES, MEASURED_SHARE, MEASURED_PIXELS = 4, 0.02, 7_000_000


def shard_count(frames, asked):
    """Files for a split: `asked` of them, or by size: 10 frames each up to 16 files, then 500 frames each."""
    count = asked or max(min(-(-frames // SMALL_SHARD), MAX_SMALL_SHARDS), -(-frames // LARGE_SHARD))
    return min(count, frames)


def plan(found, num_shards, measure, seed, class_map, video_by):
    """Deals the frames out: neighbouring ones go to different shards of their split; with `video_by`, whole sequences.

    Args:
      found: `survey.Survey`.
      num_shards: see `request.Output`.
      measure: see `request.Coding`.
      seed: of the sample that is measured.
      class_map: `ClassMap`.
      video_by: for a video codec, the regular expression whose group is a sequence; else None.

    Returns:
      ([Shard] without folders, [split names]).
    """
    by_side = {}
    for (frame, _), side in zip(found.good, found.sides, strict=True):
        by_side.setdefault(side, []).append(frame)
    order = [name for name in dict.fromkeys(("train", "val", "test", *sorted(by_side))) if name in by_side]
    measured = _measured(found.good, measure, seed)
    made = []
    for side in order:
        members = by_side[side]
        count = shard_count(len(members), num_shards)
        if video_by:
            parts = sequences.in_shards(members, video_by, count)
        else:
            parts = [[[frame] for frame in members[index::count]] for index in range(count)]
        for name, part in zip(shards.shard_names(side, len(parts)), parts, strict=True):
            frames = [frame for sequence in part for frame in sequence]
            made.append(shards.Shard(
                name, side, frames, measured.intersection(frame.source_id for frame in frames), {}, class_map,
                sequences=tuple(map(len, part)) if video_by else ()))
    return made, order


def _measured(good, measure, seed):
    """source_ids of the frames whose PSNR is measured."""
    names = [frame.source_id for frame, _ in good]
    if measure != "sample":
        return frozenset(names if measure == "all" else ())
    mean = sum(look.pixels for _, look in good) / len(good)
    count = math.ceil(max(MEASURED_FRAMES, MEASURED_SHARE * len(good), MEASURED_PIXELS / mean))
    order = sorted(names, key=lambda name: hashlib.sha256(f"psnr/{seed}/{name}".encode()).digest())
    return frozenset(order[:count])
