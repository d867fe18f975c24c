"""How long our scale hyperprior takes for a frame of 768x512, beside JPEG and CompressAI's bmshj2018-hyperprior.

  python -m benchmarks.learned_codecs
  python -m benchmarks.learned_codecs --picture kodim23.png --rounds 9
  python -m venv compressai && compressai/bin/pip install compressai     # an environment of its own: PyTorch
  python -m benchmarks.learned_codecs --compressai_python compressai/bin/python

Both networks have the same width (128 channels, 192 of the latents: qualities 1 to 5 of CompressAI) and drawn weights,
whose last analysis layer is scaled so that every channel of the latents has mean 0 and deviation DEVIATION on the
picture, and whose hyper-synthesis expects that deviation: about the rate of a trained network, and no pretrained
weights are needed. Each has --threads threads, is warmed up with the picture itself, and is timed from pixels to bytes
and from bytes to pixels. In every round each codec encodes, then decodes, for --seconds seconds or once; ratios are
taken within a round, so that what slows the machine slows all, and the median of the rounds is printed with the lowest
and highest.
On a machine that others use, trust processor time with --threads 1: threads that wait for each other count as work.
"""

import concurrent.futures
import json
import math
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from absl import flags

from tools import command

_PICTURE = flags.DEFINE_string("picture", None, "A picture of 768x512; without it, a drawn frame.")
_PYTHON = flags.DEFINE_string("compressai_python", None, "The Python of an environment that has CompressAI.")
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Of each measurement.", lower_bound=0.01)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each codec.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Of each codec; 0: one for each core.", lower_bound=0)
WIDTH, HEIGHT = 768, 512
NUM_FILTERS, NUM_LATENTS = 128, 192
DEVIATION = 0.5  # of the latents, in steps of the quantisation
JPEG_BPP = 1.0
_WORKER = pathlib.Path(__file__).with_name("compressai_worker.py")


def main():
    import numpy as np

    if _PYTHON.value and not pathlib.Path(_PYTHON.value).is_file():
        raise command.UsageError(f"--compressai_python {_PYTHON.value}: no such file")
    threads = _THREADS.value or len(os.sched_getaffinity(0))
    for library in ("OMP", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        rgb = _picture(folder)
        np.save(folder / "picture.npy", rgb)
        context = multiprocessing.get_context("spawn")
        pools = {name: concurrent.futures.ProcessPoolExecutor(1, context) for name in ("jpeg", "bmshj2018")}
        bpp = {name: pools[name].submit(prepare, rgb, folder, threads).result()
               for name, prepare in (("jpeg", prepare_jpeg), ("bmshj2018", prepare_hyperprior))}
        measure = {name: lambda direction, pool=pool: pool.submit(timed, direction, _SECONDS.value).result()
                   for name, pool in pools.items()}
        other = _CompressAI(_PYTHON.value, folder / "picture.npy", threads) if _PYTHON.value else None
        if other:
            bpp["compressai"], measure["compressai"] = other.bpp, other.timed
        seconds = {name: {"encode": [], "decode": []} for name in measure}
        for number in range(_ROUNDS.value):
            for name, run in measure.items():
                for direction in ("encode", "decode"):
                    seconds[name][direction].append(run(direction))
            print(f"round {number + 1} of {_ROUNDS.value} done", flush=True)
        if other:
            other.close()
        for pool in pools.values():
            pool.shutdown()
    _print(bpp, seconds, threads)
    return 0


def _picture(folder):
    from tfod_compress import frames, synthetic

    if _PICTURE.value:
        path = pathlib.Path(_PICTURE.value)
    else:
        synthetic.make_frames(folder / "data", count=1, width=WIDTH, height=HEIGHT, seed=0)
        path = frames.find_frames(folder / "data" / "frames")[0].path
    rgb = frames.contiguous(frames.read_frame(path))
    if rgb.shape != (HEIGHT, WIDTH, 3):
        raise command.UsageError(f"{path}: {rgb.shape[1]}x{rgb.shape[0]}, not {WIDTH}x{HEIGHT}")
    return rgb


_work = {}  # of a process: {"encode": function, "decode": function}, each of no argument


def prepare_jpeg(rgb, folder, threads):
    """Sets this process up for JPEG; returns bits per pixel."""
    from tfod_compress import codecs
    from tfod_compress.codecs import rate_matching

    del folder, threads
    codec = codecs.get("jpeg")
    quality, data = rate_matching.encode_frame(codec, rgb, JPEG_BPP)
    return _set_up(lambda: codec.encode(rgb, quality), lambda: codec.decode(data), data)


def prepare_hyperprior(rgb, folder, threads):
    """Sets this process up for our scale hyperprior; returns bits per pixel."""
    import tensorflow as tf

    from tfod_compress import codecs
    from tfod_compress.learned import coder, model_folder

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = drawn_hyperprior(rgb)
    model_folder.write(folder / "model", "bmshj2018", NUM_FILTERS, NUM_LATENTS, 0.01, coder.weights_of(model),
                       model.tables(), {})
    codec = codecs.get("bmshj2018", model=folder / "model")
    data = codec.encode(rgb, 0.01)
    codec.decode(data)
    return _set_up(lambda: codec.encode(rgb, 0.01), lambda: codec.decode(data), data)


def drawn_hyperprior(rgb):
    """A model with drawn weights, scaled as the module says."""
    import numpy as np
    import tensorflow as tf

    from tfod_compress.learned import bmshj2018, coder

    tf.keras.utils.set_random_seed(0)
    model = coder.build("bmshj2018", NUM_FILTERS, NUM_LATENTS)
    y = model.analysis(tf.constant(rgb[np.newaxis], tf.float32) / 255).numpy()
    last = model.analysis.layers[-1]
    factor = DEVIATION / y.std(axis=(0, 1, 2))
    for part in (last.kernel_parameter.real, last.kernel_parameter.imag):
        part.assign(part * factor[:, np.newaxis, np.newaxis])  # [in, out, rows, columns] of a Fourier transform
    last.bias_parameter.assign(-y.mean(axis=(0, 1, 2)) * factor)
    step = math.log(bmshj2018.SCALE_MAX / bmshj2018.SCALE_MIN) / (bmshj2018.NUM_SCALES - 1)
    bias = model.hyper_synthesis.layers[-1].bias_parameter
    bias.assign(np.full(NUM_LATENTS, math.log(DEVIATION / bmshj2018.SCALE_MIN) / step, np.float32))
    return model


def _set_up(encode, decode, data):
    _work.update(encode=encode, decode=decode)
    return 8 * len(data) / (WIDTH * HEIGHT)


def timed(direction, seconds):
    """(seconds, seconds of processor time) that one call takes, the mean over `seconds` seconds."""
    count, began, worked = 0, time.perf_counter(), time.process_time()
    while True:
        _work[direction]()
        count += 1
        passed = time.perf_counter() - began
        if passed >= seconds:
            return passed / count, (time.process_time() - worked) / count


class _CompressAI:
    """CompressAI in a process of its own Python, asked line by line."""

    def __init__(self, python, picture, threads):
        self._process = subprocess.Popen(
            [python, str(_WORKER), str(picture), str(NUM_FILTERS), str(NUM_LATENTS), str(DEVIATION),
             str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self._answer()
        self.bpp, self.version = first["bpp"], first["version"]
        print(f"CompressAI {self.version}", flush=True)

    def timed(self, direction):
        self._process.stdin.write(f"{direction} {_SECONDS.value}\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], answer["processor_seconds"]

    def close(self):
        self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("CompressAI's process ended; is it installed there? (pip install compressai)")
        return json.loads(line)


def _print(bpp, seconds, threads):
    from rich import console, table

    shown = table.Table(title=f"{WIDTH}x{HEIGHT}, {threads} thread{'s' if threads > 1 else ''}, median of "
                        f"{_ROUNDS.value} rounds (lowest to highest)", title_justify="left")
    others = [name for name in ("jpeg", "compressai") if name in seconds]
    for number, column in enumerate(("codec", "bpp", "direction", "time", "ms", *(f"of {name}'s" for name in others))):
        shown.add_column(column, justify="left" if number in (0, 2, 3) else "right", no_wrap=True)
    for name, found in seconds.items():
        for direction, each in found.items():
            for number, kind in enumerate(("wall", "processor")):
                times = [pair[number] for pair in each]
                cells = [name, f"{bpp[name]:.2f}", direction, kind, f"{1000 * statistics.median(times):.1f}"]
                for other in others:
                    ratios = [mine / its[number] for mine, its in zip(times, seconds[other][direction], strict=True)]
                    cells.append("" if other == name else
                                 f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})")
                shown.add_row(*cells)
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=120)).print(shown, markup=False)


if __name__ == "__main__":
    command.run(main)
