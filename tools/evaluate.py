"""Evaluate a model on record sets, or a file of predictions on a ground truth.

The model is one of the record sets' task: a checkpoint, a detector's SavedModel, or of any framework behind a command
(docs/outside_detectors.md). Writes OUTPUT/<record set>/metrics.json and the predictions (of detectors detections.json,
COCO results, else predictions.json) and prints a table. A model is built and traced once for all record sets. With
several checkpoints, OUTPUT gets a folder for each. Intervals are 95 %, by leaving out each image, or each sequence
where the record set has them. What is done already is not done again.

Where the model has other classes than a record set, they are matched by name or, of a detector, by --class_map, and the
metrics are over those that both have: objects of others are ignored, not missed.

Examples:
  python -m tools.evaluate --pipeline_config_path runs/best/pipeline.config --checkpoint runs/best \\
      --records tfrecords/jpeg-q100 --records tfrecords/jpeg-q5 --output runs/best/evaluation
  python -m tools.evaluate --checkpoint checkpoints/ssd_inception_v2_coco --records tfrecords/jpeg-q5 \\
      --class_map pipeline_configs/class_maps/coco.yaml --output runs/published
  python -m tools.evaluate --model_command 'python detect.py {frames} {output}' --detector_label_map coco \\
      --records tfrecords/jpeg-q100 --records tfrecords/jpeg-q5 --output runs/outside
  python -m tools.evaluate --model_command 'python classify.py {frames} {output}' --records tfrecords/signs/jpeg-q5 \\
      --output runs/signs
  python -m tools.evaluate --metrics_from detections.json --ground_truth instances_val.json --output metrics
"""

import sys

from absl import flags

from tools import command

_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The detector's pipeline.config, where it is not beside "
                              "the checkpoint.")
_CHECKPOINT = flags.DEFINE_multi_string("checkpoint", [], "A model folder (its newest checkpoint) or a prefix such as "
                                        "model/ckpt-3; may be repeated.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "An exported detector, instead of a config and checkpoints.")
_COMMAND = flags.DEFINE_string("model_command", None, "A command that reads PNG frames and images.json in {frames} and "
                               "writes predictions to {output} (of detectors COCO results), run once for each record "
                               "set.")
flags.DEFINE_alias("detector_command", "model_command")
_KEEP_FRAMES = flags.DEFINE_bool("keep_frames", False, "Keep the frames of --model_command in OUTPUT/<record set>/"
                                 "model_command (of detectors detector_command); else they go when the command ends, "
                                 "well or not. They take up to 3 bytes a pixel.")
_LABEL_MAP = flags.DEFINE_string("detector_label_map", None, "The detector's label map, by its name (coco, voc, …) or "
                                 "as a file, where none is found beside it; of a command, the record sets' own unless "
                                 "given.")
_CLASS_MAP = flags.DEFINE_string("class_map", None, "YAML file from the detector's classes to the record sets', of "
                                 "lines such as \"car: PassengerCar\" or \"train: ignore\"; others match by name.")
_NMS_IOU = flags.DEFINE_float("nms_iou", None, "Where several of the detector's classes become one, the IoU threshold "
                              "of the non-maximum suppression that runs once more; the detector's own unless given.",
                              lower_bound=0.0, upper_bound=1.0)
_RECORDS = flags.DEFINE_multi_string("records", [], "A record set's folder; may be repeated.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the results.", required=True)
_SPLIT = flags.DEFINE_string("split", "val", "Which frames of the record sets: val, train, test, or a fold such as "
                             "fold0.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.5, "Detections below it take no part in precision, recall and F1.",
                                lower_bound=0.0, upper_bound=1.0)
command.without_effect("resamples", "seed")
_BATCH = flags.DEFINE_integer("batch_size", 8, "Frames run together; changes no result.", lower_bound=1)
_ALLOW = flags.DEFINE_bool("allow_training_frames", False, "Go on where frames of the split are among those that the "
                           "checkpoint was trained on, and mark the numbers.")
_METRICS_FROM = flags.DEFINE_string("metrics_from", None, "A file of predictions to measure: COCO results of a "
                                    "detector, else predictions.json; no model.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "With --metrics_from: a record set's folder or a COCO JSON.")


WITH_INTERVALS = 3  # metrics in a table that all show theirs


def main():
    if _METRICS_FROM.value:
        others = (_CHECKPOINT, _RECORDS, _CONFIG, _SAVED_MODEL, _COMMAND, _LABEL_MAP, _CLASS_MAP, _NMS_IOU)
        if not _GROUND_TRUTH.value or any(flag.value for flag in others):
            raise command.UsageError("--metrics_from goes with --ground_truth and --output alone")
        _measure()
        return
    if _GROUND_TRUTH.value:
        raise command.UsageError("--ground_truth goes with --metrics_from")
    # The command by the name that it was given by: --detector_command was there first.
    of_command = "detector_command" if flags.FLAGS["detector_command"].present else "model_command"
    models = {"checkpoint": _CHECKPOINT.value, "saved_model": _SAVED_MODEL.value, of_command: _COMMAND.value}
    named = [name for name, value in models.items() if value]
    if not named:
        raise command.UsageError("--checkpoint (with --pipeline_config_path where it is not beside it), --saved_model "
                                 "or --model_command is missing")
    if len(named) > 1 or _CONFIG.value and not _CHECKPOINT.value:
        other = named[1] if len(named) > 1 else "pipeline_config_path"
        raise command.UsageError(f"--{named[0]} stands without --{other}")
    if not _RECORDS.value:
        raise command.UsageError("--records is missing")
    if _ALLOW.value and not _CHECKPOINT.value:
        raise command.UsageError("--allow_training_frames goes with --checkpoint: of others it is not known what they "
                                 "were trained on")
    if _KEEP_FRAMES.value and not _COMMAND.value:
        raise command.UsageError("--keep_frames goes with --model_command")
    _table(_evaluate(of_command))


def _evaluate(of_command):
    """[(checkpoint name or "", metrics)]."""
    from tfod_compress import evaluation
    from tfod_compress.support.errors import InputError
    from tfod_compress.tasks import models, outside_model

    if _COMMAND.value:
        try:
            outside_model.split(_COMMAND.value)
        except InputError as error:
            raise command.UsageError(f"--{of_command} {error}") from None
    wanted = models.Wanted(
        tuple(_CHECKPOINT.value), _SAVED_MODEL.value, _CONFIG.value, _LABEL_MAP.value, _CLASS_MAP.value, _NMS_IOU.value,
        _COMMAND.value, _KEEP_FRAMES.value, _BATCH.value)
    return evaluation.evaluate_models(
        wanted, _RECORDS.value, _OUTPUT.value, split=_SPLIT.value, score_threshold=_THRESHOLD.value,
        allow_training_frames=_ALLOW.value)


def _measure():
    """--metrics_from."""
    from tfod_compress import evaluation
    from tfod_compress.support import text

    result = evaluation.metrics_from(
        _METRICS_FROM.value, _GROUND_TRUTH.value, _OUTPUT.value, split=_SPLIT.value,
        score_threshold=_THRESHOLD.value)
    empty = result.get("images_without_detections")
    if empty and empty["count"]:
        print(f"note: {_METRICS_FROM.value} has nothing on {empty['count']} of {result['images']} images, such as "
              f"{text.listed(empty['first'])}; they count as images where nothing was found", file=sys.stderr)
    _table([("", result)])


def _notes(results):
    """Says once on stderr how classes were matched, what was dropped, and what the model was trained on."""
    from tfod_compress import evaluation

    for note in dict.fromkeys(note for _, result in results for note in evaluation.notes(result)):
        print(f"note: {note}", file=sys.stderr)


def _columns(task, result):
    """The texts of a task's `columns`; of more than a few, the decisive metric alone has its interval."""
    keys = task.columns()
    return [_text(result, task.metric(key), len(keys) <= WITH_INTERVALS or key == task.decisive.key) for key in keys]


def _text(result, metric, with_interval):
    value, entry = metric.of(result), result
    if value is None:
        return "–"
    for part in metric.key.split("."):
        entry = entry[part]
    if not with_interval or not isinstance(entry, dict) or entry["low"] is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


def _table(results):
    """Prints [(checkpoint name or "", metrics)], notes before."""
    from rich import console, table

    from tfod_compress import tasks

    _notes(results)
    named, first = any(name for name, _ in results), results[0][1]
    task = tasks.get(first.get("task", tasks.DEFAULT))
    told = f"; P, R, F1 at score {first['score_threshold']:g}" if "score_threshold" in first else ""
    shown = table.Table(caption=f"95 % intervals in brackets{told}", caption_justify="left")
    for column in [*(["checkpoint"] if named else []), "record set", "bpp", *task.columns().values()]:
        shown.add_column(column, justify="left" if column in ("checkpoint", "record set") else "right", no_wrap=True)
    for name, result in results:
        bpp = "" if result["bpp"] is None else f"{result['bpp']:.3f}"
        shown.add_row(*([name] if named else []), result["record_set"], bpp, *_columns(task, result))
    wide = console.Console()
    if not wide.is_terminal:
        wide = console.Console(width=140)
    wide.print(shown, markup=False)


if __name__ == "__main__":
    command.run(main)
