"""The moving average of the weights (train_config.optimizer.use_moving_average): made while training, used afterwards.

The average lies in the checkpoint beside the weights, as the optimizer's slot "average", in the stock loop's format.
Whoever evaluates or exports a checkpoint of a config that asks for it gets the averaged weights; a run that goes on
trains the others. Only trainable variables are averaged: batch normalisation's statistics are averages already.
"""

import contextlib

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.checkpoints import UNTOUCHED


def track(optimizer, model):
    """Makes the averages of a model whose variables exist.

    Args:
      optimizer: what the OD API builds where `use_moving_average` is set.
      model: DetectionModel.

    Raises:
      InputError: there are several devices, on which the OD API's average was never tried.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise InputError("use_moving_average: only on one device; set it to false, or train on one")
    optimizer.shadow_copy(model)


@contextlib.contextmanager
def averaged(optimizer):
    """While it lasts, the model has the averaged weights; then the same bits as before.

    The optimizer's own swap_weights adds and subtracts, which rounds.
    """
    before = [variable.numpy() for variable in optimizer._model_weights]
    _assign_averages(optimizer)
    try:
        yield
    finally:
        for variable, value in zip(optimizer._model_weights, before, strict=True):
            variable.assign(value)


def load(model, config, prefix):
    """Puts the averaged weights of a checkpoint into a model that was restored from it.

    Args:
      model: DetectionModel with its variables.
      config: TrainEvalPipelineConfig with `use_moving_average`.
      prefix: the checkpoint.

    Raises:
      InputError: the checkpoint lacks averages.
    """
    from object_detection.builders import optimizer_builder

    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=tf.Variable(0, dtype=tf.int64))
    track(optimizer, model)
    for average in optimizer._average_weights:
        average.assign(tf.fill(average.shape, tf.constant(UNTOUCHED, average.dtype)))
    tf.train.Checkpoint(model=model, optimizer=optimizer).read(prefix).expect_partial()
    lacking = sum(bool(average.shape.num_elements() and (average.numpy() == np.float32(UNTOUCHED)).all())
                  for average in optimizer._average_weights)
    if lacking:
        raise InputError(f"{prefix}: has no moving average of {lacking} of {len(optimizer._average_weights)} weights; "
                         "was it trained with use_moving_average? set it to false to use the weights themselves")
    _assign_averages(optimizer)


def _assign_averages(optimizer):
    for variable, average in zip(optimizer._model_weights, optimizer._average_weights, strict=True):
        variable.assign(average)
