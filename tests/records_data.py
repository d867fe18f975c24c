"""A small data set with known content, for tests of record sets."""

import numpy as np
from PIL import Image

VOC = ("<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>")
VOC_OBJECT = ("<object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
              "<ymax>{}</ymax></bndbox></object>")


def scene(seed, width=64, height=48):
    """uint8 RGB [H, W, 3], smooth with some noise: compresses like a photograph."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.BICUBIC)).astype(int)
    return np.clip(smooth + generator.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def write_voc(path, boxes, width=64, height=48):
    """A label file; boxes are (name, xmin, ymin, xmax, ymax)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(VOC.format(width=width, height=height, objects="".join(VOC_OBJECT.format(*box) for box in boxes)))


def make(folder, count=12, sequences=4, width=64, height=48, extension=".bmp"):
    """frames/seqNNN/NNNNNN.bmp and labels alike below `folder`; one PassengerCar a frame; returns the folder."""
    for index in range(count):
        stem = f"seq{index % sequences:03d}/{index:06d}"
        path = folder / "frames" / f"{stem}{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(index, width, height)).save(path)
        write_voc(folder / "labels" / f"{stem}.xml", [("PassengerCar", 4, 6, 20 + index, 30)], width, height)
    return folder


def arguments(folder, *more):
    """Flags of make_tfrecords for a data set made by `make`."""
    return ["--frames", folder / "frames", "--labels", folder / "labels", "--output", folder / "tfrecords",
            "--workers", 2, *more]


def contents(folder):
    """{name: bytes} of every file in a record set."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
