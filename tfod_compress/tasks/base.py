"""What a task is: what is labelled, predicted and measured. One folder below tasks/ for each; nothing else knows more.

No TensorFlow at import.
"""

from __future__ import annotations

import abc
import dataclasses
import typing

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

    @abc.abstractmethod
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

    @abc.abstractmethod
    def from_features(self, stored: Example, features: dict[str, list]) -> Example:
        """The task's example: `stored` with what `to_features` wrote.

        Args:
          stored: what every record has.
          features: {key: values} of the record.

        Raises:
          KeyError, IndexError, TypeError, ValueError: the features are not the task's.
        """

    @abc.abstractmethod
    def annotations(self, example: Example, has_areas: bool) -> list[dict]:
        """The labels of an example as annotations of a COCO file, without `id` and `image_id`.

        Args:
          example: of `from_features`.
          has_areas: whether the objects' areas are those that the labels had.
        """

    @abc.abstractmethod
    def check_counts(self, counts: dict[str, int], where: pathlib.Path | str) -> None:
        """Raises InputError where nothing can be learnt from labels of {class name: objects}; `where` names them."""

    @abc.abstractmethod
    def tally(self, label_map: dict[int, str]) -> Tally:
        """An empty count of a split's labels."""

    @abc.abstractmethod
    def draw(self, rgb: np.ndarray, example: Example, label_map: dict[int, str]) -> PIL.Image.Image:
        """The picture, uint8 [H, W, 3], with its labels, as far as they can be drawn."""

    # Truth, predictions, numbers: what each is made of is the task's own affair.

    @abc.abstractmethod
    def ground_truth(self, record_set: RecordSet, split: str) -> Truth:
        """The truth of one split of a record set.

        Raises:
          InputError: an empty split, or records of another task.
        """

    @abc.abstractmethod
    def write_predictions(self, path: str | os.PathLike, truth: Truth, predicted: typing.Any) -> None:
        """Writes predictions on a truth's images, whole or not at all."""

    @abc.abstractmethod
    def read_predictions(self, path: str | os.PathLike, truth: Truth) -> typing.Any:
        """What `write_predictions` wrote.

        Raises:
          InputError: missing, malformed, or not of these images and classes.
        """

    @abc.abstractmethod
    def scorer(self, truth: Truth, predicted: typing.Any, score_threshold: float | None = None) -> Scorer:
        """What computes the metrics that have a `Metric.scorer`, for any image weights."""

    @abc.abstractmethod
    def summarise(self, truth: Truth, predicted: typing.Any, score_threshold: float | None = None) -> dict:
        """The task's part of metrics.json: every metric, and what else its report shows."""

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
        raise NotImplementedError

    def same_truth(self, a: Truth, b: Truth) -> bool:
        """Whether two truths are the same images with the same labels."""
        raise NotImplementedError
