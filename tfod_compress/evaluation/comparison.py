"""Two files of predictions on the same images: the paired difference of every metric, whatever the task."""

import dataclasses

from tfod_compress import tasks
from tfod_compress.evaluation.runs import load
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import compared
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import CLASSES, listed


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
      task: Task.
      images: how many there are.
      unit: what was left out, "image" or "sequence".
      units: how many there are.
      rows: [(Metric, {"a", "b", "value" (a - b), "low", "high", "p_value"; with a margin "not_worse"})].
      notes: lines for a person, about the files.
    """

    task: tasks.Task
    images: int
    unit: str
    units: int
    rows: list
    notes: list


def compare(files, ground_truth, *, split="val", score_threshold=0.5, margin=None, keys=()) -> Comparison:
    """Compares two files of predictions, on the classes that both cover.

    Args:
      files: of A and of B.
      ground_truth: a record set's folder, or a COCO JSON.
      split: of the record set.
      score_threshold: of F1, of a task that has it.
      margin: of the non-inferiority of A to B, a Margin, or None.
      keys: of metrics that have intervals; by default all of those.

    Raises:
      InputError: the files do not fit the ground truth; no such metric; an absolute margin of one that has a unit.
    """
    task, _, truth, predicted, missing = load(files, ground_truth, split)
    known = {metric.key: metric for metric in task.metrics if metric.scorer}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InputError(f"--metric {unknown[0]}: {task.name} has no such metric with intervals; there are "
                         f"{', '.join(known)}")
    metrics = [known[key] for key in keys or known]
    with_unit = [metric for metric in metrics if not metric.share]
    if margin is not None and not margin.relative and with_unit:
        raise InputError(f"--margin {margin}: {with_unit[0].title} is in {with_unit[0].unit}; give a share of B's, "
                         "such as 5%, or name other metrics with --metric")
    names = [name for name in truth.class_names.values() if name not in missing]
    notes = [f"compared on the classes that both cover: {listed(names, CLASSES)}"] if missing else []
    notes += [line for file, found in zip(files, predicted, strict=True) for line in task.odd(found, truth, str(file))]
    units = jackknife.units(len(truth.image_ids), truth.groups)
    scorers = [task.scorer(truth, found, score_threshold if task.thresholded else None) for found in predicted]
    table = compared(*scorers, {metric.scorer: (metric.higher_is_better, metric.share) for metric in metrics}, units,
                     margin)
    return Comparison(task, len(truth.image_ids), units.name, units.count,
                      [(metric, table[metric.scorer]) for metric in metrics], notes)
