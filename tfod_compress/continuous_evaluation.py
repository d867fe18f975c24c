"""The stock program's --checkpoint_dir: evaluate a folder's checkpoints as they appear.

The evaluation is the OD API's own, with the metrics that the config asks for and TensorBoard's eval/ as it writes it.
Its restore asserts nothing, so that the first checkpoint is checked beforehand.
"""

import tensorflow as tf

from tfod_compress import odapi, pipeline_config
from tfod_compress.errors import InputError

WAIT_SECONDS = 10  # between two looks at the folder; the stock program has 300


def run(pipeline_config_path, model_dir, checkpoint_dir, *, timeout, train_steps=None, one_of=None):
    """Evaluates until the checkpoint of the last step was evaluated, or none has come for `timeout` seconds.

    Args:
      pipeline_config_path: the pipeline.config with eval_config and eval_input_reader.
      model_dir: receives TensorBoard's eval/.
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

    from tfod_compress.detector import Detector

    config = pipeline_config.read(pipeline_config_path)
    if not config.eval_input_reader or not config.eval_input_reader[0].tf_record_input_reader.input_path:
        raise InputError(f"{pipeline_config_path}: eval_input_reader names no records")
    first = next(tf.train.checkpoints_iterator(checkpoint_dir, timeout=timeout), None)
    if first is None:
        raise InputError(f"{checkpoint_dir}: no checkpoint within {timeout} s (--eval_timeout); is it the model_dir "
                         "of a training?")
    Detector(pipeline_config_path).restore(first)
    model_lib_v2.eval_continuously(
        pipeline_config_path=str(pipeline_config_path), model_dir=str(model_dir), train_steps=train_steps,
        sample_1_of_n_eval_examples=one_of, checkpoint_dir=str(checkpoint_dir), wait_interval=WAIT_SECONDS,
        timeout=timeout)
