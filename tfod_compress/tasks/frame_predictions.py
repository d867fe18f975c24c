"""One prediction a frame: the truth, predictions.json and numbers of a task unless it says otherwise. No TensorFlow.

    [
    {"image_id": "seq003/000012", "prediction": "dark"},
    …
    ]
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_compress.records import sequences
from tfod_compress.statistics.intervals import intervals
from tfod_compress.statistics.jackknife import CONFIDENCE, units
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.text import CLASSES, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfod_compress.records import RecordSet
    from tfod_compress.statistics.intervals import Scorer


@dataclasses.dataclass(frozen=True)
class FrameTruth:
    """The labels of a set of images.

    Attributes:
      image_ids: source ids, unique, in ascending order.
      sizes: int64 [I, 2], (height, width) in pixels.
      class_names: {class id: name}, ids from 1 on.
      labels: (what is to be predicted) [I], see `frame_labels.FrameExample.label`.
      are_classes: whether that is a class's name.
      groups: int64 [I] or None; images of one group (frames of one sequence) are one unit of intervals.
      name: where it came from, for error messages.
    """

    image_ids: tuple
    sizes: np.ndarray
    class_names: dict
    labels: tuple
    are_classes: bool = True
    groups: np.ndarray | None = None
    name: str = "ground truth"

    def __post_init__(self):
        check_ids(self.image_ids, self.name)


def check_ids(image_ids: Sequence[str], name: str) -> None:
    """Raises InputError where a truth has no images, or two of one id; ValueError where they are not in order."""
    if not image_ids:
        raise InputError(f"{name}: no images, so there is nothing to evaluate")
    twice = [a for a, b in itertools.pairwise(image_ids) if a == b]
    if twice:
        raise InputError(f"{name}: image ids occur twice ({listed(twice)}); every image needs its own id")
    if any(a > b for a, b in itertools.pairwise(image_ids)):
        raise ValueError("image_ids must be in ascending order")


def ground_truth(record_set: RecordSet, split: str) -> FrameTruth:
    """See `Task.ground_truth`."""
    rows = sorted(((example.source_id, example.height, example.width, example.label, example.value is None)
                   for example in record_set.examples(split)), key=lambda row: row[0])
    ids = tuple(row[0] for row in rows)
    return FrameTruth(ids, np.array([row[1:3] for row in rows], np.int64).reshape(-1, 2), dict(record_set.label_map),
                      tuple(row[3] for row in rows), all(row[4] for row in rows),
                      sequences.numbers(ids, sequences.of_manifest(record_set.manifest)),
                      f"{record_set.path} ({split})")


def write(path, truth: FrameTruth, predicted: Sequence[Any]) -> None:
    """See `Task.write_predictions`; `predicted` has one entry for each image, in their order."""
    with atomic_file(path, "w") as file:
        file.write("[")
        for number, (image_id, prediction) in enumerate(zip(truth.image_ids, predicted, strict=True)):
            file.write(",\n" if number else "\n")
            file.write(json.dumps({"image_id": image_id, "prediction": prediction}, allow_nan=False))
        file.write("\n]\n")


def read(path, truth: FrameTruth, wrong: Callable[[Any, FrameTruth], str]) -> tuple:
    """See `Task.read_predictions`.

    Args:
      path: the file.
      truth: on whose images they are.
      wrong: says what is wrong with a prediction, "" for nothing (`Task.wrong_with`).

    Returns:
      The prediction of each image, in their order.
    """
    rows = rows_of(path, truth)
    lacking = [row["image_id"] for row in rows if "prediction" not in row]
    if lacking:
        raise InputError(f"{path}: not predictions: every one needs image_id and prediction, and {lacking[0]} has none")
    for row in rows:
        told = wrong(row["prediction"], truth)
        if told:
            raise InputError(f"{path}: {row['image_id']}: {told}")
    return tuple(row["prediction"] for row in rows)


def wrong_with(prediction: Any, truth: FrameTruth) -> str:
    """What is wrong with a prediction: no class of the truth, or of another kind than its labels; "" for nothing."""
    if truth.are_classes:
        names = list(truth.class_names.values())
        return "" if prediction in names else f"{json.dumps(prediction)} is no class; it has {listed(names, CLASSES)}"
    wanted, found = (_kind(value) for value in (truth.labels[0], prediction))
    return "" if wanted == found else f"its prediction is {found}, and the labels are each {wanted}"


def _kind(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number"
    kinds = {str: "a text", list: "a list", dict: "an object", bool: "true or false"}
    return kinds.get(type(value), "null")


def rows_of(path, truth: Any, may_lack: frozenset[str] = frozenset()) -> list[dict]:
    """The rows of a predictions.json, one for each image of a truth, in their order.

    Args:
      path: the file.
      truth: has image_ids and a name.
      may_lack: ids of images that may have no row.

    Raises:
      InputError: the file is missing or no list of objects with an image_id; images are missing, come twice or are none
        of the truth's.
    """
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file, parse_constant=_refuse)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file of predictions, such as predictions.json") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "image_id" in row for row in rows):
        raise InputError(f"{path}: not predictions: a list with one object for each image, which has its image_id")
    index = {image_id: number for number, image_id in enumerate(truth.image_ids)}
    ids = [row["image_id"] if isinstance(row["image_id"], (str, int)) else json.dumps(row["image_id"]) for row in rows]
    strange = [image_id for image_id in ids if image_id not in index]
    if strange:
        hint = "; image_id is the source_id of a frame in images.json, not its id" if all(
            isinstance(image_id, int) for image_id in strange) else ""
        raise InputError(f"{path}: predictions on {len(strange)} images that {truth.name} lacks: "
                         f"{listed(strange)}{hint}")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: {len(ids) - len(set(ids))} images come twice")
    missing = sorted(set(index) - set(ids) - may_lack)
    if missing:
        raise InputError(f"{path}: no predictions on {len(missing)} images of {truth.name}: {listed(missing)}")
    return sorted(rows, key=lambda row: index[row["image_id"]])


def _refuse(constant):
    raise ValueError(f"{constant} is no number of JSON")


def summarise(truth: Any, scorer: Scorer, metrics: Sequence[Any]) -> dict:
    """Every `tasks.base.Metric` that has a scorer.

    Returns:
      {"images", each metric by its key as {"value", "low", "high"} (None where it is undefined), "intervals": how they
      were made}.
    """
    drawn, found = units(len(truth.image_ids), truth.groups), {"images": len(truth.image_ids)}
    for metric in metrics:
        if metric.scorer:
            *folders, last = metric.key.split(".")
            place = found
            for name in folders:
                place = place.setdefault(name, {})
            number = intervals(scorer, (metric.scorer,), drawn, metric.share)[metric.scorer]
            place[last] = dict.fromkeys(number) if math.isnan(number["value"]) else number
    return {**found, "intervals": {"method": "jackknife", "confidence": CONFIDENCE, "unit": drawn.name,
                                   "units": drawn.count}}


def joined(truths: Sequence[Any]) -> tuple[np.ndarray, dict]:
    """What truths without an image in common have together.

    A sequence stays in one fold, so the folds' groups are told apart by an offset.

    Returns:
      (int64 [I], where in the truths put end to end each image stands; {"image_ids", "sizes", "groups"}).
    """
    ids = [image_id for truth in truths for image_id in truth.image_ids]
    order, groups = np.argsort(np.array(ids, object), kind="stable"), None
    if truths[0].groups is not None:
        first = np.cumsum([0, *(int(truth.groups.max()) + 1 for truth in truths[:-1])])
        groups = np.concatenate([truth.groups + start for truth, start in zip(truths, first, strict=True)])[order]
    return order, {"image_ids": tuple(ids[index] for index in order), "groups": groups,
                   "sizes": np.concatenate([truth.sizes for truth in truths])[order]}


def pool(parts: Sequence[tuple[FrameTruth, tuple]]) -> tuple[FrameTruth, tuple]:
    """See `Task.pool`."""
    truths, found = zip(*parts, strict=True)
    order, together = joined(truths)
    labels, predicted = ([value for part in values for value in part]
                         for values in ([truth.labels for truth in truths], found))
    truth = dataclasses.replace(truths[0], labels=tuple(labels[index] for index in order), **together)
    return truth, tuple(predicted[index] for index in order)


def same(a: FrameTruth, b: FrameTruth) -> bool:
    """See `Task.same_truth`."""
    return (a.image_ids == b.image_ids and a.class_names == b.class_names and a.labels == b.labels
            and bool((a.sizes == b.sizes).all()))
