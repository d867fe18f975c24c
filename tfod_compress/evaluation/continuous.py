"""The stock program's --checkpoint_dir: evaluate a folder's checkpoints as they appear.

The evaluation is the OD API's own, with the metrics that the config asks for and TensorBoard's eval/ as it writes it.
Its restore asserts nothing, so that the first checkpoint is checked beforehand; and it leaves out the frames of a last
batch that is not full, so that the batch is made a divisor of the number of frames.
"""

import glob
import pathlib

import tensorflow as tf
from google.protobuf import text_format

from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.config import pipeline_config

WAIT_SECONDS = 10  # between two looks at the folder; the stock program has 300


def run(pipeline_config_path, model_dir, checkpoint_dir, *, timeout, train_steps=None, one_of=None):
    """Evaluates until the checkpoint of the last step was evaluated, or none has come for `timeout` seconds.

    Args:
      pipeline_config_path: the pipeline.config with eval_config and eval_input_reader.
      model_dir: receives TensorBoard's eval/, and the config as evaluated, evaluation.config.
      checkpoint_dir: the model folder that is watched.
      timeout: seconds.
      train_steps: the last step, or None for the config's num_steps.
      one_of: evaluate one of every so many frames, or None for all.

    Raises:
      InputError: no checkpoint came; the first one does not hold this detector's weights; the config names no
        records to evaluate on.
    """
    odapi.install()
    from object_detection import model_lib_v2

    from tfod_compress.tasks.detection.detector import Detector

    config = pipeline_config.read(pipeline_config_path)
    if not config.eval_input_reader or not config.eval_input_reader[0].tf_record_input_reader.input_path:
        raise InputError(f"{pipeline_config_path}: eval_input_reader names no records")
    first = next(tf.train.checkpoints_iterator(checkpoint_dir, timeout=timeout), None)
    if first is None:
        raise InputError(f"{checkpoint_dir}: no checkpoint within {timeout} s (--eval_timeout); is it the model_dir "
                         "of a training?")
    Detector(pipeline_config_path).restore(first)
    config.eval_config.batch_size = _batch_size(config, pipeline_config_path, one_of)
    evaluated = pathlib.Path(model_dir) / "evaluation.config"
    with atomic_file(evaluated, "w") as file:
        file.write(text_format.MessageToString(config))
    model_lib_v2.eval_continuously(
        pipeline_config_path=str(evaluated), model_dir=str(model_dir), train_steps=train_steps,
        sample_1_of_n_eval_examples=one_of, checkpoint_dir=str(checkpoint_dir), wait_interval=WAIT_SECONDS,
        timeout=timeout)


def _batch_size(config, path, one_of):
    """The largest batch up to the config's that leaves no frame over."""
    patterns = config.eval_input_reader[0].tf_record_input_reader.input_path
    frames = sum(1 for pattern in patterns for name in sorted(glob.glob(pattern)) for _ in read_records(name))
    evaluated = -(-frames // (one_of or config.eval_input_reader[0].sample_1_of_n_examples or 1))
    if not evaluated:
        raise InputError(f"{path}: the records of eval_input_reader are missing or empty; make the record set again")
    return max(size for size in range(1, max(1, config.eval_config.batch_size) + 1) if evaluated % size == 0)
