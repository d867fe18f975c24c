"""Models of any task on record sets, and files of predictions on ground truths: what tools.evaluate asks for."""

import pathlib

from tfod_compress import tasks
from tfod_compress.evaluation import results
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, write_json


def evaluate_models(wanted, record_sets, output, *, split="val", score_threshold=0.5,
                    allow_training_frames=False) -> list:
    """Evaluates models of the task that the record sets are of.

    Args:
      wanted: `tasks.models.Wanted`.
      record_sets: folders of record sets.
      output: as for `results.evaluate` with one model; with several checkpoints, every one gets a folder in it by its
        own name (`model` for a folder, `model-ckpt-3` for a prefix).
      split: as there.
      score_threshold: as there, of a task whose metrics have one.
      allow_training_frames: as there.

    Returns:
      [(name of the checkpoint's folder, or "" with one model; the content of one metrics.json)].

    Raises:
      InputError: record sets of several tasks; models that their task has not; or as `results.evaluate`.
    """
    task = task_of(record_sets)
    strange = [name for name in wanted.of_the_task() if name not in task.takes]
    if strange:
        own = "--checkpoint, " if "checkpoint" in task.takes else ""
        raise InputError(f"--{strange[0]}: {record_sets[0]} is of {task.name}, which does not take it; give {own}"
                         f"--model_command, or the {task.predictions_file} of another program with --metrics_from")
    several = len(wanted.checkpoint) > 1
    names = results.folder_names(wanted.checkpoint) if several else [""]
    models = [task.outside_model(wanted)] if wanted.model_command else task.trained_models(wanted)
    return [(name, result) for name, model in zip(names, models, strict=True)
            for result in results.evaluate(
                task, model, record_sets, pathlib.Path(output) / name, split=split,
                score_threshold=score_threshold if task.thresholded else None,
                allow_training_frames=allow_training_frames).values()]


def task_of(record_sets) -> tasks.Task:
    """The task of record sets' folders; InputError where they are of several."""
    found = {path: RecordSet(path).task for path in record_sets}
    if len({task.name for task in found.values()}) > 1:
        told = ", ".join(f"{path} is of {task.name}" for path, task in found.items())
        raise InputError(f"--records: of several tasks: {told}; evaluate them one by one")
    return next(iter(found.values()))


def load(files, ground_truth, split="val"):
    """Predictions that are to be measured, on what all of the files cover.

    Args:
      files: of predictions, as the task has them; a metrics.json beside one, as an evaluation leaves it, may tell
        which classes it covers.
      ground_truth: a record set's folder, or a file that a task reads (a COCO JSON).
      split: of the record set.

    Returns:
      (task, RecordSet or None, truth, [predictions], names of the classes that not all files cover, where the truth has
      less for that).

    Raises:
      InputError: the files are missing, malformed, or do not belong together.
    """
    path, record_set = pathlib.Path(ground_truth), None
    if path.suffix == ".json" and not path.is_dir():
        task = tasks.get(tasks.DEFAULT)  # no other one has its truth in a file
        everything = task.ground_truth_file(path)
    else:
        record_set = RecordSet(path)
        task = record_set.task
        results.check_split(record_set, split)
        everything = task.ground_truth(record_set, split)
    missing = task.not_covered(files)
    found = [task.without(everything, task.read_predictions(file, everything), missing) for file in files]
    truth = found[0][0]
    return task, record_set, truth, [predicted for _, predicted in found], (
        frozenset() if truth is everything else missing)


def metrics_from(predictions, ground_truth, output, *, split="val", score_threshold=0.5):
    """Computes every metric of a file of predictions; no model is needed.

    Of a file with the metrics.json of its evaluation beside it, over the classes that count there.

    Args:
      predictions: the file: COCO's results of detectors, else the task's predictions.json.
      ground_truth: a record set's folder, or a COCO JSON.
      output: folder that receives metrics.json.
      split: of the record set.
      score_threshold: of precision, recall and F1, of a task that has them.

    Returns:
      The content of metrics.json; "bpp" and "coded_bytes" are None for a COCO JSON.

    Raises:
      InputError: the files are missing, malformed, or do not belong together.
    """
    task, record_set, truth, (found,), missing = load([predictions], ground_truth, split)
    size = results.coded_size(record_set, split, truth) if record_set else {
        "bpp": None, "coded_bytes": None, "pixels": int(truth.sizes.prod(axis=1).sum())}
    beside = read_json(pathlib.Path(predictions).with_name("metrics.json")) or {}
    more = {"classes": beside.get("classes")} if missing else {}
    dropped = getattr(found, "dropped", None)
    more |= {"dropped_detections": dropped} if dropped else {}
    result = {**results.named(task), "record_set": record_set.name if record_set else pathlib.Path(ground_truth).name,
              "checkpoint": None, pathlib.Path(task.predictions_file).stem: str(predictions), "split": split, **size,
              **task.summarise(truth, found, score_threshold if task.thresholded else None), **more}
    write_json(pathlib.Path(output) / "metrics.json", result)
    return result
