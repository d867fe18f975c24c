"""SSD's training targets for a whole batch at once.

The OD API (core/target_assigner.py, matchers/argmax_matcher.py) assigns targets image by image and unrolls the loop
into the graph: at the batch of 128 of the published SSD recipe that is most of 44,000 nodes and minutes of tracing.
Here the same targets come from a constant number of ops on padded ground truth, to the same bits.
"""

import typing

import tensorflow as tf


class Targets(typing.NamedTuple):
    """What B images ask of A anchors.

    Attributes:
      classes: float32 [B, A, C], one-hot (or k-hot) with the background class first where the model has one.
      class_weights: float32 [B, A].
      codes: float32 [B, A, code size], the matched boxes relative to their anchors; zeros where none is matched.
      code_weights: float32 [B, A].
      match: int32 [B, A], the row of the matched box, -1 for background, -2 for ignored.
    """

    classes: tf.Tensor
    class_weights: tf.Tensor
    codes: tf.Tensor
    code_weights: tf.Tensor
    match: tf.Tensor


def supported(assigner):
    """Whether `assign` knows how to do what a TargetAssigner does."""
    from object_detection.box_coders.keypoint_box_coder import KeypointBoxCoder
    from object_detection.core.region_similarity_calculator import IouSimilarity
    from object_detection.matchers.argmax_matcher import ArgMaxMatcher

    matcher = assigner._matcher
    # With thresholds above 0 padding, whose overlap is 0, cannot be matched to an anchor.
    return (type(assigner._similarity_calc) is IouSimilarity and type(matcher) is ArgMaxMatcher
            and not isinstance(assigner.get_box_coder(), KeypointBoxCoder)
            and matcher._matched_threshold is not None and matcher._unmatched_threshold > 0)


def assign(assigner, anchors, boxes, classes, weights, counts, unmatched_class):
    """Targets of a batch.

    Args:
      assigner: object_detection.core.target_assigner.TargetAssigner for which `supported` holds.
      anchors: float32 [A, 4], (ymin, xmin, ymax, xmax).
      boxes: float32 [B, N, 4], padded with zeros.
      classes: float32 [B, N, C].
      weights: float32 [B, N], zeros for padding.
      counts: int32 [B], how many rows of each image hold a box, for images without any to have no row at all (the
        OD API's `unpad_groundtruth_tensors`); or None, where padding counts as a row that nothing matches.
      unmatched_class: float32 [C], what an anchor without a box is to predict.

    Returns:
      Targets.
    """
    from object_detection.core.box_list import BoxList

    match = _match(assigner._matcher, iou(boxes, anchors), weights, counts)
    matched, row = match >= 0, tf.maximum(match, 0)

    def of_match(values, otherwise):
        found = tf.gather(values, row, batch_dims=1)
        return tf.where(tf.reshape(matched, tf.concat([tf.shape(matched), [1] * (found.shape.rank - 2)], 0)),
                        found, otherwise)

    batch, count = tf.unstack(tf.shape(match))
    coder = assigner.get_box_coder()
    every_anchor = tf.reshape(tf.tile(anchors[tf.newaxis], [batch, 1, 1]), [-1, 4])
    codes = coder.encode(BoxList(tf.reshape(of_match(boxes, 0.0), [-1, 4])), BoxList(every_anchor))
    codes = tf.reshape(codes, [batch, count, coder.code_size])
    background = tf.where(match == -1, tf.constant(assigner._negative_class_weight, tf.float32), 0.0)
    return Targets(classes=of_match(classes, unmatched_class), class_weights=of_match(weights, background),
                   codes=tf.where(matched[..., tf.newaxis], codes, 0.0), code_weights=of_match(weights, 0.0),
                   match=match)


def iou(boxes, anchors):
    """Intersection over union.

    Args:
      boxes: float32 [B, N, 4].
      anchors: float32 [A, 4].

    Returns:
      float32 [B, N, A]; 0 where nothing intersects, as core/box_list_ops.py has it.
    """
    ymin, xmin, ymax, xmax = (edge[..., tf.newaxis] for edge in tf.unstack(boxes, axis=-1))
    anchor_ymin, anchor_xmin, anchor_ymax, anchor_xmax = tf.unstack(anchors, axis=-1)
    height = tf.maximum(0.0, tf.minimum(ymax, anchor_ymax) - tf.maximum(ymin, anchor_ymin))
    width = tf.maximum(0.0, tf.minimum(xmax, anchor_xmax) - tf.maximum(xmin, anchor_xmin))
    intersection = height * width
    anchor_area = (anchor_ymax - anchor_ymin) * (anchor_xmax - anchor_xmin)
    union = (ymax - ymin) * (xmax - xmin) + anchor_area - intersection
    return tf.where(intersection == 0.0, 0.0, intersection / union)


def _match(matcher, similarity, weights, counts):
    """int32 [B, A] as Targets.match, by ArgMaxMatcher's rules; ties go to the first row, and to the first anchor."""
    shape = tf.shape(similarity)
    batch, rows, anchors = shape[0], shape[1], shape[2]
    best = tf.reduce_max(similarity, axis=1)
    number = tf.range(rows)[tf.newaxis, :, tf.newaxis]
    match = tf.reduce_min(tf.where(similarity == best[:, tf.newaxis], number, rows), axis=1)
    below = matcher._unmatched_threshold > best
    between = (best >= matcher._unmatched_threshold) & (matcher._matched_threshold > best)
    low, middle = (-1, -2) if matcher._negatives_lower_than_unmatched else (-2, -1)
    match = tf.where(below, low, tf.where(between, middle, match))
    if matcher._force_match_for_each_row:
        # Every box with a weight gets the anchor that overlaps it most; the first box, where two want the same.
        anchor = tf.argmax(similarity, axis=2, output_type=tf.int32)
        place = tf.where(weights > 0, tf.range(batch)[:, tf.newaxis] * anchors + anchor, -1)
        wanted = tf.tile(tf.range(rows)[tf.newaxis], [batch, 1])
        forced = tf.reshape(tf.math.unsorted_segment_min(wanted, place, batch * anchors), [batch, anchors])
        match = tf.where(forced < rows, forced, match)
    if counts is not None:
        match = tf.where(counts[:, tf.newaxis] > 0, match, -1)
    return match
