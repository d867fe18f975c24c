"""Evaluation of a classifier while it trains."""

import numpy as np

from tfod_compress import tasks
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.tasks import record_sets
from tfod_compress.tasks.classification import evaluated, model, params_file, trained
from tfod_compress.tasks.classification.predictions import KEPT
from tfod_compress.tasks.classification.truth import Predictions
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
        truth = self.task.ground_truth(record_set, "val")
        scores = evaluated.scores(self._predictor, record_set, "val", truth, BATCH)
        predicted = Predictions.of_scores(scores, self._predictor.class_ids, KEPT)
        scorer, ones = self.task.scorer(truth, predicted), np.ones((1, len(truth.image_ids)))
        return {"images": len(truth.image_ids), **{
            metric.key: {"value": float(scorer.value(metric.scorer, ones)[0])} for metric in self.task.metrics}}
