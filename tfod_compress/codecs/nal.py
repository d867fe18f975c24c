"""Byte streams of NAL units: Annex B of H.264, HEVC (H.265) and VVC (H.266).

Nothing in such a stream says where it ends, and a decoder makes a picture of whatever is left of a cut one. So each
stream here is closed by the unit that the standards have for that, four or five bytes, and one without is refused.
"""

import re

from tfod_compress.support.errors import InputError

END_H264 = b"\0\0\1\x0b"  # end of stream, type 11
END_HEVC = b"\0\0\1\x4a\1"  # end of bitstream, type 37
END_VVC = b"\0\0\1\0\xb1"  # end of bitstream, type 22

KIND_H264 = (0, 0x1F, 0)  # byte, mask and shift of a unit's type
KIND_HEVC = (0, 0x7E, 1)
KIND_VVC = (1, 0xF8, 3)

_START = re.compile(rb"\x00?\x00\x00\x01")


def split(data, where):
    """[(type, bytes with their start code)] of a byte stream."""
    at, mask, shift = where
    starts = [(found.start(), found.end()) for found in _START.finditer(data)]
    ends = [start for start, _ in starts[1:]] + [len(data)]
    return [((data[first + at] & mask) >> shift if first + at < end else -1, data[start:end])
            for (start, first), end in zip(starts, ends, strict=True)]


def check(data, where, allowed, end, what):
    """Raises InputError unless `data` is a closed byte stream of no other units than `allowed`.

    Args:
      data: bytes.
      where: KIND_….
      allowed: types of units, with the one that closes the stream.
      end: END_….
      what: name for messages.
    """
    if data[:4] != b"\0\0\0\1" or data.find(end) != len(data) - len(end):
        raise InputError(f"{what}: cut off, damaged, or no stream of this codec")
    odd = {kind for kind, _ in split(data, where)} - set(allowed)
    if odd:
        raise InputError(f"{what}: damaged, or of another encoder: units of type {', '.join(map(str, sorted(odd)))}")
