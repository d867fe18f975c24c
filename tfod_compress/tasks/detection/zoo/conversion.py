"""One archive of the TF1 detection zoo -> a TF2 checkpoint, its pipeline.config and a record of the conversion."""

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from tfod_compress import __version__
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.odapi import tf1_names
from tfod_compress.tasks.detection.zoo import catalogue, old_config, tf1_variables

PREFIX = "ckpt-0"
_UNTOUCHED = -12345.678  # no weight has this value


def convert(contents, known, folder, about):
    """Converts what was taken out of an archive.

    Args:
      contents: `archive.Contents`.
      known: its `catalogue.Archive`.
      folder: an existing one; gets ckpt-0.*, checkpoint and pipeline.config.
      about: entries for conversion.json that tell where it came from.

    Returns:
      conversion.json's contents, but for the verification.

    Raises:
      InputError: a file cannot be read, the model cannot be built, some variable of the model or of the archive has no
        counterpart, or a weight is no number.
    """
    config = _config(contents, known)
    model = build(config.pipeline.model, config.source)
    ours = tf1_names.detector(model)
    source = (tf1_variables.Checkpoint(contents.checkpoint) if contents.checkpoint
              else tf1_variables.FrozenGraph(contents.frozen_graph))
    found, left_over = tf1_variables.select(source, {name: list(v.shape) for name, v in ours.items()})
    pairs, values = [], {}
    for name, variable in ours.items():
        value = source.read(found[name])
        if not np.isfinite(value).all():
            raise InputError(f"{source.name}: {found[name]} holds NaN or infinity")
        variable.assign(value)
        values[name] = value
        pairs.append({"tf1": found[name], "tf2": variable.name.removesuffix(":0"), "shape": list(value.shape),
                      "mean": float(value.mean()), "std": float(value.std()), "min": float(value.min()),
                      "max": float(value.max())})
    record = {
        "name": known.name, **about, "variables_from": source.name, "version": __version__,
        "tensorflow": tf.__version__,
        "pipeline_config": {"from": config.source, "dropped_fields": config.dropped, "changed": config.changed},
        "num_classes": config.model.num_classes, "checkpoint": PREFIX, "left_over": left_over, "variables": pairs}
    _write(folder, model, config.pipeline, ours, values)
    return record


def build(model_config, name):
    """The detector of a config, with its variables made, ready to take weights.

    Args:
      model_config: DetectionModel message.
      name: of the config, for messages.

    Raises:
      InputError: the OD API cannot build it.
    """
    odapi.install()
    from object_detection.builders import model_builder

    small = type(model_config)()
    small.CopyFrom(model_config)
    if small.WhichOneof("model") == "faster_rcnn":
        small.faster_rcnn.first_stage_max_proposals = 1  # no variable depends on it, the time of a prediction does
    try:
        model = model_builder.build(small, is_training=False)
        model.predict(tf.zeros([1, 64, 64, 3]), tf.constant([[64, 64, 3]]))
    except ValueError as error:
        raise InputError(f"{name}: the model cannot be built: {error}") from error
    return model


def _config(contents, known):
    """The archive's own config, or where it has none (2017), the one of the zoo's samples."""
    if contents.pipeline_config is None:
        return old_config.convert(f"model {{ {known.model} }}", f"the zoo's sample config ({catalogue.SAMPLES})",
                                  known.extractor)
    try:
        text = contents.pipeline_config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"pipeline.config: not a text ({error})") from error
    return old_config.convert(text, "pipeline.config", known.extractor)


def _write(folder, model, pipeline, ours, values):
    """Writes the checkpoint and its config."""
    # Both roots that the stock restore looks for: `model` (detection, full), `feature_extractor` (classification).
    checkpoint = tf.train.Checkpoint(model=model, feature_extractor=model.feature_extractor.classification_backbone)
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(checkpoint_number=0)
    _verify(model, str(folder / PREFIX), ours, values)
    (folder / "pipeline.config").write_text(text_format.MessageToString(pipeline), encoding="utf-8")


def _verify(model, prefix, ours, values):
    """Reads the checkpoint back into a model that has forgotten every weight."""
    for variable in ours.values():
        variable.assign(tf.fill(variable.shape, _UNTOUCHED))
    tf.train.Checkpoint(model=model).read(prefix).expect_partial().assert_existing_objects_matched()
    for name, variable in ours.items():
        if not np.array_equal(variable.numpy(), values[name]):
            raise AssertionError(f"{name} came back from the checkpoint with other values")
