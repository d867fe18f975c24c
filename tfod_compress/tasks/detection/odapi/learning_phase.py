"""Keras keeps one learning phase for the whole process: the only place that sets it."""

import contextlib

import tensorflow as tf


def set_training(model, training: bool):
    """What is run or traced of a DetectionModel from here on is its training, or its inference."""
    model._is_training = training
    tf.keras.backend.set_learning_phase(training)


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
