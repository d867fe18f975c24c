"""A detector's losses on a batch or a part of one.

The numbers are those of the OD API's model_lib_v2.eager_train_step on one device. On several devices they are those of
one device with the same global batch, where the OD API divides each device's losses by that device's own number of
matches.
"""

import tensorflow as tf

from tfod_compress.tasks.detection.odapi import batched_losses
from tfod_compress.tasks.detection.odapi.learning_phase import set_training
from tfod_compress.tasks.trainable import TOTAL, Prepared


def prepare(model, features, labels, config, parts):
    """What the losses of each of several parts need of their whole batch, or None.

    Args:
      model: DetectionModel.
      features: dictionary of tensors [B, …].
      labels: dictionary of padded tensors [B, N, …].
      config: object_detection.protos.TrainConfig.
      parts: how many.
    """
    set_training(model, True)
    if parts == 1 or not batched_losses.supported(model, labels):
        return None
    # The whole batch's number of matches is wanted before its first part. Anchors depend on the pictures' size
    # alone; what else this computes is not in the graph's fetches and is dropped.
    set_training(model, False)
    model.predict(features["image"][:1], features["true_image_shape"][:1])
    set_training(model, True)
    targets = batched_losses.ssd_targets(model, labels, config.unpad_groundtruth_tensors)
    return Prepared(targets, _over_replicas(model, batched_losses.ssd_matches(model, targets)))


def losses(model, features, labels, config, step, prepared=None, scale=1.0, more=None):
    """All losses, the total included.

    Args:
      model: DetectionModel.
      features: dictionary of tensors [B, …].
      labels: dictionary of padded tensors [B, N, …].
      config: object_detection.protos.TrainConfig; regularisation and unpadding are read.
      step: the training step.
      prepared: see `prepare`.
      scale: see Trainable.losses.
      more: {name: float32 []} of losses that are added, scaled already.

    Returns:
      {name: float32 []}.
    """
    shapes = features["true_image_shape"]
    batched = batched_losses.supported(model, labels)
    if not batched:
        batched_losses.provide(model, labels, config.unpad_groundtruth_tensors, step)
    predictions = float32(model.predict(features["image"], shapes, **model.get_side_inputs(features)))
    if not batched:  # the model's own loss
        found = {name: scale * loss for name, loss in model.loss(predictions, shapes).items()}
    else:
        if prepared:
            targets, matches = prepared
        else:  # anchors, which they need, are made by predict
            targets = batched_losses.ssd_targets(model, labels, config.unpad_groundtruth_tensors)
            matches = _over_replicas(model, batched_losses.ssd_matches(model, targets))
        found = batched_losses.ssd(model, predictions, targets, matches)
    found |= more or {}
    if config.add_regularization_loss:
        penalties = model.regularization_losses()
        if penalties:
            found["Loss/regularization_loss"] = scale * tf.add_n(float32(penalties))
    found[TOTAL] = tf.add_n(list(found.values()))
    return found


def losses_of(model, features, labels, config, step):
    """The losses alone, of one device's batch; arguments and result as those of `losses`."""
    set_training(model, True)
    return losses(model, features, labels, config, step)


def float32(tensors):
    """The same nested tensors, those of fewer bits as float32."""
    return tf.nest.map_structure(
        lambda tensor: tf.cast(tensor, tf.float32)
        if isinstance(tensor, tf.Tensor) and tensor.dtype in (tf.float16, tf.bfloat16) else tensor, tensors)


def _over_replicas(model, matches):
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1 or not model._normalize_loss_by_num_matches:
        return matches
    return context.all_reduce(tf.distribute.ReduceOp.SUM, matches)
