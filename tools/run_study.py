"""Run a study: frames, record sets, training, evaluation, report. Only what is missing is run.

The study file says what; pipeline_configs/studies/ has those of the papers. A point that fails is told and the others
go on; the exit code is 1 then. Killed and run again, it goes on where it stopped.

Examples:
  python -m tools.run_study pipeline_configs/studies/demo.yaml --workdir runs/demo
  python -m tools.run_study pipeline_configs/studies/lmu.yaml --workdir runs/lmu --dry_run
  python -m tools.run_study pipeline_configs/studies/lmu.yaml --workdir runs/lmu-smoke --scale smoke
  python -m tools.run_study pipeline_configs/studies/lmu.yaml --workdir runs/lmu --frames data/frames \\
      --labels data/labels --jobs 4
  python -m tools.run_study pipeline_configs/studies/lmu.yaml --workdir runs/lmu --frames data/frames \\
      --labels data/labels --points 3/8
  python -m tools.run_study pipeline_configs/studies/own_classes.yaml --workdir runs/voc --frames VOC2007/JPEGImages \\
      --labels VOC2007/Annotations --label_map voc
"""

import pathlib
import re

from absl import flags

from tools import command

_WORKDIR = flags.DEFINE_string("workdir", None, "The study's folder, such as runs/demo.", required=True)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what is done, what is missing, what it costs and each command; "
                             "run nothing. Needs no data.")
_SCALE = flags.DEFINE_enum("scale", "full", ["full", "smoke"], "smoke: every stage in minutes, with tiny detectors, "
                           "few steps and frames, drawn where none are named (pipeline_configs/smoke.yaml).")
_POINTS = flags.DEFINE_string("points", None, "A slice for a job array, such as 3/8: the third eighth of the models, "
                              "with all that they need. The slices may run at once on one folder.")
_JOBS = flags.DEFINE_integer("jobs", 1, "How many commands run at once, each with a GPU of its own; without GPUs they "
                             "share the cores. Their output goes to WORKDIR/logs. With 1, a command has all GPUs.",
                             lower_bound=1)
_SEED = flags.DEFINE_integer("seed", None, "Another seed for synthetic frames and training, instead of the file's.")
_FRAMES = flags.DEFINE_string("frames", None, "Folder of frames, instead of the file's data.")
_LABELS = flags.DEFINE_string("labels", None, "Their labels, likewise; of classification, without them the folders "
                              "of the frames are the classes.")
_FORMAT = flags.DEFINE_string("label_format", None, "Of the labels, likewise; without either, by content.")
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The classes, likewise: lmu, coco, voc, kitti, a label_map.pbtxt, "
                                 "or auto for the names that the labels have.")
_CLASS_MAP = flags.DEFINE_string("class_map", None, "YAML file from the labels' names to those of the label map, "
                                 "likewise.")
_NAMES = flags.DEFINE_string("names", None, "YOLO: file of class names, or coco, likewise.")
_UNLABELLED = flags.DEFINE_enum("unlabelled", None, ["fail", "skip", "negative"], "Frames without labels, likewise.")


def main(arguments):
    if len(arguments) != 1:
        raise command.UsageError("give one study file, such as pipeline_configs/studies/demo.yaml")
    if _LABELS.value and not _FRAMES.value:
        raise command.UsageError("--frames and --labels go together")
    points = _slice()
    from tfod_compress import study, tasks

    plan = study.read(arguments[0])
    if _FRAMES.value and not _LABELS.value and tasks.get(plan.task).labels:
        raise command.UsageError("--frames and --labels go together")
    plan = study.with_data(plan, frames=_FRAMES.value, labels=_LABELS.value, label_format=_FORMAT.value,
                           label_map=_LABEL_MAP.value, class_map=_CLASS_MAP.value, names=_NAMES.value,
                           unlabelled=_UNLABELLED.value)
    if _SCALE.value == "smoke":
        from tfod_compress.study import smoke

        plan = smoke.small(plan)
    if _SEED.value is not None:
        plan = study.with_seed(plan, _SEED.value)
    problems = study.run(plan, _WORKDIR.value, dry_run=_DRY_RUN.value, points=points, jobs=_JOBS.value,
                         say=lambda line: print(line, flush=True))
    if _DRY_RUN.value:
        return 0
    if (pathlib.Path(_WORKDIR.value) / "results.json").is_file():
        from tfod_compress import report

        report.make_report(_WORKDIR.value)
        print(report.print_table(_WORKDIR.value))
    for line in problems:
        print(f"not done: {line}")
    return 1 if problems else 0


def _slice():
    """(index, count) of --points, or None."""
    if _POINTS.value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", _POINTS.value)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise command.UsageError(f"--points {_POINTS.value!r}: give a slice such as 3/8")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    command.run(main, positional=True)
