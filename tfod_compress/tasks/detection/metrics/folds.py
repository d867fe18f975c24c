"""Several folds as one set of frames, each tested by the detector that has not seen it."""

import dataclasses

import numpy as np

from tfod_compress.tasks.detection.metrics.boxes import Detections


def pool(parts):
    """Frames that several detectors were tested on, each a part of them, as one set.

    The detections of all stand in one ranking by score: their scores are taken to mean the same, as those of detectors
    do that differ in their training frames alone.

    Args:
      parts: [(GroundTruth, Detections)] without a frame in common.

    Returns:
      (GroundTruth, Detections).
    """
    truths, found = zip(*parts, strict=True)
    ids = sorted(name for truth in truths for name in truth.image_ids)
    place = {name: number for number, name in enumerate(ids)}
    moved = [np.array([place[name] for name in truth.image_ids], np.int64) for truth in truths]
    order = np.argsort(np.concatenate(moved), kind="stable")
    groups = None
    if truths[0].groups is not None:
        # A sequence stays in one fold, so the folds' numbers are told apart by an offset.
        first = np.cumsum([0, *(int(truth.groups.max()) + 1 for truth in truths[:-1])])
        groups = np.concatenate([truth.groups + start for truth, start in zip(truths, first, strict=True)])[order]
    of_objects = {name: np.concatenate([getattr(truth, name) for truth in truths])
                  for name in ("boxes", "class_ids", "difficult", "is_crowd", "areas")}
    truth = dataclasses.replace(
        truths[0], image_ids=tuple(ids), sizes=np.concatenate([truth.sizes for truth in truths])[order], groups=groups,
        image=np.concatenate([to[truth.image] for truth, to in zip(truths, moved, strict=True)]), **of_objects)
    detections = Detections(
        np.concatenate([to[each.image] for each, to in zip(found, moved, strict=True)]),
        *(np.concatenate([getattr(each, name) for each in found]) for name in ("boxes", "class_ids", "scores")))
    return truth, detections
