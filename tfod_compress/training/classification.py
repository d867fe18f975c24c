"""Training of classifiers: an experiment of tf-models-official as a Run."""

import pathlib

import numpy as np

from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks import record_sets
from tfod_compress.tasks.classification import trained_on
from tfod_compress.training import codec_tuning, records
from tfod_compress.training.run import Run


class ClassificationRun(Run):
    """A classifier as an experiment has it; see tasks.classification.experiment.

    Args:
      experiment: its name, such as "resnet_imagenet".
      config_files: YAML files over it.
      overrides: fields over those.
      record_set: folder of the record set whose train frames are trained on; None for `task.train_data.input_path`.
      codec: codec_tuning.CodecTuning of a learned codec in front of the classifier, or None; not with evaluations.
        The tuned codec is left in codec/ of the run's folder.
    """

    def __init__(self, experiment, config_files=(), overrides="", record_set=None, *, codec=None):
        self._given = experiment, list(config_files), overrides
        self._records, self.codec = record_set, codec

    def open(self, model_dir, options, strategy):
        record_set = RecordSet(self._records) if self._records else None  # before TensorFlow's models are imported
        if record_set:
            record_sets.require(record_set, "classification")
        from tfod_compress.tasks.classification import experiment

        found = experiment.read(*self._given)
        self.record_set = record_set or self._named(found)
        self.path, self.label_map = found.source, dict(self.record_set.label_map)
        self.experiment = found.for_classes(self.label_map)
        config = self.experiment.params
        config.task.train_data.input_path = str(self.record_set.path.resolve() / "train-*")
        steps = options.num_train_steps
        self.steps = steps if steps is not None else config.trainer.train_steps
        self.batch_size, self.starts_from = config.task.train_data.global_batch_size, config.task.init_checkpoint or ""
        self._check(config)
        if self.codec:
            self._check_codec(config, options, strategy)
        codec_tuning.check_same(model_dir, self.codec)

    def _named(self, found):
        """The record set that the config names."""
        paths = found.params.task.train_data.input_path
        if "task.train_data.input_path" not in found.written or not paths:
            raise InputError("--records is missing: the record set to train on (or task.train_data.input_path)")
        path = pathlib.Path(paths if isinstance(paths, str) else paths[0])
        record_set = RecordSet(path if path.is_dir() else path.parent)
        record_sets.require(record_set, "classification")
        return record_set

    def _check(self, config):
        files = self.record_set.files("train")
        if not files:
            raise InputError(f"{self.record_set.path}: has no train frames; make it with --val_fraction below 1")
        if self.steps <= 0:
            raise InputError(f"{self.path}: the number of steps is {self.steps}; set trainer.train_steps or "
                             "--num_train_steps")
        self.frames = records.scan(files, self.label_map, max(self.label_map), records.class_of)
        if not 0 < self.batch_size <= len(self.frames):
            raise InputError(f"{self.path}: a batch of {self.batch_size} does not fit {len(self.frames)} frames; set "
                             "task.train_data.global_batch_size")
        if np.count_nonzero(self.frames.boxes.any(axis=0)) < 2:
            raise InputError(f"{self.record_set.path}: its train frames are of one class only; there is nothing to "
                             "learn")
        if config.task.init_checkpoint_modules not in ("all", "backbone"):
            raise InputError(f"{self.path}: task.init_checkpoint_modules is {config.task.init_checkpoint_modules!r}; "
                             "there are all and backbone")

    def _check_codec(self, config, options, strategy):
        self.codec.check(self.path, strategy, options.mixed_precision, self.starts_from, "set task.init_checkpoint")
        if self.codec.freezes and config.task.init_checkpoint_modules != "all":
            raise InputError(f"{self.path}: {self.codec.regime} tunes a codec through a frozen model, and of this one "
                             "the backbone alone is trained; set task.init_checkpoint_modules to all")

    def build(self, options):
        from tfod_compress.tasks.classification.model import TrainableClassifier

        return TrainableClassifier(self.experiment)

    def restore(self, trainable):
        from tfod_compress.training import restore

        model, task = trainable.model, self.experiment.params.task
        if task.init_checkpoint_modules == "backbone":
            objects = {"backbone": model.backbone}
        else:
            objects = {"model": model}
            for there, here in restore.other_shapes(self.starts_from, objects):
                if there[:-1] == here[:-1] and here[-1] == task.model.num_classes:
                    raise InputError(f"{self.starts_from}: a checkpoint of {there[-1]} classes, and here are "
                                     f"{here[-1]}; set task.init_checkpoint_modules: backbone, or label_offset: 1 "
                                     "where the one more is a background class")
        return restore.parts_from(model, self.starts_from, objects, "task.init_checkpoint_modules")

    def evaluations(self, model_dir, options):
        from tfod_compress.training.classifier_evaluations import ClassifierEvaluations

        return ClassifierEvaluations(model_dir, self.experiment, self.label_map, options.eval_records,
                                     options.best_metric or "top1", options.patience,
                                     trained_on.of_params(self.experiment.params.as_dict()))

    def write_config(self, model_dir):
        from tfod_compress.tasks.classification import params_file, trained

        self.experiment.write(model_dir)
        trained.write_label_map(model_dir, self.label_map)
        if not self._given[1]:
            self.path = pathlib.Path(model_dir) / params_file.NAME

    def hparams(self):
        backbone = self.experiment.params.task.model.backbone
        return {"experiment": self._given[0], "backbone": backbone.type, **(self.codec.hparams if self.codec else {})}

    def described(self):
        name, files, overrides = self._given
        return {"task": "classification", "experiment": name, "config_files": list(map(str, files)),
                "params_override": overrides, **({"codec": self.codec.described} if self.codec else {})}

    def versions(self):
        import importlib.metadata

        return {"tf-models-official": importlib.metadata.version("tf-models-official")}

    def pictures(self, trainable, order, step):
        from tfod_compress.training import batches, pictures

        few = order.head(pictures.COUNT)
        features, _ = next(iter(batches.batches(trainable.transform(), self.frames, few, step, cache_bytes=0)))
        return [(pictures.stretched(image), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
                for image in features["image"].numpy()]
