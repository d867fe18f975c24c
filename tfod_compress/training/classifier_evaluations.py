"""Evaluation of a classifier while it trains."""

import itertools

import numpy as np

from tfod_compress import tasks
from tfod_compress.records import wire
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.tasks import record_sets
from tfod_compress.tasks.classification import inputs, model, params_file, trained
from tfod_compress.training.evaluations import Evaluations

BATCH = 64  # pictures run together; changes no number


class ClassifierEvaluations(Evaluations):
    """See Evaluations; each record set's metrics.json has the metrics alone, tools.evaluate adds intervals to them.

    Args:
      model_dir: see Evaluations.
      experiment: the run's Experiment.
      label_map: {class id: name} that it trains with.
      record_sets: see Evaluations, as the following.
      best_metric: likewise.
      patience: likewise.
      seen: trained_frames.TrainedFrames of the run.
    """

    task = tasks.get("classification")
    files = (params_file.NAME, trained.LABEL_MAP)

    def __init__(self, model_dir, experiment, label_map, record_sets, best_metric, patience, seen):
        self._experiment, self._label_map, self._predictor = experiment, label_map, None
        super().__init__(model_dir, record_sets, best_metric, patience, seen)

    def check(self, record_set):
        record_sets.require(record_set, "classification")
        if dict(record_set.label_map) != self._label_map:
            raise InputError(f"{record_set.path}: has another label map than the records that are trained on")

    def results(self, classifier, step, prefix):
        if self._predictor is None:
            self._predictor = model.Predictor(classifier, self._experiment, self._label_map)
        found = {}
        for record_set in self.sets:
            found[record_set.name] = self._accuracies(record_set)
            folder = self.folder(step) / record_set.name
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "metrics.json", found[record_set.name])
        return found

    def _accuracies(self, record_set):
        """{metric: {"value": float}} and the number of images of a record set's val frames."""
        ids, ranks = [], []
        for labels, pictures in _batches(record_set):
            scores = self._predictor.predict(pictures)
            columns = self._predictor.class_ids.searchsorted(labels)
            own = scores[np.arange(len(labels)), columns][:, np.newaxis]
            earlier = np.arange(scores.shape[1]) < columns[:, np.newaxis]  # of equal scores the lower id comes first
            ranks += ((scores > own) | ((scores == own) & earlier)).sum(axis=1).tolist()
            ids += labels
        first, ids = np.array(ranks) == 0, np.array(ids)
        per_class = [first[ids == number].mean() for number in np.unique(ids)]
        values = {"top1": first.mean(), "top5": (np.array(ranks) < 5).mean(), "mean_class_accuracy": np.mean(per_class)}
        return {"images": len(ids), **{name: {"value": float(value)} for name, value in values.items()}}


def _batches(record_set):
    """Yields ([class id], uint8 [B, H, W, 3]) of val frames; those of one size that follow each other come together."""
    def frames():
        for path in record_set.files("val"):
            for data in read_records(path):
                features = wire.parse(data)
                yield features[inputs.LABEL][0], inputs.decode(features[inputs.IMAGE][0]).numpy()

    for _, alike in itertools.groupby(frames(), key=lambda frame: frame[1].shape):
        while chunk := list(itertools.islice(alike, BATCH)):
            labels, pictures = zip(*chunk, strict=True)
            yield list(map(int, labels)), np.stack(pictures)
