"""Record sets of small pictures of a class each, and a classifier small enough to train in a test."""

import hashlib
import io
import json

import numpy as np
from PIL import Image

from tfod_compress.labels import label_map as label_maps
from tfod_compress.records import framing, wire

NAMES = {1: "stop", 2: "yield", 3: "priority"}
CONFIG = """
task:
  model:
    input_size: [32, 32, 3]
    backbone: {type: resnet, resnet: {model_id: 18, depth_multiplier: 0.25}}
    dropout_rate: 0.2
  train_data: {global_batch_size: 4, aug_crop: true, crop_area_range: [0.6, 1.0], aug_rand_hflip: true}
  validation_data: {aug_crop: false}
trainer:
  train_steps: 4
  optimizer_config:
    learning_rate: {type: constant, constant: {learning_rate: 0.01}}
    warmup: {type: null}
"""


def pictures(count, names=NAMES, size=(32, 32), seed=0):
    """[(source_id, class id, uint8 [H, W, 3])]; each class has a colour, and noise over it."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(1).integers(40, 216, (max(names) + 1, 3))
    found = []
    for number in range(count):
        class_id = sorted(names)[number % len(names)]
        rgb = colours[class_id] + rng.normal(0, 20, (*size, 3))
        found.append((f"{names[class_id]}/{seed}-{number:04d}", class_id, rgb.clip(0, 255).astype(np.uint8)))
    return found


def write(folder, splits, names=NAMES, quality=90):
    """A record set of JPEG pictures.

    Args:
      folder: its path.
      splits: {"train" or "val": as `pictures` gives them}.
      names: {class id: name}, the label map.
      quality: of JPEG.
    """
    folder.mkdir(parents=True)
    files, rows = {}, ["source_id,split,width,height,coded_bytes,bpp,psnr_db"]
    for split, found in splits.items():
        path = folder / f"{split}-00000-of-00001.tfrecord"
        with open(path, "wb") as file:
            for source_id, class_id, rgb in found:
                data = io.BytesIO()
                Image.fromarray(rgb).save(data, "JPEG", quality=quality)
                record = example(source_id, class_id, names.get(class_id, "?"), data.getvalue(), rgb.shape)
                header, footer = framing.frame(record)
                file.write(header + record + footer)
                rows.append(f"{source_id},{split},{rgb.shape[1]},{rgb.shape[0]},{data.tell()},"
                            f"{8 * data.tell() / (rgb.shape[0] * rgb.shape[1])},")
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    (folder / "label_map.pbtxt").write_text(label_maps.text(names))
    (folder / "manifest.json").write_text(json.dumps({
        "task": "classification", "codec": "jpeg", "quality": quality,
        "frames": {split: len(found) for split, found in splits.items()}, "files": files}))
    return folder


def example(source_id, class_id, name, encoded, shape):
    """A serialised tf.train.Example, as make_tfrecords --task classification writes it."""
    return wire.message([part for parts in (
        wire.bytes_feature("image/encoded", [encoded]), wire.bytes_feature("image/format", [b"jpeg"]),
        wire.int_feature("image/height", [shape[0]]), wire.int_feature("image/width", [shape[1]]),
        wire.bytes_feature("image/filename", [source_id.encode()]),
        wire.bytes_feature("image/source_id", [source_id.encode()]),
        wire.int_feature("image/compressed_bytes", [len(encoded)]),
        wire.int_feature("image/class/label", [class_id]), wire.bytes_feature("image/class/text", [name.encode()]),
    ) for part in parts])
