"""Predictions and metrics.json of a model on record sets, whatever its task and kind."""

import csv
import pathlib

from tfod_compress import tasks
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import digest, read_json, write_json
from tfod_compress.support.text import listed
from tfod_compress.tasks import trained_frames


def evaluate(task, model, record_sets, output, *, split="val", score_threshold=None,
             allow_training_frames=False) -> dict:
    """Evaluates a model on several record sets: what was not evaluated with the same inputs and settings before.

    Whatever can be wrong with the inputs is found before the model is loaded.

    Args:
      task: Task.
      model: `tasks.models.Model` of it.
      record_sets: folders of record sets, or RecordSets.
      output: folder that receives a folder for each, with metrics.json and the task's predictions.
      split: whose frames: "val", "train", or another that the record sets have, such as "fold0".
      score_threshold: of the metrics that have one; None for a task without.
      allow_training_frames: whether frames that the model was trained on may be among those of a split other than
        "train"; "training_frames" of metrics.json counts them.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: a record set lacks the split; frames were trained on; or what the model raises.
    """
    record_sets = open_all(record_sets)
    seen = trained_frames.refuse(model.trained_frames(), record_sets, split, model.described["checkpoint"],
                                 allow_training_frames)
    results, jobs = {}, []
    for record_set in record_sets:
        check_split(record_set, split)
        folder, matched = pathlib.Path(output) / record_set.name, model.match(record_set)
        made_from = {**model.made_from, "record_set": digest(pathlib.Path(record_set.path) / "manifest.json"),
                     "split": split, **({} if score_threshold is None else {"score_threshold": score_threshold})}
        if matched.differs:
            made_from["classes"] = {"ids": {str(number): to for number, to in matched.ids.items()},
                                    "nms_iou": matched.nms_iou}
        results[record_set.name] = done = _finished(folder, task, made_from)
        if not done:
            truth = task.ground_truth(record_set, split)
            jobs.append((record_set, folder, matched, matched.restrict(truth), coded_size(record_set, split, truth),
                         made_from))
    for record_set, folder, matched, truth, size, made_from in jobs:
        predicted = matched.translate(model.predict(record_set, split, truth, folder))
        count = getattr(predicted, "dropped", None)
        dropped = {} if count is None or not (matched.differs or count) else {"dropped_detections": count}
        task.write_predictions(folder / task.predictions_file, truth, predicted)
        # What is written is what is measured, so that the file alone gives the same numbers again.
        predicted = task.read_predictions(folder / task.predictions_file, truth)
        result = {**named(task), "record_set": record_set.name, **model.described, "split": split, **size,
                  **task.summarise(truth, predicted, score_threshold),
                  **({"classes": matched.described()} if matched.differs else {}), **dropped,
                  **seen[record_set.name], "made_from": made_from}
        write_json(folder / "metrics.json", result)
        results[record_set.name] = result
    return results


def named(task):
    """The entry that names a task; detection, which was there first, has none."""
    return {} if task.name == tasks.DEFAULT else {"task": task.name}


def notes(result):
    """Lines for a person about a metrics.json: what its task has to say, and frames that the model was trained on."""
    task = tasks.get(result.get("task", tasks.DEFAULT))
    made, seen, unknown = task.notes(result), result.get("training_frames"), result.get("training_frames_unknown")
    if seen:
        made.append(f"{result['record_set']}: the {task.model} was trained on {seen} of these {result['images']} "
                    "frames; the numbers say nothing about frames that it has not seen")
    if unknown:
        made.append(f"{listed(unknown, 2)}, which the {task.model} was trained on, is not there any more: whether its "
                    "frames are among these is not known")
    return made


def check_split(record_set, split):
    """Raises InputError where a record set has no frames of a split."""
    if split not in record_set.splits:
        raise InputError(f"{record_set.path}: has no frames of the split {split!r} (--split); it has "
                         f"{', '.join(record_set.splits)}")


def coded_size(record_set, split, ground_truth):
    """{"bpp", "coded_bytes", "pixels"} of the evaluated images, from images.csv.

    Raises:
      InputError: images.csv is missing, or lacks an image.
    """
    path = pathlib.Path(record_set.path) / "images.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = {row["source_id"]: row for row in csv.DictReader(file) if row["split"] == split}
            coded = [int(rows[name]["coded_bytes"]) for name in ground_truth.image_ids]
    except FileNotFoundError:
        raise InputError(f"{path}: missing; make the record set again") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: does not belong to this record set's {split} frames ({error}); make the record "
                         "set again") from error
    pixels = int(ground_truth.sizes.prod(axis=1).sum())
    return {"bpp": 8 * sum(coded) / pixels, "coded_bytes": sum(coded), "pixels": pixels}


def open_all(record_sets):
    """[RecordSet] of folders or RecordSets; InputError where two have one name."""
    record_sets = [item if hasattr(item, "examples") else RecordSet(item) for item in record_sets]
    names = [record_set.name for record_set in record_sets]
    if len(set(names)) < len(names):
        raise InputError(f"record sets {listed(names)}: two have one name, so their results would share a folder")
    return record_sets


def folder_names(checkpoints):
    """The folder that the results of each of several checkpoints go into; InputError where two have one name."""
    paths = [pathlib.Path(checkpoint) for checkpoint in checkpoints]
    names = [path.resolve().name if path.is_dir() else f"{path.resolve().parent.name}-{path.name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"checkpoints {listed(names)}: two have one name, so their results would share a folder")
    return names


def _finished(folder, task, made_from):
    """The metrics in `folder` if they were made from the same inputs and settings, else None."""
    result = read_json(folder / "metrics.json")
    if result is None:
        return None
    # Earlier versions resampled, with a number of resamples and a seed; what they finished stays.
    earlier = ("resamples", "seed")
    found = {name: value for name, value in (result.get("made_from") or {}).items() if name not in earlier}
    return result if found == made_from and (folder / task.predictions_file).is_file() else None
