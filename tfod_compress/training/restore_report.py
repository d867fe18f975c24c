"""Which variables a restore really reached, name by name."""

import numpy as np
import tensorflow as tf

from tfod_compress.support.files import write_json
from tfod_compress.support.text import listed
from tfod_compress.tasks.checkpoints import UNTOUCHED


class RestoreReport:
    """Marks variables before a restore and tells afterwards which of them it gave a value.

    Args:
      variables: the model's; those of floating type are marked, by a value that no weight has.
    """

    def __init__(self, variables):
        self._initial = [(variable, variable.numpy()) for variable in variables if variable.dtype.is_floating]
        for variable, _ in self._initial:
            variable.assign(tf.fill(variable.shape, tf.constant(UNTOUCHED, variable.dtype)))
        self.restored, self.kept = [], []

    def finish(self):
        """Sorts the variables into `restored` and `kept`, and gives the latter their initial values back."""
        for variable, initial in self._initial:
            if initial.size and (variable.numpy() == np.asarray(UNTOUCHED, initial.dtype)).all():
                variable.assign(initial)
                self.kept.append(variable)
            else:
                self.restored.append(variable)

    def write(self, path, source, step, reasons=None):
        """Writes {"from", "step", "restored": [{"name", "shape"}], "kept": likewise with "reason"} as JSON.

        Args:
          path: the file.
          source: the checkpoint's prefix.
          step: the step that the run goes on from.
          reasons: {reference of a variable that was kept: why}, where they are known.
        """
        write_json(path, {"from": str(source), "step": step, "restored": _described(self.restored),
                          "kept": _described(self.kept, reasons or {})})

    def text(self, source):
        """One line for a person."""
        line = f"{len(self.restored)} of {len(self._initial)} variables from {source}"
        if self.kept:
            line += f"; initial values stay in {listed([variable.name for variable in self.kept])}"
        return line


def _described(variables, reasons=None):
    described = [{"name": variable.name, "shape": variable.shape.as_list()} for variable in variables]
    if reasons is not None:
        for variable, entry in zip(variables, described, strict=True):
            entry["reason"] = reasons.get(variable.ref(), "not in the checkpoint")
    return described
