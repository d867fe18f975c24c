"""Symbols to bytes and back with stored tables of integer probabilities.

The tables are built once, after training, and are part of the model: two machines that built them for themselves could
differ in a last bit and lose the rest of the stream.
"""

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.support.errors import InputError

LIMIT = 2**20  # symbols beyond are clipped; a trained model has none near it
PRECISION = 16  # bits of the integer probabilities; 12, the library's default, costs up to 1 % of the rate
TAIL_MASS = 2.0**-10  # probability of the symbols outside of a table, which are written as Elias gamma codes
_REACH = 2**(PRECISION - 1) - 1  # symbols on either side of 0 that a table can hold: each needs a count of 2^PRECISION


def rounded(latents):
    """int32 symbols of float latents, rounded to the nearest integer."""
    return np.clip(np.rint(np.nan_to_num(latents)), -LIMIT, LIMIT).astype(np.int32)


def tables(make_model, prior=None):
    """(cdf int32, cdf_offset int32) of an entropy model.

    Args:
      make_model: called with compression=True and stateless=True, gives the tensorflow-compression model.
      prior: the density of a factorized one, which training may make as wide as it likes; None for densities whose
        width has a bound.

    Raises:
      InputError: the prior spreads over more symbols than a table can hold. The library would end the process.
    """
    if prior is not None:
        outside = np.maximum(prior.base.cdf(-float(_REACH)), prior.base.survival_function(float(_REACH)))
        wide = np.flatnonzero(~(outside < TAIL_MASS / 2))  # so that NaN is told too
        if wide.size:
            raise InputError(f"the factorized prior of channel {wide[0]} (of {wide.size} such channels) is not finite, "
                             f"or spreads over more than the {2**PRECISION} symbols that can be coded; train with a "
                             "lower --learning_rate or a lower --lmbda")

    @tf.function  # the search for the tails takes a hundred times as long step by step
    def build():
        model = make_model(compression=True, stateless=True)
        return model.cdf, model.cdf_offset

    return tuple(table.numpy() for table in build.get_concrete_function()())


def encode_channels(symbols, cdf, cdf_offset):
    """bytes of int32 [..., C] symbols whose probabilities depend on their channel alone.

    Args:
      symbols: int32 [..., C].
      cdf: int32, C tables one after the other.
      cdf_offset: int32 [C], the least symbol of each table.
    """
    handle = tfc.create_range_encoder([], cdf)
    handle = tfc.entropy_encode_channel(handle, symbols - cdf_offset)
    return tfc.entropy_encode_finalize(handle).numpy()


def decode_channels(data, shape, cdf, cdf_offset):
    """int32 [*shape, C] symbols of what `encode_channels` gave; InputError where the bytes do not fit."""
    handle = tfc.create_range_decoder(tf.constant(data, tf.string), cdf)
    handle, symbols = tfc.entropy_decode_channel(handle, [*shape, len(cdf_offset)], tf.int32)
    _finish(handle)
    return np.clip(symbols.numpy() + cdf_offset, -LIMIT, LIMIT)


def encode_indexed(symbols, indexes, cdf, cdf_offset):
    """bytes of symbols, each of which has the table that its index names.

    Args:
      symbols: int32, any shape.
      indexes: int32 of the same shape.
      cdf: int32, the tables one after the other.
      cdf_offset: int32 [number of tables].
    """
    handle = tfc.create_range_encoder([], cdf)
    handle = tfc.entropy_encode_index(handle, indexes, symbols - cdf_offset[indexes])
    return tfc.entropy_encode_finalize(handle).numpy()


def decode_indexed(data, indexes, cdf, cdf_offset):
    """int32 symbols of the shape of `indexes`; InputError where the bytes do not fit."""
    handle = tfc.create_range_decoder(tf.constant(data, tf.string), cdf)
    handle, symbols = tfc.entropy_decode_index(handle, indexes, indexes.shape, tf.int32)
    _finish(handle)
    return np.clip(symbols.numpy() + cdf_offset[indexes], -LIMIT, LIMIT)


def _finish(handle):
    if not tfc.entropy_decode_finalize(handle).numpy():
        raise InputError("the coded symbols do not end where they should")
