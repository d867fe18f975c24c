"""What a record holds: one frame, its picture and what its task keeps of its labels, by the OD API's feature keys.

The keys are those of the API's dataset_tools/create_pascal_tf_record.py. What stands under image/object/ or
image/class/ is the task's own: it writes and reads those features (`tasks.base.Task`).
"""

import dataclasses

from tfod_compress import codecs
from tfod_compress.records import wire


@dataclasses.dataclass(frozen=True)
class Example:
    """One frame of a record set, as read; a task's examples have its labels too.

    Attributes:
      source_id: the frame's path below the frames folder, without extension.
      encoded: bytes of the stored picture; format: "jpeg" or "png".
      height, width: pixels.
      compressed_bytes: what the codec wrote; more or less than len(encoded) where a PNG stands in.
      filename: the frame's file, below the frames folder.
      sha256: of `encoded`, as written.
    """

    source_id: str
    encoded: bytes
    format: str
    height: int
    width: int
    compressed_bytes: int
    filename: str
    sha256: str

    def pixels(self):
        """uint8 RGB [H, W, 3]; ValueError where the stored picture is damaged."""
        return codecs.get(self.format).decode(self.encoded)


@dataclasses.dataclass(frozen=True)
class Features:
    """What a task makes of one frame's labels for its record.

    Attributes:
      data: its features, joined parts of `wire`.
      class_ids: [class id], one for each object that is kept.
      dropped: [(class name, (xmin, ymin, xmax, ymax) in pixels, reason)] of the objects that are not.
      clipped: how many were cut at the frame's edge.
      ignored: how many were passed over because of their class.
    """

    data: bytes
    class_ids: list[int]
    dropped: list = dataclasses.field(default_factory=list)
    clipped: int = 0
    ignored: int = 0


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


def features_of_frame(source_id, filename, width, height, labels):
    """The part of a record that does not depend on the codec, to be built once for all qualities.

    Args:
      source_id: the frame's path below the frames folder, without extension.
      filename: the frame's file name.
      width: pixels.
      height: pixels.
      labels: `Features.data`.

    Returns:
      bytes.
    """
    return b"".join([
        *wire.bytes_feature("image/filename", [filename.encode("utf-8", "backslashreplace")]),
        *wire.bytes_feature("image/source_id", [source_id.encode()]),
        *wire.int_feature("image/height", [height]),
        *wire.int_feature("image/width", [width]),
        labels])


def parse(data, task):
    """A task's example from the bytes of a record; ValueError where they are none of ours.

    Args:
      data: bytes.
      task: the `Task` whose labels the record holds.
    """
    features = wire.parse(data)
    try:
        encoded = features["image/encoded"][0]
        stored = Example(
            source_id=features["image/source_id"][0].decode(),
            encoded=encoded,
            format=features["image/format"][0].decode(),
            height=int(features["image/height"][0]),
            width=int(features["image/width"][0]),
            compressed_bytes=int(features.get("image/compressed_bytes", [len(encoded)])[0]),
            filename=features.get("image/filename", [b""])[0].decode(),
            sha256=features.get("image/key/sha256", [b""])[0].decode())
        return task.from_features(stored, features)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no record of a labelled frame: {error!r}") from error
