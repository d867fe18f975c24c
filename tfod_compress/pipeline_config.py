"""pipeline.config: a detector's template + a record set + a checkpoint, checked before it is written.

Imports only the OD API's protos, no TensorFlow, so that a mistake is told at once.
"""

import pathlib

from google.protobuf import text_format

from tfod_compress.errors import InputError
from tfod_compress.files import atomic_file
from tfod_compress.records import RecordSet

TEMPLATES = pathlib.Path(__file__).resolve().parent.parent / "pipeline_configs"


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


def make(detector, records, output, *, checkpoint=None, overrides=()):
    """Writes the pipeline.config that trains `detector` on a record set.

    Args:
      detector: the name of a template.
      records: the record set's folder; its train split feeds training, its val split evaluation.
      output: the file to write.
      checkpoint: a model folder or checkpoint prefix to start from (every weight of the detector comes from
        it), or None for the template's own start.
      overrides: texts of the pipeline proto that are merged over the template last, such as
        "train_config { batch_size: 8 }" or, shorter, "train_config.batch_size: 8".

    Returns:
      The message as written.

    Raises:
      InputError: template, record set, checkpoint or override does not fit.
    """
    record_set = RecordSet(records)
    config = template(detector)
    model = getattr(config.model, config.model.WhichOneof("model"))
    model.num_classes = len(record_set.label_map)
    label_map = str((record_set.path / "label_map.pbtxt").resolve())
    if not config.eval_input_reader:
        config.eval_input_reader.add(shuffle=False, num_epochs=1)
    for reader, split in ((config.train_input_reader, "train"), (config.eval_input_reader[0], "val")):
        reader.label_map_path = label_map
        del reader.tf_record_input_reader.input_path[:]
        reader.tf_record_input_reader.input_path.extend(str(path.resolve()) for path in record_set.files(split))
    if checkpoint is not None:
        config.train_config.fine_tune_checkpoint = latest_checkpoint(checkpoint)
        config.train_config.fine_tune_checkpoint_type = "full"
        config.train_config.fine_tune_checkpoint_version = 1  # V2: object based
    for override in overrides:
        _parse(nested(override), config, f"--set {override!r}", merge=True)
    if not config.train_input_reader.tf_record_input_reader.input_path:
        raise InputError(f"{record_set.path}: has no frames to train on; make it with a smaller --val_fraction")
    with atomic_file(output, "w") as file:
        file.write(text_format.MessageToString(config))
    return config


def latest_checkpoint(path):
    """The prefix of a checkpoint.

    Args:
      path: a folder with a `checkpoint` index as tf.train.CheckpointManager writes it, or a prefix
        such as `runs/model/ckpt-3`.

    Returns:
      The absolute prefix.

    Raises:
      InputError: no checkpoint is there.
    """
    path = pathlib.Path(path)
    if path.name and path.with_name(path.name + ".index").is_file():
        return str(path.resolve())
    if not path.is_dir():
        raise InputError(f"{path}: no such checkpoint; give a model folder or a prefix such as model/ckpt-3")
    state = path / "checkpoint"
    prefixes = sorted(path.glob("ckpt-*.index"), key=_number)
    if state.is_file():
        line = next((line for line in state.read_text(encoding="utf-8").splitlines()
                     if line.startswith("model_checkpoint_path:")), "")
        named = path / pathlib.Path(line.partition(":")[2].strip().strip('"')).name
        if named.with_name(named.name + ".index").is_file():
            return str(named.resolve())
    if not prefixes:
        raise InputError(f"{path}: holds no checkpoint (ckpt-*.index); train first, or name another folder")
    return str(prefixes[-1].with_suffix("").resolve())


def nested(override):
    """Turns "a.b.c: 1" into "a { b { c: 1 } }"; any other text is returned as it is."""
    head, colon, value = override.partition(":")
    names = head.strip().split(".")
    if not colon or len(names) == 1 or not all(name.isidentifier() for name in names):
        return override
    return " { ".join(names[:-1]) + " { " + f"{names[-1]}: {value.strip()}" + " }" * (len(names) - 1)


def _parse(text, message, source, merge=False):
    try:
        return (text_format.Merge if merge else text_format.Parse)(text, message)
    except text_format.ParseError as error:
        raise InputError(f"{source}: not a pipeline config: {error}") from error


def _number(index):
    digits = index.name[len("ckpt-"):-len(".index")]
    return int(digits) if digits.isdigit() else -1
