"""Pictures with boxes for TensorBoard: what the detector is given to learn, and what it finds."""

import itertools
import json
import pathlib

import numpy as np

from tfod_compress.training import batches

COUNT = 3  # frames, as in the stock loop


def of_training(detector, frames, order, step):
    """The first frames of a step as the model gets them: augmented, resized, padded.

    Args:
      detector: trainable.ConfiguredDetector.
      frames: records.Frames.
      order: order.Order of them.
      step: counted from 0.

    Returns:
      [(rgb uint8 [H, W, 3], boxes [N, 4] normalised, class ids [N])]; the model's preprocessing is undone by
      stretching its values to 0..255.
    """
    few = order.head(COUNT)
    features, labels = next(iter(batches.batches(detector.transform(), frames, few, step, cache_bytes=0)))
    found = []
    for number, image in enumerate(features["image"].numpy()):
        count = int(labels["num_groundtruth_boxes"][number])
        found.append((stretched(image), labels["groundtruth_boxes"][number, :count].numpy(),
                      1 + labels["groundtruth_classes"][number, :count].numpy().argmax(axis=1)))
    return found


def stretched(image):
    """Any float [H, W, 3] as uint8: its least value black, its greatest white."""
    return ((image - image.min()) * (255 / max(float(np.ptp(image)), 1e-6))).astype(np.uint8)


def of_evaluation(record_set, folder, threshold=0.3):
    """The first val frames of a record set with what was found and with what is labelled.

    Args:
      record_set: RecordSet.
      folder: that holds its detections.json.
      threshold: detections of a lower score are left out.

    Returns:
      {"detections" and "labels": as `of_training`}.
    """
    results = json.loads((pathlib.Path(folder) / "detections.json").read_text(encoding="utf-8"))
    shown = {"detections": [], "labels": []}
    for example in itertools.islice(record_set.examples("val"), COUNT):
        rgb = example.pixels()
        shown["labels"].append((rgb, example.boxes, example.class_ids))
        mine = [row for row in results if row["image_id"] == example.source_id and row["score"] >= threshold]
        x, y, width, height = np.array([row["bbox"] for row in mine], float).reshape(-1, 4).T
        boxes = np.stack([y / example.height, x / example.width, (y + height) / example.height,
                          (x + width) / example.width], axis=1)
        shown["detections"].append((rgb, boxes, np.array([row["category_id"] for row in mine], np.int64)))
    return shown
