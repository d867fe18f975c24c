"""Write the decoded frames of a record set as PNG files, with their labels in COCO's form in images.json.

The pixels are those that the detectors here see: for programs of other frameworks, and to measure with pycocotools.
What is written already is not written again. (tools.evaluate --model_command does the same without the labels.)

Examples:
  python -m tools.export_frames tfrecords/jpeg-q5 --output frames/jpeg-q5
  python -m tools.export_frames tfrecords/jpeg-q5 --split all --output frames/jpeg-q5
"""

from absl import flags

from tools import command

_OUTPUT = flags.DEFINE_string("output", None, "The folder for the frames and images.json, a new one. They take up to "
                              "3 bytes a pixel.", required=True)
_SPLIT = flags.DEFINE_string("split", "val", "Which frames: val, train, test, a fold such as fold0, or all.")


def main(record_sets):
    if len(record_sets) != 1:
        raise command.UsageError("give one record set's folder, such as tfrecords/jpeg-q5")
    from tfod_compress.records import RecordSet, export
    from tfod_compress.support.errors import InputError

    record_set = RecordSet(record_sets[0])
    splits = record_set.splits if _SPLIT.value == "all" else [_SPLIT.value]
    if splits[0] not in record_set.splits:
        raise InputError(f"{record_set.path}: has no frames of the split {_SPLIT.value!r} (--split); it has "
                         f"{', '.join(record_set.splits)}")
    content, before = export.export(record_set, splits, _OUTPUT.value)
    labels = f"{len(content['annotations'])} {record_set.task.objects or 'labels'}"
    print(f"{_OUTPUT.value}: {len(content['images'])} frames, {labels} of {len(content['categories'])} classes "
          f"in {export.IMAGES}{', written before' if before else ''}")


if __name__ == "__main__":
    command.run(main, positional=True)
