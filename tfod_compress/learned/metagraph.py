"""A published model's metagraph: a graph with its weights in it, and two signatures into that graph.

The files are those that the tool tfci of tensorflow-compression (models/tfci.py in its repository) reads, and so are
the coded files. A metagraph is a tf.compat.v1.MetaGraphDef whose weights are constants:

    signature "sender"      picture [1, H, W, 3] -> vectors: strings of the range coder, and shapes
    signature "receiver"    these vectors -> picture [1, H, W, 3]

The tensors of a signature are taken in the order of their names. A coded file is a tf.train.Example: "MD" is the
model's name, and the features chr(1), chr(2), … are the sender's vectors. Nothing in it is a checksum.

A graph is a program. Before it is imported, every operation in it must be one of `operations`, which compute and touch
neither files, nor the network, nor Python; and the size of its constants is bounded.
"""

import hashlib
import math
import typing

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc  # noqa: F401 (registers the range coder's operations)
from google.protobuf.message import DecodeError

from tfod_compress.learned import layers
from tfod_compress.learned.operations import CALLS, CHECKED, OPERATIONS
from tfod_compress.learned.published_models import MAX_BYTES
from tfod_compress.support.errors import InputError

_MAX_NODES = 500_000
_MAX_ELEMENTS = 2**29  # of all constants: four bytes each are as much as a file can hold
_MAX_VECTORS, _MAX_LENGTH = 16, 8  # of a coded file
_MODEL_NAME = "MD"


class Signatures(typing.NamedTuple):
    """The two functions of a metagraph; both take and return lists of tensors."""

    sender: object
    receiver: object


def load(model):
    """`Signatures` of a `published_models.Model`.

    Raises:
      InputError: the file cannot be read, is no metagraph of this form, or has an operation that is not allowed.
    """
    metagraph = _read(model)
    _check(metagraph, model.path)
    graph_def, known = metagraph.graph_def, metagraph.meta_info_def.stripped_op_list
    _rename_functions(graph_def, model.sha256[:16])
    for node in _all_nodes(graph_def):
        node.device = ""
        if node.op in CHECKED:
            node.attr["debug_level"].i = 1  # else an index that is out of range reads memory that is not the table's
    try:
        whole = tf.compat.v1.wrap_function(
            lambda: tf.compat.v1.import_graph_def(graph_def, name="", producer_op_list=known), [])
        return Signatures(*(_pruned(whole, metagraph.signature_def[name]) for name in ("sender", "receiver")))
    except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{model.path}: cannot be imported ({_one_line(error)}); get the file again") from error


def _read(model):
    try:
        data = model.path.read_bytes() if model.path.stat().st_size <= MAX_BYTES else b""
    except OSError as error:
        raise InputError(f"{model.path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise InputError(f"{model.path}: was replaced while it was in use; give the command again")
    metagraph = tf.compat.v1.MetaGraphDef()
    try:
        metagraph.ParseFromString(data)
    except DecodeError as error:
        raise InputError(f"{model.path}: no metagraph, or cut off; get the file again") from error
    return metagraph


def _check(metagraph, path):
    """Raises InputError unless the graph is one that may be imported."""
    for name in ("sender", "receiver"):
        if name not in metagraph.signature_def:
            raise InputError(f"{path}: has no signature {name!r}, so it is no published model of "
                             "tensorflow-compression, or cut off")
    sender, receiver = (metagraph.signature_def[name] for name in ("sender", "receiver"))
    if len(sender.inputs) == 2:
        raise InputError(f"{path}: a model for all rates, which takes a rate-distortion parameter; that is not "
                         "supported here, name one with a number at its end")
    if len(sender.inputs) != 1 or len(receiver.outputs) != 1 or not (
            1 <= len(sender.outputs) == len(receiver.inputs) <= _MAX_VECTORS):
        raise InputError(f"{path}: its signatures are not those of a codec: {len(sender.inputs)} tensors to "
                         f"{len(sender.outputs)}, {len(receiver.inputs)} to {len(receiver.outputs)}")
    functions = {function.signature.name for function in metagraph.graph_def.library.function}
    elements = 0
    for count, node in enumerate(_all_nodes(metagraph.graph_def), start=1):
        if count > _MAX_NODES:
            raise InputError(f"{path}: has more than {_MAX_NODES} operations; refused")
        if node.op not in OPERATIONS:
            raise InputError(f"{path}: has the operation {node.op} ({node.name}), which is not on the list of those "
                             "that a model may have; refused")
        if node.op in CALLS and not set(_called(node)) <= functions:
            raise InputError(f"{path}: {node.name} ({node.op}) calls a function that is not in the file; refused")
        if node.op == "Const":
            sides = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
            elements += math.prod(sides)
            if min(sides, default=0) < 0 or elements > _MAX_ELEMENTS:
                raise InputError(f"{path}: its constants are larger than the file can be, at {node.name}; refused")


def _all_nodes(graph_def):
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _called(node):
    """Names of the functions that an operation calls."""
    return [called.name for called in _calls(node)]


def _calls(node):
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func
        yield from value.list.func


def _rename_functions(graph_def, prefix):
    """Makes the names of a file's functions its own: a process has one table of all that it loads or traces."""
    library = graph_def.library
    names = {function.signature.name: f"{prefix}_{function.signature.name}" for function in library.function}
    for function in library.function:
        function.signature.name = names[function.signature.name]
    for node in _all_nodes(graph_def):
        for called in _calls(node):
            called.name = names.get(called.name, called.name)
    del library.gradient[:]  # which nothing here takes


def _pruned(whole, signature):
    inputs, outputs = ([whole.graph.as_graph_element(tensors[key].name) for key in sorted(tensors)]
                       for tensors in (signature.inputs, signature.outputs))
    if not all(isinstance(each, tf.Tensor) for each in inputs + outputs):
        raise ValueError("a signature names something else than tensors")
    return whole.prune(inputs, outputs)


class PictureCoder:
    """Pixels to the bytes of a coded file and back.

    Args:
      model: `published_models.Model`.
    """

    def __init__(self, model):
        self._model, self._signatures = model, load(model)

    def encode(self, rgb):
        """bytes of uint8 [H, W, 3]."""
        sender = self._signatures.sender
        try:
            x = tf.cast(tf.constant(rgb[np.newaxis]), sender.inputs[0].dtype)
            vectors = [tensor.numpy() for tensor in sender(x)]
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise InputError(f"{self._model.path}: does not code this frame ({_one_line(error)})") from error
        return pack(self._model.name, vectors)

    def decode(self, data, max_pixels):
        """uint8 [H, W, 3] of what `encode` gave.

        Raises:
          InputError: cut off, visibly altered, of another model, or of more than `max_pixels`.
        """
        receiver = self._signatures.receiver
        vectors = unpack(data, self._model.name, [tensor.dtype for tensor in receiver.inputs], max_pixels)
        try:
            x_hat, = receiver(*vectors)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise InputError(f"damaged: {_one_line(error)}") from error
        shape = x_hat.shape
        if shape.rank != 4 or shape[0] != 1 or shape[3] != 3 or not 0 < shape[1] * shape[2] <= max_pixels:
            raise InputError(f"damaged, or not the stream of a picture: decodes to {shape}")
        return (x_hat if x_hat.dtype == tf.uint8 else layers.picture(tf.cast(x_hat, tf.float32)))[0].numpy()


def pack(name, vectors):
    """bytes of a coded file.

    Args:
      name: of the model.
      vectors: arrays [N] of integers or byte strings, as the model's sender gives them.

    Raises:
      InputError: something else than such vectors.
    """
    example = tf.train.Example()
    features = example.features.feature
    features[_MODEL_NAME].bytes_list.value.append(name.encode("ascii"))
    for number, vector in enumerate(vectors, start=1):
        if vector.ndim != 1 or vector.dtype.kind not in "iuO":
            raise InputError(f"{name}: its sender gives {vector.dtype} {list(vector.shape)}, which no coded file holds")
        kind = "bytes_list" if vector.dtype.kind == "O" else "int64_list"
        getattr(features[chr(number)], kind).value.extend(vector.tolist())
    return example.SerializeToString(deterministic=True)


def model_of(data):
    """The name of the model that a coded file asks for.

    Raises:
      InputError: no such file, or cut off.
    """
    return _example(data)[0]


def unpack(data, name, dtypes, max_pixels):
    """[tensor [N]] of what `pack` gave.

    Args:
      data: bytes.
      name: of the model at hand.
      dtypes: of the vectors that its receiver takes.
      max_pixels: a shape of more samples is refused.

    Raises:
      InputError: as `model_of`; of another model, or with other vectors.
    """
    found, features = _example(data)
    if found != name:
        raise InputError(f"written by another model: {found}, not {name} (--codec_model)")
    vectors, sizes = [], []
    for number, dtype in enumerate(dtypes, start=1):
        feature = features.pop(chr(number), None)
        kind = "bytes_list" if dtype == tf.string else "int64_list"
        if feature is None or feature.WhichOneof("kind") != kind:
            raise InputError(f"damaged: part {number} is none of {name}")
        values = list(getattr(feature, kind).value)
        whole = len(values) <= _MAX_LENGTH
        if kind == "int64_list":
            whole = whole and all(0 <= value <= max_pixels for value in values)
            sizes.append(math.prod(values) if whole else 0)
        if not whole:
            raise InputError(f"damaged, or more than {max_pixels} pixels: part {number}")
        vectors.append(tf.constant(values, dtype))
    # The largest shape is the picture's; latents are smaller, and have more channels.
    sizes = sorted(sizes)
    if features or sizes and (sizes[-1] > max_pixels or any(size > max(256, sizes[-1] // 4) for size in sizes[:-1])):
        raise InputError(f"damaged, or more than {max_pixels} pixels")
    return vectors


def _example(data):
    """(name of the model, {key: feature}) of a coded file."""
    example = tf.train.Example()
    try:
        example.ParseFromString(data)
        features = dict(example.features.feature)
        name = features.pop(_MODEL_NAME).bytes_list.value[0].decode("ascii")
    except (DecodeError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise InputError("not a coded file of a published model (.tfci), or cut off") from error
    if example.ByteSize() != len(data):
        raise InputError("damaged: more in it than a coded file has")
    return name, features


def _one_line(error):
    return " ".join(str(error).split())[:200]
