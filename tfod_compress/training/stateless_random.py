"""Random ops as a function of a seed tensor, for code that calls TensorFlow's stateful ones.

The OD API's augmentation, its samplers and Keras's dropout draw from ops whose state lives in the process: after a
resume they start again from the beginning, and with parallel calls their order is not fixed. While a function is
traced inside `random_from`, those ops are replaced by their stateless counterparts.
"""

import contextlib
import itertools
import threading

import tensorflow as tf
from tensorflow.python.ops import gen_image_ops, gen_random_ops

_context = threading.local()  # MirroredStrategy traces each replica in a thread of its own


@contextlib.contextmanager
def random_from(seed):
    """Makes every random op that is traced inside a function of `seed`.

    Args:
      seed: an integer tensor [2], such as (seed of the run, step). The n-th random op gets `seed` with n folded in,
        so that two ops differ; inside a tf.while_loop all iterations draw the same.
    """
    _replace_ops()
    before = getattr(_context, "seeds", None)
    _context.seeds = (tf.random.experimental.stateless_fold_in(seed, call) for call in itertools.count())
    try:
        yield
    finally:
        _context.seeds = before


def _replace_ops():
    """Puts our functions in the place of the generated wrappers of the stateful ops, once."""
    for module, name, stateless in (
            (gen_random_ops, "random_uniform", _uniform),
            (gen_random_ops, "random_uniform_int", _uniform_int),
            (gen_random_ops, "random_standard_normal", _normal),
            (gen_random_ops, "truncated_normal", _truncated_normal),
            (gen_random_ops, "random_shuffle", _shuffle),
            (gen_random_ops, "multinomial", _multinomial),
            (gen_image_ops, "sample_distorted_bounding_box_v2", _distorted_box),
            # With op determinism these refuse to be called without a seed of their own.
            (tf.compat.v1.image, "sample_distorted_bounding_box", _distorted_box),
            (tf.image, "sample_distorted_bounding_box", _distorted_box)):
        original = getattr(module, name)
        if not hasattr(original, "stateful"):
            setattr(module, name, _dispatch(original, stateless))


def _dispatch(stateful, stateless):
    def call(*args, **kwargs):
        seeds = getattr(_context, "seeds", None)
        if seeds is None:
            return stateful(*args, **kwargs)
        return stateless(next(seeds), *args, **kwargs)

    call.stateful = stateful
    return call


def _uniform(key, shape, dtype, seed=0, seed2=0, name=None):
    return tf.random.stateless_uniform(shape, key, dtype=dtype, name=name)


def _uniform_int(key, shape, minval, maxval, seed=0, seed2=0, name=None):
    return tf.random.stateless_uniform(shape, key, minval, maxval, dtype=minval.dtype, name=name)


def _normal(key, shape, dtype, seed=0, seed2=0, name=None):
    return tf.random.stateless_normal(shape, key, dtype=dtype, name=name)


def _truncated_normal(key, shape, dtype, seed=0, seed2=0, name=None):
    return tf.random.stateless_truncated_normal(shape, key, dtype=dtype, name=name)


def _shuffle(key, value, seed=0, seed2=0, name=None):
    return tf.random.experimental.stateless_shuffle(value, key, name=name)


def _multinomial(key, logits, num_samples, seed=0, seed2=0, output_dtype=tf.int64, name=None):
    return tf.random.stateless_categorical(logits, num_samples, key, output_dtype, name=name)


def _distorted_box(key, image_size, bounding_boxes, seed=None, seed2=None, **kwargs):
    kwargs = {name: value for name, value in kwargs.items() if value is not None}
    return gen_image_ops.stateless_sample_distorted_bounding_box(image_size, bounding_boxes, seed=key, **{
        "min_object_covered": 0.1, **kwargs})
