"""Why detections are wrong, and what each kind of error costs: TIDE, and a confusion matrix with background.

Bolya, Foley, Hays and Hoffman, TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020: every
false positive has one main error (section 2.2), and its cost is the AP50 gained when an oracle mends all errors of
that kind and nothing else (section 2.3).
"""

import numpy as np

from tfod_compress.tasks.detection.metrics.curves import Curve, coco_average_precision
from tfod_compress.tasks.detection.metrics.strata import mean

FOREGROUND, BACKGROUND = 0.5, 0.1  # the paper's IoU thresholds t_f and t_b
KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")


def tide(matches):
    """The error split.

    Args:
      matches: Matches.

    Returns:
      {"ap50": COCO AP at IoU 0.5, "cost": {kind: AP50 that mending it gains}, "count": {kind: errors},
      "false_positives", "false_negatives": AP50 gained without any of them}. The costs need not add up: mending one
      kind uncovers another.
    """
    hit, ignored = matches.coco.true_positive[0], matches.coco.ignored[0]
    counted, found = matches.coco.counted, matches.coco.found[0]
    near = _nearest(matches)
    kind, target = _main_errors(near, ~hit & ~ignored)
    # An oracle gives an object only to its best-scored claimant, and only if nothing else has found it.
    claims = (kind == KINDS.index("classification")) | (kind == KINDS.index("localisation"))
    claims &= ~found[target]
    missed = counted & ~found
    missed[target[claims]] = False

    def ap50(d_class=matches.d_class, hits=hit, kept=~ignored, objects=counted):
        values = []
        for number in range(len(matches.classes)):
            mine = np.nonzero(d_class == number)[0]
            curve = Curve(matches.d_score[mine], np.zeros(len(mine), np.int64), hits[mine], ~kept[mine])
            count = np.array([np.count_nonzero(objects & (matches.g_class == number))], np.float64)
            values.append(coco_average_precision(curve, np.ones((1, 1)), count)[0])
        return mean(np.array(values)) or 0.0

    base, cost = ap50(), {}
    for number, name in enumerate(KINDS):
        these = kind == number
        if name == "missed":
            cost[name] = ap50(objects=counted & ~missed) - base
            continue
        kept, hits, d_class = ~ignored & ~these, hit.copy(), matches.d_class.copy()
        if name in ("classification", "localisation"):
            winners = _first_by_score(matches.d_score, target, these & claims)
            kept[winners] = hits[winners] = True
            d_class[winners] = matches.g_class[target[winners]]
        cost[name] = ap50(d_class, hits, kept) - base
    count = {name: int((kind == number).sum()) for number, name in enumerate(KINDS)} | {"missed": int(missed.sum())}
    return {"ap50": base, "cost": cost, "count": count,
            "false_positives": ap50(kept=~ignored & hit) - base,
            "false_negatives": ap50(objects=counted & found) - base}


def confusion(matches, score_threshold):
    """The confusion matrix with background at a score threshold and IoU >= 0.5.

    Its diagonal holds the true positives of precision and recall. What is left then pairs up regardless of class:
    in falling order of score a detection takes the free object that it overlaps most. Difficult objects, and what
    found them, take no part.

    Returns:
      {"score_threshold", "classes": names and "background", "matrix"}: matrix[i][j] counts objects of class i seen
      as class j; the last row are detections of nothing, the last column objects that were not seen.
    """
    names = [matches.ground_truth.class_names[int(number)] for number in matches.classes]
    size = len(names) + 1
    matrix = np.zeros((size, size), np.int64)
    voc = matches.voc
    active = (matches.d_score >= score_threshold) & ~voc.ignored
    correct = active & voc.true_positive
    np.add.at(matrix, (matches.d_class[correct], matches.d_class[correct]), 1)
    free = ~matches.g_difficult
    free[voc.matched[correct]] = False
    left = active & ~correct
    for block in matches.image_blocks:
        for rank in range(block.detections.shape[1]):
            rows = np.nonzero(block.detections[:, rank] >= 0)[0]
            rows = rows[left[block.detections[rows, rank]]]
            if not len(rows):
                continue
            iou = np.where(free[block.objects[rows]], block.iou[rows, rank], -1.0)
            best = iou.argmax(axis=1)
            taken = iou[np.arange(len(rows)), best] >= FOREGROUND
            detections, objects = block.detections[rows[taken], rank], block.objects[rows[taken], best[taken]]
            np.add.at(matrix, (matches.g_class[objects], matches.d_class[detections]), 1)
            free[objects] = left[detections] = False
    np.add.at(matrix, (np.full(left.sum(), size - 1), matches.d_class[left]), 1)
    np.add.at(matrix, (matches.g_class[free], np.full(free.sum(), size - 1)), 1)
    return {"score_threshold": score_threshold, "classes": [*names, "background"], "matrix": matrix.tolist()}


def _nearest(matches):
    """For every detection the largest IoU with objects of its own and of other classes, and with which."""
    count = len(matches.d_boxes)
    result = {name: (np.zeros(count), np.zeros(count, np.int64)) for name in ("own", "other")}
    for block in matches.image_blocks:
        same = matches.d_class[block.detections][:, :, None] == matches.g_class[block.objects][:, None]
        iou = np.where(matches.g_crowd[block.objects][:, None], -1.0, block.iou)
        present = block.detections >= 0
        detections = block.detections[present]
        for name, chosen in (("own", same), ("other", ~same)):
            candidates = np.where(chosen, iou, -1.0)
            best = candidates.argmax(axis=2)
            value = np.take_along_axis(candidates, best[:, :, None], axis=2)[:, :, 0]
            objects = np.take_along_axis(block.objects, best, axis=1)
            result[name][0][detections] = np.maximum(value[present], 0.0)
            result[name][1][detections] = np.maximum(objects[present], 0)
    return result


def _main_errors(near, wrong):
    """The kind of every wrong detection (index into KINDS, -1 elsewhere), int64 [D], and the object it is about."""
    (own, own_object), (other, other_object) = near["own"], near["other"]
    kind = np.full(len(own), -1)
    for name, holds in (  # in the order of the paper's implementation; the first that holds is the main one
            ("localisation", (own >= BACKGROUND) & (own < FOREGROUND)),
            ("classification", other >= FOREGROUND),
            ("duplicate", own >= FOREGROUND),
            ("background", np.maximum(own, other) < BACKGROUND),
            ("both", np.ones(len(own), bool))):
        kind[wrong & holds & (kind < 0)] = KINDS.index(name)
    return kind, np.where(kind == KINDS.index("classification"), other_object, own_object)


def _first_by_score(scores, target, chosen):
    """Of the detections that `chosen` (bool [D]) marks, the best-scored one for each target; indices."""
    indices = np.nonzero(chosen)[0]
    indices = indices[np.argsort(-scores[indices], kind="stable")]
    return indices[np.unique(target[indices], return_index=True)[1]]
