"""How fast codecs encode and decode, relative to JPEG, on two processes of one core each.

  python -m benchmarks.codecs                              # drawn frames of 1280x720
  python -m benchmarks.codecs --pictures FOLDER --codecs jpeg,webp,vvc

Every codec works at the quality whose rate is nearest below --bpp on the first picture (a lossless one as it is), so
that fast is not the same as coarse. In each of --rounds rounds each codec encodes, then decodes, the pictures in both
processes at once for --seconds seconds or until one picture is done. Megapixels per second are those of both processes
together, pixels of whole pictures over the time they took; the ratio to JPEG is taken within a round, so that what
slows the machine slows both, and the median of the rounds is printed with the lowest and the highest.
"""

import concurrent.futures
import multiprocessing
import pathlib
import statistics
import tempfile
import time

from absl import flags

from tools import command

_PICTURES = flags.DEFINE_string("pictures", None, "Folder of pictures; without it, drawn frames.")
_CODECS = flags.DEFINE_list("codecs", ["all"], "Codecs, with options perhaps (name:option=value), or all.")
_BPP = flags.DEFINE_float("bpp", 1.0, "Bits per pixel that the codecs are compared at.", lower_bound=0.01)
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Of each measurement.", lower_bound=0.01)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each codec.", lower_bound=1)
_COUNT = flags.DEFINE_integer("count", 4, "Pictures that are used.", lower_bound=1)
PROCESSES = 2
REFERENCE = "jpeg"


def main():
    from tfod_compress.rate_distortion import bench

    wanted = list(bench.planned(_CODECS.value, None, print))
    names = [REFERENCE, *(name for name in wanted if name != REFERENCE)]
    with tempfile.TemporaryDirectory() as folder:
        paths = _paths(pathlib.Path(folder))
        # One process for all codecs: what a codec sets up once does not count.
        with concurrent.futures.ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
            points = {name: pool.submit(prepared, name, paths[0], _BPP.value).result() for name in names}
            speeds = {name: {"encode": [], "decode": []} for name in names}
            for number in range(_ROUNDS.value):
                for name in names:
                    for direction, found in speeds[name].items():
                        found.append(_together(pool, name, points[name][0], paths, direction))
                print(f"round {number + 1} of {_ROUNDS.value} done", flush=True)
    _print(points, speeds)
    return 0


def _paths(folder):
    from tfod_compress import frames, synthetic

    if not _PICTURES.value:
        synthetic.make_frames(folder / "data", count=_COUNT.value, width=1280, height=720, seed=0)
    found = frames.find_frames(_PICTURES.value or folder / "data" / "frames")
    return [frame.path for frame in found[:_COUNT.value]]


def _together(pool, name, quality, paths, direction):
    """Megapixels per second of all processes together."""
    runs = [pool.submit(timed, name, quality, paths, direction, _SECONDS.value) for _ in range(PROCESSES)]
    return sum(pixels / seconds for pixels, seconds in (run.result() for run in runs)) / 1e6


def prepared(name, path, bpp):
    """(quality nearest below the rate, bits per pixel) of a codec on one picture."""
    from tfod_compress import frames
    from tfod_compress.codecs import rate_matching
    from tfod_compress.rate_distortion import variants

    codec, rgb = variants.get(name), frames.contiguous(frames.read_frame(path))
    quality, data = (None, codec.encode(rgb, None)) if codec.lossless else rate_matching.encode_frame(codec, rgb, bpp)
    return quality, 8 * len(data) / (rgb.shape[0] * rgb.shape[1])


def timed(name, quality, paths, direction, seconds):
    """(pixels, seconds) of one process's work."""
    import cv2

    from tfod_compress import frames
    from tfod_compress.rate_distortion import variants

    cv2.setNumThreads(1)
    codec = variants.get(name)
    pictures = [frames.contiguous(frames.read_frame(path)) for path in paths]
    if direction == "encode":
        work = [(picture, picture.size // 3) for picture in pictures]
    else:
        # One picture is enough of a slow codec: making its bytes takes longer than reading them.
        pictures = pictures[:1] if name.startswith("vvc") else pictures
        work = [(codec.encode(picture, quality), picture.size // 3) for picture in pictures]
    pixels, began = 0, time.perf_counter()
    while True:
        for item, size in work:
            if direction == "encode":
                codec.encode(item, quality)
            else:
                codec.decode(item)
            pixels += size
            passed = time.perf_counter() - began
            if passed >= seconds:
                return pixels, passed


def _print(points, speeds):
    from rich import console, table

    shown = table.Table(title=f"{PROCESSES} processes, median of {_ROUNDS.value} rounds", title_justify="left")
    for column in ("codec", "quality", "bpp", "encode MP/s", "of JPEG's", "decode MP/s", "of JPEG's"):
        shown.add_column(column, justify="left" if column == "codec" else "right", no_wrap=True)
    for name, (quality, bpp) in points.items():
        cells = []
        for direction, found in speeds[name].items():
            ratios = [mine / jpeg for mine, jpeg in zip(found, speeds[REFERENCE][direction], strict=True)]
            cells += [f"{statistics.median(found):.2f}",
                      f"{statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})"]
        shown.add_row(name, "" if quality is None else f"{quality:g}", f"{bpp:.3f}", *cells)
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=130)).print(shown, markup=False)


if __name__ == "__main__":
    command.run(main)
