"""tf.train.Example in protobuf's wire format, without TensorFlow and without protobuf.

The messages (tensorflow/core/example/example.proto, feature.proto) are few and fixed; protobuf's pure Python
runtime, which the pinned version brings, would take as long for a record as JPEG takes for a frame.

  Example   { features = 1 }
  Features  { map<string, Feature> feature = 1 }     an entry is { key = 1, value = 2 }
  Feature   { one of bytes_list = 1, float_list = 2, int64_list = 3 }, each { value = 1 }, numbers packed
"""

import struct

import numpy as np

_BYTES, _FLOATS, _INTS = 1, 2, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def bytes_feature(key, values):
    """[bytes] that joined are one feature of a list of bytes."""
    parts = []
    for value in values:
        parts += (b"\x0a", varint(len(value)), value)
    return _entry(key, _BYTES, parts)


def float_feature(key, values):
    """[bytes] that joined are one feature of a list of float32."""
    packed = np.asarray(values, "<f4").tobytes()
    return _entry(key, _FLOATS, [b"\x0a", varint(len(packed)), packed] if packed else [])


def int_feature(key, values):
    """[bytes] that joined are one feature of a list of int64."""
    packed = b"".join(varint(int(value) & 0xFFFFFFFFFFFFFFFF) for value in values)
    return _entry(key, _INTS, [b"\x0a", varint(len(packed)), packed] if packed else [])


def message(parts):
    """The Example of joined features."""
    return b"".join([b"\x0a", varint(sum(map(len, parts))), *parts])


def varint(value):
    """Base 128 bytes of a number from 0 to 2^64 - 1, the lowest first."""
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _entry(key, kind, parts):
    name = key.encode()
    inner = sum(map(len, parts))
    head = [b"\x0a", varint(len(name)), name]
    feature = [bytes((kind << 3 | _LENGTH,)), varint(inner)]
    size = inner + sum(map(len, feature))
    value = [b"\x12", varint(size)]
    total = size + sum(map(len, head)) + sum(map(len, value))
    return [b"\x0a", varint(total), *head, *value, *feature, *parts]


def parse(data):
    """{key: list of bytes, floats or ints} of an Example; ValueError where the bytes are none."""
    features = {}
    view = memoryview(data)
    for field, body in _fields(view):
        if field != 1:
            continue
        for number, entry in _fields(body):
            if number == 1:
                key, value = _map_entry(entry)
                features[key] = value
    return features


def replaced(data, key, value):
    """An Example's bytes with the feature `key` set to one text or picture; the other features stay as they are.

    Args:
      data: bytes of an Example.
      key: the feature's name, whether the Example has it or not.
      value: bytes.

    Returns:
      bytes; ValueError where `data` is no Example.
    """
    kept = []
    for field, body in _fields(memoryview(data)):
        for number, entry in _fields(body) if field == 1 else ():
            if number == 1 and _map_entry(entry)[0] != key:
                kept += (b"\x0a", varint(len(entry)), bytes(entry))
    return message([*kept, *bytes_feature(key, [value])])


def _map_entry(entry):
    key, value = "", []
    for field, body in _fields(entry):
        if field == 1:
            key = _decode(body)
        elif field == 2:
            for kind, items in _fields(body):
                value = _values(kind, items)
    return key, value


def _values(kind, items):
    values = []
    for field, body in _fields(items, scalars=True):
        if field != 1:
            continue
        if kind == _BYTES:
            values.append(bytes(_sized(body)))
        elif kind == _FLOATS:
            values += _floats(body)
        elif kind == _INTS:
            values += [body] if isinstance(body, int) else _varints(body)
    return [value - (1 << 64) if value >= 1 << 63 else value for value in values] if kind == _INTS else values


def _fields(view, scalars=False):
    """Yields (field number, content): a memoryview, or for `scalars` also an int of a varint field."""
    at, end = 0, len(view)
    while at < end:
        tag, at = _read_varint(view, at)
        kind = tag & 7
        if kind == _LENGTH:
            size, at = _read_varint(view, at)
            if size > end - at:
                raise ValueError("cut off inside a field")
            yield tag >> 3, view[at:at + size]
            at += size
        elif kind == _VARINT:
            value, at = _read_varint(view, at)
            if scalars:
                yield tag >> 3, value
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
            if size > end - at:
                raise ValueError("cut off inside a field")
            if scalars:
                yield tag >> 3, view[at:at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind}, which no field of an Example has")


def _read_varint(view, at):
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("cut off or overlong number")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _varints(view):
    values, at = [], 0
    while at < len(view):
        value, at = _read_varint(view, at)
        values.append(value)
    return values


def _floats(body):
    body = _sized(body)
    if len(body) % 4:
        raise ValueError("floats that are not whole")
    return list(struct.unpack(f"<{len(body) // 4}f", body))


def _sized(body):
    if isinstance(body, int):
        raise ValueError("a number where bytes should be")
    return body


def _decode(body):
    try:
        return bytes(body).decode()
    except UnicodeDecodeError as error:
        raise ValueError("a key that is not text") from error
