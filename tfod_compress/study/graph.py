"""The grid of points of a study, and the graph of commands that makes them."""

import dataclasses
import pathlib
import shlex
import sys

from tfod_compress import codecs


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
