"""Graphs of others are looked through before they run: what no detector needs is named, wherever it hides."""

import pathlib

import numpy as np
import pytest

from tfod_compress.support.errors import InputError

OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def evil(tf, kind, path="/tmp/never-written"):
    """A float32 scalar, by way of something that no detector does."""
    if kind == "WriteFile":
        tf.io.write_file(path, "x")
        return tf.constant(0.0)
    if kind == "ReadFile":
        return tf.cast(tf.strings.length(tf.io.read_file(path)), tf.float32)
    if kind == "EagerPyFunc":
        return tf.py_function(lambda: 0.0, [], tf.float32)
    if kind == "DecodeProtoV2":
        _, (value,) = tf.io.decode_proto(tf.constant([b""]), "tensorflow.GraphDef", ["version"], [tf.int32])
        return tf.cast(tf.size(value), tf.float32)
    if kind == "RestoreV2":
        value, = tf.raw_ops.RestoreV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])
        return tf.reshape(value, [])
    assert kind == "SaveV2"
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(0.0)])
    return tf.constant(0.0)


def save(tf, folder, extra=lambda: 0.0, outputs=OUTPUTS, **attributes):
    """A SavedModel whose signature gives the outputs, and what `extra` gives added to each."""
    module = tf.Module()
    module.weight = tf.Variable(1.0)
    for name, value in attributes.items():
        setattr(module, name, value)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "input_tensor")])
    def run(image):
        shown = tf.reduce_mean(tf.cast(image, tf.float32)) * module.weight + extra()
        values = {"detection_boxes": tf.zeros([1, 2, 4]) + shown, "detection_scores": tf.zeros([1, 2]) + shown,
                  "detection_classes": tf.ones([1, 2]), "num_detections": tf.constant([2.0]), "other": shown}
        return {name: values[name] for name in outputs}

    module.run = run
    tf.saved_model.save(module, str(folder), signatures=run)
    return folder


def test_a_harmless_model_passes_and_runs(tf, tmp_path):
    from tfod_compress.tasks.detection.zoo import operations, verifying

    unused = tf.function(lambda: evil(tf, "WriteFile"), input_signature=[])
    operations.check_saved_model(save(tf, tmp_path / "m", other=unused))  # of what is never run nothing is asked
    (boxes, classes, scores), = verifying.run_saved_model(tmp_path / "m", [np.full((5, 6, 3), 7, np.uint8)])
    assert boxes.shape == (2, 4) and (boxes == 7).all() and (scores == 7).all() and (classes == 1).all()


@pytest.mark.parametrize("kind", ["WriteFile", "ReadFile", "EagerPyFunc", "DecodeProtoV2", "RestoreV2", "SaveV2"])
def test_an_operation_that_no_detector_needs_is_named(tf, tmp_path, kind):
    from tfod_compress.tasks.detection.zoo import operations

    weight = tf.Variable(0.0)
    folder = save(tf, tmp_path / "m", lambda: tf.cond(weight > 1.0, lambda: evil(tf, kind), lambda: tf.constant(0.0)),
                  other=weight)
    with pytest.raises(InputError, match=rf"operations that no detector needs: .*{kind} \("):
        operations.check_saved_model(folder)


def test_what_loading_would_start_is_refused(tf, tmp_path):
    from tfod_compress.tasks.detection.zoo import operations

    keys = tf.lookup.KeyValueTensorInitializer(tf.constant([1]), tf.constant([2]))
    folder = save(tf, tmp_path / "table", table=tf.lookup.StaticHashTable(keys, 0))
    with pytest.raises(InputError, match="objects that no detector has: resource"):
        operations.check_saved_model(folder)
    (tmp_path / "table" / "saved_model.pb").write_bytes(b"\xff\xff no model")
    with pytest.raises(InputError, match="not a graph"):
        operations.check_saved_model(folder)
    (tmp_path / "table" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(InputError, match="not a SavedModel of TensorFlow 2"):
        operations.check_saved_model(folder)


def test_a_model_without_detections_is_told(tf, tmp_path):
    from tfod_compress.tasks.detection.zoo import operations, verifying

    folder = save(tf, tmp_path / "m", outputs=("detection_boxes", "other"))
    operations.check_saved_model(folder)
    with pytest.raises(InputError, match="missing outputs .*detection_scores.*num_detections"):
        verifying.run_saved_model(folder, [np.zeros((5, 6, 3), np.uint8)])


def frozen(tf, path, kind=None, outputs=OUTPUTS):
    """A graph as TF1's exporter freezes one."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        shown = tf.reduce_mean(tf.cast(image, tf.float32)) + (evil(tf, kind) if kind else 0.0)
        values = (tf.zeros([1, 2, 4]) + shown, tf.zeros([1, 2]) + shown, tf.ones([1, 2]), tf.constant([1.0]))
        for name, value in zip(OUTPUTS, values, strict=True):
            if name in outputs:
                tf.identity(value, name=name)
    pathlib.Path(path).write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_frozen_graphs_are_looked_through_as_well(tf, tmp_path):
    from tfod_compress.tasks.detection.zoo import operations, verifying

    graph = operations.check_frozen_graph(frozen(tf, tmp_path / "good.pb"))
    (boxes, classes, scores), = verifying.run_frozen_graph(graph, [np.full((4, 6, 3), 9, np.uint8)])
    assert (boxes == 9).all() and boxes.shape == (1, 4) and scores.tolist() == [9] and classes.tolist() == [1]
    for kind in ("ReadFile", "WriteFile", "EagerPyFunc"):
        with pytest.raises(InputError, match=rf"bad.pb: .*{kind} \("):
            operations.check_frozen_graph(frozen(tf, tmp_path / "bad.pb", kind))
    graph = operations.check_frozen_graph(frozen(tf, tmp_path / "less.pb", outputs=OUTPUTS[:2]))
    with pytest.raises(InputError, match="it has no detection_classes, num_detections"):
        verifying.run_frozen_graph(graph, [np.zeros((4, 6, 3), np.uint8)])
    (tmp_path / "none.pb").write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match="none.pb: not a graph"):
        operations.check_frozen_graph(tmp_path / "none.pb")
