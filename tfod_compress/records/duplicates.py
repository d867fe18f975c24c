"""Frames that hold the same picture, or nearly: they must not stand on two sides of a split."""

import hashlib

import numpy as np

from tfod_compress.frames import contiguous, read_frame
from tfod_compress.support.errors import InputError

# Of 256 comparisons. Neighbouring KITTI tracking frames differ in 42 to 69, different scenes in 85 and more.
NEAR_BITS = 64
NEAR_SAMPLE, NEAR_OTHERS = 2_000, 20_000  # frames compared at most: of one side, with those of the others


def identical(good, max_pixels):
    """Groups of frames with identical pixels.

    The CRC of the scan names candidates; their pixels are then compared by SHA-256.

    Args:
      good: [(FramePath, Scanned)].
      max_pixels: limit on a frame's size.

    Returns:
      [[index]], groups of two and more.
    """
    candidates = {}
    for index, (_, look) in enumerate(good):
        candidates.setdefault((look.size, look.pixels_crc), []).append(index)
    groups = []
    for members in candidates.values():
        if len(members) > 1:
            same = {}
            for index in members:
                pixels = contiguous(read_frame(good[index][0].path, max_pixels))
                same.setdefault(hashlib.sha256(pixels).digest(), []).append(index)
            groups += [group for group in same.values() if len(group) > 1]
    return groups


def together(keys, groups):
    """Group keys changed so that frames with identical pixels are in one group: [key]."""
    parent = {key: key for key in keys}

    def root(key):
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for group in groups:
        for index in group[1:]:
            first, other = sorted((root(keys[group[0]]), root(keys[index])))
            parent[other] = first
    return [root(key) for key in keys]


def check_sides(good, sides, groups, cause):
    """Raises InputError where frames with identical pixels are on different sides; `cause` put them there."""
    for group in groups:
        for index in group[1:]:
            if sides[index] != sides[group[0]]:
                first, other = good[group[0]][0], good[index][0]
                raise InputError(f"{first.path} ({sides[group[0]]}) and {other.path} ({sides[index]}) hold the same "
                                 f"pixels, and {cause} puts them on two sides; remove one, or --duplicates ignore")


def near_warning(good, sides, seed):
    """A line about frames that look like one of another split, or None where there is no such frame."""
    looks = np.frombuffer(b"".join(look.look for _, look in good), np.uint8).reshape(len(good), -1)
    looks = np.unpackbits(looks, axis=1).astype(np.float32) * 2 - 1
    sides = np.array(sides)
    generator = np.random.default_rng(seed)
    compared, found, example = 0, 0, None
    names = sorted(set(sides), key=lambda name: np.count_nonzero(sides == name))
    for side in names[:-1]:
        mine = _sample(generator, np.flatnonzero(sides == side), NEAR_SAMPLE)
        others = _sample(generator, np.flatnonzero(sides != side), NEAR_OTHERS)
        # For signs, the product of two rows is the bits that agree minus those that differ.
        bits = (looks.shape[1] - looks[mine] @ looks[others].T) / 2
        close = bits.min(axis=1) <= NEAR_BITS
        compared += len(mine)
        found += int(close.sum())
        if example is None and close.any():
            at = int(np.argmin(bits.min(axis=1)))
            example = good[mine[at]][0].source_id, side, good[others[int(bits[at].argmin())]][0].source_id
    if example is None:
        return None
    return (f"{found} of {compared} frames of {', '.join(names[:-1])} look like a frame of another split, for example "
            f"{example[0]} ({example[1]}) like {example[2]}; --sequence_by keeps a sequence on one side")


def _sample(generator, indices, most):
    return indices if len(indices) <= most else np.sort(generator.choice(indices, most, replace=False))
