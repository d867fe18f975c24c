"""A trained model, ready to encode and decode pictures of any size."""

import numpy as np
import tensorflow as tf

from tfod_compress.learned import bitstream, layers, model_class, model_folder
from tfod_compress.support.errors import InputError


def build(codec, num_filters, num_latents):
    """A model with random weights."""
    return model_class(codec)(num_filters, num_latents)


def weights_of(model):
    """{name: float array} of a model's variables."""
    return {name: variable.numpy() for name, variable in _variables(model).items()}


def load(description):
    """(model, tables) of a model folder.

    Args:
      description: `model_folder.Description`.

    Raises:
      InputError: the folder's arrays are damaged, or not those of such a model.
    """
    weights, tables = model_folder.read_arrays(description)
    model = build(description.codec, description.num_filters, description.num_latents)
    set_weights(model, weights, description.folder)
    for name, shape in model.table_shapes().items():
        found = tables.get(name)
        if found is None or found.dtype.kind != "i" or len(found.shape) != len(shape) or any(
                wanted not in (None, side) for wanted, side in zip(shape, found.shape, strict=True)):
            raise InputError(f"{description.folder}: its table {name} is none of such a model")
    return model, tables


def set_weights(model, weights, folder):
    """Gives a model the weights that `weights_of` took from one of the same form.

    Args:
      model: the model.
      weights: {name: array}.
      folder: for messages.

    Raises:
      InputError: names or shapes differ, or a weight is not finite.
    """
    variables = _variables(model)
    if set(weights) != set(variables):
        raise InputError(f"{folder}: has other weights than such a model")
    for name, variable in variables.items():
        if weights[name].shape != tuple(variable.shape) or not np.isfinite(weights[name]).all():
            raise InputError(f"{folder}: its weight {name} has another shape than such a model's, or is not finite")
        variable.assign(weights[name])


def _variables(model):
    """{"encoder/0/00_kernel_real": variable}: the same names in every process."""
    found = {}
    for part, modules in model.parts.items():
        for place, module in enumerate(modules):
            for number, variable in enumerate(module.variables):
                name = variable.name.split("/")[-1].split(":")[0]
                found[f"{part}/{place}/{number:02d}_{name}"] = variable
    return found


class PictureCoder:
    """Pixels to the bytes of a file and back.

    Args:
      model: a model of this package.
      tables: what its `tables` gave after training.
      stream_hash: of the model.
    """

    def __init__(self, model, tables, stream_hash):
        self._model, self._coder, self._stream_hash = model, model.coder(tables), stream_hash

    def encode(self, rgb):
        """bytes of uint8 [H, W, 3]."""
        height, width, _ = rgb.shape
        strings = self._coder.encode(self._padded(rgb))
        return bitstream.pack(self._stream_hash, height, width, strings)

    def decode(self, data, max_pixels):
        """uint8 [H, W, 3] of what `encode` gave.

        Raises:
          InputError: cut off, altered, of another model, or of more than `max_pixels`.
        """
        height, width, strings = bitstream.unpack(data, self._stream_hash, self._model.strings, max_pixels)
        try:
            x_hat = self._coder.decode(strings, _up(height, self._model.stride), _up(width, self._model.stride))
        except tf.errors.OpError as error:
            raise InputError(f"damaged: {' '.join(str(error).split())[:200]}") from error
        return layers.picture(x_hat)[0, :height, :width].numpy()

    def information(self, rgb):
        """Bits that the model takes `encode(rgb)` to need, header and checksum apart."""
        return self._coder.information(self._padded(rgb))

    def _padded(self, rgb):
        height, width, _ = rgb.shape
        stride = self._model.stride
        more = ((0, _up(height, stride) - height), (0, _up(width, stride) - width), (0, 0))
        return tf.constant(np.pad(rgb, more, "edge")[np.newaxis], tf.float32)


def _up(side, step):
    return -(-side // step) * step
