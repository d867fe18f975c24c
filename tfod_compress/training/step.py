"""One training step: predict, losses, gradient, update.

The numbers are those of the OD API's model_lib_v2.eager_train_step on one device. On several devices they are those of
one device with the same global batch, where the OD API divides each device's losses by that device's own number of
matches; only batch normalisation still sees each device's part alone.
"""

import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.odapi import batched_losses
from tfod_compress.tasks.detection.odapi.learning_phase import set_training
from tfod_compress.training.stateless_random import random_from

TOTAL = "Loss/total_loss"


def build(model, optimizer, config, step, seed, *, strategy=None, accumulate=1, loss_scale=None):
    """The compiled function that takes the next batch and makes one step.

    Args:
      model: object_detection.core.model.DetectionModel with all its variables.
      optimizer: Keras optimizer.
      config: object_detection.protos.TrainConfig; clipping, regularisation and unpadding are read.
      step: int64 variable, counted up.
      seed: integer; dropout and samplers draw from (seed, step).
      strategy: tf.distribute.Strategy, or None for the one in scope.
      accumulate: parts that each device's batch is cut into, one after another in memory; the gradient is their sum.
      loss_scale: LossScale for float16, else None.

    Returns:
      A function of an iterator of (features, labels), as batches.batches gives them, -> {name: float32 []}.
      Losses are those before the update.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if loss_scale and strategy.num_replicas_in_sync > 1:
        raise InputError("float16 is for one GPU; use --mixed_precision bfloat16 on several")

    def replica_step(features, labels):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        key = tf.random.experimental.stateless_fold_in(tf.stack([tf.constant(seed, tf.int64), step]), replica)
        with random_from(key):
            losses, gradients = losses_and_gradients(
                model, features, labels, config, step, key=key, accumulate=accumulate, loss_scale=loss_scale)
        _update(optimizer, gradients, model.trainable_variables, config.gradient_clipping_by_norm, loss_scale)
        step.assign_add(1)
        return losses

    # Without autograph, which would rewrite the OD API and Keras for minutes; neither needs it.
    @tf.function(autograph=False)
    def train_step(iterator):
        losses = strategy.run(replica_step, args=next(iterator))
        return {name: strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None) for name, loss in losses.items()}

    return train_step


def losses_and_gradients(model, features, labels, config, step, *, key=None, accumulate=1, loss_scale=None):
    """Losses and gradients on one replica's batch, of which the sums over the replicas are those of the global batch.

    Args:
      model: DetectionModel.
      features: dictionary of tensors [B, …].
      labels: dictionary of padded tensors [B, N, …].
      config: object_detection.protos.TrainConfig.
      step: the training step.
      key: int64 [2], which the random numbers of each part come from; None with one part.
      accumulate: number of parts; divides B.
      loss_scale: LossScale or None.

    Returns:
      ({name: float32 []}, [gradient for each of model.trainable_variables, None where there is none]).
    """
    set_training(model, True)
    batched = batched_losses.supported(model, labels)
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    scale = 1.0 / (replicas * accumulate)

    def part(features, labels, extra):
        with tf.GradientTape() as tape:
            losses = _losses(model, features, labels, extra, config, step, scale)
            total = losses[TOTAL] * loss_scale.value if loss_scale else losses[TOTAL]
        gradients = tape.gradient(total, model.trainable_variables)
        if loss_scale:
            gradients = [None if each is None else each / loss_scale.value for each in gradients]
        return losses, gradients

    if accumulate == 1:
        return part(features, labels, {} if batched else None)
    return _accumulated(part, model, features, labels, config, accumulate, key, batched)


def losses_of(model, features, labels, config, step):
    """The losses alone, of one device's batch; arguments and result as those of `losses_and_gradients`."""
    set_training(model, True)
    return _losses(model, features, labels, {} if batched_losses.supported(model, labels) else None, config, step, 1.0)


def _losses(model, features, labels, extra, config, step, scale):
    """All losses of a part, the total included, and with a codec in front its metrics.

    `extra` is None where the model's own loss has to be called; else it may hold the part's `targets`, and `matches`.
    """
    shapes = features["true_image_shape"]
    if extra is None:
        batched_losses.provide(model, labels, config.unpad_groundtruth_tensors, step)
    predictions = _float32(model.predict(features["image"], shapes, **model.get_side_inputs(features)))
    if extra is None:
        losses = {name: scale * loss for name, loss in model.loss(predictions, shapes).items()}
    else:
        targets, matches = extra.get("targets"), extra.get("matches")
        if targets is None:  # anchors, which they need, are made by predict
            targets = batched_losses.ssd_targets(model, labels, config.unpad_groundtruth_tensors)
            matches = _over_replicas(model, batched_losses.ssd_matches(model, targets))
        losses = batched_losses.ssd(model, predictions, targets, matches)
    if hasattr(model, "codec_losses"):  # see codec_in_front
        losses |= {f"Loss/codec_{name}": scale * loss for name, loss in model.codec_losses().items()}
    if config.add_regularization_loss:
        penalties = model.regularization_losses()
        if penalties:
            losses["Loss/regularization_loss"] = scale * tf.add_n(_float32(penalties))
    losses[TOTAL] = tf.add_n(list(losses.values()))
    if hasattr(model, "codec_metrics"):  # logged beside the losses, no part of them
        losses |= {f"codec/{name}": scale * value for name, value in model.codec_metrics().items()}
    return losses


def _accumulated(part, model, features, labels, config, count, key, batched):
    """Losses and gradients, summed over `count` parts of a batch that are worked on one after another."""
    size = features["image"].shape[0] or tf.shape(features["image"])[0]
    if isinstance(size, int) and size % count:
        raise InputError(f"--accumulate {count}: does not divide the batch of {size} on each device")
    extra = {}
    if batched:
        # The whole batch's number of matches is wanted before its first part. Anchors depend on the pictures' size
        # alone; what else this computes is not in the graph's fetches and is dropped.
        set_training(model, False)
        model.predict(features["image"][:1], features["true_image_shape"][:1])
        set_training(model, True)
        extra["targets"] = batched_losses.ssd_targets(model, labels, config.unpad_groundtruth_tensors)
        extra["matches"] = _over_replicas(model, batched_losses.ssd_matches(model, extra["targets"]))

    def nth(number):
        first = number * (size // count)
        features_n, labels_n, targets_n = tf.nest.map_structure(
            lambda tensor: tensor[first:first + size // count], (features, labels, extra.get("targets")))
        with random_from(tf.random.experimental.stateless_fold_in(key, number)):
            return part(features_n, labels_n,
                        {"targets": targets_n, "matches": extra["matches"]} if batched else None)

    def add(number, sums):
        return number + 1, tf.nest.map_structure(tf.add, sums, present(nth(number)))

    missing = []

    def present(found):
        losses, gradients = found
        missing[:] = [gradient is None for gradient in gradients]
        return losses, [gradient for gradient in gradients if gradient is not None]

    sums = present(nth(tf.constant(0)))
    with tf.control_dependencies(sums[1]):  # the parts must not be in memory together
        second = tf.constant(1) + 0
    _, (losses, gradients) = tf.while_loop(lambda number, _: number < count, add, (second, sums),
                                           parallel_iterations=1)
    gradients = iter(gradients)
    return losses, [None if gone else next(gradients) for gone in missing]


def _update(optimizer, gradients, variables, clip, loss_scale):
    """Sums gradients over the replicas, clips their global norm and applies them."""
    pairs = [(gradient, variable) for gradient, variable in zip(gradients, variables, strict=True)
             if gradient is not None]
    gradients = [gradient for gradient, _ in pairs]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    finite = loss_scale.update(gradients) if loss_scale else None
    if clip:
        gradients, _ = tf.clip_by_global_norm(gradients, clip)

    # A moving average of the weights, which is for one device, does not know the argument.
    summed = {"experimental_aggregate_gradients": False} if context.num_replicas_in_sync > 1 else {}

    def apply():
        optimizer.apply_gradients([(gradient, variable) for gradient, (_, variable)
                                   in zip(gradients, pairs, strict=True)], **summed)

    if loss_scale:
        tf.cond(finite, apply, lambda: None)
    else:
        apply()


class LossScale:
    """Dynamic loss scaling (Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2).

    Float16 gradients below 6e-8 vanish; a scaled loss keeps them. It doubles after 2,000 steps whose gradients were
    finite, and halves, leaving the step's update out, when they were not. It is not part of the checkpoints, which
    stay those of the stock loop; a resumed run finds its scale anew.
    """

    def __init__(self, initial=2.0 ** 15, patience=2000):
        self.value = tf.Variable(initial, trainable=False, dtype=tf.float32)
        self._good = tf.Variable(0, trainable=False, dtype=tf.int32)
        self._patience = patience

    def update(self, gradients):
        """Adapts the scale; returns whether all gradients are finite, bool []."""
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        good = tf.where(finite, self._good + 1, 0)
        doubled = tf.where(good >= self._patience, 2.0 * self.value, self.value)
        self.value.assign(tf.where(finite, doubled, tf.maximum(self.value / 2.0, 1.0)))
        self._good.assign(tf.where(good >= self._patience, 0, good))
        return finite


def _over_replicas(model, matches):
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1 or not model._normalize_loss_by_num_matches:
        return matches
    return context.all_reduce(tf.distribute.ReduceOp.SUM, matches)


def _float32(tensors):
    return tf.nest.map_structure(
        lambda tensor: tf.cast(tensor, tf.float32)
        if isinstance(tensor, tf.Tensor) and tensor.dtype in (tf.float16, tf.bfloat16) else tensor, tensors)
