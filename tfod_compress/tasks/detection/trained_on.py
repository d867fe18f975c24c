"""Which frames a detector was trained on, by the pipeline.config in its folder. No TensorFlow."""

import pathlib

from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.trained_frames import TrainedFrames, of_chain


def of_checkpoint(prefix: str, config_path: str | pathlib.Path) -> TrainedFrames:
    """The frames that a checkpoint and those that it started from were trained on.

    Args:
      prefix: of the checkpoint, such as model/ckpt-3.
      config_path: the model's pipeline.config, for a checkpoint that has none beside it.

    Raises:
      InputError: a pipeline.config on the way cannot be read.
    """
    beside = pathlib.Path(prefix).parent / "pipeline.config"
    path = beside if beside.is_file() else pathlib.Path(config_path)
    return of_config(pipeline_config.read(path)) if path.is_file() else TrainedFrames()


def of_config(config) -> TrainedFrames:
    """As `of_checkpoint`, for a TrainEvalPipelineConfig: what it trains on, and what its start was trained on.

    Raises:
      InputError: a pipeline.config on the way cannot be read.
    """
    return of_chain(config, lambda config: config.train_input_reader.tf_record_input_reader.input_path,
                    lambda config: config.train_config.fine_tune_checkpoint, "pipeline.config", pipeline_config.read)
