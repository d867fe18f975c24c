"""A study: a grid of points as a graph of commands, each done once.

frames -> record sets -> training -> evaluation -> results.json -> report.html

This is the only module that knows all stages. A node is one command; it is done when its stamp is there, which
is written after the command ended well. Running a study again runs only what has no stamp.
"""

import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys
import time
from typing import Annotated, Literal

import pydantic
import yaml

from tfod_compress import __version__, codecs, pipeline_config
from tfod_compress.errors import InputError
from tfod_compress.files import atomic_file, write_json

Regime = Literal["off_the_shelf", "retrained", "task_ft", "control_ft"]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class MakeFrames(_Strict):
    """Flags of tools.make_demo_frames."""

    count: pydantic.PositiveInt
    size: Annotated[str, pydantic.Field(pattern=r"^\d+x\d+$")]
    broken: pydantic.NonNegativeInt = 0
    seed: int = 0
    flags: dict[str, str | int | float] = {}


class Frames(_Strict):
    """Either frames that exist (`frames`, `labels`) or synthetic ones (`make`)."""

    make: MakeFrames | None = None
    frames: str | None = None
    labels: str | None = None
    label_format: str = "auto"
    class_map: str | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if bool(self.make) == bool(self.frames and self.labels):
            raise ValueError("give either `make`, or both `frames` and `labels`")
        return self


class Records(_Strict):
    codec: str
    qualities: Annotated[list[float | int], pydantic.Field(min_length=1)]
    val_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)]
    split_by: str | None = None
    num_shards: pydantic.PositiveInt | None = None

    @pydantic.model_validator(mode="after")
    def _known_codec(self):
        for quality in self.qualities:
            codecs.get(self.codec).check_quality(quality)
        return self


class Training(_Strict):
    """Steps, and settings of the detector's template that this study changes (as --set of make_pipeline_config)."""

    steps: pydantic.PositiveInt
    set: list[str] = []


class FineTuning(Training):
    qualities: Annotated[list[float | int], pydantic.Field(min_length=1)]


class Evaluation(_Strict):
    score_threshold: Annotated[float, pydantic.Field(ge=0, le=1)]
    resamples: Annotated[int, pydantic.Field(ge=1000)]


class Study(_Strict):
    """A study file, validated."""

    title: str
    data: Frames
    records: Records
    detectors: Annotated[list[str], pydantic.Field(min_length=1)]
    checkpoint: str | None = None
    regimes: Annotated[list[Regime], pydantic.Field(min_length=1)]
    training: Training
    fine_tuning: FineTuning | None = None
    evaluation: Evaluation
    seeds: Annotated[list[int], pydantic.Field(min_length=1)] = [0]

    @property
    def best_quality(self):
        """The first of the qualities: what the off-the-shelf detector is trained on."""
        return self.records.qualities[0]

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if "off_the_shelf" not in self.regimes:
            raise ValueError("regimes: off_the_shelf is what the others are compared with and must be there")
        if {"task_ft", "control_ft"} & set(self.regimes) and not self.fine_tuning:
            raise ValueError("fine_tuning: needed by the regimes task_ft and control_ft")
        if self.fine_tuning and not set(self.fine_tuning.qualities) <= set(self.records.qualities):
            raise ValueError("fine_tuning.qualities: must be among records.qualities")
        unknown = set(self.detectors) - set(pipeline_config.detectors())
        if unknown:
            raise ValueError(f"detectors: no {sorted(unknown)[0]}; there are {', '.join(pipeline_config.detectors())}")
        return self


@dataclasses.dataclass(frozen=True)
class Node:
    """One command of the graph: `arguments` of `python -m tools.<tool>`, and the nodes it needs."""

    name: str
    tool: str
    arguments: tuple
    needs: tuple = ()

    @property
    def command(self):
        return [sys.executable, "-m", f"tools.{self.tool}", *map(str, self.arguments)]

    @property
    def text(self):
        return shlex.join(["python", "-m", f"tools.{self.tool}", *map(str, self.arguments)])


def read(path):
    """Reads and validates a study file.

    Raises:
      InputError: not YAML, or not a study; the message names file, key and what is allowed.
    """
    try:
        content = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
        return Study.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a study ({' '.join(str(error).split())})") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "study"
        raise InputError(f"{path}: {where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error


def with_seed(study, seed):
    """The same study on another seed: of the synthetic frames and of training."""
    data = study.data
    if data.make:
        data = data.model_copy(update={"make": data.make.model_copy(update={"seed": seed})})
    return study.model_copy(update={"data": data, "seeds": [seed]})


def points(study):
    """The grid: dicts of detector, regime, seed, codec, quality, record_set, model and evaluation."""
    rows = []
    name = codecs.get(study.records.codec).record_set_name
    for detector in study.detectors:
        for seed in study.seeds:
            for regime in study.regimes:
                tuned = study.fine_tuning.qualities if study.fine_tuning else []
                for quality in tuned if regime in ("task_ft", "control_ft") else study.records.qualities:
                    trained_on = study.best_quality if regime in ("off_the_shelf", "control_ft") else quality
                    record_set = name(quality)
                    model = f"{detector}-{regime}-{name(trained_on)}-s{seed}"
                    rows.append({"codec": study.records.codec, "quality": quality, "record_set": record_set,
                                 "detector": detector, "regime": regime, "seed": seed, "trained_on": trained_on,
                                 "model": model, "evaluation": f"evaluations/{model}/{record_set}"})
    return rows


def graph(study, workdir):
    """The nodes of a study, each after those it needs."""
    workdir = pathlib.Path(workdir)
    nodes, needs_frames = [], ()
    frames, labels = study.data.frames, study.data.labels
    if study.data.make:
        make = study.data.make
        frames, labels = workdir / "data" / "frames", workdir / "data" / "labels"
        extra = [part for name, value in make.flags.items() for part in (f"--{name}", value)]
        nodes.append(Node("frames", "make_demo_frames", (
            "--output", workdir / "data", "--count", make.count, "--size", make.size, "--broken", make.broken,
            "--seed", make.seed, *extra)))
        needs_frames = ("frames",)
    records = study.records
    arguments = ["--frames", frames, "--labels", labels, "--label_format", study.data.label_format,
                 "--codec", records.codec, "--quality", ",".join(f"{quality:g}" for quality in records.qualities),
                 "--val_fraction", records.val_fraction, "--output", workdir / "tfrecords"]
    for flag, value in (("--class_map", study.data.class_map), ("--split_by", records.split_by),
                        ("--num_shards", records.num_shards)):
        arguments += [flag, value] if value is not None else []
    nodes.append(Node("records", "make_tfrecords", tuple(arguments), needs_frames))
    for model, rows in _by_model(study).items():
        nodes += _model_nodes(study, workdir, model, rows)
    return nodes


def _by_model(study):
    models = {}
    for row in points(study):
        models.setdefault(row["model"], []).append(row)
    return models


def _model_nodes(study, workdir, model, rows):
    """Config, training and evaluation of one model."""
    row = rows[0]
    tuned = row["regime"] in ("task_ft", "control_ft")
    training = study.fine_tuning if tuned else study.training
    config, model_dir = workdir / "configs" / f"{model}.config", workdir / "models" / model
    trained_on = codecs.get(study.records.codec).record_set_name(row["trained_on"])
    start, needs = study.checkpoint, ["records"]
    if tuned:
        base = next(point["model"] for point in points(study) if point["regime"] == "off_the_shelf"
                    and point["detector"] == row["detector"] and point["seed"] == row["seed"])
        start = workdir / "models" / base
        needs.append(f"train {base}")
    settings = [f"train_config.num_steps: {training.steps}", *training.set]
    arguments = ["--detector", row["detector"], "--records", workdir / "tfrecords" / trained_on]
    arguments += ["--checkpoint", start] if start else []
    arguments += [part for setting in settings for part in ("--set", setting)]
    sets = [part for point in rows for part in ("--records", workdir / "tfrecords" / point["record_set"])]
    return [
        Node(f"config {model}", "make_pipeline_config", (*arguments, "--output", config), tuple(needs)),
        Node(f"train {model}", "model_main_tf2",
             ("--pipeline_config_path", config, "--model_dir", model_dir, "--seed", row["seed"]), (f"config {model}",)),
        Node(f"evaluate {model}", "evaluate",
             ("--pipeline_config_path", model_dir / "pipeline.config", "--checkpoint", model_dir, *sets,
              "--output", workdir / "evaluations" / model,
              "--score_threshold", study.evaluation.score_threshold, "--resamples", study.evaluation.resamples),
             (f"train {model}",)),
    ]


def run(study, workdir, *, dry_run=False, say=print):
    """Runs what is missing of a study and writes results.json and report.html.

    Args:
      study: a Study.
      workdir: the study's folder.
      dry_run: print the graph, run nothing.
      say: called with each line for the user.

    Returns:
      The names of the nodes that failed, or were left out because one that they need failed.

    Raises:
      InputError: the folder holds results of a study with other settings.
    """
    workdir = pathlib.Path(workdir)
    nodes = graph(study, workdir)
    digests = _digests(nodes, study)
    done = {node.name: _is_done(workdir, node, digests[node.name]) for node in nodes}
    if dry_run:
        for node in nodes:
            say(f"{'done   ' if done[node.name] else 'missing'}  {node.name}\n         {node.text}")
        return []
    workdir.mkdir(parents=True, exist_ok=True)
    with atomic_file(workdir / "study.yaml", "w") as file:
        yaml.safe_dump(study.model_dump(mode="json"), file, sort_keys=False)
    failed = []
    for number, node in enumerate(nodes, 1):
        if done[node.name]:
            continue
        if set(node.needs) & set(failed):
            failed.append(node.name)
            say(f"[{number}/{len(nodes)}] {node.name}: left out, because what it needs failed")
            continue
        say(f"[{number}/{len(nodes)}] {node.name}\n  {node.text}")
        start = time.time()
        status = subprocess.run(node.command).returncode
        if status in (130, -2):
            raise KeyboardInterrupt
        if status:
            failed.append(node.name)
            say(f"[{number}/{len(nodes)}] {node.name}: failed with exit code {status}")
            continue
        write_json(_stamp(workdir, node), {"digest": digests[node.name], "command": node.text,
                                           "seconds": round(time.time() - start, 1)})
    write_results(study, workdir, nodes)
    return failed


def write_results(study, workdir, nodes):
    """Collects what has been evaluated into results.json (design: the report reads this file)."""
    from tfod_compress.records import RecordSet

    workdir = pathlib.Path(workdir)
    rows = [row for row in points(study) if (workdir / row["evaluation"] / "metrics.json").is_file()]
    if not rows:
        return
    stamps = {node.name: json.loads(_stamp(workdir, node).read_text()) for node in nodes
              if _stamp(workdir, node).is_file()}
    label_map = RecordSet(workdir / "tfrecords" / rows[0]["record_set"]).label_map
    write_json(workdir / "results.json", {
        "study": workdir.name, "title": study.title, "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "class_names": [label_map[number] for number in sorted(label_map)],
        "commands": [stamps[node.name]["command"] for node in nodes if node.name in stamps],
        "regime_training": {"training": study.training.model_dump(),
                            "fine_tuning": study.fine_tuning.model_dump() if study.fine_tuning else None,
                            "evaluation": study.evaluation.model_dump()},
        "points": rows,
        "comparisons": _comparisons(study, workdir, rows),
        "timings": [{"stage": name, "seconds": stamp["seconds"]} for name, stamp in stamps.items()],
    })


def _comparisons(study, workdir, rows):
    """Paired differences in weighted mAP: compressed against best, task_ft against control_ft and off the shelf."""
    from tfod_compress import metrics
    from tfod_compress.records import RecordSet

    index = {(row["detector"], row["seed"], row["regime"], row["quality"]): row for row in rows}
    pairs = []
    for detector, seed, regime, quality in index:
        key = (detector, seed)
        if quality != study.best_quality and regime != "control_ft":
            pairs.append(((*key, regime, quality), (*key, "off_the_shelf", study.best_quality)))
        if regime in ("task_ft", "retrained"):
            pairs.append(((*key, regime, quality), (*key, "off_the_shelf", quality)))
        if regime == "task_ft":
            pairs.append(((*key, regime, quality), (*key, "control_ft", quality)))
    truth = {}
    comparisons = []
    for a, b in pairs:
        if a not in index or b not in index:
            continue
        name = index[a]["record_set"]
        if name not in truth:
            truth[name] = metrics.record_set_ground_truth(RecordSet(workdir / "tfrecords" / name), "val")
        detections = [metrics.load_detections(workdir / index[point]["evaluation"] / "detections.json", truth[name])
                      for point in (a, b)]
        result = metrics.paired_bootstrap(truth[name], *detections, metric="weighted_map",
                                          resamples=study.evaluation.resamples, seed=0)
        comparisons.append({"metric": "weighted_map", "detector": a[0], **{
            side: {name: index[point][name] for name in ("regime", "record_set", "quality", "seed")}
            for side, point in (("a", a), ("b", b))}, **result})
    return comparisons


def _digests(nodes, study):
    """node name -> a hash of its command, its detector's template and what it needs."""
    templates = "".join((pipeline_config.TEMPLATES / f"{name}.config").read_text() for name in study.detectors)
    digests = {}
    for node in nodes:
        parts = [node.text, __version__, *(digests[name] for name in node.needs)]
        if node.tool == "make_pipeline_config":
            parts.append(templates)
        digests[node.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return digests


def _stamp(workdir, node):
    return pathlib.Path(workdir) / "done" / (re.sub(r"[^\w.-]+", "-", node.name) + ".json")


def _is_done(workdir, node, digest):
    path = _stamp(workdir, node)
    if not path.is_file():
        return False
    stamp = json.loads(path.read_text())
    if stamp["digest"] != digest:
        raise InputError(f"{path}: {node.name!r} was done with other settings ({stamp['command']}); use another "
                         f"--workdir, or delete {workdir} to start again")
    return True
