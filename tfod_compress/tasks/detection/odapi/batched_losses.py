"""A detector's losses on a batch: the numbers of model_lib_v2, without its loop over the images where there is a way.

For SSD (Liu et al., ECCV 2016; focal loss: Lin et al., ICCV 2017, equation 5) targets and hard example mining are
computed for the whole batch. Other detectors go through their own `loss`.
"""

import tensorflow as tf

from tfod_compress.tasks.detection.odapi import batched_mining, batched_targets

# Labels without a row for each box.
PER_IMAGE = ("num_groundtruth_boxes", "groundtruth_labeled_classes", "groundtruth_image_classes",
             "groundtruth_verified_neg_classes", "groundtruth_not_exhaustive_classes")


def supported(model, labels):
    """Whether `ssd` computes what the model's own loss does; else that one must be called."""
    from object_detection.core import standard_fields
    from object_detection.meta_architectures.ssd_meta_arch import SSDMetaArch

    return (type(model).loss is SSDMetaArch.loss and batched_targets.supported(model._target_assigner)
            and not model._use_confidences_as_targets and not model._expected_loss_weights_fn
            and standard_fields.InputDataFields.groundtruth_keypoints not in labels)


def ssd_targets(model, labels, unpad):
    """What a batch asks of an SSD; `model.anchors` must be set, as `model.predict` does.

    Args:
      model: SSDMetaArch for which `supported` holds.
      labels: dictionary of padded ground truth [B, N, …], as object_detection.inputs.train_input gives it.
      unpad: train_config.unpad_groundtruth_tensors.

    Returns:
      batched_targets.Targets.
    """
    from object_detection.core.standard_fields import InputDataFields as Fields

    counts = labels[Fields.num_groundtruth_boxes]
    # Most rows are padding. Fewer of them mean less work and the same targets: padding overlaps nothing.
    rows = tf.maximum(tf.reduce_max(counts), 1)
    boxes, classes, weights = (labels[field][:, :rows] for field in (
        Fields.groundtruth_boxes, Fields.groundtruth_classes, Fields.groundtruth_weights))
    if model._add_background_class:
        classes = tf.pad(classes, [[0, 0], [0, 0], [1, 0]])
    targets = batched_targets.assign(model._target_assigner, model.anchors.get(), boxes, classes, weights,
                                     counts if unpad else None, model._unmatched_class_label)
    if model._random_example_sampler:
        weights = tf.tile(targets.class_weights[..., tf.newaxis], [1, 1, tf.shape(targets.classes)[-1]])
        sampled = tf.map_fn(model._minibatch_subsample_fn, [targets.classes, tf.reduce_mean(weights, axis=-1)],
                            fn_output_signature=tf.bool)
        sampled = tf.cast(sampled, tf.float32)
        targets = targets._replace(class_weights=sampled * targets.class_weights,
                                   code_weights=sampled * targets.code_weights)
    return targets


def ssd_matches(model, targets):
    """float32 []: how many anchors the losses of a batch are divided by, before it is kept from being 0."""
    return tf.reduce_sum(targets.code_weights) if model._normalize_loss_by_num_matches else tf.constant(1.0)


def ssd(model, predictions, targets, matches):
    """Losses of an SSD.

    Args:
      model: SSDMetaArch for which `supported` holds.
      predictions: what `model.predict` gave, in float32.
      targets: batched_targets.Targets of the same images.
      matches: `ssd_matches` of all images that make up the step, of which these may be a part. Losses of the parts
        then add up to those of the whole.

    Returns:
      {"Loss/localization_loss", "Loss/classification_loss"}: float32 [].
    """
    location_losses = model._localization_loss(
        predictions["box_encodings"], targets.codes, ignore_nan_targets=True, weights=targets.code_weights)
    class_losses = model._classification_loss(
        predictions["class_predictions_with_background"], targets.classes,
        weights=targets.class_weights[..., tf.newaxis])
    if class_losses.shape.rank > 2:
        class_losses = tf.reduce_sum(class_losses, axis=list(range(2, class_losses.shape.rank)))
    if model._hard_example_miner:
        boxes, _ = model._batch_decode(predictions["box_encodings"], model.anchors.get())
        hard = batched_mining.mine(model._hard_example_miner, location_losses, class_losses, boxes, targets.match)
        location_losses, class_losses = (tf.where(hard, loss, 0.0) for loss in (location_losses, class_losses))
    normalizer = tf.maximum(matches, 1.0)
    code_size = model._box_coder.code_size if model._normalize_loc_loss_by_codesize else 1
    return {
        "Loss/localization_loss":
            model._localization_loss_weight / (normalizer * code_size) * tf.reduce_sum(location_losses),
        "Loss/classification_loss": model._classification_loss_weight / normalizer * tf.reduce_sum(class_losses)}


def provide(model, labels, unpad, step):
    """Tells a model the ground truth of a batch, image by image, as its own `predict` and `loss` want it.

    Args:
      model: DetectionModel.
      labels: dictionary of padded ground truth [B, N, …].
      unpad: train_config.unpad_groundtruth_tensors.
      step: the training step.
    """
    from object_detection import model_lib
    from object_detection.meta_architectures.faster_rcnn_meta_arch import FasterRCNNMetaArch

    if not unpad and isinstance(model, FasterRCNNMetaArch):
        # Most rows are padding of weight 0, which matches nothing but is compared with every anchor.
        rows = tf.maximum(tf.reduce_max(labels["num_groundtruth_boxes"]), 1)
        labels = {name: tensor if name in PER_IMAGE else tensor[:, :rows] for name, tensor in labels.items()}
    model_lib.provide_groundtruth(model, model_lib.unstack_batch(labels, unpad_groundtruth_tensors=unpad),
                                  training_step=step)
