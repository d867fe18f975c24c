"""Checkpoints of a run: complete or absent, never of weights that are not finite."""

import os
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed
from tfod_compress.tasks.checkpoints import latest_checkpoint


class Checkpoints:
    """The checkpoints ckpt-<step> of a model folder, in the stock loop's format.

    Args:
      model_dir: the folder.
      checkpoint: tf.train.Checkpoint with `step`, `model` and `optimizer`.
      keep: how many of the newest stay.
      resume_from: the folder to resume from, where it is another: all workers of a run resume from the first one's.
    """

    def __init__(self, model_dir, checkpoint, keep, resume_from=None):
        self.model_dir, self._checkpoint = pathlib.Path(model_dir), checkpoint
        self._resume_from = pathlib.Path(resume_from or model_dir)
        for left in self.model_dir.glob("ckpt-*_temp"):  # a save that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._manager = tf.train.CheckpointManager(checkpoint, str(model_dir), max_to_keep=keep)

    @property
    def found(self):
        """The prefixes of the folder's checkpoints, the newest first."""
        if self._resume_from != self.model_dir:
            state = tf.train.get_checkpoint_state(str(self._resume_from))
            return list(reversed(state.all_model_checkpoint_paths)) if state else []
        prefixes = list(reversed(self._manager.checkpoints))
        if not prefixes and any(self.model_dir.glob("ckpt-*.index")):  # the index of checkpoints is lost
            return [latest_checkpoint(self.model_dir)]
        return prefixes

    def resume(self):
        """Restores the newest checkpoint that can be read.

        Returns:
          Its prefix, or None where the folder has none.

        Raises:
          InputError: it is of another model, or none of them can be read.
        """
        for prefix in self.found:
            reason = _damage(prefix)
            if reason:
                print(f"{prefix}: cannot be read ({reason}); going back to the one before", flush=True)
                continue
            try:
                self._checkpoint.restore(prefix).assert_existing_objects_matched()
            except (AssertionError, ValueError) as error:
                raise InputError(f"{prefix}: is no checkpoint of this model: {' '.join(str(error).split())[:300]}; "
                                 "use another --model_dir") from error
            return prefix
        if self.found:
            raise InputError(f"{self.model_dir}: none of its checkpoints can be read; use another --model_dir")
        return None

    @property
    def latest(self):
        """The prefix of the newest checkpoint."""
        return self._manager.latest_checkpoint

    def save(self, step):
        """Saves ckpt-<step> and returns its prefix.

        Raises:
          InputError: a weight is NaN or infinite; nothing is saved.
        """
        broken = [variable.name for variable in self._checkpoint.model.variables
                  if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all()]
        if broken:
            raise InputError(f"{self.model_dir}: after step {step} weights are not finite: {listed(broken)}; the last "
                             "good checkpoint is kept; try a lower learning rate")
        # The stock loop numbers by this counter: whatever it saves after us is numbered higher.
        self._checkpoint.save_counter.assign(step)
        prefix = self._manager.save(checkpoint_number=step)
        for path in [*self.model_dir.glob(f"{pathlib.Path(prefix).name}.*"), self.model_dir / "checkpoint",
                     self.model_dir]:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return prefix


def _damage(prefix):
    """Why a checkpoint cannot be read to its end, or None."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        return " ".join(str(error).split())[:200]
    return None
