"""How fast make_tfrecords is, against the OD API's way and against the encoder alone.

  python -m benchmarks.make_tfrecords

Whole processes are timed, start-up included, on seeded 1820x940 BMP frames with VOC labels, at qualities 100,
40, 20 and 5. Three numbers, each the best of --repeats runs:

- ours: python -m tools.make_tfrecords, all qualities in one pass;
- stock: the TF OD API's way (its dataset_tools documentation): for each quality a process that imports TensorFlow,
  opens every frame with Pillow, saves it as JPEG, builds a tf.train.Example and writes it with TFRecordWriter;
- floor: CPU seconds of Pillow's JPEG encoder alone for the same pixels and qualities, divided by the cores.

Printed are stock / ours (wanted: 4 or more), floor / ours (wanted: 0.8 or more), the share of the floor that
hashing for duplicates takes (wanted: 0.1 or less), and our peak memory (wanted: under 1 GiB). Wall times mean
something on an idle machine only; the CPU time beside them says more on a busy one.
"""

import collections
import io
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags
from PIL import Image

from tools import command

_COUNT = flags.DEFINE_integer("count", 200, "Frames.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each, of which the best counts.")
_STOCK = flags.DEFINE_bool("stock", True, "Also time the OD API's way.")
QUALITIES = (100, 40, 20, 5)
WIDTH, HEIGHT = 1820, 940
_ROOT = pathlib.Path(__file__).resolve().parent.parent
_OBJECT = ("<object><name>PassengerCar</name><bndbox><xmin>{0}</xmin><ymin>{0}</ymin><xmax>{1}</xmax><ymax>{1}</ymax>"
           "</bndbox></object>")
# The stock process: one quality, written from the behaviour that the OD API's tutorials document.
_STOCK_CODE = """
import io, pathlib, sys
import tensorflow as tf
from PIL import Image
frames, target, quality = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def ints(*v): return tf.train.Feature(int64_list=tf.train.Int64List(value=v))
def data(*v): return tf.train.Feature(bytes_list=tf.train.BytesList(value=v))
def floats(*v): return tf.train.Feature(float_list=tf.train.FloatList(value=v))
with tf.io.TFRecordWriter(target) as writer:
    for path in sorted(frames.glob("*.bmp")):
        image = Image.open(path)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        writer.write(tf.train.Example(features=tf.train.Features(feature={
            "image/encoded": data(buffer.getvalue()), "image/format": data(b"jpeg"),
            "image/height": ints(image.height), "image/width": ints(image.width),
            "image/filename": data(path.name.encode()), "image/source_id": data(path.stem.encode()),
            "image/object/bbox/xmin": floats(.1), "image/object/bbox/xmax": floats(.2),
            "image/object/bbox/ymin": floats(.1), "image/object/bbox/ymax": floats(.2),
            "image/object/class/text": data(b"PassengerCar"), "image/object/class/label": ints(1),
        })).SerializeToString())
"""


def main():
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _make_frames(folder, _COUNT.value)
        print(f"{_COUNT.value} frames of {WIDTH}x{HEIGHT}, qualities {QUALITIES}, {cores} cores, load "
              f"{os.getloadavg()[0]:.1f}", flush=True)
        floor, hashing = _floor(folder, cores)
        print(f"floor: {floor:.2f} s; hashing for duplicates {hashing:.2f} s, {hashing / floor:.3f} of it", flush=True)
        ours, busy, memory = min(_ours(folder) for _ in range(_REPEATS.value))
        print(f"ours: {ours:.2f} s, peak memory {memory:.0f} MiB, floor / ours {floor / ours:.2f}", flush=True)
        print(f"ours, CPU time over cores: {busy / cores:.2f} s, floor / ours {floor * cores / busy:.2f}", flush=True)
        if _STOCK.value:
            stock = min(_stock(folder) for _ in range(_REPEATS.value))
            print(f"stock: {stock:.2f} s, stock / ours {stock / ours:.2f}")


def _make_frames(folder, count):
    (folder / "frames").mkdir()
    (folder / "labels").mkdir()
    generator = np.random.default_rng(0)
    for index in range(count):
        small = Image.fromarray(generator.integers(0, 256, (47, 91, 3), dtype=np.uint8))
        rgb = np.asarray(small.resize((WIDTH, HEIGHT), Image.BICUBIC)).astype(np.int16)
        rgb += generator.integers(-8, 9, rgb.shape, dtype=np.int16)
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(folder / "frames" / f"{index:06d}.bmp")
        (folder / "labels" / f"{index:06d}.xml").write_text(
            f"<annotation>{''.join(_OBJECT.format(10 * i, 10 * i + 90) for i in range(1, 9))}</annotation>")


def _floor(folder, cores):
    """CPU seconds over the cores: (Pillow's encoder alone, hashing alone)."""
    from tfod_compress.frames import FramePath
    from tfod_compress.labels import open_labels
    from tfod_compress.records.scan import scan_frame

    paths = sorted((folder / "frames").glob("*.bmp"))
    labels, _ = open_labels(folder / "labels", "voc", [path.stem for path in paths])
    encoding = hashing = 0.0
    for path in paths:
        with Image.open(path) as image:
            image.load()
            start = time.process_time()
            for quality in QUALITIES:
                image.save(io.BytesIO(), "JPEG", quality=quality)
            encoding += time.process_time() - start
        start = time.process_time()
        scan_frame(FramePath(path.stem, str(path)), labels, WIDTH * HEIGHT, collections.Counter())
        hashing += time.process_time() - start
    return encoding / cores, hashing / cores


def _ours(folder):
    """(seconds, CPU seconds, MiB): wall time, work, and peak memory with shared pages counted in each process."""
    shutil.rmtree(folder / "ours", ignore_errors=True)
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.make_tfrecords", "--frames", folder / "frames", "--labels", folder / "labels",
         "--quality", ",".join(map(str, QUALITIES)), "--output", folder / "ours"],
        cwd=_ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status:
        raise SystemExit(f"make_tfrecords failed with status {status}")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, usage.ru_utime + usage.ru_stime, (usage.ru_maxrss + len(os.sched_getaffinity(0)) * children) / 1024


def _stock(folder):
    start = time.monotonic()
    for quality in QUALITIES:
        subprocess.run([sys.executable, "-c", _STOCK_CODE, folder / "frames", folder / f"stock-{quality}.tfrecord",
                        str(quality)], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


if __name__ == "__main__":
    command.run(main)
