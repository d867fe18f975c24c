"""Decode Windows and OS/2 bitmaps with NumPy; camera frames (24 bit) come straight from the mapped file.

Read: 1, 2, 4, 8 bit with a palette, 16, 24, 32 bit, any bit masks, bottom-up and top-down, run-length
encoded (4 and 8 bit), embedded JPEG and PNG. Alpha is dropped.
Source of the format: Microsoft, "Bitmap Storage" (BITMAPCOREHEADER to BITMAPV5HEADER) and the OS/2 2.x header.
"""

import dataclasses
import mmap
import struct

import numpy as np

RGB, RLE8, RLE4, BITFIELDS, JPEG, PNG, ALPHABITFIELDS = range(7)
_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_MASKS = {16: (0x7C00, 0x03E0, 0x001F), 32: (0xFF0000, 0x00FF00, 0x0000FF)}


class BmpError(ValueError):
    """Not a bitmap that can be decoded; the message says why."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What a bitmap's headers say.

    Attributes:
      width, height: pixels, both positive.
      bits: bits per pixel: 1, 2, 4, 8, 16, 24 or 32.
      compression: one of the constants of this module.
      top_down: whether the first stored row is the top one.
      offset: byte where the pixels start.
      masks: for 16 and 32 bit, the (red, green, blue) masks.
      palette_at, palette_entry, palette_size: where the colours are, bytes each (3 or 4), how many.
    """

    width: int
    height: int
    bits: int
    compression: int
    top_down: bool
    offset: int
    masks: tuple
    palette_at: int
    palette_entry: int
    palette_size: int

    @property
    def stride(self):
        """Bytes of one stored row: rows are padded to four bytes."""
        return (self.width * self.bits + 31) // 32 * 4


def read_header(data):
    """Header of a bitmap.

    Args:
      data: the file's first bytes, 150 or more where the file is that long.

    Raises:
      BmpError: not a bitmap, or one that cannot be decoded.
    """
    if data[:2] != b"BM":
        raise BmpError("does not start with BM")
    if len(data) < 26:
        raise BmpError(f"header is cut off after {len(data)} bytes")
    offset, size = struct.unpack_from("<II", data, 10)
    if size not in _HEADER_SIZES:
        raise BmpError(f"unknown header size {size}")
    if len(data) < 14 + size:
        raise BmpError(f"header is cut off after {len(data)} bytes")
    compression, masks, colours, entry = RGB, (), 0, 4
    if size == 12:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
        entry = 3
    else:
        width, height, planes, bits = struct.unpack_from("<iiHH", data, 18)
        if size >= 40:
            compression, = struct.unpack_from("<I", data, 30)
            colours, = struct.unpack_from("<I", data, 46)
    if size == 64 and compression in (3, 4):
        raise BmpError("OS/2 compression (Huffman or 24-bit run lengths) is not read")
    top_down, height = height < 0, abs(height)
    if width <= 0 or height <= 0:
        raise BmpError(f"impossible size {width}x{height}")
    if planes != 1 and compression not in (JPEG, PNG):
        raise BmpError(f"{planes} colour planes instead of 1")
    if compression in (JPEG, PNG):
        return Header(width, height, bits, compression, top_down, offset, (), 0, 0, 0)
    if bits not in (1, 2, 4, 8, 16, 24, 32):
        raise BmpError(f"{bits} bits per pixel")
    palette_at = 14 + size
    if compression in (BITFIELDS, ALPHABITFIELDS):
        if bits not in (16, 32):
            raise BmpError(f"bit masks with {bits} bits per pixel")
        if len(data) < 66:
            raise BmpError(f"header is cut off after {len(data)} bytes")
        masks = struct.unpack_from("<III", data, 54)
        if size == 40:
            palette_at += 12 if compression == BITFIELDS else 16
    elif compression == RGB:
        masks = _MASKS.get(bits, ())
    elif compression in (RLE8, RLE4):
        if bits != (8 if compression == RLE8 else 4):
            raise BmpError(f"run lengths with {bits} bits per pixel")
        if top_down:
            raise BmpError("run lengths in a top-down bitmap")
    else:
        raise BmpError(f"unknown compression {compression}")
    if bits <= 8 and not 0 < colours <= 256:
        colours = 1 << bits
    if offset < palette_at:
        raise BmpError(f"pixels said to start at byte {offset}, inside the header")
    if bits <= 8:
        colours = min(colours, (offset - palette_at) // entry)
    return Header(width, height, bits, compression, top_down, offset, masks, palette_at, entry, colours)


def map_pixels(file, header):
    """Pixels of an uncompressed 24-bit bitmap as a view of the mapped file: nothing is read or copied yet.

    Args:
      file: the open file.
      header: its `Header`, 24 bit, compression RGB.

    Returns:
      Read-only uint8 RGB [H, W, 3]; a view with negative strides for the usual bottom-up BGR rows.

    Raises:
      BmpError: the file is shorter than its header says.
    """
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _as_rgb(mapped, header)


def decode(data, header):
    """Pixels of any bitmap.

    Args:
      data: the whole file.
      header: its `Header`.

    Returns:
      uint8 RGB [H, W, 3].

    Raises:
      BmpError: cut off or damaged.
    """
    if header.compression in (RLE4, RLE8):
        return _palette(data, header)[_run_lengths(data, header)]
    if header.bits == 24:
        return _as_rgb(data, header)
    rows = _rows(data, header)
    if header.bits <= 8:
        indices = _unpack(rows, header)
        return _palette(data, header)[indices]
    words = rows.view("<u2" if header.bits == 16 else "<u4")[:, :header.width]
    return np.stack([_channel(words, mask) for mask in header.masks], axis=-1)


def _rows(data, header):
    """uint8 [H, stride], top row first."""
    needed = header.offset + header.stride * header.height
    if len(data) < needed:
        # The last row's padding may be missing: writers are known to leave it out.
        bare = needed - header.stride + (header.width * header.bits + 7) // 8
        if len(data) < bare:
            raise BmpError(f"cut off: {len(data)} of {needed} bytes")
        data = bytes(data) + bytes(needed - len(data))
    rows = np.frombuffer(data, np.uint8, header.stride * header.height, header.offset)
    rows = rows.reshape(header.height, header.stride)
    return rows if header.top_down else rows[::-1]


def _as_rgb(data, header):
    rows = _rows(data, header)[:, :header.width * 3]
    return np.lib.stride_tricks.as_strided(
        rows, (header.height, header.width, 3), (rows.strides[0], 3, 1), writeable=False)[..., ::-1]


def _unpack(rows, header):
    bits = header.bits
    if bits == 8:
        return rows[:, :header.width]
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    values = (rows[:, :, None] >> shifts) & ((1 << bits) - 1)
    return values.reshape(header.height, -1)[:, :header.width]


def _palette(data, header):
    """uint8 RGB [256, 3]; colours that the file does not define are black."""
    entry, count = header.palette_entry, header.palette_size
    table = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(data, np.uint8, count * entry, header.palette_at).reshape(count, entry)
    table[:count] = colours[:, 2::-1]
    return table


def _channel(words, mask):
    if mask == 0:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    values = (words & words.dtype.type(mask)) >> words.dtype.type(shift)
    if top == 255:
        return values.astype(np.uint8)
    return np.round(values * (255.0 / top)).astype(np.uint8)


def _run_lengths(data, header):
    """uint8 palette indices [H, W] of RLE8 or RLE4; pixels that no run covers are 0.

    Raises:
      BmpError: the runs end before the picture does, with neither an end mark nor a full last row.
    """
    width, height, nibbles = header.width, header.height, header.bits == 4
    pixels = np.zeros((height, width), np.uint8)
    at, x, y, size = header.offset, 0, 0, len(data)
    while at + 1 < size and y < height:
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = (value >> 4, value & 15) if nibbles else (value, value)
            pixels[y, x:x + count:2] = run[0]
            pixels[y, x + 1:x + count:2] = run[1]
            x += count
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            return pixels[::-1]
        elif value == 2:
            if at + 1 >= size:
                break
            x, y = x + data[at], y + data[at + 1]
            at += 2
        else:
            length = (value + 1) // 2 if nibbles else value
            stored = np.frombuffer(data, np.uint8, min(length, size - at), at)
            if nibbles:
                stored = np.stack([stored >> 4, stored & 15], axis=-1).reshape(-1)
            stored = stored[:value][:max(0, width - x)]
            pixels[y, x:x + len(stored)] = stored
            x += value
            at += length + length % 2
    if y < height - 1 or (y == height - 1 and x < width):
        raise BmpError(f"cut off: its runs end in row {y + 1} of {height}")
    return pixels[::-1]


def encode(rgb):
    """uint8 RGB [H, W, 3] as the bytes of a BMP file: 24 bits, bottom-up, rows padded to 4 bytes."""
    height, width, _ = rgb.shape
    rows = np.zeros((height, (3 * width + 3) // 4 * 4), np.uint8)
    rows[:, :3 * width] = rgb[::-1, :, ::-1].reshape(height, 3 * width)
    return (struct.pack("<2sIHHI", b"BM", 54 + rows.size, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 2835, 2835, 0, 0) + rows.tobytes())
