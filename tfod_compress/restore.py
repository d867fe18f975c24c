"""Starting weights of a fine-tuning run: restored strictly, through the OD API's own choice of what to restore."""

import numpy as np
import tensorflow as tf

from tfod_compress import pipeline_config
from tfod_compress.errors import InputError


def start_from(model, checkpoint, kind="detection"):
    """Restores the weights of another run into a model whose variables exist.

    Args:
      model: a DetectionModel of the OD API.
      checkpoint: a model folder or a checkpoint prefix.
      kind: fine_tune_checkpoint_type: "detection", "classification" or "full".

    Returns:
      The number of model variables that were restored.

    Raises:
      InputError: the checkpoint lacks a variable of this model, or changed none.
    """
    prefix = pipeline_config.latest_checkpoint(checkpoint)
    before = {id(variable): variable.numpy() for variable in model.variables}
    objects = model.restore_from_objects(fine_tune_checkpoint_type=kind or "detection")
    try:
        tf.train.Checkpoint(**objects).restore(prefix).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise InputError(f"{prefix}: does not hold the weights of this detector: {str(error)[:300]}") from error
    changed = sum(not np.array_equal(before[id(variable)], variable.numpy()) for variable in model.variables)
    if not changed:
        raise InputError(f"{prefix}: restoring it changed no weight; is fine_tune_checkpoint_type right?")
    return changed
