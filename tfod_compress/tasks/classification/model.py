"""A classifier of tf-models-official: built from its experiment, trained, and loaded again to predict."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.classification import experiment as experiments
from tfod_compress.tasks.classification import inputs
from tfod_compress.tasks.classification.experiment import Experiment
from tfod_compress.tasks.trainable import TOTAL, Trainable


def build(experiment: Experiment) -> tf.keras.Model:
    """The model with its variables; its outputs are logits, float32 [B, num_classes].

    Raises:
      InputError: the model cannot be built as the experiment says.
    """
    from official.vision.tasks import image_classification

    size = list(experiment.params.task.model.input_size)
    if len(size) != 3 or size[2] != 3 or min(size) < 1:
        raise InputError(f"{experiment.source}: task.model.input_size is {size}; it is [height, width, 3]")
    try:
        return image_classification.ImageClassificationTask(experiment.params.task).build_model()
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{experiment.source}: the model cannot be built: {' '.join(str(error).split())[:300]}") \
            from error


class TrainableClassifier(Trainable):
    """What an experiment trains."""

    def __init__(self, experiment: Experiment):
        from official.modeling import optimization
        from official.vision.tasks import image_classification

        self.experiment, config = experiment, experiment.params
        self.task = image_classification.ImageClassificationTask(config.task)
        self.model = build(experiment)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="global_step",
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        try:
            factory = optimization.OptimizerFactory(config.trainer.optimizer_config)
            self._rate = factory.build_learning_rate()
            self.optimizer = factory.build_optimizer(self._rate)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{experiment.source}: trainer.optimizer_config: {' '.join(str(error).split())[:300]}") \
                from error
        if not isinstance(self.optimizer, tf.keras.optimizers.legacy.Optimizer):
            raise InputError(f"{experiment.source}: trainer.optimizer_config.optimizer.type "
                             f"{config.trainer.optimizer_config.optimizer.type} is not supported; take sgd, adam, "
                             "adamw, lamb, lars, rmsprop or adagrad")
        # The stock program's checkpoints hold the backbone by its own name too.
        self.checkpoint = tf.train.Checkpoint(step=self.step, model=self.model, optimizer=self.optimizer,
                                              **self.model.checkpoint_items)

    def learning_rate(self):
        return float(self._rate(self.step)) if callable(self._rate) else self._rate

    def transform(self):
        return inputs.for_training(self.experiment)

    def normalization(self):
        return inputs.normalization()

    def losses(self, features, labels, prepared, scale):
        config = self.task.task_config
        if config.losses.one_hot or config.losses.use_binary_cross_entropy:
            labels = tf.one_hot(labels, config.model.num_classes)
        image, costs, metrics = self.through_codec(features["image"], scale)
        # A frozen model's batch normalisation uses its averages and leaves them, and nothing is dropped.
        logits = tf.cast(self.model(image, training=self.model_trains), tf.float32)
        found = {"Loss/classification_loss": scale * self.task.build_losses(labels, logits), **costs}
        if self.model.losses:
            penalty = config.losses.loss_weight * tf.add_n([tf.cast(loss, tf.float32) for loss in self.model.losses])
            found["Loss/regularization_loss"] = scale * penalty
        return found | {TOTAL: tf.add_n(list(found.values()))} | metrics


class Predictor:
    """Class scores of pictures.

    Args:
      model: a Keras model that gives logits.
      experiment: what it was built from.
      class_names: {class id: name}.

    Attributes:
      class_names: {class id: name}, ids ascending.
      class_ids: int64 [C], ascending: the classes of the columns of `predict`.
    """

    def __init__(self, model: tf.keras.Model, experiment: Experiment, class_names: dict[int, str]):
        self.class_names = dict(sorted(class_names.items()))
        self.class_ids = np.array(list(self.class_names), np.int64)
        transform, columns = inputs.for_prediction(experiment), self.class_ids - 1 + experiment.label_offset

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
        def scores(pictures):
            logits = tf.cast(model(transform(pictures), training=False), tf.float32)
            return tf.gather(tf.nn.softmax(logits), columns, axis=1)

        self._scores = scores

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Probabilities float32 [B, C] of pictures uint8 [B, H, W, 3]; a background class has a share of its own."""
        return self._scores(pictures).numpy()


def load(prefix: str, class_names: dict[int, str]) -> Predictor:
    """A trained classifier; `trained.find(model folder).load()` finds its files first.

    Args:
      prefix: of a checkpoint with params.yaml beside it.
      class_names: {class id: name}.

    Raises:
      InputError: the model cannot be built, or the checkpoint is of another one.
    """
    experiment = experiments.of_folder(pathlib.Path(prefix).parent)
    model = build(experiment)
    try:
        tf.train.Checkpoint(model=model).restore(prefix).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise InputError(f"{prefix}: does not hold the weights of {experiment.source}: "
                         f"{' '.join(str(error).split())[:300]}") from error
    return Predictor(model, experiment, class_names)
