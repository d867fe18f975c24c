"""A learned codec in front of a model of any task, so that either can be tuned for the other.

    L. D. Chamain, F. Racapé, J. Bégaint, A. Pushparaja, S. Feltman, "End-to-end optimized image compression for
    machines, a study", DCC 2021

The loss is task loss + beta * bpp + lmbda * mse. The model sees decoded pictures: latents are rounded on their way to
the synthesis transform, with the gradient of the identity (straight-through), as a fielded decoder would have them;
their rate is that of latents with uniform noise, which has a gradient. Pictures go through the codec at the model's
input size: where frames are larger, the rate is that of the smaller picture.
"""

from __future__ import annotations

import functools
import math
import pathlib
from typing import Any

import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.learned import coder, model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.pixel_codec import Decoded

# The parts of a codec that a regime changes (see `parts` of a model), and whether it changes the model behind it.
REGIMES = {
    "task_ft": ((), True),
    "codec_ft": (("encoder", "stream", "decoder"), False),
    "joint_ft": (("encoder", "stream", "decoder"), True),
    "fixed_decoder": (("encoder",), False),
    "task_decoder": (("decoder",), True),
}


class CodecInFront:
    """A tasks.pixel_codec.PixelCodec that trains what a regime says.

    Args:
      model: a model of tfod_compress.learned.
      regime: a name in `REGIMES`.
      beta: weight of the bits per pixel.
      lmbda: weight of the mean squared error over samples in [0, 255].

    Raises:
      InputError: unknown regime, or weights below 0.
    """

    def __init__(self, model: tf.Module, regime: str, *, beta: float, lmbda: float = 0.0):
        check(regime, beta, lmbda)
        parts, self.trains_task = REGIMES[regime]
        self.model, self._beta, self._lmbda = model, beta, lmbda
        self.trained_variables = [variable for part in parts for module in model.parts[part]
                                  for variable in module.trainable_variables]

    def __call__(self, pixels: tf.Tensor) -> Decoded:
        """Pictures as a decoder shows them.

        Args:
          pixels: float32 [B, H, W, 3] in [0, 255], of any size: rows and columns up to a multiple of the codec's
            stride repeat the last ones, as in coding, and count in the bits, not in the pixels.

        Returns:
          Decoded: pixels of the same shape, clipped to [0, 255]; the losses "rate" and, with lmbda, "distortion",
          weighted; the metrics "bpp" and "mse", the distortion before clipping.
        """
        height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
        padded = _padded(pixels, self.model.stride)
        # The step is traced without autograph, which GDN needs; a function that outlived its trace would keep its key.
        coded = functools.partial(self.model, straight_through=True)
        x_hat, bits = coded(padded) if tf.executing_eagerly() else tf.function(coded)(padded)
        x_hat = x_hat[:, :height, :width]
        bpp = tf.reduce_sum(bits) / tf.cast(tf.size(pixels) // 3, tf.float32)
        mse = tf.reduce_mean(tf.math.squared_difference(pixels, x_hat))
        losses = {"rate": self._beta * bpp} | ({"distortion": self._lmbda * mse} if self._lmbda else {})
        # A decoder clips; the gradient of samples beyond the range is let through where it leads back.
        x_hat = tfc.upper_bound(tfc.lower_bound(x_hat, 0.0), 255.0)
        return Decoded(tf.ensure_shape(x_hat, pixels.shape), losses, {"bpp": bpp, "mse": mse})


def check(regime: str, beta: float, lmbda: float) -> None:
    """Raises InputError where the regime is unknown, or a weight is no finite number from 0 on."""
    if regime not in REGIMES:
        raise InputError(f"regime {regime!r}: with a codec there are {', '.join(REGIMES)}")
    if not 0 <= beta < math.inf or not 0 <= lmbda < math.inf:
        raise InputError(f"beta {beta:g}, lmbda {lmbda:g}: weights of the loss must not be negative")


def publish(folder: pathlib.Path, codec: tf.Module, base: model_folder.Description,
            more: dict[str, Any]) -> model_folder.Description:
    """Writes a tuned codec as a model folder like any other.

    What streams are read with is made anew only where it was trained: with fixed_decoder and task_decoder it is the
    base's, number for number, and streams of the one are streams of the other.

    Args:
      folder: receives model.json and weights.npz.
      codec: the tuned model.
      base: `model_folder.Description` of the model that it was before.
      more: {name: JSON value} for model.json.

    Returns:
      `model_folder.Description`.
    """
    weights, (before, tables) = coder.weights_of(codec), model_folder.read_arrays(base)
    if any((weights[name] != before[name]).any() for name in weights if name.startswith("stream/")):
        tables = codec.tables()
    return model_folder.write(folder, base.codec, base.num_filters, base.num_latents, base.lmbda, weights, tables,
                              {"base": base.model_hash, **more})


def _padded(x, stride):
    """Rows and columns up to a multiple of `stride`, by repeating the last ones."""
    for axis in (1, 2):
        size = tf.shape(x)[axis]
        x = tf.gather(x, tf.minimum(tf.range(-(-size // stride) * stride), size - 1), axis=axis)
    return x
