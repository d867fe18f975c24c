"""Detectors of ours as models to evaluate: checkpoints and SavedModels (`tasks.models.Model`).

TensorFlow is imported only where frames are left to run.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tfod_compress.labels import classes as class_maps
from tfod_compress.labels import label_map
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import digest
from tfod_compress.support.progress import Bar
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection import metrics, trained_model, trained_on
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.metrics import classes
from tfod_compress.tasks.trained_frames import TrainedFrames


@dataclasses.dataclass(frozen=True)
class EvaluatedDetector:
    """See `tasks.models.Model`.

    Attributes:
      model: its files.
      given: what the user says of its classes.
      ready: gives the Detector with its weights.
      seen: gives the frames that it was trained on.
      batch_size: images run together; changes no number.
    """

    described: dict[str, Any]
    made_from: dict[str, Any]
    model: trained_model.TrainedModel
    given: classes.Given
    ready: Callable[[], Any]
    seen: Callable[[], TrainedFrames] = TrainedFrames
    batch_size: int = 1

    def trained_frames(self):
        """Of a checkpoint, those of its config and of what it started from."""
        return self.seen()

    def match(self, record_set):
        """By label map, name or class map."""
        return _match(self.model, self.given, record_set)

    def predict(self, record_set, split, truth, folder):
        """metrics.Detections in the detector's own classes."""
        return run(self.ready(), record_set.files(split), truth, self.batch_size, record_set.name)


def given_of(wanted) -> classes.Given:
    """What a `tasks.models.Wanted` says of a detector's classes.

    Raises:
      InputError: a label map or class map cannot be read.
    """
    return classes.Given(
        label_map=label_map.load(wanted.detector_label_map, "--detector_label_map") if wanted.detector_label_map
        else None,
        class_map=class_maps.read_class_map(wanted.class_map) if wanted.class_map else None, nms_iou=wanted.nms_iou)


def of_wanted(wanted) -> list[EvaluatedDetector]:
    """The detectors that a `tasks.models.Wanted` names; of several checkpoints, one is built and traced for all."""
    given = given_of(wanted)
    if wanted.saved_model:
        return [of_saved_model(wanted.saved_model, given)]
    # All of them are found before the first is run, and the first one's config stands for all.
    config = [trained_model.find(path, config=wanted.pipeline_config_path) for path in wanted.checkpoint][0].config
    built = functools.cache(functools.partial(_build, config))
    return [of_checkpoint(config, path, given, wanted.batch_size, built) for path in wanted.checkpoint]


def of_checkpoint(config, checkpoint, given, batch_size=8, built=None) -> EvaluatedDetector:
    """A detector of a checkpoint.

    Args:
      config: its pipeline.config; None for the one beside it.
      checkpoint: a model folder (its newest checkpoint) or a prefix.
      given: classes.Given.
      batch_size: images run together.
      built: gives a Detector of that config, whose weights are then this checkpoint's; None to build one.

    Raises:
      InputError: something is not there, or no config.
    """
    model = trained_model.find(checkpoint, config=config)
    message, prefix = pipeline_config.read(model.config), model.weights
    made_from = {"checkpoint": digest(f"{prefix}.index"),  # holds the checksum of every weight
                 "model": hashlib.sha256(message.model.SerializeToString(deterministic=True)).hexdigest()}
    if pipeline_config.uses_moving_average(message):
        made_from["moving_average"] = True

    @functools.cache
    def ready():
        detector = built() if built else _build(model.config)
        detector.restore(prefix)
        return detector

    return EvaluatedDetector({"checkpoint": prefix}, made_from, model, given, ready,
                             lambda: trained_on.of_checkpoint(prefix, model.config), batch_size)


def of_saved_model(saved_model, given) -> EvaluatedDetector:
    """A detector exported as a SavedModel (the OD API's exporter_main_v2 or ours).

    Args:
      saved_model: the folder with saved_model.pb, or the one above it. Its label map is label_map.pbtxt beside it, or
        what a pipeline.config beside it names; without either, the record sets'.
      given: classes.Given.

    Raises:
      InputError: something is not there.
    """
    model = trained_model.find(saved_model=saved_model)
    folder = pathlib.Path(model.weights)
    made_from = {"saved_model": digest(folder / "saved_model.pb"),
                 "variables": digest(folder / "variables" / "variables.index")}
    return EvaluatedDetector({"checkpoint": str(folder.resolve())}, made_from, model, given,
                             functools.cache(model.load))


def _build(config):
    from tfod_compress.tasks.detection.detector import Detector

    return Detector(config)


def _match(model, given, record_set):
    """The ClassMatch of a TrainedModel and a RecordSet."""
    ours, count = record_set.label_map, model.num_classes()
    theirs = given.label_map or model.class_names()
    name = model.config or model.folder
    if not theirs:
        named = model.named_label_maps()
        if named or count not in (None, max(ours)):
            why = f"{named[0]} is not there" if named else f"num_classes is {count}, but {record_set.path}/" \
                f"label_map.pbtxt has ids up to {max(ours)}"
            raise InputError(f"{name}: its label map is not known ({why}): give --detector_label_map")
        theirs = ours
    if count is not None and max(theirs) > count:
        raise InputError(f"{name}: num_classes is {count}, but its label map has ids up to {max(theirs)} "
                         "(--detector_label_map)")
    nms_iou = model.nms_iou() if given.nms_iou is None else given.nms_iou
    return classes.match(theirs, ours, dataclasses.replace(given, nms_iou=nms_iou), name, record_set.path)


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
