"""pipeline.config: a detector's template + a record set + a checkpoint, checked before it is written.

Imports only the OD API's protos, no TensorFlow, so that a mistake is told at once.
"""

import dataclasses
import pathlib
import typing

from google.protobuf import text_format

from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.tasks import record_sets
from tfod_compress.tasks.checkpoints import latest_checkpoint
from tfod_compress.tasks.detection.config import anchors, changes, checks

TEMPLATES = pathlib.Path(__file__).resolve().parents[4] / "pipeline_configs"
MAX_FRAMES = 5000


@dataclasses.dataclass(frozen=True)
class Made:
    """What `make` wrote.

    Attributes:
      config: the TrainEvalPipelineConfig.
      anchors: how the anchors fit the training boxes; None where that cannot be computed (a note says why).
      notes: [line]: what the user should know before training.
    """

    config: typing.Any
    anchors: anchors.Fit | None
    notes: list


def detectors():
    """The names of the templates in pipeline_configs/, sorted."""
    return sorted(path.stem for path in TEMPLATES.glob("*.config"))


def read(path):
    """Reads a pipeline.config.

    Args:
      path: a text file of object_detection.protos.TrainEvalPipelineConfig.

    Returns:
      The message.

    Raises:
      InputError: the file is missing, or is no such text; the message has the line and column.
    """
    from object_detection.protos import pipeline_pb2

    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a pipeline config ({error})") from error
    return _parse(text, pipeline_pb2.TrainEvalPipelineConfig(), path)


def template(detector):
    """The template of a detector.

    Raises:
      InputError: there is no such template; the message lists those that exist.
    """
    if detector not in detectors():
        raise InputError(f"no detector {detector!r} in {TEMPLATES}; there are: {', '.join(detectors())}")
    return read(TEMPLATES / f"{detector}.config")


def make(detector, records, output, *, checkpoint=None, checkpoint_type=None, batch_size=None,
         scale_learning_rate=False, overrides=(), max_frames=MAX_FRAMES, fold=None):
    """Writes the pipeline.config that trains `detector` on a record set, after checking it.

    Args:
      detector: the name of a template.
      records: the record set's folder; its train split feeds training, its val split evaluation.
      output: the file to write.
      checkpoint: a model folder or checkpoint prefix to start from, or None for the template's own start.
      checkpoint_type: what of it to restore: "full" (every weight), "detection", "classification", or None: "full"
        where the pipeline.config beside the checkpoint has as many classes as the record set or where there is none,
        else "detection".
      batch_size: frames a step, or None for the template's.
      scale_learning_rate: multiply the learning rates by batch size / the template's batch size.
      overrides: texts of the pipeline proto that are merged over the template last, such as
        "train_config { batch_size: 8 }" or, shorter, "train_config.batch_size: 8"; a list replaces the template's.
      max_frames: how many training frames are looked at, spread over the shards; 0 for all.
      fold: of a record set made with folds: fold<K> is for evaluation and the others for training, instead of val and
        train.

    Returns:
      Made.

    Raises:
      InputError: template, record set, checkpoint or override does not fit.
    """
    record_set = RecordSet(records)
    record_sets.require(record_set, "detection")
    config = template(detector)
    usual = config.train_config.batch_size
    model = getattr(config.model, config.model.WhichOneof("model"))
    model.num_classes = max(record_set.label_map)  # ids may have gaps; the model has an output for each up to the last
    label_map = str((record_set.path / "label_map.pbtxt").resolve())
    if not config.eval_input_reader:
        config.eval_input_reader.add(shuffle=False, num_epochs=1)
    train_splits, val_splits = _sides(record_set, fold)
    for reader, splits in ((config.train_input_reader, train_splits), (config.eval_input_reader[0], val_splits)):
        reader.label_map_path = label_map
        del reader.tf_record_input_reader.input_path[:]
        reader.tf_record_input_reader.input_path.extend(
            str(path.resolve()) for split in splits for path in record_set.files(split))
    notes = []
    if checkpoint is not None:
        notes += _start_from(config, checkpoint, checkpoint_type)
    elif checkpoint_type:
        raise InputError("--checkpoint_type: goes with --checkpoint")
    if batch_size is not None:
        config.train_config.batch_size = batch_size
    rates = [getattr(*place) for place in changes.learning_rates(config)]
    for override in overrides:
        changes.override(config, override)
    if scale_learning_rate:
        if rates != [getattr(*place) for place in changes.learning_rates(config)]:
            raise InputError("--scale_learning_rate: the learning rate is set by --set; choose one of them")
        changes.scale_learning_rate(config, config.train_config.batch_size / usual)
    if not config.train_input_reader.tf_record_input_reader.input_path:
        raise InputError(f"{record_set.path}: has no frames to train on; make it with a smaller --val_fraction")
    boxes = checks.look(record_set, max_frames, train_splits)
    notes += checks.check(config, record_set, boxes)
    anchors_fit = checks.anchors_fit(config, record_set, boxes, notes)
    with atomic_file(output, "w") as file:
        file.write(text_format.MessageToString(config))
    return Made(config, anchors_fit, notes)


def _sides(record_set, fold):
    """([split to train on], [split to evaluate on])."""
    if fold is None:
        return ["train"], ["val"]
    folds = [split for split in record_set.splits if split.startswith("fold")]
    if f"fold{fold}" not in folds:
        raise InputError(f"{record_set.path}: has no fold {fold} (--fold); it has {', '.join(record_set.splits)}")
    return [split for split in folds if split != f"fold{fold}"], [f"fold{fold}"]


def _start_from(config, checkpoint, kind):
    """Sets the checkpoint to start from; returns what the user should know."""
    prefix = latest_checkpoint(checkpoint)
    notes = []
    beside = pathlib.Path(prefix).parent / "pipeline.config"
    if beside.is_file():
        ours, theirs = (getattr(c.model, c.model.WhichOneof("model") or "ssd") for c in (config, read(beside)))
        types = [one.feature_extractor.type for one in (ours, theirs)]
        if types[0] != types[1]:
            raise InputError(f"{beside}: the checkpoint is one of {types[1]}, the template's detector is {types[0]}")
        if ours.num_classes != theirs.num_classes and kind == "full":
            raise InputError(f"{beside}: has {theirs.num_classes} classes and the record set {ours.num_classes}, so "
                             "not every weight fits: use --checkpoint_type detection")
        if ours.num_classes != theirs.num_classes and kind is None:
            kind = "detection"
            notes.append(f"{prefix} has {theirs.num_classes} classes and the record set {ours.num_classes}: the "
                         "feature extractor alone is restored (fine_tune_checkpoint_type: detection); "
                         "model_main_tf2.py --restore_heads adds the heads that fit")
    config.train_config.fine_tune_checkpoint = prefix
    config.train_config.fine_tune_checkpoint_type = kind or "full"
    config.train_config.fine_tune_checkpoint_version = 1  # V2: object based
    return notes


def uses_moving_average(config):
    """Whether a TrainEvalPipelineConfig asks for averaged weights; one that names no optimizer does not."""
    optimizer = config.train_config.optimizer
    # The proto's default is true, also for the optimizer that a config of a model alone does not have.
    return optimizer.WhichOneof("optimizer") is not None and optimizer.use_moving_average


def _parse(text, message, source):
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise InputError(f"{source}: not a pipeline config: {error}") from error
