"""What a record holds: one frame, its picture and its boxes, under the TF OD API's feature keys.

The keys are those of the API's dataset_tools/create_pascal_tf_record.py.
"""

import dataclasses

import numpy as np

from tfod_compress import codecs
from tfod_compress.records import wire


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
      areas: float32 [N], square pixels: of the objects' outlines where the labels had them, else of the boxes.
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
    areas: np.ndarray
    compressed_bytes: int
    filename: str
    sha256: str

    def pixels(self):
        """uint8 RGB [H, W, 3]; ValueError where the stored picture is damaged."""
        return codecs.get(self.format).decode(self.encoded)


def build(frame_part, encoded, stored_as, compressed_bytes):
    """Bytes of a tf.train.Example.

    Args:
      frame_part: what `features_of_frame` gave.
      encoded: the stored picture's bytes.
      stored_as: "jpeg" or "png".
      compressed_bytes: size of what the codec wrote.

    Returns:
      bytes, the same for the same arguments.
    """
    return wire.message([frame_part, *wire.bytes_feature("image/encoded", [encoded]),
                         *wire.bytes_feature("image/format", [stored_as.encode()]),
                         *wire.int_feature("image/compressed_bytes", [compressed_bytes])])


def features_of_frame(source_id, filename, width, height, boxes, label_map):
    """The part of a record that does not depend on the codec, to be built once for all qualities.

    Args:
      source_id: the frame's path below the frames folder, without extension.
      filename: the frame's file name.
      width: pixels.
      height: pixels.
      boxes: `labels.boxes.Boxes`.
      label_map: {class id: name}.

    Returns:
      bytes.
    """
    edges = boxes.edges
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]) * (width * height)
    if boxes.areas is not None:
        areas = np.where(np.isnan(boxes.areas), areas, boxes.areas).astype(np.float32)
    parts = [
        *wire.bytes_feature("image/filename", [filename.encode("utf-8", "backslashreplace")]),
        *wire.bytes_feature("image/source_id", [source_id.encode()]),
        *wire.int_feature("image/height", [height]),
        *wire.int_feature("image/width", [width]),
        *wire.bytes_feature("image/object/class/text",
                            [label_map[number].encode() for number in boxes.class_ids.tolist()]),
        *wire.int_feature("image/object/class/label", boxes.class_ids.tolist()),
        *wire.int_feature("image/object/difficult", boxes.difficult.tolist()),
        *wire.int_feature("image/object/is_crowd", boxes.is_crowd.tolist()),
        *wire.float_feature("image/object/area", areas)]
    for column, key in enumerate(("ymin", "xmin", "ymax", "xmax")):
        parts += wire.float_feature(f"image/object/bbox/{key}", edges[:, column])
    for key in ("truncated", "occluded"):
        if getattr(boxes, key) is not None:
            parts += wire.int_feature(f"image/object/{key}", getattr(boxes, key).tolist())
    return b"".join(parts)


def parse(data):
    """`Example` from the bytes of a record; ValueError where they are none of ours."""
    features = wire.parse(data)
    try:
        edges = [np.array(features.get(f"image/object/bbox/{key}", ()), np.float32)
                 for key in ("ymin", "xmin", "ymax", "xmax")]
        count = len(edges[0])

        def flags(key):
            return np.array(features.get(key) or [0] * count, bool)

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
            areas=np.array(features.get("image/object/area", ()), np.float32),
            compressed_bytes=int(features.get("image/compressed_bytes", [len(encoded)])[0]),
            filename=features.get("image/filename", [b""])[0].decode(),
            sha256=features.get("image/key/sha256", [b""])[0].decode())
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no record of a labelled frame: {error!r}") from error
