"""TFRecord framing without TensorFlow: length, its CRC, the data, its CRC (tensorflow/core/lib/io/record_writer.h)."""

import struct

import google_crc32c

from tfod_compress.support.errors import InputError

MAX_RECORD_BYTES = 1 << 30


def masked_crc(data):
    """CRC-32C rotated right by 15 and shifted by a constant, as the format asks."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(data):
    """(header, footer) that stand around `data` in a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)), struct.pack("<I", masked_crc(data))


def read_records(path):
    """Yields the bytes of each record of a file, every CRC checked.

    Raises:
      InputError: the file is missing, cut off, or damaged.
    """
    try:
        with open(path, "rb") as file:
            index = 0
            while header := file.read(12):
                yield _read_one(file, header, path, index)
                index += 1
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; make the record set again") from error


def _read_one(file, header, path, index):
    if len(header) < 12:
        raise InputError(f"{path}: cut off in record {index}; make the record set again")
    length, crc = struct.unpack("<QI", header)
    if crc != masked_crc(header[:8]) or length > MAX_RECORD_BYTES:
        raise InputError(f"{path}: damaged at record {index} (length checksum); make the record set again")
    data = file.read(length)
    footer = file.read(4)
    if len(data) < length or len(footer) < 4:
        raise InputError(f"{path}: cut off in record {index}; make the record set again")
    if struct.unpack("<I", footer)[0] != masked_crc(data):
        raise InputError(f"{path}: damaged at record {index} (data checksum); make the record set again")
    return data
