"""A factorized prior: every channel of the latents has a density of its own, learned and then fixed.

    J. Ballé, V. Laparra, E. P. Simoncelli, "End-to-end optimized image compression", ICLR 2017; transforms as in its
    figure 2 and appendix 6.1, the density as in appendix 6.1 of Ballé et al., "Variational image compression with a
    scale hyperprior", ICLR 2018
"""

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.learned import layers, range_coder


class Bls2017(tf.Module):
    """Analysis transform, quantisation, synthesis transform.

    Args:
      num_filters: channels of the transforms.
      num_latents: channels of y.
    """

    codec, stride, strings = "bls2017", 16, 1
    defaults = {"num_filters": 128, "num_latents": 128}

    def __init__(self, num_filters, num_latents):
        super().__init__(name=self.codec)
        self.analysis = layers.sequence("analysis", [
            layers.down(num_filters, 9, 4, layers.gdn()),
            layers.down(num_filters, 5, 2, layers.gdn()),
            layers.down(num_latents, 5, 2)], channels=3)
        self.synthesis = layers.sequence("synthesis", [
            layers.up(num_filters, 5, 2, layers.igdn()),
            layers.up(num_filters, 5, 2, layers.igdn()),
            layers.up(3, 9, 4)], channels=num_latents)
        self.y_prior = tfc.NoisyDeepFactorized(batch_shape=(num_latents,))

    @property
    def parts(self):
        """{part: module}: what is tuned for the encoder, what streams are read with, what is tuned for the decoder."""
        return {"encoder": [self.analysis], "stream": [self.y_prior], "decoder": [self.synthesis]}

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
        y_tilde, bits = self._y_model()(y, training=True)
        y_hat = tfc.round_st(y) if straight_through else y_tilde
        return self.synthesis(y_hat) * 255, bits

    def tables(self):
        """{name: integer array}: everything that streams are read with, made once after training."""
        cdf, cdf_offset = range_coder.tables(self._y_model, self.y_prior)
        return {"y/cdf": cdf, "y/cdf_offset": cdf_offset}

    def table_shapes(self):
        """{name: shape}, None for a length that training decides."""
        return {"y/cdf": (None,), "y/cdf_offset": tuple(self.y_prior.batch_shape)}

    def coder(self, tables):
        """A `Coder`."""
        return Coder(self, tables)

    def _y_model(self, **options):
        return tfc.ContinuousBatchedEntropyModel(
            self.y_prior, coding_rank=3, offset_heuristic=False,
            tail_mass=range_coder.TAIL_MASS, range_coder_precision=range_coder.PRECISION, **options)


class Coder:
    """A trained model between pictures and strings.

    Args:
      model: `Bls2017`.
      tables: what its `tables` gave.
    """

    def __init__(self, model, tables):
        self._model, self._tables = model, (tables["y/cdf"], tables["y/cdf_offset"])
        self._analysis, self._synthesis = layers.compiled(model.analysis), layers.compiled(model.synthesis)

    def encode(self, x):
        """[bytes] of float32 [1, H, W, 3] in [0, 255]; H and W are multiples of `stride`."""
        return [range_coder.encode_channels(self._symbols(x), *self._tables)]

    def decode(self, strings, height, width):
        """float32 [1, H, W, 3] of what `encode` gave."""
        y_hat = range_coder.decode_channels(strings[0], (height // 16, width // 16), *self._tables)
        return self._synthesis(y_hat[np.newaxis].astype(np.float32)) * 255

    def information(self, x):
        """Bits that the model takes `encode(x)` to need: the Shannon information of the quantised latents."""
        _, bits = self._model._y_model()(self._symbols(x).astype(np.float32), training=False)
        return float(bits)

    def _symbols(self, x):
        return range_coder.rounded(self._analysis(x / 255)[0].numpy())
