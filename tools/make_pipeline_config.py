"""Write the pipeline.config that trains a detector on a record set, after checking it.

The detectors are the templates in pipeline_configs/. --set changes single settings and may be repeated; a list that it
names replaces the template's. Checked: every path; class ids; that a batch's frames have one size; that something
reads what --set sets; the schedule. Printed: how many training boxes have an anchor that fits, by class and by size.

Examples:
  python -m tools.make_pipeline_config --detector ssd_inception_v2_300 --records tfrecords/jpeg-q20 \\
      --output pipeline_configs/generated/ssd-q20.config
  python -m tools.make_pipeline_config --detector ssd_inception_v2_300 --records tfrecords/jpeg-q5 \\
      --checkpoint runs/best --batch_size 8 --scale_learning_rate --output pipeline_configs/generated/ft.config
  python -m tools.make_pipeline_config --detector ssd_inception_v2_600 --records tfrecords/jpeg-q5 \\
      --set 'model.ssd.anchor_generator.ssd_anchor_generator.min_scale: 0.1' --output small.config
"""

from absl import flags

from tools import command

_DETECTOR = flags.DEFINE_string("detector", None, "The template's name.", required=True)
_RECORDS = flags.DEFINE_string("records", None, "The record set's folder.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A model folder or checkpoint prefix to start from.")
_TYPE = flags.DEFINE_enum("checkpoint_type", None, ["full", "detection", "classification"],
                          "What of it to restore; full where the classes are as many, else detection.")
_BATCH = flags.DEFINE_integer("batch_size", None, "Frames a step, instead of the template's.", lower_bound=1)
_SCALE = flags.DEFINE_bool("scale_learning_rate", False, "Multiply the learning rates by what the batch size was "
                           "multiplied by.")
_SET = flags.DEFINE_multi_string("set", [], "A setting, such as 'train_config.batch_size: 8' or any pipeline text.")
_FRAMES = flags.DEFINE_integer("max_frames", 5000, "Training frames whose boxes are looked at; 0 for all.",
                               lower_bound=0)
_FOLD = flags.DEFINE_integer("fold", None, "Of a record set made with --folds: evaluate on this fold, train on the "
                             "others.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.", required=True)


def main():
    from tfod_compress.tasks.detection.config import changes, pipeline_config

    made = pipeline_config.make(
        _DETECTOR.value, _RECORDS.value, _OUTPUT.value, checkpoint=_CHECKPOINT.value, checkpoint_type=_TYPE.value,
        batch_size=_BATCH.value, scale_learning_rate=_SCALE.value, overrides=_SET.value, max_frames=_FRAMES.value,
        fold=_FOLD.value)
    train = made.config.train_config
    start = "random weights"
    if train.fine_tune_checkpoint:
        start = f"{train.fine_tune_checkpoint} ({train.fine_tune_checkpoint_type})"
    message, field = changes.learning_rates(made.config)[0]
    print(f"{_OUTPUT.value}: {_DETECTOR.value} on {_RECORDS.value}, {train.num_steps} steps with a batch of "
          f"{train.batch_size}, learning rate {getattr(message, field):g}, from {start}")
    if made.anchors:
        print(made.anchors.text())
    for note in made.notes:
        print(f"note: {note}")


if __name__ == "__main__":
    command.run(main)
