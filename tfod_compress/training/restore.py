"""Starting weights of a fine-tuning run: restored strictly, through the OD API's own choice of what to restore.

That choice is little for type `detection`: the feature extractors alone. Faster R-CNN's region proposals and SSD's box
encodings know no classes either, so that they fit a detector of other classes; on request they come along.
"""

import contextlib

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.checkpoints import latest_checkpoint


def start_from(model, checkpoint, kind="detection", with_heads=False):
    """Restores the weights of another run into a model whose variables exist.

    Args:
      model: a DetectionModel of the OD API.
      checkpoint: a model folder or a checkpoint prefix.
      kind: fine_tune_checkpoint_type: "detection", "classification" or "full"; "" is "detection".
      with_heads: with "detection", also whatever else of the model the checkpoint holds in the same shape.

    Returns:
      {reference of a variable that keeps its initial value: why}.

    Raises:
      InputError: the checkpoint lacks a variable of this model that the type stands for, or changed none.
    """
    kind = kind or "detection"
    if with_heads and kind != "detection":
        raise InputError(f"the heads are carried over with fine_tune_checkpoint_type detection, not {kind}")
    prefix = latest_checkpoint(checkpoint)
    with _changed(model, prefix, "fine_tune_checkpoint_type"):
        try:
            objects = model.restore_from_objects(fine_tune_checkpoint_type=kind)
        except ValueError as error:
            raise InputError(f"{prefix}: does not hold the weights of this detector: {str(error)[:300]}") from error
        held = _restored(prefix, objects, "detector")
        if with_heads:
            return _carry_over(prefix, model, skip=held)
    return _rest(model, held, kind)


def parts_from(model, checkpoint, objects, field):
    """Restores some parts of a model whose variables exist, every variable of them.

    Args:
      model: a Keras model.
      checkpoint: a model folder or a checkpoint prefix.
      objects: {name in the checkpoint: part}.
      field: of the config, which says that it is these parts; for messages.

    Returns:
      {reference of a variable that keeps its initial value: why}.

    Raises:
      InputError: the checkpoint lacks a variable of these parts, or changed none.
    """
    prefix = latest_checkpoint(checkpoint)
    with _changed(model, prefix, field):
        held = _restored(prefix, objects, "model")
    return _rest(model, held, ", ".join(objects))


def other_shapes(checkpoint, objects):
    """[(shape in the checkpoint, shape here)] of those variables of some parts that do not fit; see `parts_from`."""
    prefix = latest_checkpoint(checkpoint)
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    root = tf.train.Checkpoint(**objects)
    here = {variable.ref(): variable.shape.as_list() for part in objects.values() for variable in part.variables}
    return [(shapes[key], here[reference]) for reference, key in _held(prefix, root).items()
            if reference in here and shapes[key] != here[reference]]


@contextlib.contextmanager
def _changed(model, prefix, field):
    """Raises InputError where nothing of a model changed meanwhile."""
    before = [variable.numpy() for variable in model.variables]
    yield
    if all(np.array_equal(value, variable.numpy())
           for value, variable in zip(before, model.variables, strict=True)):
        raise InputError(f"{prefix}: restoring it changed no weight; is {field} right?")


def _restored(prefix, objects, what):
    """Restores objects strictly; {reference: key} of what the checkpoint had of them."""
    try:
        tf.train.Checkpoint(**objects).restore(prefix).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise InputError(f"{prefix}: does not hold the weights of this {what}: {str(error)[:300]}") from error
    return _held(prefix, tf.train.Checkpoint(**objects))


def _rest(model, held, kind):
    return {variable.ref(): f"not what type {kind} restores" for variable in model.variables
            if variable.ref() not in held}


def _carry_over(prefix, model, skip):
    """Restores what fits of the variables that are not in `skip`; {reference: why} of those that do not."""
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    held = _held(prefix, tf.train.Checkpoint(model=model))
    rest = {}
    for variable in model.variables:
        if variable.ref() in skip:
            continue
        key = held.get(variable.ref())
        if key is None:
            rest[variable.ref()] = "not in the checkpoint"
        elif shapes[key] != variable.shape.as_list():
            rest[variable.ref()] = f"of shape {shapes[key]} in the checkpoint, {variable.shape.as_list()} here"
        else:
            variable.assign(reader.get_tensor(key))
    return rest


def _held(prefix, root):
    """{reference of a variable below `root`: its key} for those that a checkpoint has at the same place."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {found.ref(): graph.nodes[node].attributes[0].checkpoint_key
            for node, found in tf.train.CheckpointView(prefix).match(root).items()
            if isinstance(found, tf.Variable) and graph.nodes[node].attributes}
