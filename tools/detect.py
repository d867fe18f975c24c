"""Run a detector on images: pictures with what it finds, and detections.json (COCO results, in pixels).

Folders are searched at any depth. An image that cannot be read is listed in OUTPUT/broken_frames.csv and passed over.
--zoo NAME takes a published detector: checkpoints/NAME, fetched as tools.fetch_checkpoint does where it is not there.
Class names come from the label map that the model's pipeline.config names, from label_map.pbtxt beside an export, or
from --label_map.

Examples:
  python -m tools.detect --zoo ssd_mobilenet_v2_320x320_coco17_tpu-8 picture.jpg --output detected
  python -m tools.detect --checkpoint runs/best data/frames --output detected
  python -m tools.detect --saved_model exported/best frame1.bmp frame2.jpg --score_threshold 0.5 --output detected
"""

from absl import flags

from tools import command

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A model folder (its newest checkpoint) or a prefix such as "
                                  "model/ckpt-3.")
_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The model's pipeline.config, where it is not beside the "
                              "checkpoint.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "An exported detector, instead of a checkpoint.")
_ZOO = flags.DEFINE_string("zoo", None, "A published detector, by its name (see tools.fetch_checkpoint --list), "
                           "instead of --checkpoint.")
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The class names: a label_map.pbtxt, or lmu, coco, voc or kitti.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.3, "Detections below it are not drawn.", lower_bound=0.0,
                                upper_bound=1.0)
_DRAW = flags.DEFINE_bool("draw", True, "Write pictures.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the results.", required=True)


def main(images):
    if not images:
        raise command.UsageError("name images, or folders of images")
    if sum(value is not None for value in (_CHECKPOINT.value, _SAVED_MODEL.value, _ZOO.value)) != 1:
        raise command.UsageError("give either --checkpoint, --saved_model or --zoo")
    if _CONFIG.value and not _CHECKPOINT.value:
        raise command.UsageError("--pipeline_config_path goes with --checkpoint")
    from tfod_compress.tasks.detection import pictures, trained_model

    pictures.find_images(images)  # a mistake here is told before TensorFlow's slow import
    checkpoint = _CHECKPOINT.value
    if _ZOO.value:
        from tfod_compress.tasks.detection.zoo import fetching

        checkpoint = fetching.fetched(_ZOO.value)
    model = trained_model.find(checkpoint, _SAVED_MODEL.value, _CONFIG.value)
    names = model.class_names(_LABEL_MAP.value)
    counts, broken = pictures.detect(model.load(), images, _OUTPUT.value, names,
                                               score_threshold=_THRESHOLD.value, draw=_DRAW.value)
    for name, count in counts[:20]:
        print(f"{name}: {count} objects with a score of at least {_THRESHOLD.value:g}")
    if len(counts) > 20:
        print(f"… and {len(counts) - 20} more images, {sum(count for _, count in counts)} objects in all")
    for path, reason in broken[:20]:
        print(f"broken: {path}: {reason}")
    print(f"{_OUTPUT.value}: {len(counts)} images" + (f", {len(broken)} could not be read" if broken else ""))


if __name__ == "__main__":
    command.run(main, positional=True)
