"""What a study's points reach, with all units and without each: read once, used by every comparison."""

import hashlib
import pathlib

from tfod_compress.records import RecordSet
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import left_out
from tfod_compress.tasks import Task


class Accuracies:
    """The decisive metric of points, computed when it is asked for and kept.

    Args:
      workdir: the study's folder.
      task: whose predictions they are.
    """

    def __init__(self, workdir: pathlib.Path, task: Task):
        self._workdir, self._task, self._truths, self._digests, self._kept = workdir, task, {}, {}, {}

    @property
    def metric(self):
        """The decisive Metric."""
        return self._task.decisive

    def digest(self, point):
        """SHA-256 of a Point's predictions, in hexadecimal; read once."""
        if point.evaluation not in self._digests:
            self._digests[point.evaluation] = hashlib.sha256(self._file(point).read_bytes()).hexdigest()
        return self._digests[point.evaluation]

    def of(self, sides):
        """The metric of several sides that were tested on the same frames.

        Args:
          sides: lists of Points, one point each, or the folds of one; the frames of folds are pooled.

        Returns:
          ([float64 [1 + n] for each side], "image" or "sequence", how many units).
        """
        missing = self._task.not_covered([self._file(point) for side in sides for point in side])
        found = [self._one(side, missing) for side in sides]
        units = found[0][1]
        return [values for values, _ in found], units.name, units.count

    def _one(self, points, missing):
        key = tuple(point.evaluation for point in points), missing
        if key not in self._kept:
            task, parts = self._task, []
            for point in points:
                everything = self._truth(point)
                parts.append(task.without(everything, task.read_predictions(self._file(point), everything), missing))
            truth, predictions = parts[0] if len(parts) == 1 else task.pool(parts)
            units, name = jackknife.units(len(truth.image_ids), truth.groups), self.metric.scorer
            self._kept[key] = left_out(task.scorer(truth, predictions), (name,), units)[name], units
        return self._kept[key]

    def _file(self, point):
        return self._workdir / point.evaluation / self._task.predictions_file

    def _truth(self, point):
        key = point.record_set, point.split
        if key not in self._truths:
            record_set = RecordSet(self._workdir / "tfrecords" / point.record_set)
            self._truths[key] = self._task.ground_truth(record_set, point.split)
        return self._truths[key]
