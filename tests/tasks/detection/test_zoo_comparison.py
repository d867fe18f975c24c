"""What two detectors find is matched by class and place, and every way to differ is seen."""

import numpy as np
import pytest

from tfod_compress.tasks.detection.zoo import comparison

RNG = np.random.default_rng(0)


def detections(count=30, low=0.06):
    """Boxes of which no two overlap much, three classes, falling scores."""
    corner = np.stack([np.repeat(np.arange(6), 5) / 6, np.tile(np.arange(5), 6) / 5], 1)[:count]
    return (np.concatenate([corner, corner + 0.15], 1).astype(np.float32), np.arange(count) % 3 + 1,
            np.linspace(0.9, low, count).astype(np.float32))


def compared(reference, found):
    return comparison.compare(["one"], [reference], [found])


def test_the_same_in_another_order_is_good():
    boxes, classes, scores = detections()
    order = RNG.permutation(30)
    found = compared((boxes, classes, scores), (boxes[order] + 5e-4, classes[order], scores[order] - 5e-4))
    assert found.good
    assert (found.compared, found.reached, found.alone) == (30, 30, 0)
    assert found.box == pytest.approx(5e-4, rel=1e-3) and found.score == pytest.approx(5e-4, rel=1e-3)


@pytest.mark.parametrize(("change", "alone", "key"), [
    ("box", 0, "box"), ("score", 0, "score"), ("class", 2, None), ("missing", 1, None), ("more", 1, None),
    ("elsewhere", 2, None), ("nan", 2, None)])
def test_one_detection_that_differs_is_seen(change, alone, key):
    boxes, classes, scores = detections()
    reference = tuple(part.copy() for part in (boxes, classes, scores))
    if change == "box":
        boxes[7, 2] += 0.01
    elif change == "score":
        scores[7] += 0.01
    elif change == "class":
        classes[7] = 9
    elif change == "missing":
        boxes, classes, scores = (np.delete(part, 7, 0) for part in (boxes, classes, scores))
    elif change == "more":
        boxes, classes, scores = (np.concatenate([part, part[7:8] + add]) for part, add in (
            (boxes, np.float32([0, 0.5, 0, 0.5])), (classes, 0), (scores, 0)))
    elif change == "elsewhere":
        boxes[7] += 0.5
    else:
        boxes[7, 0] = np.nan
    found = compared(reference, (boxes, classes, scores))
    assert not found.good and found.alone == alone and found.picture == "one"
    if key:
        assert getattr(found, key) == pytest.approx(0.01, rel=1e-3)
    assert {"box", "score"} - {key} and all(getattr(found, other) < 1e-6 for other in {"box", "score"} - {key})


def test_low_scores_count_only_where_hardly_any_are_high():
    """Above the threshold nothing else matters; below it the surest of each picture are compared, and it is said."""
    boxes, classes, scores = detections()
    wrong = boxes.copy()
    wrong[20:] += 0.4
    scores[20:] = 0.04
    assert compared((boxes, classes, scores), (wrong, classes, scores)).compared == 20
    low = scores * 0.01
    found = compared((boxes, classes, low), (wrong, classes, low))
    assert found.good and (found.compared, found.reached) == (comparison.AT_LEAST, 0)
    assert not compared((boxes, classes, low), (wrong[::-1], classes[::-1], low)).good


def test_a_score_beside_the_threshold_has_its_counterpart_below_it():
    boxes, classes, scores = detections(low=0.0501)
    below = scores - np.where(np.arange(30) == 29, 2e-4, 0).astype(np.float32)
    found = compared((boxes, classes, scores), (boxes, classes, below))
    assert found.good and found.compared == 30


def test_nothing_found_is_not_good():
    nothing = (np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    found = compared(nothing, nothing)
    assert found.compared == 0 and not found.good
    assert compared(nothing, detections()).alone == 30
    assert compared(detections(), nothing).alone == 30


def test_boxes_without_an_area_match_by_their_corners():
    flat = np.float32([[0.5, 0.5, 0.5, 0.9], [0.1, 0.1, 0.1, 0.1]])
    side = (flat, np.array([1, 1]), np.float32([0.8, 0.3]))
    assert compared(side, side).good
    assert not compared(side, (flat + 0.1, *side[1:])).good


def test_what_the_end_of_a_full_list_cut_off_is_no_difference():
    """Of equal scores at the end of both lists one side kept this box and the other that; elsewhere it is one."""
    boxes, classes, scores = detections()
    scores[25:] = scores[25]
    other = boxes.copy()
    other[29] += 0.4
    found = compared((boxes, classes, scores), (other, classes, scores))
    assert found.good and (found.compared, found.cut, found.alone) == (29, 2, 0)
    assert not compared((boxes, classes, scores), (other[[*range(24), 29]], classes[[*range(24), 29]],
                                                   scores[[*range(24), 29]])).good, "the other list was not full"
    surer = scores.copy()
    surer[29] += 0.01
    assert compared((boxes, classes, scores), (other, classes, surer)).alone == 1
    everywhere = np.full(30, 0.5, np.float32)
    found = compared((boxes, classes, everywhere), (boxes + 0.5, classes, everywhere))
    assert not found.good and found.compared == 0


def test_the_worst_picture_is_named():
    good = detections()
    bad = (good[0], good[1], good[2] + np.float32(0.02))
    found = comparison.compare(["a", "b", "c"], [good] * 3, [good, bad, good])
    assert found.picture == "b" and found.score == pytest.approx(0.02, rel=1e-3)
