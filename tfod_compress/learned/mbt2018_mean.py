"""A mean-scale hyperprior: side information z tells where each latent is expected and how widely it is spread.

    D. Minnen, J. Ballé, G. Toderici, "Joint autoregressive and hierarchical priors for learned image compression",
    NeurIPS 2018; the model "Mean & Scale Hyperprior" of its section 3, without the context model; transforms as in its
    table 1. The slope of the leaky ReLU, which the paper leaves open, is 1/4 here.
"""

import math

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.learned import fixed_point, layers, range_coder

NUM_SCALES, SCALE_MIN, SCALE_MAX = 64, 0.11, 256.0
HYPER_SYNTHESIS = ((2, "leaky_relu"), (2, "leaky_relu"), (1, "none"))  # stride and activation of each layer


def scale(index):
    """Standard deviation of an index: evenly spaced logarithms."""
    step = math.log(SCALE_MAX / SCALE_MIN) / (NUM_SCALES - 1)
    return tf.exp(math.log(SCALE_MIN) + step * index)


class Mbt2018Mean(tf.Module):
    """Analysis and synthesis transforms, and a second pair of them for means and scales of the latents.

    Args:
      num_filters: channels of the transforms and of z: N of the paper.
      num_latents: channels of y: M of the paper.
    """

    codec, stride, strings = "mbt2018-mean", 64, 2
    defaults = {"num_filters": 192, "num_latents": 192}

    def __init__(self, num_filters, num_latents):
        super().__init__(name="mbt2018_mean")
        self.analysis = layers.sequence("analysis", [
            layers.down(num_filters, 5, 2, layers.gdn()),
            layers.down(num_filters, 5, 2, layers.gdn()),
            layers.down(num_filters, 5, 2, layers.gdn()),
            layers.down(num_latents, 5, 2)], channels=3)
        self.synthesis = layers.sequence("synthesis", [
            layers.up(num_filters, 5, 2, layers.igdn()),
            layers.up(num_filters, 5, 2, layers.igdn()),
            layers.up(num_filters, 5, 2, layers.igdn()),
            layers.up(3, 5, 2)], channels=num_latents)
        self.hyper_analysis = layers.sequence("hyper_analysis", [
            layers.down(num_filters, 3, 1, layers.leaky_relu),
            layers.down(num_filters, 5, 2, layers.leaky_relu),
            layers.down(num_filters, 5, 2)], channels=num_latents)
        self.hyper_synthesis = layers.sequence("hyper_synthesis", [
            layers.up(num_latents, 5, 2, layers.leaky_relu),
            layers.up(3 * num_latents // 2, 5, 2, layers.leaky_relu),
            layers.up(2 * num_latents, 3, 1)], channels=num_filters)
        self.z_prior = tfc.NoisyDeepFactorized(batch_shape=(num_filters,))

    @property
    def parts(self):
        """{part: module}: what is tuned for the encoder, what streams are read with, what is tuned for the decoder."""
        return {"encoder": [self.analysis, self.hyper_analysis], "stream": [self.hyper_synthesis, self.z_prior],
                "decoder": [self.synthesis]}

    def __call__(self, x, straight_through=False):
        """The differentiable path: what the decoder would show, and what it would cost.

        Args:
          x: float32 [B, H, W, 3] in [0, 255]; H and W are multiples of `stride`.
          straight_through: synthesis sees rounded latents, with the gradient of the identity, instead of latents with
            uniform noise. The rate is that of noisy latents in both cases.

        Returns:
          (x_hat float32 [B, H, W, 3], not clipped; bits float32 [B]).
        """
        y = self.analysis(x / 255)
        z = self.hyper_analysis(y)
        z_tilde, z_bits = self._z_model()(z, training=True)
        z_hat = tfc.round_st(z) if straight_through else z_tilde
        indexes, mu = tf.split(self.hyper_synthesis(z_hat), 2, axis=-1)
        y_tilde, y_bits = self._y_model()(y, indexes, loc=mu, training=True)
        y_hat = tfc.round_st(y, mu) if straight_through else y_tilde
        return self.synthesis(y_hat) * 255, y_bits + z_bits

    def tables(self):
        """{name: integer array}: everything that streams are read with, made once after training."""
        y_cdf, y_cdf_offset = range_coder.tables(self._y_model)
        z_cdf, z_cdf_offset = range_coder.tables(self._z_model, self.z_prior)
        integer = [fixed_point.quantize(layer.kernel, layer.bias, *rest)
                   for layer, rest in zip(self.hyper_synthesis.layers, HYPER_SYNTHESIS, strict=True)]
        return {"y/cdf": y_cdf, "y/cdf_offset": y_cdf_offset, "z/cdf": z_cdf, "z/cdf_offset": z_cdf_offset,
                **fixed_point.arrays(integer)}

    def table_shapes(self):
        """{name: shape}, None for a length that training decides."""
        shapes = {"y/cdf": (None,), "y/cdf_offset": (NUM_SCALES,),
                  "z/cdf": (None,), "z/cdf_offset": tuple(self.z_prior.batch_shape)}
        return shapes | fixed_point.array_shapes(self.hyper_synthesis.layers)

    def coder(self, tables):
        """A `Coder`."""
        return Coder(self, tables)

    def _y_model(self, **options):
        return tfc.LocationScaleIndexedEntropyModel(
            tfc.NoisyNormal, NUM_SCALES, scale, coding_rank=3,
            tail_mass=range_coder.TAIL_MASS, range_coder_precision=range_coder.PRECISION, **options)

    def _z_model(self, **options):
        return tfc.ContinuousBatchedEntropyModel(
            self.z_prior, coding_rank=3, offset_heuristic=False,
            tail_mass=range_coder.TAIL_MASS, range_coder_precision=range_coder.PRECISION, **options)


class Coder:
    """A trained model between pictures and strings. What is coded of a latent is its distance from its mean, rounded.

    Args:
      model: `Mbt2018Mean`.
      tables: what its `tables` gave.
    """

    def __init__(self, model, tables):
        self._model = model
        self._y_tables = tables["y/cdf"], tables["y/cdf_offset"]
        self._z_tables = tables["z/cdf"], tables["z/cdf_offset"]
        self._hyper_synthesis = fixed_point.from_arrays(tables, HYPER_SYNTHESIS)
        self._analysis, self._synthesis = layers.compiled(model.analysis), layers.compiled(model.synthesis)
        self._hyper_analysis = layers.compiled(model.hyper_analysis)

    def encode(self, x):
        """[bytes] of float32 [1, H, W, 3] in [0, 255]; H and W are multiples of `stride`."""
        symbols, z_hat, indexes = self._symbols(x)
        return [range_coder.encode_channels(z_hat, *self._z_tables),
                range_coder.encode_indexed(symbols, indexes, *self._y_tables)]

    def decode(self, strings, height, width):
        """float32 [1, H, W, 3] of what `encode` gave."""
        z_hat = range_coder.decode_channels(strings[0], (height // 64, width // 64), *self._z_tables)
        indexes, mu = self._expected(z_hat)
        y_hat = range_coder.decode_indexed(strings[1], indexes, *self._y_tables) + mu
        return self._synthesis(y_hat[np.newaxis].astype(np.float32)) * 255

    def information(self, x):
        """Bits that the model takes `encode(x)` to need: the Shannon information of the quantised latents."""
        symbols, z_hat, indexes = self._symbols(x)
        _, y_bits = self._model._y_model()(symbols.astype(np.float32), indexes.astype(np.float32), training=False)
        _, z_bits = self._model._z_model()(z_hat.astype(np.float32), training=False)
        return float(y_bits + z_bits)

    def _symbols(self, x):
        y = self._analysis(x / 255)
        z_hat = range_coder.rounded(self._hyper_analysis(y)[0].numpy())
        indexes, mu = self._expected(z_hat)
        return range_coder.rounded(y[0].numpy() - mu), z_hat, indexes

    def _expected(self, z_hat):
        """Indexes of the scales, int32 [H, W, M], and means, float64 [H, W, M], the same on every machine."""
        scales, mu = np.split(fixed_point.apply(self._hyper_synthesis, z_hat), 2, axis=-1)
        return fixed_point.scale_indexes(scales, NUM_SCALES), mu / 2**fixed_point.ACTIVATION_BITS
