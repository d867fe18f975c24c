"""What the error split, the confusion matrix and the strata say about detections damaged in one known way."""

import numpy as np
import pytest

from tests.detection_data import make, perfect
from tfod_compress.tasks.detection.metrics import Detections, GroundTruth, Matches
from tfod_compress.tasks.detection.metrics.errors import KINDS, confusion, tide
from tfod_compress.tasks.detection.metrics.scores import Scorer
from tfod_compress.tasks.detection.metrics.strata import by_distance, by_size, by_size_quantile, distances, stratum


def grid(images=12):
    """Four objects of 20 x 20 on every 200 x 200 image, none near another, of three classes."""
    image = np.repeat(np.arange(images), 4)
    places = np.array([[20, 20], [120, 20], [20, 120], [120, 120]])
    boxes = np.concatenate([np.tile(places, (images, 1)), np.full((4 * images, 2), 20)], axis=1).astype(float)
    none = np.zeros(4 * images, bool)
    return GroundTruth(tuple(f"{k:03d}" for k in range(images)), np.tile([200, 200], (images, 1)),
                       {1: "car", 2: "bus", 3: "van"}, image, boxes, np.arange(4 * images) % 3 + 1, none, none,
                       boxes[:, 2] * boxes[:, 3])


def damaged(truth, kind):
    """Perfect detections with every fourth one damaged."""
    good = perfect(truth)
    image, boxes, classes, scores = good.image, good.boxes.copy(), good.class_ids.copy(), good.scores
    bad = np.arange(len(image)) % 4 == 0
    if kind == "classification":
        classes[bad] = classes[bad] % 3 + 1
    elif kind == "localisation":
        boxes[bad, 0] += 10  # IoU 1/3
    elif kind == "both":
        boxes[bad, 0] += 10
        classes[bad] = classes[bad] % 3 + 1
    elif kind == "missed":
        return Detections(image[~bad], boxes[~bad], classes[~bad], scores[~bad])
    else:
        extra = boxes[bad].copy()
        if kind == "background":
            extra[:, :2] = 80
        image, classes = np.append(image, image[bad]), np.append(classes, classes[bad])
        boxes, scores = np.concatenate([boxes, extra]), np.append(scores, scores[bad] - 1e-3)
    return Detections(image, boxes, classes, scores)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_of_error_is_blamed_and_mends(kind):
    truth = grid()
    split = tide(Matches(truth, damaged(truth, kind)))
    assert split["ap50"] < 0.95
    assert split["count"][kind] == 12
    if kind == "both":  # mending both at once is not on offer: the detection goes, the object stays missed
        assert split["count"]["missed"] == 12
        assert split["cost"]["both"] > 0 and split["cost"]["missed"] > 0
    else:
        assert split["ap50"] + split["cost"][kind] == pytest.approx(1.0, abs=1e-12)
        assert {name: count for name, count in split["count"].items() if count} == {kind: 12}
        assert {name for name, cost in split["cost"].items() if abs(cost) > 1e-12} == {kind}
    wrong = kind not in ("missed",)
    assert (split["false_positives"] > 0) == wrong
    assert (split["false_negatives"] > 0) == (kind not in ("duplicate", "background"))


def test_perfect_detections_have_no_errors():
    truth = grid()
    split = tide(Matches(truth, perfect(truth)))
    assert split["ap50"] == 1.0 and not any(split["cost"].values()) and not any(split["count"].values())


def test_an_object_is_given_once():
    # Two shifted detections of one object: the oracle mends the better one and drops the other.
    truth = grid(1)
    good = perfect(truth)
    image, boxes = np.append(good.image, 0), np.concatenate([good.boxes, good.boxes[:1]])
    boxes[0, 0] += 10
    boxes[-1, 0] -= 10
    split = tide(Matches(truth, Detections(image, boxes, np.append(good.class_ids, 1), np.append(good.scores, 0.99))))
    assert split["count"]["localisation"] == 2
    assert split["ap50"] + split["cost"]["localisation"] == pytest.approx(1.0, abs=1e-12)


def test_an_object_is_given_to_its_best_scored_claimant():
    # Two shifted detections of one object, and one of nothing between their scores: the oracle mends the upper one.
    truth = grid(1)
    good = perfect(truth)
    boxes = good.boxes[[0, 0, 0]] + [[10, 0, 0, 0], [60, 60, 0, 0], [-10, 0, 0, 0]]
    image, classes = np.zeros(6, np.int64), np.append(good.class_ids[1:], [1, 1, 1])
    scores = np.append(np.full(3, 0.995), [0.99, 0.97, 0.96])
    for order in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 5, 4, 3]):
        found = Detections(image, np.concatenate([good.boxes[1:], boxes])[order], classes[order], scores[order])
        split = tide(Matches(truth, found))
        assert split["count"]["localisation"] == 2 and split["count"]["background"] == 1
        assert split["ap50"] + split["cost"]["localisation"] == pytest.approx(1.0, abs=1e-12)


def test_a_found_object_is_not_given_again():
    # The last object is missed; a shifted second detection of the first one must not stand in for it.
    truth = grid(1)
    good = perfect(truth)
    image, boxes = good.image, np.concatenate([good.boxes[:3], good.boxes[:1] + [[10, 0, 0, 0]]])
    scores = np.append(good.scores[:3], 0.99)
    split = tide(Matches(truth, Detections(image, boxes, good.class_ids, scores)))
    without = tide(Matches(truth, Detections(image[:3], boxes[:3], good.class_ids[:3], scores[:3])))
    assert split["count"]["localisation"] == 1 and split["count"]["missed"] == 1
    assert split["ap50"] + split["cost"]["localisation"] == pytest.approx(without["ap50"]) and without["ap50"] < 0.9


@pytest.mark.parametrize("seed", range(4))
def test_every_error_is_counted_once(seed):
    truth, found = make(seed=seed, crowd=0.1 * (seed % 2), classes=5)
    matches = Matches(truth, found)
    split, coco = tide(matches), matches.coco
    wrong = (~coco.true_positive[0] & ~coco.ignored[0]).sum()
    assert sum(split["count"][kind] for kind in KINDS if kind != "missed") == wrong
    assert split["ap50"] == pytest.approx(np.nanmean(Scorer(matches).coco_table(np.ones((1, matches.images)))[0, :, 0]))
    # Without false positives what is found comes first; without false negatives nothing more is asked for.
    assert all(cost >= -1e-12 for cost in (*split["cost"].values(), split["false_positives"], split["false_negatives"]))
    assert split["false_positives"] >= max(split["cost"][kind] for kind in ("both", "duplicate", "background")) - 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_confusion_adds_up(seed):
    truth, found = make(seed=seed, difficult=0.2 * (seed % 2), classes=5)
    matches = Matches(truth, found)
    table = confusion(matches, 0.4)
    matrix = np.array(table["matrix"])
    assert table["classes"][-1] == "background" and matrix[-1, -1] == 0
    counted = ~matches.g_difficult
    np.testing.assert_array_equal(matrix.sum(axis=1)[:-1], np.bincount(matches.g_class[counted], minlength=5))
    active = (matches.d_score >= 0.4) & ~matches.voc.ignored
    np.testing.assert_array_equal(matrix.sum(axis=0)[:-1], np.bincount(matches.d_class[active], minlength=5))
    precision, recall, _ = Scorer(matches, 0.4).operating_point(np.ones((1, matches.images)))
    assert np.trace(matrix) == pytest.approx(precision[0] * active.sum()) == pytest.approx(recall[0] * counted.sum())


def test_confusion_of_known_damage():
    truth = grid()
    classes = np.array(confusion(Matches(truth, damaged(truth, "classification")), 0.5)["matrix"])
    assert classes[:3, :3].sum() == 48 and np.trace(classes) == 36 and classes[3].sum() == classes[:, 3].sum() == 0
    assert np.array(confusion(Matches(truth, damaged(truth, "background")), 0.5)["matrix"])[3].sum() == 12
    assert np.array(confusion(Matches(truth, damaged(truth, "missed")), 0.5)["matrix"])[:, 3].sum() == 12
    nothing = np.array(confusion(Matches(truth, perfect(truth)), 0.95)["matrix"])
    assert nothing[:, 3].sum() == 48 == nothing.sum()


def test_a_score_at_the_threshold_counts():
    truth = grid()
    good = perfect(truth)
    assert np.trace(confusion(Matches(truth, good), good.scores[9])["matrix"]) == 10


def test_strata_split_the_objects():
    truth, found = make(seed=5, images=40)
    matches = Matches(truth, found)
    everything = np.ones(len(matches.g_boxes), bool), np.ones(len(matches.d_boxes), bool)
    whole = stratum(matches, "all", 0, 1, *everything)
    assert whole["AP"] == pytest.approx(Scorer(matches).coco_ap(np.ones((1, matches.images)))[0], abs=1e-15)
    for strata in (by_size(matches), by_size_quantile(matches), by_distance(matches)):
        assert sum(part["objects"] for part in strata) == whole["objects"]
    counts = [part["objects"] for part in by_size_quantile(matches)]
    assert max(counts) - min(counts) <= 2


def test_strata_find_what_was_lost():
    truth, _ = make(seed=6, images=40)
    good = perfect(truth)
    small = truth.areas < np.median(truth.areas)
    kept = ~small | (np.arange(len(small)) % 2 == 0)
    sizes = by_size_quantile(Matches(truth, Detections(good.image[kept], good.boxes[kept], good.class_ids[kept],
                                                       good.scores[kept])))
    assert all(part["AP"] < 0.7 for part in sizes[:2]) and all(part["AP"] == 1.0 for part in sizes[2:])
    far = distances(truth.boxes, truth.sizes[truth.image]) >= 0.5
    rings = by_distance(Matches(truth, Detections(good.image[~far], good.boxes[~far], good.class_ids[~far],
                                                  good.scores[~far])))
    assert [part["AP"] for part in rings[:3]] == [1.0, 1.0, 0.0]


def test_distance_is_of_the_corner():
    boxes = np.array([[0, 0, 0, 0], [50, 100, 0, 0], [95, 190, 10, 20], [40, 90, 20, 20]], float)
    np.testing.assert_allclose(distances(boxes, np.tile([200, 100], (4, 1))), [1, 0, 1, 0])
