"""Evaluation while a model trains: in the same process, on the very weights that train."""

import abc
import os
import pathlib
import shutil

from tfod_compress import tasks
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, write_json
from tfod_compress.tasks import trained_frames


class Evaluations(abc.ABC):
    """Evaluates a run's checkpoints on record sets, keeps the best one, and says when to stop.

    Args:
      model_dir: receives evaluations/step-<N>/<record set>/ and best/.
      record_sets: folders of record sets with a val split; names must differ.
      best_metric: the tag of one of the task's metrics, such as "coco/AP", on the first record set, or "<record set>:
        <tag>"; "" for the one that decides.
      patience: stop after so many evaluations without a better one, or None.
      trained: trained_frames.TrainedFrames of the run.

    Attributes:
      task: whose metrics they are.
      files: names of the files in the run's folder that a model is built from.

    Raises:
      InputError: no such metric or record set; a set lacks val frames, has other classes, or val frames that the run
        trains on.
    """

    task: tasks.Task
    files: tuple[str, ...]

    def __init__(self, model_dir, record_sets, best_metric, patience, trained):
        self.model_dir, self.patience = pathlib.Path(model_dir), patience
        self.sets = record_sets = _open(record_sets)
        name, _, tag = best_metric.rpartition(":")
        known = {metric.tag: metric for metric in self.task.metrics}
        self.best_of, self.metric = name or record_sets[0].name, tag or self.task.decisive.tag
        if self.metric not in known:
            raise InputError(f"--best_metric {best_metric}: no such metric; there are {', '.join(known)}")
        self._sign = known[self.metric].sign
        if self.best_of not in [record_set.name for record_set in record_sets]:
            raise InputError(f"--best_metric {best_metric}: {self.best_of} is not among the record sets evaluated")
        for record_set in record_sets:
            self.check(record_set)
            if not record_set.files("val"):
                raise InputError(f"{record_set.path}: has no val frames to evaluate on")
        trained_frames.refuse(trained, record_sets, "val", "this run")

    @abc.abstractmethod
    def check(self, record_set):
        """Raises InputError where a record set's classes are not the model's."""

    @abc.abstractmethod
    def results(self, model, step, prefix):
        """{record set name: its metrics.json} of the present weights; arguments as those of `run`."""

    def pictures(self, step, record_set):
        """{tag: pictures as Log.pictures takes them} of what was found at a step."""
        return {}

    def run(self, model, step, prefix):
        """Evaluates the present weights.

        Args:
          model: the model that trains.
          step: how many steps it has made.
          prefix: the checkpoint that was just saved of it.

        Returns:
          {record set name: {a metric's tag: float or None}}.
        """
        return {name: {metric.tag: metric.of(result) for metric in self.task.metrics}
                for name, result in self.results(model, step, prefix).items()}

    def folder(self, step):
        """Where the results of a step's evaluation are, a folder for each record set."""
        return self.model_dir / "evaluations" / f"step-{step}"

    def done(self, step, history):
        """Whether `history`, the rows of metrics.jsonl, holds the evaluation of a step."""
        return any(found == step for _, found in self._values(history))

    def _values(self, history):
        """[(value that the best is chosen by, step)] of all evaluations."""
        key = f"eval/{self.best_of}/{self.metric}"
        return [(row[key], row["step"]) for row in history if key in row]

    def keep_if_best(self, step, prefix, history):
        """Copies a checkpoint into best/ if no earlier evaluation in `history` reached its value.

        Args:
          step: its step.
          prefix: the checkpoint.
          history: the rows of metrics.jsonl, this evaluation's included.

        Returns:
          A line for a person.

        Raises:
          InputError: the metric is undefined on that record set, such as without a single box.
        """
        values = self._values(history)
        if not self.done(step, history):
            raise InputError(f"{self.best_of}: {self.metric} is undefined on its val frames; choose another "
                             "--best_metric")
        value, best = self.best(history)
        if best == step:
            self._copy(step, pathlib.Path(prefix), value)
            return f"step {step}: {self.metric} {value:.4f} on {self.best_of}, the best so far; kept in best/"
        return (f"step {step}: {self.metric} {values[-1][0]:.4f} on {self.best_of}; the best is {value:.4f} at step "
                f"{best}")

    def best(self, history):
        """(value, step) of the best evaluation in the rows of metrics.jsonl, the first of equals."""
        return max(self._values(history), key=lambda pair: (self._sign * pair[0], -pair[1]))

    def exhausted(self, history):
        """Whether the last `patience` evaluations brought nothing better than one before them."""
        values = [self._sign * value for value, _ in self._values(history)]
        return (self.patience is not None and len(values) > self.patience
                and max(values[-self.patience:]) <= max(values[:-self.patience]))

    def _copy(self, step, prefix, value):
        """best/ as a model folder of its own; the checkpoint that it names is always whole."""
        folder = self.model_dir / "best"
        folder.mkdir(exist_ok=True)
        for path in sorted(prefix.parent.glob(f"{prefix.name}.*"), key=lambda path: path.suffix == ".index"):
            with open(path, "rb") as source, atomic_file(folder / path.name) as copy:
                shutil.copyfileobj(source, copy)
        for name in self.files:
            shutil.copyfile(self.model_dir / name, folder / name)
        with atomic_file(folder / "checkpoint", "w") as file:
            file.write(f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n')
        write_json(folder / "best.json", {"step": step, "record_set": self.best_of, "metric": self.metric,
                                          "value": value})
        for path in folder.glob("ckpt-*"):
            if not path.name.startswith(f"{prefix.name}."):
                path.unlink()


def _open(paths):
    sets = [RecordSet(path) for path in paths]
    if not sets:
        raise InputError("--eval_every needs --eval_records, the record sets to evaluate on")
    if len({record_set.name for record_set in sets}) < len(sets):
        raise InputError(f"--eval_records {', '.join(map(os.fspath, paths))}: two have one name")
    return sets
