"""Evaluation of a detector while it trains."""

import contextlib

from tfod_compress import evaluation, tasks
from tfod_compress.tasks.detection import trained_on
from tfod_compress.tasks.detection.config import label_maps
from tfod_compress.tasks.detection.detector import Detector
from tfod_compress.tasks.detection.odapi.learning_phase import set_training
from tfod_compress.training import pictures
from tfod_compress.training.evaluations import Evaluations


class DetectorEvaluations(Evaluations):
    """See Evaluations.

    Args:
      model_dir: see Evaluations.
      config: the run's TrainEvalPipelineConfig.
      config_path: its file, for messages.
      record_sets: see Evaluations, as the following.
      best_metric: likewise.
      patience: likewise.
    """

    task = tasks.get("detection")
    files = ("pipeline.config",)

    def __init__(self, model_dir, config, config_path, record_sets, best_metric, patience):
        self._config, self._config_path, self.detector = config, config_path, None
        super().__init__(model_dir, record_sets, best_metric, patience, trained_on.of_config(config))

    def check(self, record_set):
        label_maps.check(self._config, self._config_path, record_set)

    def results(self, model, step, prefix):
        if self.detector is None:
            self.detector = SharedDetector(self.model_dir / "pipeline.config", model)
        return evaluation.evaluate(self.model_dir / "pipeline.config", prefix, self.sets, self.folder(step),
                                   detector=self.detector)

    def pictures(self, step, record_set):
        return pictures.of_evaluation(record_set, self.folder(step) / record_set.name)


class SharedDetector(Detector):
    """A Detector on the weights of a model that is being trained; there is nothing to restore."""

    def __init__(self, pipeline_config_path, model):
        with not_training(model):
            super().__init__(pipeline_config_path, model)

    def restore(self, checkpoint):
        """Does nothing: the weights that train are those that were just saved."""
        return str(checkpoint)


@contextlib.contextmanager
def not_training(model):
    """While it lasts, what is traced of a model is its inference (as the OD API's evaluation loop does it)."""
    set_training(model, False)
    try:
        yield
    finally:
        set_training(model, True)
