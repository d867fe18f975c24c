"""Frames as they are coded and stored: one by one, or by the sequence where the codec is for video."""

import typing

from tfod_compress.codecs import get as get_codec
from tfod_compress.codecs.rate_matching import encode_at
from tfod_compress.frames import BrokenFrame, contiguous, read_frame
from tfod_compress.rate_distortion.quality.psnr import psnr_db
from tfod_compress.support.errors import InputError


class Coded(typing.NamedTuple):
    """One frame at one quality.

    Attributes:
      quality: the one used.
      size: bytes that the codec wrote.
      stored: the bytes that a record holds: those, or a lossless PNG of the decoded pixels.
      format: "jpeg" or "png".
      psnr: dB, inf where nothing was lost, None where not measured.
    """

    quality: float | None
    size: int
    stored: bytes
    format: str
    psnr: float | None


def pixels(path, max_pixels):
    """uint8 RGB [H, W, 3] of a `FramePath`; InputError where it is no longer the frame that was looked at."""
    try:
        return read_frame(path.path, max_pixels)
    except BrokenFrame as error:
        raise InputError(f"{path.path}: changed while it was converted ({error}); run again") from error


def frames(shard, codec, read, keep):
    """Yields (FramePath, pixels, labels, [Coded for each of `shard.folders`]) of a shard's frames, coded one by one.

    Args:
      shard: `shards.Shard`.
      codec: the codec.
      read: gives (pixels, labels) of a `FramePath`.
      keep: called with (key of `shard.bitstreams`, source_id, bytes) for each bitstream that is to be kept.
    """
    keys = list(dict.fromkeys((*shard.folders, *shard.bitstreams)))
    for path in shard.frames:
        rgb, labels = read(path)
        measured = path.source_id in shard.measured
        source, made = contiguous(rgb) if measured else rgb, []
        for key, (quality, data) in zip(keys, encode_at(codec, rgb, keys), strict=True):
            if key in shard.bitstreams:
                keep(key, path.source_id, data)
            if key in shard.folders:
                decoded = None if codec.stored_as and (codec.lossless or not measured) else codec.decode(data)
                made.append(_coded(quality, data, len(data), codec, source, decoded, measured))
        yield path, rgb, labels, made


def sequences(shard, codec, read, keep):
    """As `frames`, for a shard of whole sequences and a `VideoCodec`.

    A sequence is read twice: to code it, and beside its decoded frames; no more than a few dozen frames are held.
    Its bitstream is kept under its first frame's source_id.
    """
    keys = list(dict.fromkeys((*shard.folders, *shard.bitstreams)))
    start = 0
    for count in shard.sequences:
        members = shard.frames[start:start + count]
        start += count
        coded = dict(zip(keys, codec.encode_sequence((read(path)[0] for path in members), keys), strict=True))
        for key in shard.bitstreams:
            keep(key, members[0].source_id, b"".join(unit.data for unit in coded[key]))
        sizes = {key: {unit.place: len(unit.data) for unit in units} for key, units in coded.items()}
        decoders = [codec.decode_sequence(unit.data for unit in coded[key]) for key in shard.folders]
        for place, path in enumerate(members):
            rgb, labels = read(path)
            measured = path.source_id in shard.measured
            source = contiguous(rgb) if measured else rgb
            yield path, rgb, labels, [
                _coded(key, None, sizes[key][place], codec, source, next(decoder), measured)
                for key, decoder in zip(shard.folders, decoders, strict=True)]


def _coded(quality, data, size, codec, source, decoded, measured):
    psnr = None
    if measured:
        psnr = float("inf") if codec.lossless else psnr_db(source, decoded)
    if codec.stored_as:
        return Coded(quality, size, data, codec.stored_as, psnr)
    return Coded(quality, size, get_codec("png").encode(decoded), "png", psnr)


def stored_sizes(path, codec, qualities, max_pixels):
    """Bytes of what a record stores of one frame, at each quality: to estimate the space a run needs."""
    coded = [data for _, data in encode_at(codec, pixels(path, max_pixels), qualities)]
    if codec.stored_as is None:
        coded = [get_codec("png").encode(codec.decode(data)) for data in coded]
    return [len(data) for data in coded]


def coded_sizes(paths, codec, qualities, max_pixels):
    """[bytes of all frames together as coded, at each quality]."""
    totals = [0] * len(qualities)
    for path in paths:
        for index, data in enumerate(codec.encode_many(pixels(path, max_pixels), qualities)):
            totals[index] += len(data)
    return totals
