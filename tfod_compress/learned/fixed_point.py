"""A hyper-synthesis transform in whole numbers: the same result on every machine, with any number of threads.

    J. Ballé, N. Johnston, D. Minnen, "Integer networks for data compression with latent-variable models", ICLR 2019

The decoder must arrive at the very probabilities that the encoder used; one index that differs loses the rest of the
stream. Sums of floats depend on their order, which depends on processor, library and threads. So weights and
activations are rounded to multiples of a power of two once training is over, and the transform is evaluated on the
integers, held in float64: as long as no partial sum can reach 2^53, which `quantize` makes sure of, every product and
sum is exact and their order is of no consequence. What the paper has beyond this, training with the rounding in place,
is not needed here: 16 bits of weights and 10 of activations lie far below the step between two scales.
"""

import typing

import numpy as np

from tfod_compress.support.errors import InputError

WEIGHT_BITS = 16  # behind the binary point
ACTIVATION_BITS = 10
ACTIVATION_LIMIT = 2**22  # of an activation as integer: 4096 in real terms
LEAKY_SLOPE = 0.25  # a power of two, so that the product is a shift
_EXACT = 2.0**53  # integers up to here are float64 numbers


class Layer(typing.NamedTuple):
    """One convolution of a quantised transform.

    Attributes:
      kernel: int32 [k, k, C in, C out], WEIGHT_BITS behind the point.
      bias: int64 [C out], WEIGHT_BITS + ACTIVATION_BITS behind the point.
      stride: of the upsampling before it.
      activation: "relu", "leaky_relu" or "none".
    """

    kernel: np.ndarray
    bias: np.ndarray
    stride: int
    activation: str


def quantize(kernel, bias, stride, activation):
    """The `Layer` nearest to a convolution `layers.up`.

    Args:
      kernel: float [k, k, C in, C out].
      bias: float [C out].
      stride: of the upsampling.
      activation: see `Layer`.

    Raises:
      InputError: the weights are so large that a sum might not be exact.
    """
    kernel = np.rint(np.asarray(kernel, np.float64) * 2**WEIGHT_BITS)
    bias = np.rint(np.asarray(bias, np.float64) * 2**(WEIGHT_BITS + ACTIVATION_BITS))
    largest = np.abs(kernel).sum(axis=(0, 1, 2)).max() * ACTIVATION_LIMIT + np.abs(bias).max()
    if not largest < _EXACT or not np.abs(kernel).max() < 2**31:
        raise InputError("weights of the hyper-synthesis transform are too large for exact arithmetic; train with a "
                         "lower --learning_rate")
    return Layer(kernel.astype(np.int32), bias.astype(np.int64), stride, activation)


def apply(layers, z_hat):
    """The transform of integer hyper-latents.

    Args:
      layers: [Layer].
      z_hat: integers [H, W, C].

    Returns:
      float64 [H', W', C'], integers: ACTIVATION_BITS of them are behind the point.
    """
    limit = ACTIVATION_LIMIT >> ACTIVATION_BITS
    x = np.clip(z_hat, -limit, limit).astype(np.float64) * 2**ACTIVATION_BITS
    for layer in layers:
        x = np.floor(_convolve(x, layer) / 2**WEIGHT_BITS + 0.5)
        if layer.activation == "relu":
            x = np.maximum(x, 0)
        elif layer.activation == "leaky_relu":
            x = np.maximum(x, np.floor(x * LEAKY_SLOPE))
        x = np.clip(x, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
    return x


def scale_indexes(scales, count):
    """int32 indexes in [0, count), the nearest to what the last layer gave."""
    return np.clip(np.floor(scales / 2**ACTIVATION_BITS + 0.5), 0, count - 1).astype(np.int32)


def arrays(layers):
    """{name: array} of a transform, to be stored."""
    return {f"hyper_synthesis/{number}/{name}": getattr(layer, name)
            for number, layer in enumerate(layers) for name in ("kernel", "bias")}


def array_shapes(transform):
    """{name: shape} of what `arrays` gives for a transform's layers."""
    return {f"hyper_synthesis/{number}/{name}": tuple(getattr(layer, name).shape)
            for number, layer in enumerate(transform) for name in ("kernel", "bias")}


def from_arrays(stored, template):
    """[Layer] of what `arrays` gave; `template` is [(stride, activation)]."""
    return [Layer(stored[f"hyper_synthesis/{number}/kernel"], stored[f"hyper_synthesis/{number}/bias"], *rest)
            for number, rest in enumerate(template)]


def _convolve(x, layer):
    """Upsampling and convolution as in `layers.up`: sample i adds x_i w_k to sample stride i + k - support // 2."""
    height, width, _ = x.shape
    support, stride = layer.kernel.shape[0], layer.stride
    out = np.zeros((stride * height + support, stride * width + support, layer.kernel.shape[-1]))
    kernel = layer.kernel.astype(np.float64)
    for row in range(support):
        for column in range(support):
            out[row:row + stride * height:stride, column:column + stride * width:stride] += x @ kernel[row, column]
    first = support // 2
    return out[first:first + stride * height, first:first + stride * width] + layer.bias
