"""Read a finished study's folder: results.json and what its points name. Nothing here computes."""

import dataclasses
import json
import math
import pathlib
from typing import Annotated, Any

import pydantic

from tfod_compress import tasks
from tfod_compress.support import formats
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import sha256


class Estimate(pydantic.BaseModel):
    """A measured number and its 95 % interval; `low` and `high` are None where none was computed."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    value: pydantic.FiniteFloat
    low: pydantic.FiniteFloat | None = None
    high: pydantic.FiniteFloat | None = None


def _as_estimate(raw):
    """A bare number is an estimate without interval; null, or a null value, is no estimate (no object of the kind)."""
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return {"value": raw}
    if isinstance(raw, dict) and raw.get("value", math.nan) is None:
        return None
    return raw


MaybeMeasured = Annotated[Estimate | None, pydantic.BeforeValidator(_as_estimate)]


class Confusion(pydantic.BaseModel):
    """matrix[i][j]: objects of class i seen as class j; of boxes the last of `classes` is the background."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    classes: list[str]
    matrix: list[list[pydantic.NonNegativeInt]]


class Classes(pydantic.BaseModel):
    """How the classes of a detector that was not trained on the record sets became theirs.

    Attributes:
      matched: {the detector's class: the record sets'}; the metrics are over these.
      not_in_detector: classes of the record sets whose objects are ignored.
      not_in_records: classes of the detector whose detections are ignored.
      merged: {a record sets' class: the several classes of the detector that became it}.
      nms_iou: IoU of the non-maximum suppression that ran once more after that, or None.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    matched: dict[str, str] = {}
    not_in_detector: list[str] = []
    not_in_records: list[str] = []
    merged: dict[str, list[str]] = {}
    nms_iou: float | None = None


class Metrics(pydantic.BaseModel):
    """What the report needs of one evaluation's metrics.json. Rates in bits per pixel.

    Attributes:
      scores: {Metric.key: Estimate, or None}; of a group of metrics such as coco.AP also those that the task does not
        name. The file has them at its top; so it has what is below it.
      per_class: {class name: Estimate, or None}, of `Task.per_class`.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    scores: dict[str, MaybeMeasured]
    per_class: dict[str, MaybeMeasured] = {}
    score_threshold: float | None = None
    confusion: Confusion | None = None
    classes: Classes | None = None
    dropped_detections: pydantic.NonNegativeInt = 0
    training_frames: pydantic.NonNegativeInt = 0
    images: pydantic.PositiveInt
    bpp: pydantic.PositiveFloat
    coded_bytes: pydantic.PositiveInt


class Point(pydantic.BaseModel):
    """One result: a detector of one regime, seed and fold, tested on one record set; `model` is its folder in models/.

    `split` is the part of the record set that it was tested on.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    codec: str
    quality: int | float | str | None
    record_set: str
    detector: str
    regime: str
    seed: int
    fold: int | None = None
    split: str = "val"
    evaluation: str
    psnr_db: float | None = None
    model: str = ""


class Side(pydantic.BaseModel):
    """One side of a comparison: which detections were compared."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    regime: str
    record_set: str
    seed: int = 0
    fold: int | None = None


class Comparison(pydantic.BaseModel):
    """A paired difference a - b on the same frames, with its 95 % interval; none can be had from one unit alone.

    `unit` and `units` are what the interval rests on: frames ("image") or sequences. In results of older versions they
    are None, and `read_study` takes them from the metrics.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    metric: str
    detector: str | None = None
    a: Side
    b: Side
    value: pydantic.FiniteFloat
    low: pydantic.FiniteFloat | None
    high: pydantic.FiniteFloat | None
    p_value: float | None = None
    unit: str | None = None
    units: int | None = None

    def reversed(self):
        """The same comparison as b - a."""
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return self.model_copy(update={"a": self.b, "b": self.a, "value": -self.value, "low": low, "high": high})


class Recovery(pydantic.BaseModel):
    """The share of the loss that a retrained point wins back; all None where the loss is too small to divide by."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    detector: str
    regime: str
    over: str
    record_set: str
    reference: str
    seed: int = 0
    fold: int | None = None
    value: pydantic.FiniteFloat | None
    low: pydantic.FiniteFloat | None
    high: pydantic.FiniteFloat | None


class Pooled(Estimate):
    """The decisive metric of a point on the frames of all folds, each tested by the detector that has not seen it."""

    detector: str
    regime: str
    record_set: str
    seed: int = 0
    unit: str | None = None
    units: int | None = None


class CurveComparison(pydantic.BaseModel):
    """Two regimes of a codec at equal rate: the mean difference a - b over the rates that both reach."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    detector: str
    codec: str
    a: str
    b: str
    rates: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat]
    value: pydantic.FiniteFloat
    low: pydantic.FiniteFloat | None
    high: pydantic.FiniteFloat | None


class Timing(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    stage: str
    seconds: pydantic.NonNegativeFloat


class Results(pydantic.BaseModel):
    """results.json as study.py writes it."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    study: str
    task: str = tasks.DEFAULT
    title: str = ""
    version: str = ""
    created: str = ""
    commands: list[str] = []
    class_names: list[str] = []
    regime_training: dict[str, Any] = {}
    points: list[Point] = pydantic.Field(min_length=1)
    comparisons: list[Comparison] = []
    curve_comparisons: list[CurveComparison] = []
    recoveries: list[Recovery] | None = None
    pooled: list[Pooled] = []
    timings: list[Timing] = []
    complete: bool = True
    problems: list[str] = []


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A point with its metrics, and the folder that its detections.json is in."""

    point: Point
    metrics: Metrics
    folder: pathlib.Path


@dataclasses.dataclass(frozen=True)
class StudyFolder:
    """A study's folder, read.

    Attributes:
      path: the folder.
      results: what results.json says.
      evaluated: one entry a point, in the order of results.json.
      task: whose results they are.
    """

    path: pathlib.Path
    results: Results
    evaluated: tuple[Evaluated, ...]
    task: tasks.Task

    def record_set_path(self, name):
        """Where the record set of this name belongs; it may have been removed to save space."""
        return self.path / "tfrecords" / name

    def manifests(self):
        """{record set name: (manifest dict, sha256 of manifest.json)} of those that are still here, by name."""
        found = {}
        for name in sorted({entry.point.record_set for entry in self.evaluated}):
            path = self.record_set_path(name) / "manifest.json"
            if path.is_file():
                found[name] = (_json(path), sha256(path))
        return found

    def training_scalars(self):
        """{model folder name: [{"step": int, "loss/total": float, ...}, ...]}, models without scalars left out.

        Raises:
          InputError: a line of a metrics.jsonl is not a JSON object with a step.
        """
        found = {}
        for path in sorted(self.path.glob("models/*/metrics.jsonl")):
            rows = []
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    row["step"] = int(row["step"])
                except (ValueError, TypeError, KeyError):
                    # A training that was killed may leave half a last line; anywhere else it is damage.
                    if number == len(lines):
                        continue
                    raise InputError(f"{path}:{number}: not a JSON object with a step; delete the line") from None
                rows.append(row)
            if rows:
                found[path.parent.name] = rows
        return found

    def study_file(self):
        """The text of study.yaml as run, or "" where it is missing."""
        path = self.path / "study.yaml"
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_study(path):
    """Reads a study's results and the metrics of all its points.

    Args:
      path: folder holding results.json.

    Returns:
      A StudyFolder.

    Raises:
      InputError: results.json or a point's metrics.json is missing or damaged; says which command makes it.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such study folder; make it with python -m tools.run_study STUDY --workdir {path}")
    results = _validated(Results, path / "results.json", "run the study again (python -m tools.run_study)")
    try:
        task = tasks.get(results.task)
    except InputError as error:
        raise InputError(f"{path / 'results.json'}: {error}") from None
    evaluated = []
    for point in results.points:
        folder = path / point.evaluation
        if not folder.resolve().is_relative_to(path.resolve()):
            raise InputError(f"{path / 'results.json'}: evaluation {point.evaluation!r} lies outside the folder")
        metrics = _validated(Metrics, folder / "metrics.json", f"delete {folder} and run the study again",
                             lambda content: _of_task(task, content))
        evaluated.append(Evaluated(point, metrics, folder))
    return StudyFolder(path, _with_units(results, evaluated), tuple(evaluated), task)


def _of_task(task, content):
    """A metrics.json with the task's numbers where Metrics has them; the decisive one has to be there."""
    scores = {}
    for metric in task.metrics:
        group, _, name = metric.key.rpartition(".")
        here = content
        for part in group.split(".") if group else ():
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict):
            scores |= {f"{group}.{each}": value for each, value in here.items()} if group else {
                metric.key: here[name]} if name in here else {}
    if scores.get(task.decisive.key) is None:
        raise ValueError(f"{task.decisive.key}: is missing")
    own = {"per_class": content.get(task.per_class) or {}, "confusion": content.get(task.confusion)}
    return {**content, "scores": scores, **own}


def _with_units(results, evaluated):
    """Results whose comparisons say how many units they rest on, as far as the metrics of their points do."""
    found = {}
    for point, metrics in ((entry.point, entry.metrics.model_extra) for entry in evaluated):
        made = metrics.get("intervals") or metrics.get("bootstrap") or {}  # the name of older versions
        key = point.detector, point.regime, point.record_set, point.seed, point.fold
        found[key] = {name: made.get(name) for name in ("unit", "units")}
    return results.model_copy(update={"comparisons": [
        each if each.units else each.model_copy(update=found.get(
            (each.detector, each.a.regime, each.a.record_set, each.a.seed, each.a.fold), {}))
        for each in results.comparisons]})


def _json(path):
    if not path.is_file():
        raise InputError(f"{path}: missing; run the study again (python -m tools.run_study)")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); delete it and run the study again") from None


def _validated(model, path, cure, change=None):
    """A file as a model; `change` makes of its content what the model has."""
    content = _json(path)
    if isinstance(content, dict):
        formats.check(content, path)
        try:
            content = change(content) if change else content
        except ValueError as error:
            raise InputError(f"{path}: {error}; {cure}") from None
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise InputError(f"{path}: {where}: {first['msg']}; {cure}") from None
