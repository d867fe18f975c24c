"""Write the pipeline.config that trains a detector on a record set.

The detectors are the templates in pipeline_configs/. --set changes single settings and may be repeated.

Examples:
  python -m tools.make_pipeline_config --detector ssd_inception_v2_300 --records tfrecords/jpeg-q20 \\
      --output pipeline_configs/generated/ssd-q20.config
  python -m tools.make_pipeline_config --detector ssd_inception_v2_300 --records tfrecords/jpeg-q5 \\
      --checkpoint runs/best --set 'train_config.batch_size: 8' --output pipeline_configs/generated/ft.config
"""

from absl import flags

from tools import command

_DETECTOR = flags.DEFINE_string("detector", None, "The template's name.", required=True)
_RECORDS = flags.DEFINE_string("records", None, "The record set's folder.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A model folder or checkpoint prefix to start from.")
_SET = flags.DEFINE_multi_string("set", [], "A setting, such as 'train_config.batch_size: 8' or any pipeline text.")
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.", required=True)


def main():
    from tfod_compress import pipeline_config

    config = pipeline_config.make(_DETECTOR.value, _RECORDS.value, _OUTPUT.value, checkpoint=_CHECKPOINT.value,
                                  overrides=_SET.value)
    train = config.train_config
    print(f"{_OUTPUT.value}: {_DETECTOR.value} on {_RECORDS.value}, {train.num_steps} steps of {train.batch_size} "
          f"frames, from {train.fine_tune_checkpoint or 'random weights'}")


if __name__ == "__main__":
    command.run(main)
