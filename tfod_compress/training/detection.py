"""Training of detectors: a pipeline.config as a Run."""

import pathlib

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.config import freezing, pipeline_config
from tfod_compress.training import checks, codec_tuning, restore
from tfod_compress.training.run import Run


class DetectionRun(Run):
    """A detector as a pipeline.config has it.

    Args:
      path: a pipeline.config; `train_config.num_steps` is the default number of steps.
      restore_heads: whether fine_tune_checkpoint_type "detection" also restores the box heads that fit.
      codec: codec_tuning.CodecTuning of a learned codec in front of the detector, or None; not with evaluations.
        The tuned codec is left in codec/ of the run's folder.
    """

    def __init__(self, path, *, restore_heads=False, codec=None):
        self.path, self.restore_heads, self.codec = pathlib.Path(path), restore_heads, codec

    def open(self, model_dir, options, strategy):
        odapi.install()
        self.config = self._built = config = pipeline_config.read(self.path)
        steps = options.num_train_steps
        self.steps = steps if steps is not None else config.train_config.num_steps
        self.frames, self.label_map = checks.frames(config, self.path, self.steps)
        self.batch_size, self.shuffle = config.train_config.batch_size, config.train_input_reader.shuffle
        self.record_set = checks.record_set_of(config)
        self.starts_from = config.train_config.fine_tune_checkpoint
        if self.codec:
            self.codec.check(self.path, strategy, options.mixed_precision, self.starts_from,
                             "make the config with --checkpoint")
            if pipeline_config.uses_moving_average(config):
                raise InputError(f"{self.path}: use_moving_average does not go with --codec_model; set it to false")
            if self.codec.freezes:
                self._built = freezing.frozen(config)
        codec_tuning.check_same(model_dir, self.codec)

    def build(self, options):
        from tfod_compress.tasks.detection.trainable import ConfiguredDetector

        return ConfiguredDetector(self._built, options.record_summaries)

    def restore(self, trainable):
        kind = self.config.train_config.fine_tune_checkpoint_type
        return restore.start_from(trainable.model, self.starts_from, kind, with_heads=self.restore_heads)

    def evaluations(self, model_dir, options):
        from tfod_compress.training.detector_evaluations import DetectorEvaluations

        return DetectorEvaluations(model_dir, self.config, self.path, options.eval_records,
                                   options.best_metric or "weighted_map", options.patience)

    def write_config(self, model_dir):
        from google.protobuf import text_format

        with atomic_file(pathlib.Path(model_dir) / "pipeline.config", "w") as file:
            file.write(text_format.MessageToString(self.config))

    def hparams(self):
        model = getattr(self.config.model, self.config.model.WhichOneof("model"))
        return {"detector": getattr(model, "feature_extractor", None) and model.feature_extractor.type or "",
                **(self.codec.hparams if self.codec else {})}

    def described(self):
        return {"codec": self.codec.described} if self.codec else {}

    def versions(self):
        return {odapi.PACKAGE: odapi.VERSION}

    def pictures(self, trainable, order, step):
        from tfod_compress.training import pictures

        return pictures.of_training(trainable, self.frames, order, step)
