"""Get a published detector of the TF1 or the TF2 detection zoo as a checkpoint that computes the same numbers.

Downloads NAME.tar.gz from the zoo, or takes it from disk, and writes OUTPUT/ckpt-0.*, a pipeline.config that builds
the model, label_map.pbtxt and conversion.json: which variable became which, and what became of the rest. An archive of
TF1 is converted, the weights of TF2 are taken as they are. Before anything is written, the archive's own graph and the
result look at the same pictures and must find the same (--noverify skips that). An interrupted download goes on when
the command is run again. Names of TF1 (a date may be left out for the newest):
  ssd_inception_v2_coco_2018_01_28, ssd_inception_v2_coco_2017_11_17,
  faster_rcnn_inception_v2_coco_2018_01_28, faster_rcnn_resnet50_coco_2018_01_28,
  faster_rcnn_resnet101_coco_2018_01_28, faster_rcnn_resnet101_kitti_2018_01_28; Faster R-CNN also of 2017_11_08
Names of TF2 are those of its archives, such as ssd_mobilenet_v2_320x320_coco17_tpu-8; --list shows all, with the
COCO mAP that the zoo gives.

Examples:
  python -m tools.fetch_checkpoint ssd_mobilenet_v2_320x320_coco17_tpu-8 --output checkpoints/ssd_mobilenet_v2
  python -m tools.fetch_checkpoint faster_rcnn_resnet101_kitti \\
      --archive faster_rcnn_resnet101_kitti_2018_01_28.tar.gz --output checkpoints/faster_rcnn_resnet101_kitti
"""

from absl import flags

from tools import command

_OUTPUT = flags.DEFINE_string("output", None, "The folder for the checkpoint.")
_ARCHIVE = flags.DEFINE_string("archive", None, "The archive on disk, instead of a download.")
_DOWNLOADS = flags.DEFINE_string("downloads", None, "Folder of unfinished downloads and of the hashes of finished "
                                 "ones; ~/.cache/tfod_compress unless given.")
_ZOO = flags.DEFINE_string("zoo", None, "Another address of the zoos' archives.")
_VERIFY = flags.DEFINE_bool("verify", True, "Compare with what the archive's own graph finds.")
_VERIFY_ON = flags.DEFINE_string("verify_on", None, "A folder of pictures to compare on, besides two drawn ones.")
_LIST = flags.DEFINE_bool("list", False, "Show the names and stop.")


def main(names):
    from tfod_compress.tasks.detection.zoo import catalogue

    if _LIST.value:
        for name in catalogue.names():
            known = catalogue.find(name)
            print(name + (f"  COCO mAP {known.published_map:g}" if known.generation == 2 else ""))
        return
    if len(names) != 1:
        raise command.UsageError("give one name, such as ssd_inception_v2_coco")
    if not _OUTPUT.value:
        raise command.UsageError("--output: name the folder for the checkpoint")
    if _ARCHIVE.value and (_DOWNLOADS.value or _ZOO.value):
        raise command.UsageError("--archive goes without --downloads and --zoo")
    if _VERIFY_ON.value and not _VERIFY.value:
        raise command.UsageError("--verify_on goes without --noverify")
    catalogue.find(names[0])  # a mistake here is told before anything slow
    from tfod_compress.tasks.detection.zoo import fetching, verification

    record = fetching.fetch(names[0], _OUTPUT.value, archive=_ARCHIVE.value, downloads=_DOWNLOADS.value,
                            address=_ZOO.value or catalogue.ADDRESS, verify=_VERIFY.value, verify_on=_VERIFY_ON.value)
    config = record["pipeline_config"]
    for field in config["dropped_fields"]:
        print(f"pipeline.config: dropped {field}, which this OD API does not know")
    for change in config["changed"]:
        print(f"pipeline.config: {change}")
    for reason, left in record["left_over"].items():
        print(f"left out {len(left)} variables: {reason}")
    print(verification.told(record["verification"]))
    print(f"{_OUTPUT.value}: {record['name']}, all {len(record['variables'])} variables from "
          f"{record['variables_from']}, {record['num_classes']} classes")


if __name__ == "__main__":
    command.run(main, positional=True)
