"""A detector that trains: the OD API's model, optimizer and schedule as a config names them."""

import contextlib

import tensorflow as tf

from tfod_compress.tasks.detection import losses, moving_average
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.odapi import input_transform
from tfod_compress.tasks.detection.odapi.learning_phase import set_training
from tfod_compress.tasks.pixel_codec import Normalization
from tfod_compress.tasks.trainable import Trainable


class TrainableDetector(Trainable):
    """A DetectionModel with its variables, its optimizer and its losses.

    Args:
      model: object_detection.core.model.DetectionModel.
      optimizer: Keras optimizer.
      train_config: object_detection.protos.TrainConfig; clipping, regularisation and unpadding are read.
      step: int64 variable, counted up.
    """

    def __init__(self, model, optimizer, train_config, step):
        self.model, self.optimizer, self.train_config, self.step = model, optimizer, train_config, step
        self.clip_norm = train_config.gradient_clipping_by_norm
        self.checkpoint = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer)

    def losses(self, features, labels, prepared, scale):
        image, costs, metrics = self.through_codec(features["image"], scale)
        return losses.losses(self.model, {**features, "image": image}, labels, self.train_config, self.step, prepared,
                             scale, costs) | metrics

    def prepare(self, features, labels, parts):
        return losses.prepare(self.model, features, labels, self.train_config, parts)

    def normalization(self):
        def pixel(level):
            image, _ = self.model.preprocess(tf.fill([1, 64, 64, 3], tf.constant(level)))
            return image[0, 0, 0]

        return Normalization.of(pixel(0.0), pixel(255.0))

    def learning_rate(self):
        raise NotImplementedError("a detector without its config has no schedule")

    def transform(self):
        raise NotImplementedError("a detector without its config reads no records")


class ConfiguredDetector(TrainableDetector):
    """What a pipeline.config trains, with all its variables.

    Args:
      config: object_detection.protos.TrainEvalPipelineConfig.
      record_summaries: whether the model writes summaries of its own.
    """

    def __init__(self, config, record_summaries=True):
        from object_detection.builders import model_builder, optimizer_builder

        self.config = config
        model = model_builder.build(config.model, is_training=True, add_summaries=record_summaries)
        step = tf.Variable(0, trainable=False, dtype=tf.int64, name="global_step",
                           aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        optimizer, (self._rate,) = optimizer_builder.build(config.train_config.optimizer, global_step=step)
        super().__init__(model, optimizer, config.train_config, step)
        self._averages = pipeline_config.uses_moving_average(config)
        self._make_variables()

    def _make_variables(self):
        """By one prediction on a black picture of the input's size."""
        from object_detection.utils import config_util

        size = config_util.get_spatial_image_size(config_util.get_image_resizer_config(self.config.model))
        height, width = (side if side > 0 else 64 for side in size)
        set_training(self.model, False)  # Faster R-CNN wants ground truth else; a step sets it again
        # Eagerly: a tf.function that makes variables is traced twice.
        self.model.predict(*self.model.preprocess(tf.zeros([1, height, width, 3])))
        if self._averages:
            moving_average.track(self.optimizer, self.model)

    def learning_rate(self):
        return self._rate() if callable(self._rate) else self._rate

    def transform(self):
        return input_transform.for_training(self.config, self.model)

    def evaluated(self):
        """The averaged weights, where an average is kept."""
        return moving_average.averaged(self.optimizer) if self._averages else contextlib.nullcontext()
