"""Detectors that a study takes as they are: what names them to tools.evaluate, and whether they are there."""

import pathlib
import shutil

from tfod_compress.labels import label_map
from tfod_compress.labels.classes import read_class_map
from tfod_compress.study.reading import is_zoo_name
from tfod_compress.study.schema import PUBLISHED
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import outside_detector, trained_model


def arguments(detector, checkpoint):
    """What tools.evaluate is given of a Detector.

    Args:
      detector: schema.Detector.
      checkpoint: its checkpoint, where one of the zoo lies; None where it has none.
    """
    given = {"--checkpoint": checkpoint, "--saved_model": detector.saved_model, "--detector_command": detector.command,
             "--detector_label_map": detector.label_map, "--class_map": detector.class_map,
             "--nms_iou": detector.nms_iou}
    return tuple(part for flag, value in given.items() if value is not None for part in (flag, value))


def check_published(study):
    """Raises InputError where a detector that is taken as it is, or what is said of its classes, is not there.

    What the zoo has is not there yet. Nothing of it needs TensorFlow, or the frames.
    """
    for detector in study.detectors:
        if PUBLISHED not in study.regimes_of(detector):
            continue
        try:
            if detector.command:
                program = outside_detector.split(detector.command)[0]
                if not shutil.which(program):
                    raise InputError(f"{program!r} is no program here (command)")
            elif detector.saved_model or not is_zoo_name(detector.checkpoint):
                trained_model.find(detector.checkpoint, detector.saved_model)
            if detector.label_map:
                label_map.load(detector.label_map, "label_map")
            if detector.class_map:
                read_class_map(pathlib.Path(detector.class_map))
        except InputError as error:
            raise InputError(f"detector {detector.name}: {error}") from error
