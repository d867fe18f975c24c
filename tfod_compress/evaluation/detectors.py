"""Detectors on record sets, from Python; tools.evaluate has `runs.evaluate_models` for every task."""

from tfod_compress import tasks
from tfod_compress.evaluation import results
from tfod_compress.tasks.detection import evaluated, outside_detector
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
    built = (lambda: detector) if detector else None
    model = evaluated.of_checkpoint(pipeline_config_path, checkpoint, given, batch_size, built)
    return results.evaluate(_TASK, model, record_sets, output, split=split, score_threshold=score_threshold,
                            allow_training_frames=allow_training_frames)


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
    return results.evaluate(_TASK, evaluated.of_saved_model(saved_model, given), record_sets, output, split=split,
                            score_threshold=score_threshold)


def evaluate_command(command, record_sets, output, *, split="val", score_threshold=0.5,
                     given=_NOTHING, keep_frames=False):
    """As `evaluate`, for a detector of any framework behind a command, which runs once for each record set.

    Args:
      command: such as "python detect.py {frames} {output}"; see `tasks.outside_model`.
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
    model = outside_detector.OutsideDetector(command, given, keep_frames)
    return results.evaluate(_TASK, model, record_sets, output, split=split, score_threshold=score_threshold)
