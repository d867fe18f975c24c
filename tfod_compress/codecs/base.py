"""What a codec is: bytes out of pixels, pixels out of bytes, and a true name for its settings."""

import abc
import typing

import numpy as np

from tfod_compress.frames import MAX_PIXELS
from tfod_compress.support.errors import InputError


class Codec(abc.ABC):
    """One way to compress a frame.

    A codec is `encode(rgb, quality) -> bytes` and `decode(bytes) -> rgb`; decode never sees the source. The bytes
    hold everything that decoding needs, the picture's size included, and nothing that it does not need.
    Subclasses set the attributes below and write `encode`, `decode` and `version`.

    Attributes:
      name: as given to --codec; also the start of a record set's name.
      extension: of a file of the coded bytes, with its dot.
      lowest, highest: range of quality, both allowed; None for a codec without a quality (lossless).
      higher_is_better: whether a higher quality means a better picture and more bytes.
      scale: what the quality is, in a few words.
      default_quality: what is used when none is asked for.
      whole_numbers: whether a quality must be a whole number.
      qualities: the only ones there are, sorted, of a codec without a scale between them; else None.
      rate_falls: (share, bytes) by which a frame's coded size falls at most as the quality gets better, so that rates
        can be matched without coding every quality; None where nothing is known of it. See `rate_search`.
      rate_steps: the qualities from which on another way of coding is used: there the size may fall by half.
      parameter: what stands between name and number in a record set's name: q, qp, crf.
      stored_as: "jpeg" or "png" where TensorFlow reads the coded bytes as they are; None where a lossless
        PNG of the decoded pixels is stored in their place, with the true size beside it.
      max_pixels: larger pictures are refused by `decode`, before anything is allocated for them.
    """

    name = ""
    extension = ""
    lowest, highest = 1, 100
    higher_is_better = True
    scale = ""
    default_quality = 100
    whole_numbers = True
    qualities = None
    rate_falls = None
    rate_steps = ()
    parameter = "q"
    stored_as = None
    max_pixels = MAX_PIXELS

    @abc.abstractmethod
    def encode(self, rgb, quality):
        """Compresses one frame.

        Args:
          rgb: uint8 [H, W, 3]; any strides.
          quality: a number that `check_quality` returned.

        Returns:
          bytes; the same ones for the same pixels, on any number of cores.

        Raises:
          InputError: the format has no pictures of this size.
        """

    @abc.abstractmethod
    def decode(self, data):
        """uint8 RGB [H, W, 3] from what `encode` returned.

        Raises:
          InputError: the bytes are cut off, visibly damaged, of another codec, or of more than `max_pixels`.
        """

    @abc.abstractmethod
    def version(self):
        """The encoder and its version, e.g. "libjpeg-turbo 3.0.3 (opencv 4.11.0)"."""

    def settings(self):
        """The settings besides quality that decide the bytes: {name: value}, for the manifest."""
        return {}

    def encode_many(self, rgb, qualities):
        """[bytes], one for each quality; override where work can be shared between them."""
        return [self.encode(rgb, quality) for quality in qualities]

    def prepare(self, quality):
        """Does ahead what the first picture at a quality would wait for; override where that is long."""
        del quality

    @property
    def lossless(self):
        """Whether decoding returns the pixels that went in."""
        return self.lowest is None

    def check_quality(self, quality):
        """The quality as it is used: an int where it is whole; None for a lossless codec.

        Raises:
          InputError: out of range, or given to a codec that has none.
        """
        if self.lossless:
            if quality is not None:
                raise InputError(f"codec {self.name} is lossless and takes no --quality; leave it out")
            return None
        if quality is None:
            quality = self.default_quality
        if self.whole_numbers and quality != int(quality):
            raise InputError(f"quality {quality:g}: {self.name} takes whole numbers from {self.lowest} to "
                             f"{self.highest} (--quality)")
        if not self.lowest <= quality <= self.highest:
            raise InputError(f"quality {quality:g} is out of range: {self.name} takes {self.lowest} to "
                             f"{self.highest} (--quality)")
        return int(quality) if quality == int(quality) else float(quality)

    def record_set_name(self, quality):
        """Folder name of a record set of this codec: jpeg-q20, hevc-qp30, png."""
        return self.name if quality is None else f"{self.name}-{self.parameter}{quality:g}"


class Unit(typing.NamedTuple):
    """The coded bytes of one frame of a sequence, and the frame's place in it (0 for the first)."""

    place: int
    data: bytes


class VideoCodec(Codec):
    """One way to compress the frames of a sequence, each predicted from others; a single frame is a sequence of one."""

    @abc.abstractmethod
    def encode_sequence(self, frames, qualities):
        """Compresses a sequence at several qualities, reading each frame once.

        Args:
          frames: iterable of uint8 RGB [H, W, 3], all of one size; a few dozen are held at a time.
          qualities: numbers that `check_quality` returned.

        Returns:
          [[Unit]], one list for each quality, in coding order. A frame's bytes are those of its unit; what belongs to
          the whole sequence is part of the first unit.

        Raises:
          InputError: frames of different sizes.
        """

    @abc.abstractmethod
    def decode_sequence(self, units):
        """Yields uint8 RGB [H, W, 3] for each frame, in the order of the sequence.

        Args:
          units: iterable of bytes, in coding order.

        Raises:
          InputError: as `decode`.
        """

    def encode(self, rgb, quality):
        return self.encode_many(rgb, [quality])[0]

    def encode_many(self, rgb, qualities):
        return [units[0].data for units in self.encode_sequence([rgb], qualities)]

    def decode(self, data):
        frames = self.decode_sequence([data])
        rgb = next(frames, None)
        if rgb is None or next(frames, None) is not None:
            raise InputError(f"{self.name}: not the coded bytes of one frame")
        return rgb


def check_sides(rgb, most, what):
    """InputError where a picture has a side of more than `most` pixels, which could be coded but not read again."""
    height, width, _ = rgb.shape
    if max(height, width) > most:
        raise InputError(f"{what}: a frame of {width}x{height} cannot be coded: a side has at most {most} pixels")


def padded(rgb, step, least):
    """A picture with sides that are a multiple of `step` and not below `least`, its last column and row repeated.

    Args:
      rgb: uint8 [H, W, 3].
      step: 1 or 2.
      least: pixels.

    Returns:
      (rgb, header): the header is empty where nothing was added; else two bytes with the columns and rows that were
      added. Its first bit is set, which no byte stream of NAL units starts with (those start with a zero byte).
    """
    height, width, _ = rgb.shape
    right, bottom = (max(-(-side // step) * step, least) - side for side in (width, height))
    if not right and not bottom:
        return rgb, b""
    return np.pad(rgb, ((0, bottom), (0, right), (0, 0)), "edge"), bytes((0x80 | right, 0x80 | bottom))


def split_header(data):
    """(columns, rows, rest) of bytes that start with what `padded` gave as header."""
    if len(data) > 2 and data[0] & 0x80:
        return data[0] & 0x7F, data[1] & 0x7F, data[2:]
    return 0, 0, data


def cropped(rgb, right, bottom, what):
    """`rgb` without the columns and rows that were added; InputError where nothing would be left."""
    height, width, _ = rgb.shape
    if right >= width or bottom >= height:
        raise InputError(f"{what}: damaged: more padding than picture")
    return np.ascontiguousarray(rgb[:height - bottom, :width - right])
