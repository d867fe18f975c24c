"""One training step: losses, gradient, update.

On several devices the numbers are those of one device with the same global batch; only batch normalisation still sees
each device's part alone.
"""

import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.trainable import TOTAL
from tfod_compress.training.stateless_random import random_from


def build(trainable, seed, *, strategy=None, accumulate=1, loss_scale=None):
    """The compiled function that takes the next batch and makes one step.

    Args:
      trainable: tasks.trainable.Trainable.
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

    step = trainable.step

    def replica_step(features, labels):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        key = tf.random.experimental.stateless_fold_in(tf.stack([tf.constant(seed, tf.int64), step]), replica)
        with random_from(key):
            losses, gradients = losses_and_gradients(
                trainable, features, labels, key=key, accumulate=accumulate, loss_scale=loss_scale)
        _update(trainable.optimizer, gradients, trainable.trained_variables, trainable.clip_norm, loss_scale)
        step.assign_add(1)
        return losses

    # Without autograph, which would rewrite the OD API and Keras for minutes; neither needs it.
    @tf.function(autograph=False)
    def train_step(iterator):
        losses = strategy.run(replica_step, args=next(iterator))
        return {name: strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None) for name, loss in losses.items()}

    return train_step


def losses_and_gradients(trainable, features, labels, *, key=None, accumulate=1, loss_scale=None):
    """Losses and gradients on one replica's batch, of which the sums over the replicas are those of the global batch.

    Args:
      trainable: tasks.trainable.Trainable.
      features: dictionary of tensors [B, …].
      labels: nested tensors [B, …].
      key: int64 [2], which the random numbers of each part come from; None with one part.
      accumulate: number of parts; divides B.
      loss_scale: LossScale or None.

    Returns:
      ({name: float32 []}, [gradient for each of the trained variables, None where there is none]).
    """
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    scale = 1.0 / (replicas * accumulate)

    def part(features, labels, prepared):
        with tf.GradientTape() as tape:
            losses = trainable.losses(features, labels, prepared, scale)
            total = losses[TOTAL] * loss_scale.value if loss_scale else losses[TOTAL]
        gradients = tape.gradient(total, trainable.trained_variables)
        if loss_scale:
            gradients = [None if each is None else each / loss_scale.value for each in gradients]
        return losses, gradients

    if accumulate == 1:
        return part(features, labels, trainable.prepare(features, labels, 1))
    size = features["image"].shape[0] or tf.shape(features["image"])[0]
    if isinstance(size, int) and size % accumulate:
        raise InputError(f"--accumulate {accumulate}: does not divide the batch of {size} on each device")
    prepared = trainable.prepare(features, labels, accumulate)
    return _accumulated(part, features, labels, prepared, size, accumulate, key)


def _accumulated(part, features, labels, prepared, size, count, key):
    """Losses and gradients, summed over `count` parts of a batch that are worked on one after another."""
    def nth(number):
        first = number * (size // count)
        features_n, labels_n, rows = tf.nest.map_structure(
            lambda tensor: tensor[first:first + size // count], (features, labels, prepared.rows if prepared else ()))
        with random_from(tf.random.experimental.stateless_fold_in(key, number)):
            return part(features_n, labels_n, prepared._replace(rows=rows) if prepared else None)

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
