"""The weighted mAP of a study's points, with all units and without each: read once, used by every comparison."""

import dataclasses
import hashlib
import pathlib

import numpy as np

from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import left_out
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import classes
from tfod_compress.tasks.detection.metrics.scores import Scorer


def digest(workdir, row):
    """SHA-256 of a point's detections, in hexadecimal."""
    return hashlib.sha256((workdir / row["evaluation"] / "detections.json").read_bytes()).hexdigest()


class Accuracies:
    """Weighted mAP of points, computed when it is asked for and kept.

    Args:
      workdir: the study's folder, a Path.
    """

    def __init__(self, workdir: pathlib.Path):
        self._workdir, self._truths, self._digests, self._kept = workdir, {}, {}, {}

    def digest(self, row):
        """`digest` of a point, read once."""
        if row["evaluation"] not in self._digests:
            self._digests[row["evaluation"]] = digest(self._workdir, row)
        return self._digests[row["evaluation"]]

    def of(self, sides):
        """The accuracies of several sides that were tested on the same frames.

        Args:
          sides: lists of points, one point each, or the folds of one; the frames of folds are pooled.

        Returns:
          ([float64 [1 + n] for each side], "image" or "sequence", how many units).
        """
        files = [[self._file(row) for row in side] for side in sides]
        missing = {name for side in files for file in side
                   for name in (classes.beside(file) or {}).get("not_in_detector", ())}
        found = [self._one(side, own, missing) for side, own in zip(sides, files, strict=True)]
        units = found[0][1]
        return [values for values, _ in found], units.name, units.count

    def _one(self, rows, files, missing):
        key = tuple(row["evaluation"] for row in rows), frozenset(missing)
        if key not in self._kept:
            parts = []
            for row, file in zip(rows, files, strict=True):
                everything = self._truth(row)
                covered = {number for number, name in everything.class_names.items() if name not in missing}
                detections = metrics.load_detections(file, everything)
                parts.append((classes.restrict(everything, covered),
                              detections.take(np.isin(detections.class_ids, list(covered)))))
            truth, detections = parts[0] if len(parts) == 1 else pool(parts)
            units = jackknife.units(len(truth.image_ids), truth.groups)
            scorer = Scorer(metrics.Matches(truth, detections))
            self._kept[key] = left_out(scorer, ("weighted_map",), units)["weighted_map"], units
        return self._kept[key]

    def _file(self, row):
        return self._workdir / row["evaluation"] / "detections.json"

    def _truth(self, row):
        from tfod_compress.records import RecordSet

        key = row["record_set"], row["split"]
        if key not in self._truths:
            record_set = RecordSet(self._workdir / "tfrecords" / row["record_set"])
            self._truths[key] = metrics.record_set_ground_truth(record_set, row["split"])
        return self._truths[key]


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
    detections = metrics.Detections(
        np.concatenate([to[each.image] for each, to in zip(found, moved, strict=True)]),
        *(np.concatenate([getattr(each, name) for each in found]) for name in ("boxes", "class_ids", "scores")))
    return truth, detections
