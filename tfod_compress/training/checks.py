"""What is checked before step 0, where the stock loop hangs, trains on nothing or fails an hour later."""

import glob
import os
import pathlib

from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks import record_sets
from tfod_compress.tasks.detection.config import label_maps
from tfod_compress.training import records


def frames(config, path, steps):
    """Checks a config and reads its training records.

    Args:
      config: pipeline_pb2.TrainEvalPipelineConfig.
      path: its file, for messages.
      steps: number of steps that will be made.

    Returns:
      (records.Frames, {class id: name}).

    Raises:
      InputError: records are missing, empty, damaged or do not fit the detector or the label map; the batch is
        larger than the number of frames; the config asks for something that this loop does not do.
    """
    reader, batch = config.train_input_reader, config.train_config.batch_size
    if steps <= 0:
        raise InputError(f"{path}: the number of steps is {steps}; set train_config.num_steps or --num_train_steps")
    if batch <= 0:
        raise InputError(f"{path}: train_config.batch_size is {batch}")
    _refuse_unsupported(config, path)
    files = _files(reader.tf_record_input_reader.input_path, path)
    classes = _model(config).num_classes
    label_map = label_maps.read(reader.label_map_path, path) if reader.label_map_path else {}
    for folder in sorted({pathlib.Path(name).parent for name in files}):
        if (folder / "manifest.json").is_file():
            record_set = RecordSet(folder)
            record_sets.require(record_set, "detection")
            label_maps.check(config, path, record_set)
            label_map = label_map or dict(record_set.label_map)
    if label_map and max(label_map) > classes:
        raise InputError(f"{path}: num_classes is {classes}, but the label map has ids up to {max(label_map)}")
    label_map = label_map or {number: f"class {number}" for number in range(1, classes + 1)}
    found = records.scan(files, label_map, classes)
    if reader.sample_1_of_n_examples > 1:
        found = found.take(slice(None, None, reader.sample_1_of_n_examples))
    if batch > len(found):
        raise InputError(f"{path}: a batch of {batch} does not fit {len(found)} frames; set train_config.batch_size")
    if not found.boxes.any():
        raise InputError(f"{path}: none of the {len(found)} frames has a box; make the record set again with labels")
    return found, label_map


def record_set_of(config):
    """The RecordSet that a config trains on, or None where its records are no record set of this kit."""
    paths = config.train_input_reader.tf_record_input_reader.input_path
    folder = pathlib.Path(paths[0]).parent if paths else None
    return RecordSet(folder) if folder and (folder / "manifest.json").is_file() else None


def _refuse_unsupported(config, path):
    reader, train = config.train_input_reader, config.train_config
    for wrong, what in (
            (reader.WhichOneof("input_reader") != "tf_record_input_reader",
             "train_input_reader needs a tf_record_input_reader; make the config with tools.make_pipeline_config"),
            (len(reader.sample_from_datasets_weights), "sample_from_datasets_weights is not supported; "
             "--balance_classes samples by class"),
            (reader.input_type not in (0, 1), "only tf.train.Example records are supported (input_type)"),
            (train.load_all_detection_checkpoint_vars, "load_all_detection_checkpoint_vars: not supported in TF2"),
            (train.freeze_variables or train.update_trainable_variables,
             "freeze_variables and update_trainable_variables have no effect in TF2; remove them")):
        if wrong:
            raise InputError(f"{path}: {what}")


def _files(patterns, path):
    if not patterns:
        raise InputError(f"{path}: train_input_reader names no records; make it with tools.make_pipeline_config")
    found = []
    for pattern in patterns:
        names = sorted(glob.glob(pattern))
        if not names:
            raise InputError(f"{path}: record {pattern} is missing; run tools.make_tfrecords, then "
                             "tools.make_pipeline_config again")
        found += names
    if not any(os.path.getsize(name) for name in found):
        raise InputError(f"{path}: the records it names are empty; make the record set again")
    return found


def _model(config):
    return getattr(config.model, config.model.WhichOneof("model"))
