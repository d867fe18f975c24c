"""One picture, one codec: bytes, quality and time at each setting, kept in a file of its own.

The file is what makes a run resumable: it appears whole when all its qualities are measured, and is taken as it is
when the same pixels are asked for again with the same codec, settings and metrics.
"""

import dataclasses
import json
import pathlib
import time

import google_crc32c
import numpy as np

from tfod_compress.frames import BrokenFrame, FramePath, contiguous, read_frame
from tfod_compress.rate_distortion import quality, variants
from tfod_compress.rate_distortion.quality import libvmaf
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, write_json

COLUMNS = ("image", "codec", "quality", "bytes", "bpp", "psnr_rgb", "ms_ssim", "psnr_hvs", "vmaf", "encode_ms",
           "decode_ms", "settings")
_BATCH_BYTES = 150_000_000  # decoded pixels that wait for libvmaf together


@dataclasses.dataclass(frozen=True)
class Task:
    """A picture to measure with a codec.

    Attributes:
      frame: `FramePath`.
      codec: its name, with options perhaps (see `variants`).
      qualities: checked ones.
      path: the file of the results.
      hvs_and_vmaf: whether these two are measured as well; they cost the most time.
      model: folder of a trained model, for learned codecs.
    """

    frame: FramePath
    codec: str
    qualities: tuple
    path: pathlib.Path
    hvs_and_vmaf: bool
    model: str | None = None


def measure(task):
    """Measures what is missing in the task's file.

    Returns:
      None, or the reason why the picture cannot be read.

    Raises:
      InputError: the codec or ffmpeg failed; the message names the picture.
    """
    try:
        rgb = contiguous(read_frame(task.frame.path))
    except BrokenFrame as error:
        return str(error)
    codec = variants.get(task.codec, task.model)
    identity = {"pixels": f"{rgb.shape[1]}x{rgb.shape[0]} {google_crc32c.value(np.ascontiguousarray(rgb).tobytes())}",
                "version": codec.version(), "settings": codec.settings(),
                "metrics": libvmaf.version() if task.hvs_and_vmaf else "psnr_rgb and ms_ssim"}
    rows = _kept(task.path, json.loads(json.dumps(identity)))
    missing = [quality for quality in task.qualities if key(quality) not in rows]
    if missing:
        settings = json.dumps({"version": codec.version(), **codec.settings()}, sort_keys=True)
        try:
            for row in _measured(rgb, codec, missing, task.hvs_and_vmaf):
                rows[row["quality"]] = {"image": task.frame.source_id, "codec": task.codec, **row,
                                        "settings": settings}
        except InputError:
            raise
        except (ValueError, RuntimeError, OSError) as error:
            raise InputError(f"{task.frame.path}: {task.codec} failed: {error}") from error
        write_json(task.path, {"identity": identity, "rows": rows})
    return None


def key(quality):
    """A quality as text: "20", "1.5"; "" for a lossless codec."""
    return "" if quality is None else f"{quality:g}"


def _kept(path, identity):
    try:
        found = read_json(path)
        return found["rows"] if found["identity"] == identity else {}
    except (KeyError, TypeError):
        return {}


def _measured(rgb, codec, qualities, hvs_and_vmaf):
    """Yields a row, all values texts, for each quality."""
    batch = max(1, _BATCH_BYTES // rgb.size)
    for start in range(0, len(qualities), batch):
        rows, decoded = [], []
        for wanted in qualities[start:start + batch]:
            codec.prepare(wanted)
            began = time.perf_counter()
            data = codec.encode(rgb, wanted)
            encoded = time.perf_counter()
            pixels = codec.decode(data)
            done = time.perf_counter()
            decoded.append(pixels)
            ms_ssim = quality.ms_ssim(rgb, pixels)
            rows.append({
                "quality": key(wanted), "bytes": str(len(data)),
                "bpp": f"{8 * len(data) / (rgb.shape[0] * rgb.shape[1]):.6f}",
                "psnr_rgb": f"{quality.psnr_db(rgb, pixels):.4f}",
                "ms_ssim": "" if ms_ssim is None else f"{ms_ssim:.6f}", "psnr_hvs": "", "vmaf": "",
                "encode_ms": f"{1000 * (encoded - began):.2f}",
                "decode_ms": f"{1000 * (done - encoded):.2f}"})
        if hvs_and_vmaf:
            for row, (hvs, vmaf) in zip(rows, quality.hvs_and_vmaf(rgb, decoded), strict=True):
                row["psnr_hvs"] = "" if hvs is None else f"{hvs:.4f}"
                row["vmaf"] = "" if vmaf is None else f"{vmaf:.4f}"
        yield from rows
