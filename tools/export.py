"""Export a trained detector as a SavedModel, or an SSD as TensorFlow Lite.

The flags are those of the OD API's exporter_main_v2.py, which does the work. The SavedModel needs neither this project
nor the OD API: tf.saved_model.load(OUTPUT/saved_model) takes uint8 [1, H, W, 3] and gives detection_boxes,
detection_scores, detection_classes and num_detections. tools.evaluate and tools.detect take it with --saved_model.

Examples:
  python -m tools.export --pipeline_config_path runs/best/pipeline.config --trained_checkpoint_dir runs/best \\
      --output_directory exported/best
  python -m tools.export --pipeline_config_path runs/best/pipeline.config --trained_checkpoint_dir runs/best/ckpt-3 \\
      --tflite --output_directory exported/best-tflite
"""

from absl import flags

from tools import command

_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The detector's pipeline.config.", required=True)
_CHECKPOINT = flags.DEFINE_string("trained_checkpoint_dir", None, "A model folder (its newest checkpoint) or a prefix "
                                  "such as model/ckpt-3.", required=True)
_OUTPUT = flags.DEFINE_string("output_directory", None, "The folder to write; a new one.", required=True)
_INPUT = flags.DEFINE_enum("input_type", "image_tensor",
                           ["image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example"],
                           "What the SavedModel takes.")
_OVERRIDE = flags.DEFINE_string("config_override", "", "Pipeline text merged over the config.")
_TFLITE = flags.DEFINE_bool("tflite", False, "Write model.tflite (SSD with fixed_shape_resizer only).")
_DETECTIONS = flags.DEFINE_integer("max_detections", 100, "With --tflite: detections on an image.", lower_bound=1)
_NMS = flags.DEFINE_bool("ssd_use_regular_nms", True, "With --tflite: suppress class by class, as the detector does.")


def main():
    from tfod_compress.tasks.detection.config import pipeline_config

    pipeline_config.read(_CONFIG.value)  # a mistake here is told before TensorFlow's slow import
    pipeline_config.latest_checkpoint(_CHECKPOINT.value)
    from tfod_compress.tasks.detection import export

    overrides = [_OVERRIDE.value] if _OVERRIDE.value else []
    if _TFLITE.value:
        export.export_tflite(_CONFIG.value, _CHECKPOINT.value, _OUTPUT.value, max_detections=_DETECTIONS.value,
                             use_regular_nms=_NMS.value, overrides=overrides)
    else:
        export.export_saved_model(_CONFIG.value, _CHECKPOINT.value, _OUTPUT.value, input_type=_INPUT.value,
                                  overrides=overrides)
    print(f"{_OUTPUT.value}: {'model.tflite' if _TFLITE.value else 'saved_model/'} of {_CHECKPOINT.value}")


def entry():
    """What an installed exporter_main_v2.py calls."""
    command.run(main)


if __name__ == "__main__":
    entry()
