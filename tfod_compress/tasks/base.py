"""What a task is: what is labelled, predicted and measured. One folder below tasks/ for each; nothing else knows more.

No TensorFlow at import.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Protocol

import numpy as np

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
    """

    key: str
    title: str
    unit: str = ""
    higher_is_better: bool = True
    scorer: str = ""

    def of(self, metrics: dict) -> float | None:
        """The value in a metrics.json, or None where it has none or the metric is undefined."""
        for part in self.key.split("."):
            metrics = metrics.get(part) if isinstance(metrics, dict) else None
        return metrics.get("value") if isinstance(metrics, dict) else metrics

    def gain(self, value: float, over: float) -> float:
        """By how much a value is better than another: below 0 where it is worse."""
        return value - over if self.higher_is_better else over - value


class Truth(Protocol):
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
    """A task.

    Attributes:
      name: as in `--task`.
      metrics: what is told of an evaluation; the first one decides.
      predictions_file: name of the file that an evaluation leaves beside metrics.json.
    """

    name: str
    metrics: tuple[Metric, ...]

    predictions_file: str

    @property
    def decisive(self) -> Metric:
        """The metric by which compression is judged, detectors are compared and the best checkpoint is kept."""
        return self.metrics[0]

    def metric(self, key: str) -> Metric:
        """A metric by its key; KeyError where there is none."""
        return {metric.key: metric for metric in self.metrics}[key]

    # Truth, predictions, numbers: what each is made of is the task's own affair.

    @abc.abstractmethod
    def ground_truth(self, record_set, split: str) -> Truth:
        """The truth of one split of a record set.

        Raises:
          InputError: an empty split, or records of another task.
        """

    @abc.abstractmethod
    def write_predictions(self, path, truth: Truth, predicted):
        """Writes predictions on a truth's images, whole or not at all."""

    @abc.abstractmethod
    def read_predictions(self, path, truth: Truth):
        """What `write_predictions` wrote.

        Raises:
          InputError: missing, malformed, or not of these images and classes.
        """

    @abc.abstractmethod
    def scorer(self, truth: Truth, predicted, score_threshold: float | None = None) -> Scorer:
        """What computes the metrics that have a `Metric.scorer`, for any image weights."""

    @abc.abstractmethod
    def summarise(self, truth: Truth, predicted, score_threshold: float | None = None) -> dict:
        """The task's part of metrics.json: every metric, and what else its report shows."""
