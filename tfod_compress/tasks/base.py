"""What a task is: what is labelled, predicted and measured. One folder below tasks/ for each; nothing else knows more.

Two methods have to be written, `open_labels` and `scorer`. The others are those of a task with one label and one
prediction a frame (`frame_labels`, `frame_predictions`); one with other labels or predictions has its own of those that
speak of them. No TensorFlow at import.
"""

from __future__ import annotations

import abc
import dataclasses
import typing

from tfod_compress.support.errors import InputError

if typing.TYPE_CHECKING:
    import os
    import pathlib
    from collections.abc import Sequence

    import numpy as np
    import PIL.Image

    from tfod_compress.frames import FramePath
    from tfod_compress.labels import ClassMap
    from tfod_compress.labels.base import Label, Labels
    from tfod_compress.records import RecordSet
    from tfod_compress.records.example import Example, Features
    from tfod_compress.statistics.intervals import Scorer
    from tfod_compress.tasks.models import Model, Wanted
    from tfod_compress.tasks.views import Viewer


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that a task is measured by.

    Attributes:
      key: its path in metrics.json, parts separated by dots, such as "coco.AP"; once files hold it, it stays.
      title: for people, such as "weighted mAP".
      unit: what stands behind the number, such as "px"; "" for a share between 0 and 1.
      higher_is_better: whether more of it is better.
      scorer: the scorer's name of it, for a metric that is a function of image weights and so has intervals and paired
        differences; "" for one that has neither.
      at: what the title leaves out, for axes, such as "IoU 0.5".
      meaning: what it is, in words, for who does not know it.
    """

    key: str
    title: str
    unit: str = ""
    higher_is_better: bool = True
    scorer: str = ""
    at: str = ""
    meaning: str = ""

    @property
    def share(self) -> bool:
        """Whether it lies between 0 and 1, so that its best and worst values are known."""
        return not self.unit

    @property
    def tag(self) -> str:
        """Its name in metrics.jsonl and TensorBoard, such as "coco/AP"."""
        return self.key.replace(".", "/")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1: times a difference, it is above 0 for the better."""
        return 1 if self.higher_is_better else -1

    def of(self, metrics: dict) -> float | None:
        """The value in a metrics.json, or None where it has none or the metric is undefined."""
        for part in self.key.split("."):
            metrics = metrics.get(part) if isinstance(metrics, dict) else None
        return metrics.get("value") if isinstance(metrics, dict) else metrics

    def gain(self, value: float, over: float) -> float:
        """By how much a value is better than another: below 0 where it is worse."""
        return self.sign * (value - over)


class Tally(typing.Protocol):
    """What an inspection of a record set counts of the labels of one split.

    Attributes:
      note: what stands behind the number of frames, such as " (3 without boxes)"; "" for nothing.
    """

    note: str

    def add(self, example: Example) -> list[str]:
        """Counts one example; returns what is odd about its labels, one line each."""

    def lines(self) -> list[str]:
        """What was counted."""


class Truth(typing.Protocol):
    """What is known of the images of an evaluation; tasks add their own.

    Attributes:
      image_ids: source ids, in ascending order.
      sizes: int64 [I, 2], (height, width) in pixels.
      groups: int64 [I] or None; images of one group (frames of one sequence) are one unit of intervals.
    """

    image_ids: tuple
    sizes: np.ndarray
    groups: np.ndarray | None


class Task(abc.ABC):
    """A task. Objects of it hold nothing that cannot be pickled: processes that write records get one.

    Attributes:
      name: as in `--task`.
      metrics: what is told of an evaluation; the first one decides.
      labels: where labels are looked for when no --labels is given; None where `open_labels` finds them by itself.
      label_map: the default of --label_map.
      objects: what of a frame is labelled, such as "boxes"; "" where the frame itself has a class, one and no more.
        Frames of a class that a class map ignores are left out then.
      listed: keys of those that the report lists beside the decisive one; () for all.
      per_class: the key in metrics.json of {class name: its accuracy}; "" where there is none.
      per_class_title: what those are, such as "average precision".
      predictions_file: the name of an evaluation's predictions, beside metrics.json.
      model: what people call what is trained, such as "detector".
      label_formats: of `open_labels`, as in `--label_format`.
      thresholded: whether its `scorer` takes a score below which predictions take no part in some metrics.
      confusion: the key in metrics.json of {"classes": names, "matrix": matrix[i][j]: of class i, taken for class j};
        "" where there is none.
      boxes: whether the predictions are boxes; the last class of `confusion` is the background then.
      takes: which attributes of `models.Wanted` name its own models, or go with one.
    """

    name: str
    metrics: tuple[Metric, ...]
    labels: str | None = None
    label_map: str = "auto"
    objects: str = ""
    listed: tuple[str, ...] = ()
    per_class: str = ""
    per_class_title: str = "accuracy"
    predictions_file: str = "predictions.json"
    model: str = "model"
    label_formats: tuple[str, ...] = ("auto",)
    thresholded: bool = False
    confusion: str = ""
    boxes: bool = False
    takes: frozenset[str] = frozenset()

    @property
    def decisive(self) -> Metric:
        """The metric by which compression is judged, detectors are compared and the best checkpoint is kept."""
        return self.metrics[0]

    def metric(self, key: str) -> Metric:
        """A metric by its key; KeyError where there is none."""
        return {metric.key: metric for metric in self.metrics}[key]

    # Labels to records and back.

    @abc.abstractmethod
    def open_labels(self, path: pathlib.Path | str | None, label_format: str, frames: Sequence[FramePath], *,
                    folder: pathlib.Path | str, names_file: str | None = None,
                    label_map: dict[int, str] | None = None, may_be_empty: bool = False) -> tuple[Labels, str]:
        """Opens the labels of a data set.

        Args:
          path: of the labels, a folder or a file; None where none was given.
          label_format: one of the task's, or "auto".
          frames: the frames.
          folder: that they were found in.
          names_file: names of classes that the labels give as numbers (--names), or None.
          label_map: {class id: name} that the labels will be mapped to, where it is known before.
          may_be_empty: whether labels of not a single frame will do.

        Returns:
          (labels, format); `labels` can be pickled.

        Raises:
          InputError: missing, of no known format, or damaged.
        """

    def to_features(self, label: Label | None, width: int, height: int, class_map: ClassMap,
                    min_box_px: float) -> Features:
        """What a record keeps of one frame's label.

        Args:
          label: what the labels have of it; None for a frame without labels that is kept (--unlabelled negative).
          width: of the frame, in pixels.
          height: likewise.
          class_map: every name in the label is mapped.
          min_box_px: objects whose shorter side is below this are dropped, where objects have one.
        """
        from tfod_compress.tasks import frame_labels

        return frame_labels.write(label, class_map)

    def from_features(self, stored: Example, features: dict[str, list]) -> Example:
        """The task's example: `stored` with what `to_features` wrote.

        Args:
          stored: what every record has.
          features: {key: values} of the record.

        Raises:
          KeyError, IndexError, TypeError, ValueError: the features are not the task's.
        """
        from tfod_compress.tasks import frame_labels

        return frame_labels.read(stored, features)

    def annotations(self, example: Example, has_areas: bool) -> list[dict]:
        """The labels of an example as annotations of a COCO file, without `id` and `image_id`.

        Args:
          example: of `from_features`.
          has_areas: whether the objects' areas are those that the labels had.
        """
        from tfod_compress.tasks import frame_labels

        return frame_labels.annotations(example)

    def check_counts(self, counts: dict[str, int], where: pathlib.Path | str) -> None:  # noqa: B027 - most will do
        """Raises InputError where nothing can be learnt from labels of {class name: objects}; `where` names them."""

    def tally(self, label_map: dict[int, str]) -> Tally:
        """An empty count of a split's labels."""
        from tfod_compress.tasks import frame_labels

        return frame_labels.ClassTally(label_map)

    def draw(self, rgb: np.ndarray, example: Example, label_map: dict[int, str]) -> PIL.Image.Image:
        """The picture, uint8 [H, W, 3], with its labels, as far as they can be drawn."""
        from tfod_compress.tasks import frame_labels

        return frame_labels.picture(rgb)

    # Truth, predictions, numbers: what each is made of is the task's own affair.

    def ground_truth(self, record_set: RecordSet, split: str) -> Truth:
        """The truth of one split of a record set.

        Raises:
          InputError: an empty split, or records of another task.
        """
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.ground_truth(record_set, split)

    def ground_truth_file(self, path: str | os.PathLike) -> Truth:
        """The truth in a file of its own, of a task that has such files; InputError where it is none."""
        raise InputError(f"{path}: {self.name} has its truth in record sets; name the folder of one")

    def write_predictions(self, path: str | os.PathLike, truth: Truth, predicted: typing.Any) -> None:
        """Writes predictions on a truth's images, whole or not at all."""
        from tfod_compress.tasks import frame_predictions

        frame_predictions.write(path, truth, predicted)

    def read_predictions(self, path: str | os.PathLike, truth: Truth) -> typing.Any:
        """What `write_predictions` wrote, or a program that is not ours.

        Raises:
          InputError: missing, malformed, or not of these images and classes.
        """
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.read(path, truth, self.wrong_with)

    def wrong_with(self, prediction: typing.Any, truth: Truth) -> str:
        """What is wrong with the prediction of one frame, in words; "" for nothing."""
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.wrong_with(prediction, truth)

    def odd(self, predicted: typing.Any, truth: Truth, name: str) -> list[str]:
        """What a person should know of predictions that are measured, in lines; `name` is what they are called."""
        return []

    @abc.abstractmethod
    def scorer(self, truth: Truth, predicted: typing.Any, score_threshold: float | None = None) -> Scorer:
        """What computes the metrics that have a `Metric.scorer`, for any image weights."""

    def summarise(self, truth: Truth, predicted: typing.Any, score_threshold: float | None = None) -> dict:
        """The task's part of metrics.json: every metric, and what else its report shows."""
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.summarise(truth, self.scorer(truth, predicted, score_threshold), self.metrics)

    def columns(self) -> dict[str, str]:
        """{key of a metric: its title}, short, of the table of an evaluation."""
        return {metric.key: metric.title for metric in self.metrics}

    def notes(self, result: dict) -> list[str]:
        """Lines for a person about a metrics.json, such as which classes it is of."""
        return []

    # Models that are evaluated.

    def outside_model(self, wanted: Wanted) -> Model:
        """The program of any framework that was asked for.

        Raises:
          InputError: the command cannot be run, or what is said of it cannot be read.
        """
        from tfod_compress.tasks.outside_model import OutsideModel

        return OutsideModel(wanted.model_command, self.read_predictions, keep_frames=wanted.keep_frames)

    def trained_models(self, wanted: Wanted) -> Sequence[Model]:
        """The task's own models that were asked for, as many as there are checkpoints; one of anything else.

        Raises:
          InputError: something is not there, or does not fit the rest.
        """
        raise NotImplementedError

    def viewer(self, truth: Truth, predicted: typing.Any, score_threshold: float | None = None) -> Viewer | None:
        """What shows single pictures with their predictions in a report; None where a task has no such view."""
        return None

    # Several models side by side, which a study compares.

    def not_covered(self, files: Sequence[str | os.PathLike]) -> frozenset[str]:
        """Classes of the truth that at least one of these files cannot hold, as its model lacks them."""
        return frozenset()

    def without(self, truth: Truth, predictions: typing.Any, classes: frozenset[str]) -> tuple[Truth, typing.Any]:
        """(truth, predictions) without some classes; only `not_covered` names any."""
        if classes:
            raise NotImplementedError
        return truth, predictions

    def pool(self, parts: Sequence[tuple[Truth, typing.Any]]) -> tuple[Truth, typing.Any]:
        """(truth, predictions) of folds together: parts without an image in common, each of another model."""
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.pool(parts)

    def same_truth(self, a: Truth, b: Truth) -> bool:
        """Whether two truths are the same images with the same labels."""
        from tfod_compress.tasks import frame_predictions

        return frame_predictions.same(a, b)
