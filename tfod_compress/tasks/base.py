"""What a task is: what is labelled, predicted and measured. One folder below tasks/ for each; nothing else knows more.

No TensorFlow at import.
"""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from tfod_compress.records import RecordSet
    from tfod_compress.statistics.intervals import Scorer


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


class Truth(Protocol):
    """What is labelled in a set of images.

    Attributes:
      image_ids: source ids, I of them.
      sizes: int64 [I, 2], (height, width) in pixels.
      groups: int64 [I], which images are one sequence; None where each stands for itself.
    """

    image_ids: tuple[str, ...]
    sizes: np.ndarray
    groups: np.ndarray | None


class Task(abc.ABC):
    """A task.

    Attributes:
      name: as in `--task`.
      metrics: what is told of an evaluation; the first one decides.
      listed: keys of those that the report lists beside the decisive one; () for all.
      per_class: the key in metrics.json of {class name: its accuracy}; "" where there is none.
      predictions_file: the name of an evaluation's predictions, beside metrics.json.
      model: what people call what is trained, such as "detector".
      boxes: whether the predictions are boxes that the report can draw on the frames.
    """

    name: str
    metrics: tuple[Metric, ...]
    listed: tuple[str, ...] = ()
    per_class: str = ""
    predictions_file: str = "predictions.json"
    model: str = "model"
    boxes: bool = False

    @property
    def decisive(self) -> Metric:
        """The metric by which compression is judged, detectors are compared and the best checkpoint is kept."""
        return self.metrics[0]

    def metric(self, key: str) -> Metric:
        """A metric by its key; KeyError where there is none."""
        return {metric.key: metric for metric in self.metrics}[key]

    # What follows is asked only where predictions are scored; the report reads what was written.

    def ground_truth(self, record_set: RecordSet, split: str) -> Truth:
        """What is labelled in a record set's split. Raises InputError where that cannot be read."""
        raise NotImplementedError

    def read_predictions(self, path: str | os.PathLike, truth: Truth) -> Any:
        """The predictions of a file, as `scorer` takes them. Raises InputError where they do not fit the truth."""
        raise NotImplementedError

    def scorer(self, truth: Truth, predictions: Any, score_threshold: float | None = None) -> Scorer:
        """What computes the metrics with a `scorer` for any image weights.

        Args:
          truth: of `ground_truth`.
          predictions: of `read_predictions`, on it.
          score_threshold: of metrics that have one.
        """
        raise NotImplementedError

    def not_covered(self, files: Sequence[str | os.PathLike]) -> frozenset[str]:
        """Classes of the truth that at least one of these files cannot hold, as its model lacks them."""
        return frozenset()

    def without(self, truth: Truth, predictions: Any, classes: frozenset[str]) -> tuple[Truth, Any]:
        """(truth, predictions) without some classes; only `not_covered` names any."""
        if classes:
            raise NotImplementedError
        return truth, predictions

    def pool(self, parts: Sequence[tuple[Truth, Any]]) -> tuple[Truth, Any]:
        """(truth, predictions) of folds together: parts without an image in common, each of another model."""
        raise NotImplementedError

    def same_truth(self, a: Truth, b: Truth) -> bool:
        """Whether two truths are the same images with the same labels."""
        raise NotImplementedError
