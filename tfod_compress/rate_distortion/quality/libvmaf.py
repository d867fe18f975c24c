"""PSNR-HVS and VMAF by libvmaf, inside the ffmpeg that the package imageio-ffmpeg brings.

PSNR-HVS: Egiazarian et al., VPQM 2006, with the masking of Ponomarenko et al., VPQM 2007 (PSNR-HVS-M), as libvmaf's
`psnr_hvs` computes it: 0.8 luma + 0.1 each chroma plane. VMAF: Li et al., Netflix 2016, model vmaf_v0.6.1, on luma.
Pictures are turned into Y'CbCr 4:4:4, 8 bits, BT.709, limited range, which is what libvmaf reads; both sides go the
same way. No other build of either metric is mixed in: their values differ.
"""

import functools
import json
import pathlib
import re
import subprocess
import tempfile

import numpy as np

from tfod_compress.support.errors import InputError

SMALLEST_SIDE = 32  # VMAF's coarsest scale needs some pixels
TIMEOUT_SECONDS = 600
_FILTER = (
    # Source above decoded picture, in one stream: pictures cannot get out of step.
    "[0:v]split[upper][lower];"
    "[upper]crop={width}:{height}:0:0,{yuv}[source];[lower]crop={width}:{height}:0:{height},{yuv}[decoded];"
    "[decoded][source]libvmaf=model=version=vmaf_v0.6.1:feature=name=psnr_hvs:n_threads=1:log_fmt=json:log_path=log")
_YUV = ("scale=out_color_matrix=bt709:out_range=limited:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
        "format=yuv444p")


def hvs_and_vmaf(source, decoded):
    """PSNR-HVS and VMAF of decoded pictures against one source, in one process.

    Args:
      source: uint8 RGB [H, W, 3].
      decoded: [uint8 RGB [H, W, 3]].

    Returns:
      [(PSNR-HVS in dB, VMAF 0 to 100)], one for each; (None, None) where a side is shorter than SMALLEST_SIDE.

    Raises:
      InputError: imageio-ffmpeg is missing, or its ffmpeg cannot do this.
    """
    height, width, _ = source.shape
    if not decoded:
        return []
    if min(height, width) < SMALLEST_SIDE:
        return [(None, None)] * len(decoded)
    frames = b"".join(np.concatenate((source, picture)).tobytes() for picture in decoded)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            executable(), "-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1", "-filter_threads", "1",
            "-filter_complex_threads", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{2 * height}",
            "-i", "pipe:0", "-filter_complex", _FILTER.format(width=width, height=height, yuv=_YUV), "-f", "null", "-"]
        process = subprocess.run(command, input=frames, cwd=folder, capture_output=True, timeout=TIMEOUT_SECONDS)
        if process.returncode:
            told = " ".join(process.stderr.decode(errors="replace").split())[-300:]
            raise InputError(f"{command[0]}: no VMAF from this ffmpeg: {told}; pip install imageio-ffmpeg brings one")
        found = json.loads((pathlib.Path(folder) / "log").read_text())["frames"]
    if len(found) != len(decoded):
        raise InputError(f"{command[0]}: {len(found)} results for {len(decoded)} pictures")
    # JSON has no infinity: equal pictures have no PSNR-HVS there.
    return [(float("inf") if metrics["psnr_hvs"] is None else metrics["psnr_hvs"], metrics["vmaf"])
            for metrics in (frame["metrics"] for frame in found)]


@functools.cache
def executable():
    """Path of imageio-ffmpeg's ffmpeg; InputError where the package is missing."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(f"PSNR-HVS and VMAF need the package imageio-ffmpeg ({error}); "
                         "pip install imageio-ffmpeg") from error


@functools.cache
def version():
    """The ffmpeg that measures, e.g. "ffmpeg 7.0.2-static"."""
    told = subprocess.run([executable(), "-version"], capture_output=True, text=True, timeout=60).stdout
    found = re.match(r"ffmpeg version (\S+)", told)
    return f"ffmpeg {found.group(1) if found else 'unknown'}"
