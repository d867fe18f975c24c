"""Which detection found which object, for all images at once, under VOC's and COCO's rules.

Both protocols match within one image and one class. Detections are kept in one order for everything: by class,
then image, then falling score (ties in the order given). Overlaps are computed once, in blocks of (image, class)
pairs that have both objects and detections, padded to the largest of the block.
"""

import dataclasses
import functools

import numpy as np

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
COCO_MAX_DETECTIONS = 100  # of one class on one image
BLOCK = 1 << 19  # padded overlaps held at once
NO_MATCH = -1


@dataclasses.dataclass(frozen=True)
class Block:
    """P (image, class) pairs: indices [P, D] and [P, G] (-1 pads) and overlaps [P, D, G] (-1 pads)."""

    detections: np.ndarray
    objects: np.ndarray
    iou: np.ndarray
    crowd_iou: np.ndarray  # intersection over the detection's own area where the object is a crowd


@dataclasses.dataclass(frozen=True)
class VocMatch:
    """`true_positive` and `ignored`, bool [D]; `matched`, int64 [D]: the object found, or -1."""

    true_positive: np.ndarray
    ignored: np.ndarray
    matched: np.ndarray


@dataclasses.dataclass(frozen=True)
class CocoMatch:
    """For T IoU thresholds.

    Attributes:
      true_positive: bool [T, D].
      ignored: bool [T, D].
      counted: bool [N], objects that count.
      found: bool [T, N], objects that a detection took.
    """

    true_positive: np.ndarray
    ignored: np.ndarray
    counted: np.ndarray
    found: np.ndarray


class Matches:
    """Ground truth and detections side by side, sorted, with their overlaps.

    Attributes (D detections, N objects, sorted as the module says; objects by class, then image):
      classes: int64 [C], all class ids, ascending; `d_class`, `g_class` are indices into it.
      d_image, d_class: int64 [D]; d_score: float64 [D]; d_rank: int64 [D], place within image and class.
      d_order, g_order: the sorting permutations of the arrays given.
      d_boxes: float64 [D, 4]; g_boxes: float64 [N, 4], (x, y, width, height) in pixels.
      g_image, g_class: int64 [N]; g_difficult, g_crowd: bool [N]; g_area: float64 [N].
    """

    def __init__(self, ground_truth, detections):
        """Sorts and checks; raises InputError where the detections do not fit the ground truth."""
        detections.check(ground_truth)
        self.ground_truth = ground_truth
        self.detections = detections
        self.images = len(ground_truth.image_ids)
        self.classes = np.array(sorted(ground_truth.class_names), np.int64)

        d_class = np.searchsorted(self.classes, detections.class_ids)
        order = np.lexsort((-detections.scores, detections.image, d_class))
        self.d_order = order
        self.d_image, self.d_class = detections.image[order], d_class[order]
        self.d_score, self.d_boxes = detections.scores[order], detections.boxes[order]
        self.d_area = self.d_boxes[:, 2] * self.d_boxes[:, 3]
        d_pair = self.d_class * self.images + self.d_image

        g_class = np.searchsorted(self.classes, ground_truth.class_ids)
        order = np.lexsort((ground_truth.image, g_class))
        self.g_order = order
        self.g_image, self.g_class = ground_truth.image[order], g_class[order]
        self.g_boxes, self.g_area = ground_truth.boxes[order], ground_truth.areas[order]
        self.g_difficult, self.g_crowd = ground_truth.difficult[order], ground_truth.is_crowd[order]
        g_pair = self.g_class * self.images + self.g_image

        self.d_rank = np.arange(len(d_pair)) - np.searchsorted(d_pair, d_pair)
        self._blocks = pair_blocks(d_pair, self.d_boxes, g_pair, self.g_boxes, self.g_crowd)

    @functools.cached_property
    def image_blocks(self):
        """Blocks of whole images, all classes together; detections of an image in falling order of score."""
        detections = np.lexsort((-self.d_score, self.d_image))
        objects = np.argsort(self.g_image, kind="stable")
        blocks = pair_blocks(self.d_image[detections], self.d_boxes[detections], self.g_image[objects],
                             self.g_boxes[objects], self.g_crowd[objects])
        return [dataclasses.replace(
            block, detections=np.where(block.detections < 0, -1, detections[block.detections]),
            objects=np.where(block.objects < 0, -1, objects[block.objects])) for block in blocks]

    @functools.cached_property
    def voc(self):
        """VocMatch at IoU >= 0.5."""
        return voc_match(self, 0.5)

    @functools.cached_property
    def coco(self):
        """CocoMatch of all sizes at COCO's ten thresholds."""
        return coco_match(self, np.ones(len(self.g_boxes), bool), np.ones(len(self.d_boxes), bool))


def voc_match(matches, threshold):
    """VOC's rule as the OD API has it (object_detection/utils/per_image_evaluation.py).

    Every detection looks only at the object of its class that it overlaps most (the first of equals). Reaching
    `threshold` there, it is ignored if that object is difficult, true if it is the best-scored one to reach it,
    and false otherwise. Detections without extent are ignored.
    """
    count = len(matches.d_boxes)
    matched = np.full(count, NO_MATCH, np.int64)
    true_positive = np.zeros(count, bool)
    ignored = (matches.d_boxes[:, 2:] <= 0).any(axis=1)
    for block in matches._blocks:
        best = block.iou.argmax(axis=2)
        reached = np.take_along_axis(block.iou, best[:, :, None], axis=2)[:, :, 0] >= threshold
        pair, rank = np.nonzero(reached)  # row by row, so in falling order of score within a pair
        detection, found = block.detections[pair, rank], block.objects[pair, best[pair, rank]]
        valid = ~ignored[detection]
        detection, found = detection[valid], found[valid]
        matched[detection] = found
        ignored[detection] = matches.g_difficult[found]
        _, first = np.unique(found, return_index=True)
        true_positive[detection[first]] = True
    true_positive &= ~ignored
    return VocMatch(true_positive, ignored, matched)


def coco_match(matches, g_inside, d_inside, thresholds=COCO_THRESHOLDS, max_detections=COCO_MAX_DETECTIONS):
    """COCO's rule (pycocotools' COCOeval.evaluateImg) at several IoU thresholds.

    In falling order of score every detection takes the free object of its class that it overlaps most (the last
    of equals), one that counts if any reaches the threshold, else an ignored one; crowds stay free. What takes
    an ignored object is ignored, and so is what takes none and lies outside the stratum looked at.

    Args:
      matches: Matches.
      g_inside: bool [N], objects of the stratum (a size class, say); others and crowds are ignored.
      d_inside: bool [D], detections of the stratum.
      thresholds: float64 [T].
      max_detections: detections of one class on one image beyond this many are dropped (ignored).

    Returns:
      CocoMatch.
    """
    number, count = len(thresholds), len(matches.d_boxes)
    g_ignored = matches.g_crowd | ~g_inside
    taken_by_object = np.zeros((number, count), bool)
    ignored = np.zeros((number, count), bool)
    object_taken = np.zeros((number, len(matches.g_boxes)), bool)
    lowest = np.minimum(thresholds, 1 - 1e-10)[:, None, None]
    for block in matches._blocks:
        present = block.objects >= 0
        # Padding (-1) never reaches a threshold, whatever these say about it.
        counts = present & ~g_ignored[block.objects]
        crowd = present & matches.g_crowd[block.objects]
        free = np.broadcast_to(present, (number, *present.shape)).copy()
        for rank in range(min(block.detections.shape[1], max_detections)):
            pairs = np.nonzero(block.detections[:, rank] >= 0)[0]
            iou = block.crowd_iou[pairs, rank]
            reaches = free[:, pairs] & (iou >= lowest)
            if not reaches.any():
                continue
            real = reaches & counts[pairs]
            has_real = real.any(axis=2)
            candidates = np.where(has_real[:, :, None], real, reaches)
            found = _last_largest(iou, candidates)
            row, column = np.nonzero(candidates.any(axis=2))
            chosen, pair = found[row, column], pairs[column]
            detection = block.detections[pair, rank]
            taken_by_object[row, detection] = True
            object_taken[row, block.objects[pair, chosen]] = True
            ignored[row, detection] = ~has_real[row, column]
            free[row, pair, chosen] = crowd[pair, chosen]
    ignored |= ~taken_by_object & ~d_inside
    ignored[:, matches.d_rank >= max_detections] = True
    return CocoMatch(taken_by_object & ~ignored, ignored, ~g_ignored, object_taken)


def _last_largest(iou, candidates):
    """The last place [T, P] of the largest `iou` [P, G] among `candidates` [T, P, G]."""
    values = np.where(candidates, iou, -np.inf)[:, :, ::-1]
    return values.shape[2] - 1 - values.argmax(axis=2)


def overlaps(a, b):
    """Intersections and unions of boxes, both broadcast: a [..., 4] against b [..., 4] (x, y, width, height)."""
    width = np.minimum(a[..., 0] + a[..., 2], b[..., 0] + b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 1] + a[..., 3], b[..., 1] + b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    intersection = np.where((width > 0) & (height > 0), width * height, 0.0)
    return intersection, a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - intersection


def ratio(a, b):
    """a / b, and 0 where a is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=a > 0)


def pair_blocks(d_pair, d_boxes, g_pair, g_boxes, g_crowd):
    """The pairs with both objects and detections, like-sized ones together in blocks of bounded memory.

    Args:
      d_pair: int64 [D], ascending, which pair (image and class, say) each detection belongs to.
      d_boxes: float64 [D, 4].
      g_pair: int64 [N], ascending.
      g_boxes: float64 [N, 4].
      g_crowd: bool [N].

    Returns:
      list of Block.
    """
    pairs = np.intersect1d(d_pair, g_pair)
    if not len(pairs):
        return []
    d_start, g_start = np.searchsorted(d_pair, pairs), np.searchsorted(g_pair, pairs)
    d_count = np.searchsorted(d_pair, pairs, side="right") - d_start
    g_count = np.searchsorted(g_pair, pairs, side="right") - g_start
    order = np.lexsort((g_count, d_count))[::-1]
    blocks, start = [], 0
    while start < len(order):
        # Detections fall along `order`, so the first pair has the most; objects may still grow within the block.
        most = d_count[order[start]]
        stop = start + 1
        widest = g_count[order[start]]
        while stop < len(order):
            wider = max(widest, g_count[order[stop]])
            if (stop + 1 - start) * most * wider > BLOCK or 2 * d_count[order[stop]] < most:
                break
            widest, stop = wider, stop + 1
        chosen = order[start:stop]
        detections = _padded(d_start[chosen], d_count[chosen])
        objects = _padded(g_start[chosen], g_count[chosen])
        intersection, union = overlaps(d_boxes[detections][:, :, None], g_boxes[objects][:, None])
        iou = ratio(intersection, union)
        crowd_iou = iou
        if g_crowd.any():
            own = ratio(intersection, d_boxes[detections][:, :, None, 2:].prod(axis=-1))
            crowd_iou = np.where(g_crowd[objects][:, None], own, iou)
        absent = (detections < 0)[:, :, None] | (objects < 0)[:, None]
        blocks.append(Block(detections, objects, np.where(absent, -1.0, iou), np.where(absent, -1.0, crowd_iou)))
        start = stop
    return blocks


def _padded(start, count):
    """int64 [P, max(count)]: start, start + 1, ... of every row, then -1."""
    steps = np.arange(count.max())
    return np.where(steps < count[:, None], start[:, None] + steps, -1)
