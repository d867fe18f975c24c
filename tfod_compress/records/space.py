"""Whether the disk has room for what a conversion is about to write."""

import shutil

from tfod_compress.records import workers
from tfod_compress.support.errors import InputError

ESTIMATED_FROM = 2  # frames that are coded to estimate the space
SPACE_MARGIN = 1.1


def check(tasks, found, growing, pool, say):
    """Estimates what is still to be written, from a few frames, and compares it with what the disk has left.

    Args:
      tasks: [shards.Shard] to write.
      found: survey.Survey.
      growing: {quality: folder of the unfinished record set}.
      pool: of `workers.pool`.
      say: called with a line about it.

    Raises:
      InputError: the disk has not enough left.
    """
    pixels = {frame.source_id: look.pixels for frame, look in found.good}
    step = max(1, len(found.good) // ESTIMATED_FROM)
    samples = [frame for frame, _ in found.good[step // 2::step]][:ESTIMATED_FROM]
    coded, seen = dict.fromkeys(growing, 0), sum(pixels[frame.source_id] for frame in samples)
    for _, sizes in pool.run(workers.stored_sizes, [(frame, list(growing)) for frame in samples]):
        for quality, size in zip(growing, sizes, strict=True):
            coded[quality] += size
    needed = sum(coded[quality] / seen * pixels[frame.source_id] + 1000
                 for shard in tasks for frame in shard.frames for quality in shard.folders) * SPACE_MARGIN
    place = next(iter(growing.values())).parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(f"{place}: about {_megabytes(needed)} are needed and {_megabytes(free)} are free; make room, "
                         "choose another --output, or fewer --quality")
    say(f"space: about {_megabytes(needed)} of {_megabytes(free)} that are free")


def _megabytes(size):
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
