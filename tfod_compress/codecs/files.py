"""One picture through one codec, from file to file; and what codecs there are."""

import dataclasses
import importlib.util
import pathlib

from tfod_compress import codecs
from tfod_compress.frames import BrokenFrame, contiguous, read_frame
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What `encode_file` wrote: bytes, and the size of the picture in pixels."""

    size: int
    width: int
    height: int

    @property
    def bpp(self):
        """Bits per pixel."""
        return 8 * self.size / (self.width * self.height)


def encode_file(codec, source, target, quality=None, **options):
    """Compresses the picture `source` (BMP, PNG or JPEG) into the file `target`, the codec's bytes and nothing else.

    Args:
      codec: its name.
      source: path.
      target: path; appears whole or not at all.
      quality: a number, or None for the codec's default.
      **options: see `codecs.get`.

    Returns:
      `Encoded`.

    Raises:
      InputError: unknown codec, bad quality, or a picture that cannot be read or coded.
    """
    coder = codecs.get(codec, **options)
    quality = coder.check_quality(quality)
    try:
        rgb = contiguous(read_frame(source))
    except BrokenFrame as error:
        raise InputError(f"{source}: {error}") from error
    try:
        data = coder.encode(rgb, quality)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{source}: {codec} cannot encode it: {error}") from error
    with atomic_file(target) as file:
        file.write(data)
    return Encoded(len(data), rgb.shape[1], rgb.shape[0])


def decode_file(codec, source, target, **options):
    """Decodes the file `source` into the PNG picture `target`.

    Args:
      codec: the name of the codec that made `source`.
      source: path.
      target: path; appears whole or not at all.
      **options: see `codecs.get`.

    Returns:
      The picture's shape, (H, W, 3).

    Raises:
      InputError: unknown codec, or bytes that it cannot decode.
    """
    coder = codecs.get(codec, **options)
    try:
        data = pathlib.Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}") from error
    try:
        rgb = coder.decode(data)
    except ValueError as error:
        raise InputError(f"{source}: not {codec}, or damaged ({error})") from error
    png = codecs.get("png").encode(rgb, None)
    with atomic_file(target) as file:
        file.write(png)
    return rgb.shape


def catalogue():
    """[(name, range of qualities, which end is best, about, "yes" or what to install)] of every codec, as texts."""
    rows = []
    for name in codecs.names():
        entry = codecs.about(name)
        try:
            codec = codecs.get(name)
        except InputError as error:
            missing = isinstance(error.__cause__, ImportError)
            rows.append((name, "", "", entry.about, f"needs {entry.package}" if missing else str(error)))
            continue
        if codec.lossless:
            rows.append((name, "", "lossless", entry.about, "yes"))
            continue
        best = codec.highest if codec.higher_is_better else codec.lowest
        rows.append((name, f"{codec.lowest:g} to {codec.highest:g}", f"{best:g}", entry.about, "yes"))
    for name in codecs.learned_names():
        entry = codecs.about(name)
        here = importlib.util.find_spec("tensorflow_compression") is not None
        rows.append((name, "its models", "", entry.about, "--codec_model" if here else f"needs {entry.package}"))
    return rows
