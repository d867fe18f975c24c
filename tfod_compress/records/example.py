"""tf.train.Example without TensorFlow: its messages, described here, in a descriptor pool of their own.

The wire format is that of tensorflow/core/example/feature.proto; the feature keys are the TF OD API's
(dataset_tools/create_pascal_tf_record.py).
"""

import dataclasses
import functools
import hashlib

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from tfod_compress import codecs
from tfod_compress.labels.classes import LABEL_MAP


@dataclasses.dataclass(frozen=True)
class Example:
    """One frame of a record set, as read.

    Attributes:
      source_id: the frame's path below the frames folder, without extension.
      encoded: bytes of the stored picture; format: "jpeg" or "png".
      height, width: pixels.
      boxes: float32 [N, 4], (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: int64 [N], 1-based.
      class_names: [N] texts.
      difficult, is_crowd: bool [N].
      compressed_bytes: what the codec wrote; more or less than len(encoded) where a PNG stands in.
      filename: the frame's file, below the frames folder.
      sha256: of `encoded`, as written.
    """

    source_id: str
    encoded: bytes
    format: str
    height: int
    width: int
    boxes: np.ndarray
    class_ids: np.ndarray
    class_names: list
    difficult: np.ndarray
    is_crowd: np.ndarray
    compressed_bytes: int
    filename: str
    sha256: str

    def pixels(self):
        """uint8 RGB [H, W, 3]; ValueError where the stored picture is damaged."""
        return codecs.get(self.format).decode(self.encoded)


def build(source_id, filename, encoded, stored_as, width, height, boxes, compressed_bytes):
    """Bytes of a tf.train.Example.

    Args:
      source_id: the frame's path below the frames folder, without extension.
      filename: the frame's file name.
      encoded: the stored picture's bytes.
      stored_as: "jpeg" or "png".
      width: pixels.
      height: pixels.
      boxes: `labels.boxes.Boxes`.
      compressed_bytes: size of what the codec wrote.

    Returns:
      bytes, the same for the same arguments.
    """
    example = _message_class()()
    features = example.features.feature

    def put_bytes(key, *values):
        features[key].bytes_list.value.extend(values)

    def put_ints(key, values):
        features[key].int64_list.value.extend(int(value) for value in values)

    def put_floats(key, values):
        features[key].float_list.value.extend(float(value) for value in values)

    put_bytes("image/encoded", encoded)
    put_bytes("image/format", stored_as.encode())
    put_bytes("image/filename", filename.encode("utf-8", "backslashreplace"))
    put_bytes("image/source_id", source_id.encode())
    put_bytes("image/key/sha256", hashlib.sha256(encoded).hexdigest().encode())
    put_ints("image/height", [height])
    put_ints("image/width", [width])
    put_ints("image/compressed_bytes", [compressed_bytes])
    for column, key in enumerate(("ymin", "xmin", "ymax", "xmax")):
        put_floats(f"image/object/bbox/{key}", boxes.edges[:, column])
    put_bytes("image/object/class/text", *(LABEL_MAP[int(number)].encode() for number in boxes.class_ids))
    put_ints("image/object/class/label", boxes.class_ids)
    put_ints("image/object/difficult", boxes.difficult)
    put_ints("image/object/is_crowd", boxes.is_crowd)
    areas = (boxes.edges[:, 2] - boxes.edges[:, 0]) * (boxes.edges[:, 3] - boxes.edges[:, 1])
    put_floats("image/object/area", areas * (width * height))
    for key in ("truncated", "occluded"):
        if getattr(boxes, key) is not None:
            put_ints(f"image/object/{key}", getattr(boxes, key))
    return example.SerializeToString(deterministic=True)


def parse(data):
    """`Example` from the bytes of a record; ValueError where they are none of ours."""
    found = _message_class()()
    try:
        found.ParseFromString(data)
    except message.DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from error
    features = {key: getattr(value, value.WhichOneof("kind") or "bytes_list").value
                for key, value in found.features.feature.items()}
    try:
        edges = [np.array(features.get(f"image/object/bbox/{key}", ()), np.float32)
                 for key in ("ymin", "xmin", "ymax", "xmax")]
        count = len(edges[0])

        def flags(key):
            return np.array(features.get(key, [0] * count), bool)

        encoded = features["image/encoded"][0]
        return Example(
            source_id=features["image/source_id"][0].decode(),
            encoded=encoded,
            format=features["image/format"][0].decode(),
            height=int(features["image/height"][0]),
            width=int(features["image/width"][0]),
            boxes=np.stack(edges, axis=-1),
            class_ids=np.array(features.get("image/object/class/label", ()), np.int64),
            class_names=[text.decode() for text in features.get("image/object/class/text", ())],
            difficult=flags("image/object/difficult"),
            is_crowd=flags("image/object/is_crowd"),
            compressed_bytes=int(features.get("image/compressed_bytes", [len(encoded)])[0]),
            filename=features.get("image/filename", [b""])[0].decode(),
            sha256=features.get("image/key/sha256", [b""])[0].decode())
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"no record of a labelled frame: {error!r}") from error


@functools.cache
def _message_class():
    """The Example message; a pool of its own, so that TensorFlow may describe it too in the same process."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tfod_compress/example.proto", package="tfod_compress",
                                              syntax="proto3")

    def describe(parent, name, *fields):
        described = parent.add(name=name)
        for number, (field, kind, repeated, type_name, oneof) in enumerate(fields, 1):
            described.field.add(
                name=field, number=number, type=kind,
                label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL, type_name=type_name or None,
                **({"oneof_index": 0} if oneof else {}))
        return described

    for name, kind in (("BytesList", kinds.TYPE_BYTES), ("FloatList", kinds.TYPE_FLOAT),
                       ("Int64List", kinds.TYPE_INT64)):
        described = describe(file.message_type, name, ("value", kind, True, None, False))
        if kind != kinds.TYPE_BYTES:
            described.field[0].options.packed = True
    feature = describe(file.message_type, "Feature", *(
        (f"{name}_list", kinds.TYPE_MESSAGE, False, f".tfod_compress.{name.title()}List", True)
        for name in ("bytes", "float", "int64")))
    feature.oneof_decl.add(name="kind")
    features = describe(file.message_type, "Features", (
        "feature", kinds.TYPE_MESSAGE, True, ".tfod_compress.Features.FeatureEntry", False))
    entry = describe(features.nested_type, "FeatureEntry", ("key", kinds.TYPE_STRING, False, None, False), (
        "value", kinds.TYPE_MESSAGE, False, ".tfod_compress.Feature", False))
    entry.options.map_entry = True
    describe(file.message_type, "Example", (
        "features", kinds.TYPE_MESSAGE, False, ".tfod_compress.Features", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("tfod_compress.Example"))
