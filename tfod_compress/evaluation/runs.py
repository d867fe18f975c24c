"""Detector + record sets -> detections.json and metrics.json.

Whatever can be wrong with the inputs is found before the model is built, and TensorFlow is imported only if there
is something left to run.
"""

import dataclasses
import functools
import hashlib
import pathlib

from tfod_compress import tasks
from tfod_compress.evaluation import results, trained_frames
from tfod_compress.evaluation.detections import of_model
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.tasks.detection import metrics, outside_detector, trained_model
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.metrics import classes

_NOTHING, _TASK = classes.Given(), tasks.get("detection")


def evaluate(pipeline_config_path, checkpoint, record_sets, output, *, split="val", score_threshold=0.5,
             batch_size=8, detector=None, given=_NOTHING, allow_training_frames=False):
    """Evaluates one checkpoint on several record sets, building and tracing the model once.

    Where its label map differs from a record set's, classes are matched by name or by a class map, and the metrics are
    over those that both have; "classes" of metrics.json says which.

    Args:
      pipeline_config_path: the model's pipeline.config; None for the one beside the checkpoint.
      checkpoint: a model folder (its newest checkpoint) or a prefix.
      record_sets: folders of record sets, or RecordSets.
      output: folder that receives `<record set name>/metrics.json` and `detections.json`. What is there already,
        of the same weights, model, record set and settings, is not done again.
      split: "val", "train", or another that the record sets have, such as "fold0".
      score_threshold: of precision, recall and F1.
      batch_size: images run together; changes no number.
      detector: a Detector of this config to use (for several checkpoints), or None to build one if needed.
      given: classes.Given, what the user says of the detector's classes.
      allow_training_frames: whether frames that the checkpoint, or one that it started from, was trained on may be
        among those of a split other than "train"; "training_frames" of metrics.json counts them.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others; frames were trained on.
    """
    model = trained_model.find(checkpoint, config=pipeline_config_path)
    config, prefix = pipeline_config.read(model.config), model.weights
    weights = {"checkpoint": results.digest(f"{prefix}.index"),  # holds the checksum of every weight
               "model": hashlib.sha256(config.model.SerializeToString(deterministic=True)).hexdigest()}
    if pipeline_config.uses_moving_average(config):
        weights["moving_average"] = True

    def ready():
        from tfod_compress.tasks.detection.detector import Detector
        built = detector or Detector(model.config)
        built.restore(prefix)
        return built

    record_sets = results.open_all(record_sets)
    seen = trained_frames.refuse(trained_frames.of_checkpoint(prefix, model.config), record_sets, split, prefix,
                                 allow_training_frames)
    return results.evaluate(_TASK, of_model(ready, batch_size), functools.partial(_match, model, given),
                            {"checkpoint": prefix}, weights, record_sets, output, split, score_threshold, seen)


def evaluate_saved_model(saved_model, record_sets, output, *, split="val", score_threshold=0.5,
                         given=_NOTHING):
    """As `evaluate`, for a detector exported as a SavedModel (the OD API's exporter_main_v2 or ours).

    Args:
      saved_model: the folder with saved_model.pb, or the one above it. Its label map is label_map.pbtxt beside it, or
        what a pipeline.config beside it names; without either, the record sets'.
      record_sets: folders of record sets, or RecordSets.
      output: as for `evaluate`.
      split: likewise.
      score_threshold: likewise.
      given: likewise.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others.
    """
    model = trained_model.find(saved_model=saved_model)
    folder = pathlib.Path(model.weights)
    weights = {"saved_model": results.digest(folder / "saved_model.pb"),
               "variables": results.digest(folder / "variables" / "variables.index")}

    return results.evaluate(_TASK, of_model(model.load, 1), functools.partial(_match, model, given),
                            {"checkpoint": str(folder.resolve())}, weights, record_sets, output, split, score_threshold)


def evaluate_command(command, record_sets, output, *, split="val", score_threshold=0.5,
                     given=_NOTHING, keep_frames=False):
    """As `evaluate`, for a detector of any framework behind a command, which runs once for each record set.

    Args:
      command: such as "python detect.py {frames} {output}"; see `outside_detector`.
      record_sets: as for `evaluate`.
      output: likewise. The frames lie below it while the command runs.
      split: likewise.
      score_threshold: likewise.
      given: likewise; without a label map in it, the command is to use the record sets' own.
      keep_frames: whether the frames stay.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: as `evaluate`; the command fails, or its results are none.
    """
    outside_detector.split(command)

    def found(record_set, truth, split):
        folder = pathlib.Path(output) / record_set.name / "detector_command"
        return outside_detector.detect(command, record_set, split, truth, given.label_map or record_set.label_map,
                                       folder, keep_frames)

    def match(record_set):
        return classes.match(given.label_map or record_set.label_map, record_set.label_map, given,
                             "the detector", record_set.path)

    described = {"checkpoint": None, "detector_command": command}
    return results.evaluate(_TASK, found, match, described, {"detector_command": command}, record_sets, output, split,
                            score_threshold)


def _match(model, given, record_set):
    """The ClassMatch of a TrainedModel and a RecordSet."""
    ours, count = record_set.label_map, model.num_classes()
    theirs = given.label_map or model.class_names()
    name = model.config or model.folder
    if not theirs:
        named = model.named_label_maps()
        if named or count not in (None, max(ours)):
            why = f"{named[0]} is not there" if named else f"num_classes is {count}, but {record_set.path}/" \
                f"label_map.pbtxt has ids up to {max(ours)}"
            raise InputError(f"{name}: its label map is not known ({why}): give --detector_label_map")
        theirs = ours
    if count is not None and max(theirs) > count:
        raise InputError(f"{name}: num_classes is {count}, but its label map has ids up to {max(theirs)} "
                         "(--detector_label_map)")
    nms_iou = model.nms_iou() if given.nms_iou is None else given.nms_iou
    return classes.match(theirs, ours, dataclasses.replace(given, nms_iou=nms_iou), name, record_set.path)


def evaluate_checkpoints(pipeline_config_path, checkpoints, record_sets, output, *, split="val", score_threshold=0.5,
                         batch_size=8, given=_NOTHING, allow_training_frames=False):
    """Evaluates several checkpoints of one model.

    Args:
      pipeline_config_path: the model's pipeline.config, or None for the one beside the first checkpoint; it is built
        and traced once.
      checkpoints: model folders or prefixes.
      record_sets: folders of record sets.
      output: as for `evaluate` with one checkpoint; with more, every one gets a folder in it by its own name
        (`model` for a folder, `model-ckpt-3` for a prefix).
      split: as for `evaluate`.
      score_threshold: likewise.
      batch_size: likewise.
      given: likewise.
      allow_training_frames: likewise.

    Returns:
      [(name of the checkpoint's folder, or "" with one checkpoint; the content of one metrics.json)].
    """
    def made(checkpoint, folder, detector=None):
        return evaluate(pipeline_config_path, checkpoint, record_sets, folder, split=split,
                        score_threshold=score_threshold, batch_size=batch_size,
                        detector=detector, given=given, allow_training_frames=allow_training_frames).values()

    if len(checkpoints) == 1:
        return [("", result) for result in made(checkpoints[0], output)]
    names = results.folder_names(checkpoints)
    models = [trained_model.find(path, config=pipeline_config_path) for path in checkpoints]
    pipeline_config_path = models[0].config
    from tfod_compress.tasks.detection.detector import Detector
    detector = Detector(pipeline_config_path)
    return [(name, result) for name, path in zip(names, checkpoints, strict=True)
            for result in made(path, pathlib.Path(output) / name, detector)]


def metrics_from(detections, ground_truth, output, *, split="val", score_threshold=0.5):
    """Computes every metric of a detections file; no model is needed.

    Of a file with the metrics.json of its evaluation beside it, over the classes that count there.

    Args:
      detections: a file in COCO's results format; for a record set of another task, that task's predictions.
      ground_truth: a record set's folder or a COCO JSON.
      output: folder that receives metrics.json.
      split: of the record set.
      score_threshold: of precision, recall and F1.

    Returns:
      The content of metrics.json; "bpp" and "coded_bytes" are None for a COCO JSON.

    Raises:
      InputError: the files are missing, malformed, or do not belong together.
    """
    record_set = RecordSet(ground_truth) if pathlib.Path(ground_truth).is_dir() else None
    if record_set and record_set.task.name != _TASK.name:
        return _of_predictions(detections, record_set, output, split)
    everything = (metrics.record_set_ground_truth(record_set, split) if record_set else
                  metrics.load_ground_truth(ground_truth, split))
    truth, (found,) = metrics.load_together([detections], everything)
    size = {"bpp": None, "coded_bytes": None, "pixels": int(truth.sizes.prod(axis=1).sum())}
    name = pathlib.Path(ground_truth).name
    if record_set:
        size = results.coded_size(record_set, split, truth)
    more = {"classes": classes.beside(detections)} if truth is not everything else {}
    more |= {"dropped_detections": found.dropped} if found.dropped else {}
    result = {"record_set": name, "checkpoint": None, "detections": str(detections), "split": split, **size,
              **metrics.summarise(truth, found, score_threshold), **more}
    write_json(pathlib.Path(output) / "metrics.json", result)
    return result


def _of_predictions(predictions, record_set, output, split):
    """`metrics_from` of a task other than detection."""
    task = record_set.task
    truth = task.ground_truth(record_set, split)
    result = {"task": task.name, "record_set": record_set.name, "checkpoint": None, "predictions": str(predictions),
              "split": split, **results.coded_size(record_set, split, truth),
              **task.summarise(truth, task.read_predictions(predictions, truth))}
    write_json(pathlib.Path(output) / "metrics.json", result)
    return result
