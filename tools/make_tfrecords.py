"""Turn labelled frames into TFRecords, one record set for each quality, in one pass over the frames.

Examples:
  python -m tools.make_tfrecords --quality 20
  python -m tools.make_tfrecords --frames data/frames --labels data/labels --quality 100,40,20,5
  python -m tools.make_tfrecords --frames kitti/image_2 --labels kitti/label_2 --class_map kitti.yaml --quality 20
  python -m tools.make_tfrecords --frames VOC2007/JPEGImages --labels VOC2007/Annotations --label_map voc
  python -m tools.make_tfrecords --frames frames --labels instances.json --label_map coco --codec png
  python -m tools.make_tfrecords --frames frames --labels labels --label_map auto
  python -m tools.make_tfrecords --task classification --frames imagenet/train --quality 20
  python -m tools.make_tfrecords --task classification --frames val --labels val.txt --names synsets.txt --quality 20
  python -m tools.make_tfrecords --codec webp --target_bpp 0.1,0.2,0.5
  python -m tools.make_tfrecords --codec h264 --quality 23,25,30,40,50 --sequence_by '^(seq\\d+)/' --keep_bitstreams out

Frames are BMP, PNG or JPEG files at any depth; labels are Pascal VOC, KITTI, COCO, YOLO or CSV, for classification
folders named after classes, a CSV or a list. A run that was interrupted goes on where it stopped when the same command
is given again. TensorFlow reads JPEG and PNG: for other codecs the records hold a lossless PNG of the decoded pixels,
and the size that counts is in image/compressed_bytes and images.csv. h264 is video: --sequence_by says what a sequence
is, or without it each folder.
"""

from absl import flags

from tools import command

_TASK = flags.DEFINE_string("task", "detection", "What is labelled: detection (boxes), classification (a class for "
                            "each frame), or another of tfod_compress/tasks.")
_FRAMES = flags.DEFINE_string("frames", "data/frames", "Folder of frames, at any depth.")
_LABELS = flags.DEFINE_string("labels", None, "Folder of label files, or one file (COCO, CSV, list); without it "
                              "data/labels or, for classification, the folders that hold the frames.")
_FORMAT = flags.DEFINE_string("label_format", "auto", "auto (by content), voc, kitti, coco, yolo or csv; for "
                              "classification folders (a class each), csv (path,class) or list (a path and a class a "
                              "line).")
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The classes: lmu, coco, voc or kitti (of "
                                 "pipeline_configs/label_maps), a label_map.pbtxt, or auto: the names that the labels "
                                 "have. Without it lmu or, for classification, auto.")
_CLASS_MAP = flags.DEFINE_string(
    "class_map", None, "YAML file of lines such as \"Car: PassengerCar\" or \"Tram: ignore\": from the labels' "
    "names to those of the label map.")
_NAMES = flags.DEFINE_string("names", None, "For classes that are numbers, as in YOLO's labels and lists: file of "
                             "class names, or a shipped label map such as coco, whose names in order are classes 0, 1, "
                             "…; without it a file is looked for near YOLO's labels.")
_CODEC = flags.DEFINE_string("codec", "jpeg", "The codec; python -m tools.codec list shows all.")
_MODEL = flags.DEFINE_string("codec_model", None, "Folder of a learned codec's model, or of several models: each is a "
                             "quality, its lambda. Of codec tfci: a published model or family of models, such as "
                             "bmshj2018-hyperprior-msssim, or a folder of their metagraphs.")
_QUALITY = flags.DEFINE_list("quality", None, "One quality or several, such as 100,40,20,5; without it the codec's "
                             "default.")
_TARGETS = flags.DEFINE_list("target_bpp", None, "Instead of --quality: bits per pixel, one number or several, such as "
                             "0.1,0.2,0.5,1,2; the quality whose true rate is nearest below is found.")
_PER_FRAME = flags.DEFINE_bool("rate_per_frame", False, "With --target_bpp: find the quality of each frame by itself.")
_OUTPUT = flags.DEFINE_string("output", "tfrecords", "Folder that gets the record sets.")
_RECORD_SET = flags.DEFINE_string("record_set", None, "Name of the record set, where there is one quality, instead of "
                                  "<codec>-q<quality>.")
_VAL = flags.DEFINE_float("val_fraction", 0.2, "Share of the frames for validation.")
_TEST = flags.DEFINE_float("test_fraction", 0.0, "Share for a third split that training never looks at.")
_SEQUENCE_BY = flags.DEFINE_string("sequence_by", None, "Regular expression on a frame's path below --frames: "
                                   "frames with the same first group, for example of '^(seq\\d+)/', are one sequence. "
                                   "It stays on one side, video codes it as one stream, and intervals draw whole "
                                   "sequences.")
_SPLIT_BY = flags.DEFINE_string("split_by", None, "Likewise: frames with the same first group stay on one side; "
                                "without --sequence_by they are a sequence too.")
_SPLIT_FILES = flags.DEFINE_string("split_files", None, "Folder of train.txt, val.txt, test.txt: lists of frames that "
                                   "say which goes where; or the word folders, where the frames lie in train/, val/ "
                                   "and test/ below --frames.")
_FOLDS = flags.DEFINE_integer("folds", 0, "Make K folds for cross-validation instead of train and val.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the assignment to splits and of the sample that is measured.")
_SHARDS = flags.DEFINE_integer("num_shards", 0, "Files of each split; 0: 10 frames a file up to 16 files, then 500.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes; 0: one for each core.")
_ON_BROKEN = flags.DEFINE_enum("on_broken", "skip", ["skip", "fail"], "Broken frames: list and skip them, or stop.")
_MAX_BROKEN = flags.DEFINE_float("max_broken", 0.05, "Stop where more than this share of the frames is broken.")
_UNLABELLED = flags.DEFINE_enum("unlabelled", "fail", ["fail", "skip", "negative"],
                                "Frames without labels: stop, leave them out, or keep them without boxes.")
_MIN_BOX = flags.DEFINE_float("min_box_px", 1.0, "Drop boxes whose shorter side is below this many pixels.")
_MAX_PIXELS = flags.DEFINE_integer("max_pixels", 64_000_000, "Frames of more pixels count as broken.")
_MAX_FRAMES = flags.DEFINE_integer("max_frames", 0, "Take so many frames, spread over all of them; 0 for all.")
_MEASURE = flags.DEFINE_enum("measure", "sample", ["all", "sample", "none"], "Frames whose PSNR is measured.")
_DUPLICATES = flags.DEFINE_enum(
    "duplicates", "together", ["together", "ignore"], "Frames with identical pixels: keep them on one side (and stop "
    "where --split_by or --split_files separate them), or do not look for them.")
_KEEP = flags.DEFINE_string("keep_bitstreams", None, "Folder that also gets the coded files, as the codec wrote them.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Make record sets anew that were made from something else.")


def main():
    qualities = [None] if _QUALITY.value is None else command.numbers("quality", _QUALITY.value)
    if _TARGETS.value is not None and _QUALITY.value is not None:
        raise command.UsageError("--target_bpp finds the quality; leave out --quality")
    target_bpp = None if _TARGETS.value is None else command.numbers("target_bpp", _TARGETS.value)
    if _WORKERS.value < 0:
        raise command.UsageError("--workers must not be negative")
    from tfod_compress import tasks
    from tfod_compress.records import conversion, request, summary

    task = tasks.get(_TASK.value)
    made = conversion.run(request.Conversion(
        request.Source(
            _FRAMES.value, _LABELS.value, _FORMAT.value, _LABEL_MAP.value, _CLASS_MAP.value, _NAMES.value,
            max_frames=_MAX_FRAMES.value, on_broken=_ON_BROKEN.value, max_broken=_MAX_BROKEN.value,
            unlabelled=_UNLABELLED.value, min_box_px=_MIN_BOX.value, max_pixels=_MAX_PIXELS.value),
        request.Division(
            _VAL.value, _TEST.value, sequence_by=_SEQUENCE_BY.value, split_by=_SPLIT_BY.value,
            split_files=_SPLIT_FILES.value, folds=_FOLDS.value, seed=_SEED.value, duplicates=_DUPLICATES.value),
        request.Coding(
            _CODEC.value, _MODEL.value, qualities, target_bpp, rate_per_frame=_PER_FRAME.value,
            measure=_MEASURE.value),
        request.Output(
            _OUTPUT.value, _RECORD_SET.value, num_shards=_SHARDS.value, keep_bitstreams=_KEEP.value,
            overwrite=_OVERWRITE.value),
        task.name), _WORKERS.value or None, say=print)
    print(summary.text(made, task))


if __name__ == "__main__":
    command.run(main)
