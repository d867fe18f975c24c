"""The variables of a TF1 detector, from a checkpoint or from a frozen graph."""

import re

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.odapi import tf1_names

AVERAGE = "/ExponentialMovingAverage"
# Variables of TF1 that a detector is not made of, and why. A slot belongs to the variable named before it.
_SLOT = re.compile(r"/(RMSProp|RMSProp_1|Momentum|Adam|Adam_1|Adagrad)$")
_LEFT_OVER = (
    (re.compile(r"(global_step|beta[12]_power)$"), "the state of the training"),
    (tf1_names.UNUSED, "block4 of the first stage, which TF1 builds and does not use"),
)
# What freezing leaves of a variable: a constant of its name, of the node that read it, or of that node folded.
_FROZEN = re.compile(rf"(?P<name>.*/(?:{'|'.join(tf1_names.VARIABLES)}))(?:/read(?:/_\d+__cf__\d+)?)?")
# What TensorFlow's reader raises for damaged files.
_UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


class Checkpoint:
    """A TF1 checkpoint.

    Args:
      prefix: such as folder/model.ckpt.

    Attributes:
      name: for messages and reports.
      shapes: {variable name: shape as a list}.

    Raises:
      InputError: it cannot be read.
    """

    name = "model.ckpt"

    def __init__(self, prefix):
        try:
            self._reader = tf.train.load_checkpoint(prefix)
            self.shapes = dict(self._reader.get_variable_to_shape_map())
        except _UNREADABLE as error:
            raise InputError(f"{self.name}: cannot be read as a checkpoint: {_first_line(error)}") from error

    def read(self, name):
        """The variable's value, a NumPy array."""
        try:
            return self._reader.get_tensor(name)
        except _UNREADABLE as error:
            raise InputError(f"{self.name}: {name} cannot be read: {_first_line(error)}") from error


class FrozenGraph:
    """The constants of a frozen graph that were variables; like `Checkpoint`. The graph is never run."""

    name = "frozen_inference_graph.pb"

    def __init__(self, path):
        from google.protobuf.message import DecodeError

        graph = tf.compat.v1.GraphDef()
        try:
            graph.ParseFromString(path.read_bytes())
        except DecodeError as error:
            raise InputError(f"{self.name}: not a graph: {error}") from error
        self._tensors = {}
        for node in graph.node:
            match = _FROZEN.fullmatch(node.name)
            if node.op == "Const" and match:
                self._tensors.setdefault(match["name"], []).append(node.attr["value"].tensor)
        if not self._tensors:
            raise InputError(f"{self.name}: has no constants called as TF1's variables are")
        self.shapes = {name: [dim.size for dim in tensors[0].tensor_shape.dim]
                       for name, tensors in self._tensors.items()}

    def read(self, name):
        """The variable's value, a NumPy array. Check its shape in `shapes` first: that much memory is taken."""
        tensors = self._tensors[name]
        if any([dim.size for dim in tensor.tensor_shape.dim] != self.shapes[name] for tensor in tensors):
            raise InputError(f"{self.name}: holds {name} twice, in different shapes")
        try:
            first, *others = map(tf.make_ndarray, tensors)
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.name}: {name} cannot be read: {_first_line(error)}") from error
        if not all(np.array_equal(first, other) for other in others):
            raise InputError(f"{self.name}: holds {name} twice, with different values")
        return first


def select(source, wanted):
    """Finds the value of every variable of a model, and a reason for everything else that a source holds.

    Args:
      source: a `Checkpoint` or `FrozenGraph`.
      wanted: {TF1 variable name: shape}.

    Returns:
      ({TF1 variable name: the name to read it by}, {reason: [names left over]}). A moving average is read in place
      of the variable where the source has both.

    Raises:
      InputError: a variable is not there or has another shape, or something was left over that cannot be
        explained. The message lists both sides.
    """
    found = {name: name + AVERAGE if name + AVERAGE in source.shapes else name for name in wanted
             if name in source.shapes or name + AVERAGE in source.shapes}
    missing = [name for name in wanted if name not in found]
    other_shape = [f"{name} {list(source.shapes[key])} (the model's: {list(wanted[name])})"
                   for name, key in found.items() if list(source.shapes[key]) != list(wanted[name])]
    left_over, unexplained = {}, []
    used = set(found.values())
    for name in sorted(set(source.shapes) - used):
        reason = _reason(name, found, source.shapes)
        if reason:
            left_over.setdefault(reason, []).append(name)
        else:
            unexplained.append(name)
    if missing or other_shape or unexplained:
        raise InputError(f"{source.name}: does not fit the model. {_listed('The model needs, but it lacks', missing)} "
                         f"{_listed('Of another shape', other_shape)} "
                         f"{_listed('It has, but the model does not', unexplained)}".replace("  ", " ").rstrip())
    return found, left_over


def _reason(name, found, shapes):
    """Why a variable is not part of the detector, or None."""
    if found.get(name) == name + AVERAGE:
        return "its moving average is taken in its place"
    owner = _SLOT.sub("", name)
    if owner != name and owner in shapes:
        return "a slot of the optimizer"
    owner = name.removesuffix(AVERAGE)
    for pattern, reason in _LEFT_OVER:
        if pattern.match(owner):
            return reason
    return None


def _listed(title, names):
    return f"{title} ({len(names)}): {', '.join(names)}." if names else ""


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
