"""Inference of a model whatever the process did before: Keras keeps one learning phase for everything."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def inference():
    """While it lasts, batch normalisation and dropout of what is run or traced work as in inference.

    The OD API's training sets the phase for the whole process and leaves it so; a detector traced afterwards would
    normalise by the statistics of its batch.
    """
    before = bool(tf.keras.backend.learning_phase())
    tf.keras.backend.set_learning_phase(False)
    try:
        yield
    finally:
        tf.keras.backend.set_learning_phase(before)
