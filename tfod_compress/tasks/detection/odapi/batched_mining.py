"""Hard example mining for a whole batch at once: what losses.HardExampleMiner selects, in a fixed number of ops.

The miner (Liu et al., "SSD", ECCV 2016, section 2.2; OD API, core/losses.py) sorts an image's anchors by loss, runs
non-maximum suppression over their predicted boxes, and keeps the positive ones and three times as many negative ones.
Suppression compares each anchor with all kept before it. With the recipe's threshold of 0.99 hardly any two boxes
overlap so much, and a bound on how far such boxes can lie apart leaves few pairs to compare.
"""

import tensorflow as tf

SPARSE_FROM = 0.9  # IoU threshold from which comparing near pairs is less work than comparing all
MAX_PAIRS = 2_000_000  # near pairs in a batch beyond which (boxes that have all collapsed) one image is done at a time
DIRECTION = (1.0, 0.754877666, 0.569840291, -0.682327804)  # of (ymin, xmin, ymax, xmax); spreads a grid of boxes


def mine(miner, location_losses, class_losses, boxes, match):
    """Which anchors count.

    Args:
      miner: object_detection.core.losses.HardExampleMiner.
      location_losses: float32 [B, A].
      class_losses: float32 [B, A].
      boxes: float32 [B, A, 4], the predicted ones.
      match: int32 [B, A], -1 for background, -2 for ignored, else positive.

    Returns:
      bool [B, A].
    """
    scores = class_losses
    if miner._loss_type == "loc":
        scores = location_losses
    elif miner._loss_type == "both":
        scores = class_losses * miner._cls_loss_weight + location_losses * miner._loc_loss_weight
    scores, boxes = tf.stop_gradient(scores), tf.stop_gradient(boxes)
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    kept = suppress(tf.gather(boxes, order, batch_dims=1), tf.gather(scores, order, batch_dims=1),
                    miner._iou_threshold)
    if miner._num_hard_examples is not None:
        kept &= _count(kept) <= miner._num_hard_examples
    if miner._max_negatives_per_positive is not None:
        sorted_match = tf.gather(match, order, batch_dims=1)
        positive = kept & (sorted_match >= 0)
        positives = tf.reduce_sum(tf.cast(positive, tf.int32), axis=1, keepdims=True)
        negatives = tf.maximum(miner._min_negatives_per_image, tf.cast(
            miner._max_negatives_per_positive * tf.cast(positives, tf.float32), tf.int32))
        kept = positive | (kept & (_count(kept & (sorted_match == -1)) <= negatives))
    # The order of an image is a permutation; that of all images is one too, and its inverse leads back.
    flat = tf.reshape(order + tf.range(tf.shape(order)[0])[:, tf.newaxis] * tf.shape(order)[1], [-1])
    kept = tf.gather(tf.reshape(kept, [-1]), tf.math.invert_permutation(flat))
    return tf.reshape(kept, tf.shape(order))


def suppress(boxes, scores, threshold):
    """Greedy non-maximum suppression of images whose boxes are sorted, the best first.

    Args:
      boxes: float32 [B, A, 4], two opposite corners in any order.
      scores: float32 [B, A], falling; a box whose score is NaN or -inf is neither kept nor suppresses any.
      threshold: float, IoU above which a box suppresses a later one.

    Returns:
      bool [B, A], the kept ones: exactly those of tf.image.non_max_suppression without a limit on their number.
    """
    candidate = scores > -float("inf")
    if threshold < SPARSE_FROM:
        return _suppress_each(boxes, scores, threshold)
    first, second, pairs = _near(boxes, candidate, threshold)
    return tf.cond(pairs <= MAX_PAIRS, lambda: _suppress_pairs(boxes, candidate, first, second, threshold),
                   lambda: _suppress_each(boxes, scores, threshold))


def _suppress_each(boxes, scores, threshold):
    """`suppress` by TensorFlow's kernel, one image after another; the graph holds it once."""
    count = tf.shape(scores)[1]

    def one(image):
        kept = tf.image.non_max_suppression(image[0], image[1], count, threshold)
        return tf.scatter_nd(kept[:, tf.newaxis], tf.ones_like(kept), [count]) > 0

    return tf.map_fn(one, (boxes, scores), fn_output_signature=tf.bool)


def _near(boxes, candidate, threshold):
    """Windows that hold every pair of boxes whose IoU can exceed the threshold.

    IoU is at most the overlap of the boxes' extents in y over their span in y. For it to exceed t,
    |ymin - ymin'| + |ymax - ymax'| must be below (1 - t) / t times either height, and so for x. A projection of the
    four edges with weights of at most 1 then moves by less than (1 - t) / t (height + width).

    Returns:
      (order int32 [B, A] by projection, end int32 [B, A]: each box's window goes from the next to before this one,
      the number of pairs int64).
    """
    ymin, xmin, ymax, xmax, area = _corners(boxes)
    place = DIRECTION[0] * ymin + DIRECTION[1] * xmin + DIRECTION[2] * ymax + DIRECTION[3] * xmax
    reach = 1.001 * (1 - threshold) / threshold * (ymax - ymin + xmax - xmin)
    reach += 4e-6 * (tf.abs(ymin) + tf.abs(xmin) + tf.abs(ymax) + tf.abs(xmax))  # rounding of `place`
    usable = candidate & (area > 0) & tf.math.is_finite(area) & tf.math.is_finite(place + reach)
    place = tf.where(usable, place, place.dtype.max)
    order = tf.argsort(place)
    place = tf.gather(place, order, batch_dims=1)
    reach = tf.gather(tf.where(usable, reach, 0.0), order, batch_dims=1)
    end = tf.searchsorted(place, place + reach, side="right")
    end = tf.where(tf.gather(usable, order, batch_dims=1), end, 0)
    after = tf.range(1, tf.shape(end)[1] + 1)
    return order, end, tf.reduce_sum(tf.cast(tf.maximum(end - after, 0), tf.int64))


def _suppress_pairs(boxes, candidate, order, end, threshold):
    batch, count = tf.shape(order)[0], tf.shape(order)[1]
    flat_order = tf.reshape(order + tf.range(batch)[:, tf.newaxis] * count, [-1])
    pairs_of = tf.reshape(tf.maximum(end - tf.range(1, count + 1), 0), [-1])
    first = tf.repeat(tf.range(batch * count), pairs_of)
    offset = tf.range(tf.size(first)) - tf.gather(tf.cumsum(pairs_of, exclusive=True), first)
    one, other = tf.gather(flat_order, first), tf.gather(flat_order, first + 1 + offset)

    ymin, xmin, ymax, xmax, area = _corners(tf.reshape(boxes, [-1, 4]))
    table = tf.stack([ymin, xmin, ymax, xmax, area], axis=1)
    ymin, xmin, ymax, xmax, area = tf.unstack(tf.gather(table, one), axis=1)
    ymin_2, xmin_2, ymax_2, xmax_2, area_2 = tf.unstack(tf.gather(table, other), axis=1)
    intersection = (tf.maximum(tf.minimum(ymax, ymax_2) - tf.maximum(ymin, ymin_2), 0.0)
                    * tf.maximum(tf.minimum(xmax, xmax_2) - tf.maximum(xmin, xmin_2), 0.0))
    overlap = tf.where(intersection / (area + area_2 - intersection) > threshold)[:, 0]
    better = tf.gather(tf.minimum(one, other), overlap)
    worse = tf.gather(tf.maximum(one, other), overlap)
    candidate = tf.reshape(candidate, [-1])

    def again(kept, _):
        # A box is kept when no better one that overlaps it is; n rounds settle chains of n boxes.
        by_kept = tf.cast(tf.gather(kept, better), tf.int32)
        next_kept = candidate & ~(tf.math.unsorted_segment_max(by_kept, worse, batch * count) > 0)
        return next_kept, tf.reduce_any(next_kept != kept)

    kept, _ = tf.while_loop(lambda _, changed: changed, again, (candidate, tf.constant(True)))
    return tf.reshape(kept, [batch, count])


def _corners(boxes):
    """(ymin, xmin, ymax, xmax, area), each [...], of boxes [..., 4] with corners in any order."""
    y, x, y_2, x_2 = tf.unstack(boxes, axis=-1)
    ymin, ymax, xmin, xmax = tf.minimum(y, y_2), tf.maximum(y, y_2), tf.minimum(x, x_2), tf.maximum(x, x_2)
    return ymin, xmin, ymax, xmax, (ymax - ymin) * (xmax - xmin)


def _count(mask):
    return tf.cumsum(tf.cast(mask, tf.int32), axis=1)
