"""Get a detector of the TF1 model zoo as a TF2 checkpoint that computes the same numbers.

Downloads NAME.tar.gz from the zoo, or takes it from disk, and writes OUTPUT/ckpt-0.*, a pipeline.config that builds
the model, and conversion.json: which variable became which, and what became of the rest. An interrupted download goes
on when the command is run again. Names (a date may be left out for the newest):
  ssd_inception_v2_coco_2018_01_28, ssd_inception_v2_coco_2017_11_17,
  faster_rcnn_inception_v2_coco_2018_01_28, faster_rcnn_resnet50_coco_2018_01_28,
  faster_rcnn_resnet101_coco_2018_01_28, faster_rcnn_resnet101_kitti_2018_01_28; Faster R-CNN also of 2017_11_08

Examples:
  python -m tools.fetch_checkpoint ssd_inception_v2_coco --output checkpoints/ssd_inception_v2_coco
  python -m tools.fetch_checkpoint faster_rcnn_resnet101_kitti \\
      --archive faster_rcnn_resnet101_kitti_2018_01_28.tar.gz --output checkpoints/faster_rcnn_resnet101_kitti
"""

from absl import flags

from tools import command

_OUTPUT = flags.DEFINE_string("output", None, "The folder for the checkpoint.", required=True)
_ARCHIVE = flags.DEFINE_string("archive", None, "The archive on disk, instead of a download.")
_DOWNLOADS = flags.DEFINE_string("downloads", None, "Folder of unfinished downloads and of the hashes of finished "
                                 "ones; ~/.cache/tfod_compress unless given.")
_ZOO = flags.DEFINE_string("zoo", None, "Another address of the zoo's archives.")


def main(names):
    if len(names) != 1:
        raise command.UsageError("give one name, such as ssd_inception_v2_coco")
    if _ARCHIVE.value and (_DOWNLOADS.value or _ZOO.value):
        raise command.UsageError("--archive goes without --downloads and --zoo")
    from tfod_compress.tasks.detection.zoo import catalogue

    catalogue.find(names[0])  # a mistake here is told before TensorFlow's slow import
    from tfod_compress.tasks.detection.zoo import conversion

    record = conversion.fetch(names[0], _OUTPUT.value, archive=_ARCHIVE.value, downloads=_DOWNLOADS.value,
                              address=_ZOO.value or catalogue.ADDRESS)
    config = record["pipeline_config"]
    for field in config["dropped_fields"]:
        print(f"pipeline.config: dropped {field}, which this OD API does not know")
    for change in config["changed"]:
        print(f"pipeline.config: {change}")
    for reason, left in record["left_over"].items():
        print(f"left out {len(left)} variables: {reason}")
    print(f"{_OUTPUT.value}: {record['name']}, all {len(record['variables'])} variables from "
          f"{record['variables_from']}, {record['num_classes']} classes")


if __name__ == "__main__":
    command.run(main, positional=True)
