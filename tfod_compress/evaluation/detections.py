"""A Detector run on the images of record sets."""

import functools

import numpy as np

from tfod_compress.support.errors import InputError
from tfod_compress.support.progress import Bar
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection import metrics


def of_model(ready, batch_size):
    """What `results.evaluate` calls for Detections on a RecordSet; `ready` gives the Detector when one is needed."""
    ready = functools.cache(ready)
    return lambda record_set, truth, split: run(ready(), record_set.files(split), truth, batch_size, record_set.name)


def run(detector, files, ground_truth, batch_size, title):
    """Detections of a Detector on the images of TFRecord files, with a progress bar.

    Args:
      detector: Detector.
      files: TFRecord files.
      ground_truth: GroundTruth of exactly their images.
      batch_size: images run together.
      title: shown in the bar.

    Returns:
      metrics.Detections.

    Raises:
      InputError: the files hold other images than the ground truth, or of other sizes than they say.
    """
    index = ground_truth.image_index
    images, boxes, classes, scores = [], [], [], []
    with Bar(f"evaluating {title}", len(index)) as bar:
        for source_id, size, found, class_ids, score in detector.detect(files, batch_size):
            image = index.pop(source_id, None)
            if image is None:
                raise InputError(f"{ground_truth.name}: image {source_id} comes twice or has no labels")
            if tuple(ground_truth.sizes[image]) != size:
                raise InputError(f"{ground_truth.name}: {source_id} is {size[1]}x{size[0]} pixels, but its example "
                                 f"says {ground_truth.sizes[image][1]}x{ground_truth.sizes[image][0]}")
            images.append(np.full(len(score), image, np.int64))
            boxes.append(metrics.to_pixels(found, np.tile(size, (len(score), 1))))
            classes.append(class_ids)
            scores.append(score)
            bar.advance()
    if index:
        raise InputError(f"{ground_truth.name}: images {listed(index)} were not run")
    boxes = np.concatenate(boxes)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0.0)  # clipping to the frame may leave -1e-6
    return metrics.Detections(np.concatenate(images), boxes, np.concatenate(classes).astype(np.int64),
                              np.clip(np.concatenate(scores).astype(np.float64), 0.0, 1.0), title)
