"""The sizes that coded pictures state, read before a decoder allocates anything for them.

Each function takes the bytes of one picture and returns (width, height); it raises InputError where the bytes are
cut off, or are not of the form that this package's encoder writes. A decoder thus sees only forms that we use,
not the rarer corners of its format. Damage inside the entropy-coded data is the decoder's to find.
"""

import struct

from tfod_compress.support.errors import InputError


def check_size(size, max_pixels, what):
    """`size` (width, height); InputError where it is empty or has more pixels than allowed."""
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"{what}: damaged: a picture of {width}x{height}")
    if width * height > max_pixels:
        raise InputError(f"{what}: {width}x{height} is more than the {max_pixels} pixels that are allowed")
    return size


def png_size(data):
    """Of a PNG file without anything behind its IEND chunk; ISO/IEC 15948, 11.2.2."""
    if data[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR":
        raise InputError("PNG: damaged, or no PNG")
    at = 8
    while data[at + 4:at + 8] != b"IEND" and at + 12 <= len(data):
        at += 12 + int.from_bytes(data[at:at + 4], "big")
    if at + 12 != len(data):
        raise InputError("PNG: damaged or cut off")
    return struct.unpack(">II", data[16:24])


def jpeg_size(data):
    """Of a baseline JPEG file without anything behind its EOI marker; ITU-T T.81, annex B."""
    if data[:3] != b"\xff\xd8\xff":
        raise InputError("JPEG: damaged, or no JPEG")
    at, size = 2, None
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if marker in (0xC0, 0xC1) and not size:
            height, width = struct.unpack(">HH", data[at + 5:at + 9])
            size = width, height
        # Progressive files may hold thousands of scans of a large picture: hours of decoding in few bytes.
        elif 0xC0 <= marker <= 0xCF and marker != 0xC4 or length < 2:
            break
        at += 2 + length
        if marker == 0xDA and size:
            if data.find(b"\xff\xd9", at) != len(data) - 2:
                raise InputError("JPEG: damaged or cut off")
            return size
    raise InputError("JPEG: damaged, or not baseline")


def webp_size(data):
    """Of a lossy WebP file of one picture without further chunks; RFC 9649, 2.5 and RFC 6386, 9.1."""
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
        raise InputError("WebP: damaged, or not a single lossy picture")
    riff, chunk = (int.from_bytes(data[at:at + 4], "little") for at in (4, 16))
    if riff + 8 != len(data) or chunk + (chunk & 1) + 12 != riff:
        raise InputError("WebP: cut off, or with something behind the picture")
    if data[20] & 1 or data[23:26] != b"\x9d\x01\x2a":
        raise InputError("WebP: damaged: no key frame")
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def avif_size(data):
    """Of an AVIF file of one still AV1 picture; ISO/IEC 14496-12 boxes, AV1 specification 5.3 to 5.5.

    The size is the one of the AV1 sequence header, which is what the decoder allocates for.
    """
    at, kinds, body = 0, [], b""
    while at + 8 <= len(data) and len(kinds) < 4:
        length = int.from_bytes(data[at:at + 4], "big")
        kinds.append(data[at + 4:at + 8])
        if length < 8:
            break
        body = data[at + 8:at + length]
        at += length
    if kinds != [b"ftyp", b"meta", b"mdat"] or at != len(data):
        raise InputError("AVIF: damaged, cut off, or more than a single picture")
    units = _av1_units(body)
    if [kind for kind, _ in units] != [2, 1, 6]:  # temporal delimiter, sequence header, frame
        raise InputError("AVIF: damaged, or not one AV1 picture")
    header = units[1][1]
    bits, length = int.from_bytes(header, "big"), 8 * len(header)

    def read(start, count):
        return bits >> length - start - count & (1 << count) - 1 if start + count <= length else 0

    if read(3, 2) != 3:
        raise InputError("AVIF: damaged, or no still picture")
    wide, high = read(10, 4) + 1, read(14, 4) + 1
    return read(18, wide) + 1, read(18 + wide, high) + 1


def _av1_units(data):
    """[(type, payload)] of the open bitstream units of an AV1 picture; each must state its size."""
    found, at = [], 0
    while at < len(data) and len(found) < 4:
        header, size, shift = data[at], 0, 0
        at += 1
        if header & 0x87 != 2:  # forbidden, extension and reserved bits; "has a size"
            raise InputError("AVIF: damaged: the AV1 units")
        while at < len(data) and shift < 35:
            size |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 0x80:
                break
        found.append((header >> 3, data[at:at + size]))
        at += size
    if at != len(data):
        raise InputError("AVIF: cut off, or damaged: the AV1 units")
    return found


def jpeg2000_size(data):
    """Of a codestream of one tile and one layer with the 9-7 wavelet; ITU-T T.800, annex A.

    The header may hold SIZ, COD and QCD, and the tile-parts must add up to what there is.
    """
    if len(data) < 4 or data[:4] != b"\xff\x4f\xff\x51":
        raise InputError("JPEG 2000: damaged, or not a bare codestream")
    size, at, seen = None, 2, []
    while data[at:at + 2] != b"\xff\x90":
        marker, length = data[at:at + 2], int.from_bytes(data[at + 2:at + 4], "big")
        body = data[at + 4:at + 2 + length]
        if length < 2 or len(body) != length - 2 or marker in seen:
            raise InputError("JPEG 2000: damaged: the main header")
        if marker == b"\xff\x51":
            size = _jpeg2000_siz(body)
        elif marker == b"\xff\x52":
            _jpeg2000_cod(body)
        elif marker != b"\xff\x5c":
            raise InputError(f"JPEG 2000: damaged, or a marker that this codec does not write: {marker.hex()}")
        seen.append(marker)
        at += 2 + length
    if seen != [b"\xff\x51", b"\xff\x52", b"\xff\x5c"]:
        raise InputError("JPEG 2000: damaged: the main header is incomplete")
    while data[at:at + 4] == b"\xff\x90\x00\x0a" and len(data) >= at + 14:
        tile, length = struct.unpack(">HI", data[at + 4:at + 10])
        if tile or length < 14 or data[at + 12:at + 14] != b"\xff\x93":
            raise InputError("JPEG 2000: damaged: a tile-part's header")
        at += length
    if at != len(data) - 2 or data[at:] != b"\xff\xd9":
        raise InputError("JPEG 2000: cut off, or damaged: a tile-part's length")
    return size


def _jpeg2000_siz(body):
    if len(body) < 36:
        raise InputError("JPEG 2000: damaged: SIZ")
    _, width, height, left, top, tile_width, tile_height, tile_left, tile_top, count = struct.unpack(
        ">HIIIIIIIIH", body[:36])
    whole = (left, top, tile_left, tile_top) == (0, 0, 0, 0) and (tile_width, tile_height) == (width, height)
    if not whole or count not in (1, 3) or body[36:] != b"\x07\x01\x01" * count:
        raise InputError("JPEG 2000: damaged, or not one tile of 8-bit samples")
    return width, height


def _jpeg2000_cod(body):
    # Scod, progression, layers, colour transform, levels, code blocks of 64x64, style, wavelet: small precincts and
    # many layers would cost memory and time beyond measure.
    if len(body) != 10 or body[0] or body[1] or body[2:4] != b"\0\1" or body[5] > 32 or body[6:] != b"\4\4\0\0":
        raise InputError("JPEG 2000: damaged, or coding parameters that this codec does not write")


def jxl_size(data):
    """Of a bare JPEG XL codestream; ISO/IEC 18181-1, SizeHeader."""
    if data[:2] != b"\xff\x0a" or len(data) < 12:
        raise InputError("JPEG XL: damaged, or not a bare codestream")
    bits, at = int.from_bytes(data[2:12], "little"), 0

    def read(count):
        nonlocal at
        value = bits >> at & (1 << count) - 1
        at += count
        return value

    small = read(1)

    def side():
        return 8 * (read(5) + 1) if small else read((9, 13, 18, 30)[read(2)]) + 1

    height = side()
    ratio = read(3)
    if not ratio:
        return side(), height
    over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * over // under, height
