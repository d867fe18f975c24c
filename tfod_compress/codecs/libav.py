"""What the codecs of FFmpeg's libraries share: pictures in and out of libav, and the shape of their byte streams."""

import fractions
import re

import av
import numpy as np

from tfod_compress.support.errors import InputError

RATE = fractions.Fraction(25, 1)  # frames a second: x264's rate control asks for one
FULL_RANGE, BT601 = 2, 6  # as ITU-T H.273 and libav number them


def require(name):
    """Raises InputError where this PyAV was built without the encoder `name`."""
    try:
        av.Codec(name, "w")
    except ValueError as error:
        raise InputError(f"PyAV {av.__version__} is without the encoder {name}; the package from PyPI has it: pip "
                         "install --force-reinstall --only-binary :all: av") from error


def encoder(name, width, height, layout, options):
    """An opened encoder on one thread; more would let the number of cores decide the bytes.

    Args:
      name: libav's name.
      width: pixels.
      height: pixels.
      layout: libav's pixel format, such as "yuv420p".
      options: {name: text}.

    Raises:
      InputError: the encoder takes no such picture.
    """
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, layout
    context.time_base, context.framerate, context.thread_count = 1 / RATE, RATE, 1
    # Stated in the stream, so that any player shows the right colours.
    context.color_range, context.colorspace = FULL_RANGE, BT601
    context.options = options
    try:
        context.open()
    except av.FFmpegError as error:
        raise InputError(f"{name}: a frame of {width}x{height} cannot be coded: {error.strerror}") from error
    return context


def picture(planes, layout, place):
    """av.VideoFrame of uint8 sample planes; `place` is its number in the sequence."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, layout)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[:samples.shape[0], :samples.shape[1]] = samples
    frame.pts, frame.color_range, frame.colorspace = place, FULL_RANGE, BT601
    return frame


def decoder(name, max_pixels):
    """A decoder on one thread that stops at errors and refuses larger pictures before it allocates them."""
    context = av.CodecContext.create(name, "r")
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels), "err_detect": "crccheck+bitstream+buffer+explode"}
    return context


def pictures(context, units, layout, what):
    """Yields the sample planes of each picture, in the order of display.

    Args:
      context: `decoder`.
      units: iterable of bytes.
      layout: the pixel format that the pictures must have.
      what: name for messages.

    Raises:
      InputError: damaged, or pictures of another format.
    """
    try:
        for unit in _then_none(units):
            for frame in context.decode(None if unit is None else av.Packet(unit)):
                if frame.format.name.replace("yuvj", "yuv") != layout or frame.is_corrupt:
                    raise InputError(f"{what}: damaged, or not {layout}")
                yield [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:plane.height, :plane.width]
                       for plane in frame.planes]
    except av.FFmpegError as error:
        raise InputError(f"{what}: cannot be decoded: {error.strerror}") from error


def _then_none(units):
    yield from units
    yield None


def named_version(data, pattern):
    """The version that an encoder wrote into its stream; "unknown" where there is none."""
    found = re.search(pattern, data)
    return found.group(1).decode() if found else "unknown"
