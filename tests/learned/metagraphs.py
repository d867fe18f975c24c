"""Metagraphs of the form in which models were published with tensorflow-compression, small and untrained.

A hyperprior in small: y are means of blocks of 4x4 samples, z means of blocks of y, and z says which table each y is
coded with. Weights are constants; strings are coded in a loop over the batch, as the library's first version did.
"""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo
from tensorflow_compression.python.ops import gen_ops

_LEVELS, _TABLES, _PRECISION = 64, 8, 16


def export(path, step=4.0, loops="v1", float_picture=False):
    """Writes a metagraph.

    Args:
      path: of the file, <name>.metagraph.
      step: of the quantisation, in levels of a sample; at least 4.
      loops: "v1" or "v2": how TensorFlow writes loops: as a cycle in the graph, or as functions.
      float_picture: whether the receiver gives a float picture.

    Returns:
      The tf.compat.v1.MetaGraphDef.
    """
    y_tables = _tables([(index + 0.5) * _LEVELS / _TABLES for index in range(_TABLES)], 8.0)
    z_tables = _tables([_LEVELS / 2] * 3, 20.0)
    tf.compat.v1.disable_control_flow_v2() if loops == "v1" else None
    try:
        with tf.Graph().as_default() as graph:
            sender = _sender(step, y_tables, z_tables)
            receiver = _receiver(step, y_tables, z_tables, float_picture)
            metagraph = tf.compat.v1.train.export_meta_graph(graph=graph)
    finally:
        tf.compat.v1.enable_control_flow_v2()
    for name, (inputs, outputs) in (("sender", sender), ("receiver", receiver)):
        for tensors, target in ((inputs, "inputs"), (outputs, "outputs")):
            for key, tensor in tensors.items():
                getattr(metagraph.signature_def[name], target)[key].CopyFrom(info(tensor))
    write(path, metagraph)
    return metagraph


def info(tensor):
    """The TensorInfo of a tensor, as signatures hold it."""
    return TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto())


def write(path, metagraph):
    """Writes a MetaGraphDef to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(metagraph.SerializeToString())


def _sender(step, y_tables, z_tables):
    picture = tf.compat.v1.placeholder(tf.uint8, [1, None, None, 3], "picture")
    x = tf.cast(picture, tf.float32)
    y = tf.cast(tf.round(_mean(x) / step), tf.int32)
    z = tf.cast(tf.round(_mean(tf.cast(y, tf.float32))), tf.int32)
    return {"picture": picture}, {
        "string": _encode(y, _indexes(z, tf.shape(y)), y_tables),
        "side_string": _encode(z, _channels(tf.shape(z)), z_tables),
        "x_shape": tf.shape(x)[1:-1], "y_shape": tf.shape(y)[1:-1], "z_shape": tf.shape(z)[1:-1]}


def _receiver(step, y_tables, z_tables, float_picture):
    inputs = {name: tf.compat.v1.placeholder(tf.string if "string" in name else tf.int32, [None], f"given_{name}")
              for name in ("string", "side_string", "x_shape", "y_shape", "z_shape")}
    shapes = [tf.concat([[1], inputs[name], [3]], 0) for name in ("x_shape", "y_shape", "z_shape")]
    z = _decode(inputs["side_string"], _channels(shapes[2]), z_tables)
    y = _decode(inputs["string"], _indexes(z, shapes[1]), y_tables)
    x_hat = _repeated(tf.cast(y, tf.float32) * step, shapes[0])
    return inputs, {"picture": x_hat if float_picture else tf.saturate_cast(tf.round(x_hat), tf.uint8)}


def _mean(x):
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[:, :, range(3), range(3)] = 1 / 16
    return tf.nn.conv2d(x, tf.constant(kernel), 4, "SAME")


def _repeated(x, shape):
    """Each sample of x sixteen times, cropped to `shape`."""
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[:, :, range(3), range(3)] = 1
    whole = tf.nn.conv2d_transpose(x, tf.constant(kernel), tf.shape(x) * [1, 4, 4, 1], 4, "VALID")
    return whole[:, :shape[1], :shape[2]]


def _indexes(z, y_shape):
    index = tf.clip_by_value(tf.cast(z, tf.float32) * (_TABLES / _LEVELS), 0, _TABLES - 1)
    return tf.cast(_repeated(index, y_shape), tf.int32)


def _channels(shape):
    return tf.zeros(shape, tf.int32) + tf.range(3)


def _tables(means, deviation):
    """(cdf int32 [N, levels + 2], length int32 [N], offset int32 [N]) of discrete normal densities."""
    levels = np.arange(_LEVELS)
    pmf = np.stack([np.exp(-0.5 * np.square((levels - mean) / deviation)) for mean in means])
    pmf = np.concatenate([pmf / pmf.sum(axis=1, keepdims=True) * 0.999, np.full((len(means), 1), 0.001)], axis=1)
    cdf = gen_ops.pmf_to_quantized_cdf(tf.constant(pmf, tf.float32), precision=_PRECISION).numpy()
    return cdf, np.full(len(means), cdf.shape[1], np.int32), np.zeros(len(means), np.int32)


def _encode(symbols, indexes, tables):
    cdf, length, offset = map(tf.constant, tables)
    return tf.map_fn(lambda pair: gen_ops.unbounded_index_range_encode(
        *pair, cdf, length, offset, precision=_PRECISION, overflow_width=4, debug_level=0),
        (symbols, indexes), fn_output_signature=tf.string)


def _decode(strings, indexes, tables):
    cdf, length, offset = map(tf.constant, tables)
    return tf.map_fn(lambda pair: gen_ops.unbounded_index_range_decode(
        *pair, cdf, length, offset, precision=_PRECISION, overflow_width=4, debug_level=0),
        (strings, indexes), fn_output_signature=tf.int32)
