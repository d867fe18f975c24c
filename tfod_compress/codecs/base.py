"""What a codec is: bytes out of pixels, pixels out of bytes, and a true name for its settings."""

import abc

from tfod_compress.errors import InputError


class Codec(abc.ABC):
    """One way to compress a frame.

    A codec is `encode(rgb, quality) -> bytes` and `decode(bytes) -> rgb`; decode never sees the source.
    Subclasses set the attributes below and write `encode`, `decode` and `version`.

    Attributes:
      name: as given to --codec; also the start of a record set's name.
      lowest, highest: range of quality, both allowed; None for a codec without a quality (lossless).
      default_quality: what is used when none is asked for.
      whole_numbers: whether a quality must be a whole number.
      parameter: what stands between name and number in a record set's name: q, crf, bpp.
      stored_as: "jpeg" or "png" where TensorFlow reads the coded bytes as they are; None where a lossless
        PNG of the decoded pixels is stored in their place, with the true size beside it.
    """

    name = ""
    lowest, highest = 1, 100
    default_quality = 100
    whole_numbers = True
    parameter = "q"
    stored_as = None

    @abc.abstractmethod
    def encode(self, rgb, quality):
        """Compresses one frame.

        Args:
          rgb: uint8 [H, W, 3]; any strides.
          quality: a number that `check_quality` returned.

        Returns:
          bytes; the same ones for the same pixels, on any number of cores.
        """

    @abc.abstractmethod
    def decode(self, data):
        """uint8 RGB [H, W, 3] from what `encode` returned; ValueError where the bytes are damaged."""

    @abc.abstractmethod
    def version(self):
        """The encoder and its version, e.g. "libjpeg-turbo 3.0.3 (opencv 4.11.0)"."""

    def settings(self):
        """The settings besides quality that decide the bytes: {name: value}, for the manifest."""
        return {}

    def encode_many(self, rgb, qualities):
        """[bytes], one for each quality; override where work can be shared between them."""
        return [self.encode(rgb, quality) for quality in qualities]

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
        """Folder name of a record set of this codec: jpeg-q20, png."""
        return self.name if quality is None else f"{self.name}-{self.parameter}{quality:g}"
