"""Checkpoint -> SavedModel, or TensorFlow Lite for SSD, by the OD API's own exporters.

Those (object_detection/exporter_lib_v2.py, export_tflite_graph_lib_tf2.py) do the work; here are what they lack: our
repairs and extractors, inputs that are checked, and a folder that is written whole or not at all.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf

# Without it every layer is traced and stored once more, for a Keras that would rebuild the model from its layers:
# exporting and loading took twice as long, for nothing that a detector's users call.
from keras.src.saving.legacy.saved_model.utils import keras_option_scope

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, atomic_folder
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection import moving_average, odapi
from tfod_compress.tasks.detection.config import changes, pipeline_config

INPUT_TYPES = ("image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example")


def export_saved_model(pipeline_config_path, checkpoint, output, *, input_type="image_tensor", overrides=()):
    """Writes a detector as a SavedModel that needs neither this package nor the OD API.

    Args:
      pipeline_config_path: the model's pipeline.config.
      checkpoint: a model folder (its newest checkpoint) or a prefix such as model/ckpt-3; where the config keeps a
        moving average of the weights, that is exported.
      output: a folder that does not exist yet, or is empty. It gets `saved_model/`, `checkpoint/` (the weights
        alone), `pipeline.config` and, where the config names one that exists, `label_map.pbtxt`.
      input_type: one of INPUT_TYPES. "image_tensor" takes uint8 [1, H, W, 3] of any size.
      overrides: texts of the pipeline proto that are merged over the config, such as another score threshold.

    Raises:
      InputError: config and checkpoint do not fit, the checkpoint is broken, or `output` is taken.
    """
    odapi.install()
    from object_detection import exporter_lib_v2

    config, prefix = _inputs(pipeline_config_path, checkpoint, overrides)
    if input_type not in INPUT_TYPES:
        raise InputError(f"--input_type {input_type}: there are {', '.join(INPUT_TYPES)}")
    with (atomic_folder(output) as folder, _errors(prefix, pipeline_config_path),
          _as_newest(prefix, config) as (index, weights), _restored_models(weights),
          keras_option_scope(save_traces=False)):
        exporter_lib_v2.export_inference_graph(input_type, config, index, str(folder))
        _copy_label_map(config, folder)


def export_tflite(pipeline_config_path, checkpoint, output, *, max_detections=100, use_regular_nms=True, overrides=()):
    """Writes an SSD as TensorFlow Lite.

    The model takes what the detector's preprocessing gives: float32 [1, height, width, 3], resized, for Inception v2
    `2 / 255 * pixels - 1`. It gives boxes [1, max_detections, 4], classes (from 0 on), scores and their number, up to
    100 of a class whatever the config's max_detections_per_class (the exporter hands no such number on).

    Args:
      pipeline_config_path: the model's pipeline.config, an SSD with a fixed_shape_resizer.
      checkpoint: as for `export_saved_model`.
      output: likewise; it gets `model.tflite`, `pipeline.config` and `label_map.pbtxt`.
      max_detections: on an image.
      use_regular_nms: suppress class by class, as the detector itself does; False is faster and keeps one class a
        place.
      overrides: as for `export_saved_model`.

    Raises:
      InputError: as for `export_saved_model`, or the detector is no such SSD.
    """
    odapi.install()
    from object_detection import export_tflite_graph_lib_tf2
    from object_detection.utils import config_util

    config, prefix = _inputs(pipeline_config_path, checkpoint, overrides)
    kind = config.model.WhichOneof("model")
    if kind != "ssd" or not config.model.ssd.image_resizer.HasField("fixed_shape_resizer"):
        raise InputError(f"{pipeline_config_path}: TensorFlow Lite takes an ssd with a fixed_shape_resizer alone (the "
                         f"OD API's exporter has no other); this one is {kind}")
    with (atomic_folder(output) as folder, _errors(prefix, pipeline_config_path),
          _as_newest(prefix, config) as (index, weights), _restored_models(weights),
          keras_option_scope(save_traces=False)):
        export_tflite_graph_lib_tf2.export_tflite_model(config, index, str(folder), max_detections,
                                                        use_regular_nms)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
        with atomic_file(folder / "model.tflite") as file:
            file.write(converter.convert())
        shutil.rmtree(folder / "saved_model")  # an intermediate one, whose post-processing is a stand-in
        config_util.save_pipeline_config(config, str(folder))
        _copy_label_map(config, folder)


def _inputs(pipeline_config_path, checkpoint, overrides):
    config = pipeline_config.read(pipeline_config_path)
    for override in overrides:
        changes.override(config, override)
    prefix = pipeline_config.latest_checkpoint(checkpoint)
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = [name for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
        if not names:
            raise InputError(f"{prefix}: holds no model; give a checkpoint of training")
        broken = [name for name in sorted(names) if reader.get_variable_to_dtype_map()[name].is_floating
                  and not np.isfinite(reader.get_tensor(name)).all()]
    except tf.errors.OpError as error:
        raise InputError(f"{prefix}: cannot be read: {str(error).splitlines()[0][:300]}") from error
    if broken:
        raise InputError(f"{prefix}: holds NaN or infinite weights: {listed(broken)}; use an earlier checkpoint")
    return config, prefix


@contextlib.contextmanager
def _as_newest(prefix, config):
    """(folder, prefix): a folder whose newest checkpoint is the prefix, as the exporters take a folder's newest one.

    Where the config keeps a moving average of the weights, that is a checkpoint of the averages.
    """
    from object_detection.builders import model_builder

    with tempfile.TemporaryDirectory() as folder:
        if pipeline_config.uses_moving_average(config):
            model = model_builder.build(config.model, is_training=False)
            _restore(model, prefix)
            moving_average.load(model, config, prefix)
            prefix = tf.train.Checkpoint(model=model).save(os.path.join(folder, "averaged"))
        pathlib.Path(folder, "checkpoint").write_text(f'model_checkpoint_path: "{prefix}"\n', encoding="utf-8")
        yield folder, prefix


def _restore(model, prefix):
    model.predict(*model.preprocess(tf.zeros([1, 128, 128, 3])))  # makes the variables
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial().assert_existing_objects_matched()


@contextlib.contextmanager
def _restored_models(prefix):
    """While it is open, the exporters' models are built with their variables and restored strictly.

    They restore before there are variables, which then take whatever shape the checkpoint has: a detector of 3 classes
    was exported as one of 5 without a word.
    """
    from object_detection import exporter_lib_v2
    from object_detection.builders import model_builder

    build, table = model_builder.build, exporter_lib_v2.INPUT_BUILDER_UTIL_MAP

    def restored(*args, **kwargs):
        model = build(*args, **kwargs)
        _restore(model, prefix)
        for name in ("preprocess", "predict", "postprocess"):  # without autograph, as in training.step
            setattr(model, name, tf.autograph.experimental.do_not_convert(getattr(model, name)))
        return model

    model_builder.build, kept = restored, dict(table)
    table["model_build"] = restored
    try:
        yield
    finally:
        model_builder.build = build
        table.update(kept)


@contextlib.contextmanager
def _errors(prefix, config):
    try:
        yield
    except (AssertionError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        line = " ".join(str(error).split())[:300]
        raise InputError(f"{prefix}: cannot be exported as the model of {config}: {line}") from error


def _copy_label_map(config, folder):
    path = pathlib.Path(config.train_input_reader.label_map_path)
    if path.is_file():
        shutil.copy(path, folder / "label_map.pbtxt")
