"""What a task is: what is labelled, predicted and measured. One folder below tasks/ for each; nothing else knows more.

No TensorFlow at import.
"""

from __future__ import annotations

import abc
import dataclasses


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


class Task(abc.ABC):
    """A task.

    Attributes:
      name: as in `--task`.
      metrics: what is told of an evaluation; the first one decides.
    """

    name: str
    metrics: tuple[Metric, ...]

    @property
    def decisive(self) -> Metric:
        """The metric by which compression is judged, detectors are compared and the best checkpoint is kept."""
        return self.metrics[0]

    def metric(self, key: str) -> Metric:
        """A metric by its key; KeyError where there is none."""
        return {metric.key: metric for metric in self.metrics}[key]
