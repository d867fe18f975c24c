"""The coded file of a learned codec: a header of 12 bytes or so, strings of the range coder, a checksum.

    3  "TLC"
    1  version of this format
    4  hash of the side that reads streams (see below), its first bytes
    v  height; v  width; v  length of every string but the last      (v: LEB128, 7 bits a byte, low ones first)
    …  the strings
    4  CRC-32C of all before it, little-endian

The hash is of what is needed to read symbols: the codec, its tables and its fixed-point hyper-synthesis transform.
The transforms from pixels and to pixels are not part of it, so that an encoder can be tuned for decoders that are in
the field, and a decoder for streams that are in storage.
"""

import struct

import google_crc32c

from tfod_compress.support.errors import InputError

MAGIC, VERSION = b"TLC", 1
_MAX_SIDE = 2**31


def pack(stream_hash, height, width, strings):
    """bytes of a coded picture.

    Args:
      stream_hash: hexadecimal text; its first eight digits are written.
      height: pixels.
      width: pixels.
      strings: [bytes], at least one.
    """
    parts = [MAGIC, bytes((VERSION,)), bytes.fromhex(stream_hash[:8]), _number(height), _number(width),
             *(_number(len(string)) for string in strings[:-1]), *strings]
    body = b"".join(parts)
    return body + struct.pack("<I", google_crc32c.value(body))


def read_hash(data):
    """The eight hexadecimal digits of the model that a stream asks for.

    Raises:
      InputError: no such stream, of another version, cut off or altered.
    """
    if data[:3] != MAGIC:
        raise InputError("not the stream of a learned codec")
    if len(data) < 15 or data[3] != VERSION:
        raise InputError(f"a stream of version {data[3]}, where {VERSION} is known" if len(data) >= 15 else "cut off")
    if struct.pack("<I", google_crc32c.value(data[:-4])) != data[-4:]:
        raise InputError("cut off or altered: the checksum does not fit")
    return data[4:8].hex()


def unpack(data, stream_hash, strings, max_pixels):
    """(height, width, [bytes]) of what `pack` gave.

    Args:
      data: bytes.
      stream_hash: hexadecimal text, of the model at hand.
      strings: how many the model writes.
      max_pixels: larger pictures are refused.

    Raises:
      InputError: as `read_hash`; of another model, or too large.
    """
    found = read_hash(data)
    if found != stream_hash[:8]:
        raise InputError(f"written by another model: it asks for {found}, this one is {stream_hash[:8]} "
                         "(--codec_model)")
    place, end = 8, len(data) - 4
    numbers = []
    for _ in range(1 + strings):
        number, place = _read_number(data, place, end)
        numbers.append(number)
    height, width, *lengths = numbers
    if not 0 < height < _MAX_SIDE or not 0 < width < _MAX_SIDE:
        raise InputError(f"impossible size {width}x{height}")
    if height * width > max_pixels:
        raise InputError(f"{width}x{height} is more than {max_pixels} pixels")
    cut = [place]
    for length in lengths:
        cut.append(cut[-1] + length)
    if cut[-1] > end:
        raise InputError("damaged: its parts are longer than the whole")
    cut.append(end)
    return height, width, [data[start:stop] for start, stop in zip(cut[:-1], cut[1:], strict=True)]


def _number(value):
    """LEB128 of a natural number."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_number(data, place, end):
    value = shift = 0
    while place < end and shift < 35:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise InputError("damaged header")
