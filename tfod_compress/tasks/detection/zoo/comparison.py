"""Whether two detectors find the same: detections matched by class and overlap, and how far they lie apart."""

import dataclasses

import numpy as np

BOUND = 1e-3  # of boxes, as fractions of the picture's sides, and of scores
THRESHOLD = 0.05  # what is compared has at least this score …
AT_LEAST = 10  # … unless fewer in all have: then the highest-scored of every picture are, this many
_OVERLAP = 0.5  # IoU below which a detection is no counterpart


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was compared, and the result.

    Attributes:
      compared: detections of either side that were to have a counterpart on the other; a pair counts once.
      reached: how many of those have THRESHOLD or more.
      alone: how many have no counterpart.
      cut: detections that are not counted: alone, but no surer than the last of the other side's equally long list, so
        that theirs may have fallen off its end.
      box: largest difference of a coordinate in a pair.
      score: largest difference of the scores in a pair.
      picture: name of the picture with the largest difference; None where all are alike.
    """

    compared: int
    reached: int
    alone: int
    cut: int
    box: float
    score: float
    picture: str | None

    @property
    def good(self):
        """Whether something was compared, all had a counterpart, and none differs by more than BOUND."""
        return bool(self.compared) and not self.alone and self.box <= BOUND and self.score <= BOUND


def compare(names, reference, found):
    """Compares the detections of two detectors on the same pictures.

    Args:
      names: of the pictures.
      reference: for each picture (boxes [K, 4] (ymin, xmin, ymax, xmax) as fractions, class ids [K], scores [K]).
      found: likewise, of the other detector.

    Returns:
      `Comparison`.
    """
    pairs = [(_clean(a), _clean(b)) for a, b in zip(reference, found, strict=True)]
    enough = sum(max((a[2] >= THRESHOLD).sum(), (b[2] >= THRESHOLD).sum()) for a, b in pairs) >= AT_LEAST
    compared = reached = alone = cut = 0
    worst = {"box": 0.0, "score": 0.0}
    picture, furthest = None, 0.0
    for name, (a, b) in zip(names, pairs, strict=True):
        chosen = [_chosen(side[2], enough) for side in (a, b)]
        matched = _matched(a, b, chosen)
        lonely, off = _lonely(a[2], b[2], chosen, matched)
        cut += off
        compared += len(matched) + lonely
        reached += sum(max(a[2][i], b[2][j]) >= THRESHOLD for i, j in matched)
        alone += lonely
        gaps = {"box": max((float(np.abs(a[0][i] - b[0][j]).max()) for i, j in matched), default=0.0),
                "score": max((float(abs(a[2][i] - b[2][j])) for i, j in matched), default=0.0)}
        worst = {key: max(value, gaps[key]) for key, value in worst.items()}
        far = float("inf") if lonely else max(gaps.values())
        if far > furthest:
            picture, furthest = name, far
    return Comparison(compared, int(reached), alone, cut, worst["box"], worst["score"], picture)


def _clean(detections):
    """As float64 (class ids as they are); what is no number is far from everything."""
    boxes, classes, scores = detections
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.nan_to_num(boxes, nan=1e9), np.asarray(classes), np.nan_to_num(np.asarray(scores, np.float64), nan=1e9)


def _chosen(scores, enough):
    """bool [K] of the detections that must have a counterpart."""
    chosen = scores >= THRESHOLD
    if not enough:
        chosen[np.argsort(-scores, kind="stable")[:AT_LEAST]] = True
    return chosen


def _matched(a, b, chosen):
    """[(index in a, index in b)], each index once, the surest first, of pairs of which one side at least is chosen."""
    overlap = _iou(a[0], b[0])
    closeness = np.where((a[1][:, None] == b[1][None]) & (overlap >= _OVERLAP),
                         overlap - np.abs(a[2][:, None] - b[2][None]), -np.inf)
    free = [np.ones(len(side[2]), bool) for side in (a, b)]
    found = []

    def take(i, j):
        found.append((int(i), int(j)))
        free[0][i] = free[1][j] = False

    for i in np.argsort(-a[2], kind="stable"):
        if chosen[0][i] and len(free[1]):
            j = int(np.where(free[1], closeness[i], -np.inf).argmax())
            if free[1][j] and closeness[i, j] > -np.inf:
                take(i, j)
    for j in np.argsort(-b[2], kind="stable"):
        if chosen[1][j] and free[1][j] and len(free[0]):
            i = int(np.where(free[0], closeness[:, j], -np.inf).argmax())
            if free[0][i] and closeness[i, j] > -np.inf:
                take(i, j)
    return found


def _lonely(a, b, chosen, matched):
    """How many chosen detections (scores `a`, `b`) have no counterpart, and how many theirs may have been cut off."""
    lonely = cut = 0
    for own, other, wanted, taken in ((a, b, chosen[0], [i for i, _ in matched]),
                                      (b, a, chosen[1], [j for _, j in matched])):
        left = wanted.copy()
        left[taken] = False
        last = left & (own <= other.min() + BOUND) if len(own) == len(other) and len(own) else np.zeros_like(left)
        lonely += int((left & ~last).sum())
        cut += int(last.sum())
    return lonely, cut


def _iou(a, b):
    """IoU [N, M] of boxes; those without an area are alike where their corners are."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - inner
    same = np.abs(a[:, None] - b[None]).max(axis=-1) <= BOUND
    return np.where(same, 1.0, inner / np.maximum(union, 1e-12))
