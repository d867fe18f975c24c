"""Classifiers in a study: experiments of tf-models-official that are trained, and classifiers as they are."""

import pathlib

import pydantic

from tfod_compress.study.kinds.base import Kind, TrainedModel
from tfod_compress.study.nodes import Node
from tfod_compress.study.regimes import PUBLISHED
from tfod_compress.study.strict import wrong
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.classification import params_file, trained


class Classifier(TrainedModel):
    """An experiment with its config, that is trained; or a classifier as it is, for `published` alone.

    Attributes:
      experiment: of tf-models-official, such as resnet_imagenet; without one, nothing is trained.
      config_file: fields over the experiment's: a name of pipeline_configs/classifiers/, or a path.
      checkpoint: a model folder or a checkpoint prefix; of an experiment, its task.init_checkpoint.
      set: fields over those, such as "task.losses.label_smoothing=0.1", as in --params_override of tools.train.
      batch_size: its task.train_data.global_batch_size.
    """

    experiment: str | None = None
    config_file: str | None = None

    @property
    def trained_by(self):
        return self.experiment

    def takes(self, regime):
        return bool(self.checkpoint or self.command) if regime == PUBLISHED else self.experiment is not None

    @pydantic.field_validator("config_file")
    @classmethod
    def _readable(cls, name):
        if name is not None:
            try:
                params_file.read(params_file.find(name))
            except InputError as error:
                raise wrong(str(error)) from None
        return name

    @pydantic.model_validator(mode="after")
    def _one_kind(self):
        if self.command and (self.experiment or self.checkpoint):
            raise wrong(f"give either command or {'experiment' if self.experiment else 'checkpoint'}", "command")
        if not self.experiment and not self.checkpoint and not self.command:
            raise wrong("give an experiment, a checkpoint or a command")
        for name in ("config_file", "steps", "set", "batch_size", "fine_tuning"):
            if not self.experiment and getattr(self, name):
                raise wrong("goes with an experiment: without one, nothing is trained", name)
        for index, text in enumerate(self.set):
            if "=" not in text:
                raise wrong(f"{text!r}: give a field and its value, such as task.losses.label_smoothing=0.1", "set",
                            index)
        return self


class Classifiers(Kind):
    """See Kind."""

    entry, trained, as_it_is = Classifier, "experiment", "a checkpoint or a command"

    def check_entries(self, study, refuse):
        if study.split.folds and any(entry.experiment for entry in study.detectors):
            refuse(("split", "folds"), "", "classifiers are trained on train frames alone: give val_fraction or "
                                           "split_files")

    def check_there(self, entry):
        if entry.command:
            super().check_there(entry)
        else:
            trained.find(entry.checkpoint)

    def check_trainings(self, study):
        """Reads every experiment as the trainings will; that imports tf-models-official, which takes seconds."""
        from tfod_compress.tasks.classification import experiment

        for entry in study.detectors:
            for regime in study.regimes_of(entry):
                if regime != PUBLISHED:
                    steps, changes = study.training_of(entry, regime)
                    try:
                        experiment.read(entry.experiment, _files(entry), _overrides(entry, steps, changes, None))
                    except InputError as error:
                        raise InputError(f"{entry.name}, {regime}: {error}") from error

    def train_nodes(self, job):
        entry, model = job.entry, job.row.model
        arguments = ["--experiment", entry.experiment]
        arguments += ["--config_file", entry.config_file] if entry.config_file else []
        arguments += ["--params_override", _overrides(entry, job.steps, job.changes, job.start),
                      "--records", job.records]
        batch = [f"batch {entry.batch_size}"] if entry.batch_size else []
        kind = " ".join([entry.experiment, *filter(None, [entry.config_file]), *job.changes, *batch])
        return [Node(f"train {model}", "train", (*arguments, *job.loop_flags),
                     (*job.needs, *(job.codec.needs if job.codec else ())), work=job.work(kind), **job.results,
                     reads=tuple((entry.config_file, path) for path in _files(entry)))]

    def evaluated(self, job):
        return "--checkpoint", job.model_dir

    def evaluated_as_it_is(self, entry, checkpoint):
        return ("--model_command", entry.command) if entry.command else ("--checkpoint", checkpoint)

    def stand_ins(self, entry, regimes, smoke, records):
        """A small classifier in the place of what is trained."""
        if PUBLISHED in regimes:
            yield Classifier(name=entry.name, checkpoint=entry.checkpoint, command=entry.command, records=records)
        if regimes != [PUBLISHED]:
            yield Classifier(name=f"{entry.name}-smoke", records=records, **smoke.classifier.model_dump())


def _files(entry) -> list[pathlib.Path]:
    return [params_file.find(entry.config_file)] if entry.config_file else []


def _overrides(entry, steps, changes, start) -> str:
    """The text of --params_override."""
    fields = [f"trainer.train_steps={steps}"]
    fields += [f"task.train_data.global_batch_size={entry.batch_size}"] if entry.batch_size else []
    fields += [f"task.init_checkpoint={start}"] if start else []
    return ",".join([*fields, *changes])
