"""Metrics: equal to pycocotools and to the OD API's evaluators, to cases counted by hand, and 1.0 when perfect."""

import contextlib
import io
import time

import numpy as np
import pytest

from tests.detection_data import coco_json, coco_results, make, perfect, take
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import Detections, GroundTruth, Matches
from tfod_compress.tasks.detection.metrics.scores import Scorer
from tfod_compress.tasks.detection.metrics.summary import summarise

HARD = [
    dict(seed=0),
    dict(seed=1, crowd=0.15),
    dict(seed=2, ties=True),
    dict(seed=3, empty=0.7),
    dict(seed=4, images=4, objects=30, found=300, classes=2),  # 300 detections an image: COCO keeps 100 a class
    dict(seed=5, crowd=0.1, ties=True, objects=12, classes=7, images=40),
    dict(seed=6, images=1, objects=1, classes=1, empty=0.0),
    dict(seed=7, classes=7, images=3, objects=2),  # classes without objects
    dict(seed=8, images=40, classes=2, grid=25, crowd=0.2, objects=15, found=40),  # equal overlaps, exact thresholds
    dict(seed=9, images=40, classes=2, grid=16, objects=15, found=40, ties=True),
]


def pycocotools_stats(truth, detections):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = coco_json(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(coco_results(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:6]


@pytest.mark.parametrize("case", HARD, ids=lambda case: f"seed{case['seed']}")
def test_coco_ap_is_pycocotools(case):
    truth, detections = make(**case)
    expected = pycocotools_stats(truth, detections)
    coco = summarise(truth, detections, score_threshold=0.5)["coco"]
    ours = [coco["AP"]["value"], *(coco[key] for key in ("AP50", "AP75", "APs", "APm", "APl"))]
    assert [value is None for value in ours] == [value == -1 for value in expected]
    assert max(abs(a - b) for a, b in zip(ours, expected, strict=True) if a is not None) < 1e-12


def test_coco_gives_equal_overlaps_to_the_later_object():
    # The first detection overlaps both objects by 2/3 and takes the later one, which leaves the second with nothing.
    truth, found = small([(0, 1, 0), (0, 1, 4)], [(0, 1, 2, 0.9), (0, 1, 6, 0.8)])
    ours = summarise(truth, found, score_threshold=0.5)["coco"]["AP50"]
    assert ours == pytest.approx(pycocotools_stats(truth, found)[1], abs=1e-12) and ours < 0.6


@pytest.fixture(scope="module")
def evaluators():
    """The OD API's evaluators, with NumPy's old names while they are in use."""
    patch = pytest.MonkeyPatch()
    patch.setattr(np, "float", float, raising=False)
    patch.setattr(np, "bool", np.bool_, raising=False)
    from object_detection.utils import object_detection_evaluation
    yield object_detection_evaluation
    patch.undo()


def od_api(evaluator, truth, detections):
    def corners(boxes):
        return np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 1] + boxes[:, 3], boxes[:, 0] + boxes[:, 2]], axis=1)

    for image, name in enumerate(truth.image_ids):
        g, d = truth.image == image, detections.image == image
        evaluator.add_single_ground_truth_image_info(name, {
            "groundtruth_boxes": corners(truth.boxes[g]), "groundtruth_classes": truth.class_ids[g],
            "groundtruth_difficult": truth.difficult[g]})
        evaluator.add_single_detected_image_info(name, {
            "detection_boxes": corners(detections.boxes[d]), "detection_scores": detections.scores[d],
            "detection_classes": detections.class_ids[d]})
    return evaluator.evaluate()


@pytest.mark.parametrize("case", [
    dict(seed=10), dict(seed=11, difficult=0.3), dict(seed=12, classes=7, images=60, difficult=0.1, crowd=0.1),
    dict(seed=16, images=40, classes=2, grid=25, objects=15, difficult=0.2),
    dict(seed=13, images=3, objects=2, classes=7), dict(seed=14, empty=0.7), dict(seed=15, found=100, images=5),
], ids=lambda case: f"seed{case['seed']}")
def test_voc_is_the_od_apis(evaluators, case):
    truth, detections = make(**case)
    categories = [{"id": number, "name": name} for number, name in truth.class_names.items()]
    weighted = od_api(evaluators.WeightedPascalDetectionEvaluator(categories), truth, detections)
    pascal = od_api(evaluators.PascalDetectionEvaluator(categories), truth, detections)
    ours = summarise(truth, detections, score_threshold=0.5)
    expected = weighted["WeightedPascalBoxes_Precision/mAP@0.5IOU"]
    assert ours["weighted_map"]["value"] == pytest.approx(expected, abs=1e-9)
    assert ours["map"]["value"] == pytest.approx(pascal["PascalBoxes_Precision/mAP@0.5IOU"], abs=1e-9)
    for name, value in ours["ap_per_class"].items():
        theirs = pascal[f"PascalBoxes_PerformanceByCategory/AP@0.5IOU/{name}"]
        assert np.isnan(theirs) if value is None else value == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("case", [dict(seed=20), dict(seed=21, classes=7, images=50), dict(seed=22, difficult=0.2),
                                  dict(seed=23, images=1, objects=1, empty=0.0)],
                         ids=lambda case: f"seed{case['seed']}")
def test_perfect_detections_score_exactly_one(case):
    truth, _ = make(**case)
    result = summarise(truth, perfect(truth), score_threshold=0.5)
    for metric in (result["weighted_map"], result["map"], result["f1"], result["coco"]["AP"]):
        bound = None if case.get("images") == 1 else 1.0  # one image tells nothing of others
        assert metric == {"value": 1.0, "low": bound, "high": bound}
    plain = [result["precision"], result["recall"], *result["ap_per_class"].values(),
             *(result["coco"][key] for key in ("AP50", "AP75", "APs", "APm", "APl"))]
    assert set(plain) <= {1.0, None}
    assert result["best_f1"]["f1"] == 1.0


def small(objects, found, difficult=()):
    """Objects (image, class, x) and detections (image, class, x, score), all boxes 10 x 10 at y 0."""
    image, class_ids, x = (np.array(column) for column in zip(*objects, strict=True))
    boxes = np.stack([x, 0 * x, 0 * x + 10, 0 * x + 10], axis=1).astype(float)
    names = tuple(f"{number:03d}" for number in range(int(max(image)) + 1))
    truth = GroundTruth(names, np.tile([100, 100], (len(names), 1)), {1: "car", 2: "bus"}, image, boxes, class_ids,
                        np.isin(np.arange(len(x)), difficult), np.zeros(len(x), bool), boxes[:, 2] * boxes[:, 3])
    image, class_ids, x, scores = (np.array(column) for column in zip(*found, strict=True))
    boxes = np.stack([x, 0 * x, 0 * x + 10, 0 * x + 10], axis=1).astype(float)
    return truth, Detections(image, boxes, class_ids, scores.astype(float))


def test_counted_by_hand():
    # Cars: found at 0.9, a duplicate of it at 0.8, astray at 0.7, the second at 0.6; one never found.
    # Buses: one object, found at 0.5.
    truth, found = small([(0, 1, 0), (0, 1, 40), (1, 1, 0), (1, 2, 60)],
                         [(0, 1, 1, 0.9), (0, 1, 0, 0.8), (1, 1, 30, 0.7), (0, 1, 40, 0.6), (1, 2, 60, 0.5)])
    result = summarise(truth, found, score_threshold=0.65)
    assert result["ap_per_class"]["car"] == pytest.approx((1 + 2 / 4) / 3, abs=1e-15)
    assert result["ap_per_class"]["bus"] == 1.0
    assert result["map"]["value"] == pytest.approx(0.75, abs=1e-15)
    # Pooled: 0.9 hit (1/1), 0.6 hit (2/4), 0.5 hit (3/5); the envelope lifts 2/4 to 3/5.
    assert result["weighted_map"]["value"] == pytest.approx((1 + 3 / 5 + 3 / 5) / 4, abs=1e-15)
    assert (result["precision"], result["recall"]) == (1 / 3, 1 / 4)
    assert result["f1"]["value"] == pytest.approx(2 / (3 + 4), abs=1e-15)
    assert result["best_f1"] == {"score_threshold": 0.5, "precision": 3 / 5, "recall": 3 / 4, "f1": 6 / 9}


def test_a_score_at_the_threshold_counts():
    truth, found = small([(0, 1, 0), (0, 1, 40)], [(0, 1, 0, 0.75), (0, 1, 40, 0.5)])
    for threshold, recall in ((0.5, 1), (0.75, 0.5), (np.nextafter(0.75, 1), 0)):
        assert summarise(truth, found, threshold)["recall"] == recall


def test_difficult_objects_are_neither_asked_for_nor_punished():
    truth, found = small([(0, 1, 0), (0, 1, 40)], [(0, 1, 40, 0.9), (0, 1, 40, 0.8), (0, 1, 0, 0.5)], difficult=[1])
    result = summarise(truth, found, score_threshold=0.4)
    assert (result["weighted_map"]["value"], result["precision"], result["recall"], result["boxes"]) == (1, 1, 1, 1)


def test_order_of_files_does_not_matter():
    truth, detections = make(seed=30)
    shuffle = np.random.default_rng(0).permutation(len(detections.image))
    again = Detections(detections.image[shuffle], detections.boxes[shuffle], detections.class_ids[shuffle],
                       detections.scores[shuffle])
    assert summarise(truth, detections, 0.5) == summarise(truth, again, 0.5)


def test_nothing_detected_is_zero():
    truth, _ = make(seed=31)
    nothing = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    result = summarise(truth, nothing, 0.5)
    assert result["weighted_map"]["value"] == result["coco"]["AP"]["value"] == result["f1"]["value"] == 0.0
    assert result["images_without_detections"]["count"] == result["images"]


@pytest.mark.parametrize("case", [dict(seed=40), dict(seed=41, classes=7, images=8, objects=2, difficult=0.2),
                                  dict(seed=42, crowd=0.2)], ids=lambda case: f"seed{case['seed']}")
def test_weights_are_copies_of_images(case):
    # Weights give what evaluating the images' copies gives, for every metric.
    truth, detections = make(**case)
    count = len(truth.image_ids)
    draws = np.random.default_rng(1).integers(count, size=(5, count))
    weights = np.stack([np.bincount(draw, minlength=count) for draw in draws])
    scorer = Scorer(Matches(truth, detections), 0.3)
    for row in weights:
        copies = Scorer(Matches(*take(truth, detections, np.repeat(np.arange(len(row)), row))), 0.3)
        for metric in metrics.METRICS:
            fast = getattr(scorer, metric)(row[None].astype(float))[0]
            slow = getattr(copies, metric)(np.ones((1, copies.matches.images)))[0]
            assert fast == pytest.approx(slow, abs=1e-12), metric


def test_overlap_of_exactly_half_is_enough():
    truth, found = small([(0, 1, 0)], [(0, 1, 0, 0.9)])
    moved = Detections(found.image, found.boxes + [[0, 0, 0, 10]], found.class_ids, found.scores)
    assert summarise(truth, moved, 0.5)["weighted_map"]["value"] == 1.0
    moved = Detections(found.image, found.boxes + [[0, 0, 0, 10.001]], found.class_ids, found.scores)
    assert summarise(truth, moved, 0.5)["weighted_map"]["value"] == 0.0


def test_interval_covers_as_promised():
    """The truth lies in 95 of 100 intervals, no fewer and no more, and beside either end about as often.

    150 images, whose objects are found with probability 0.6: F1 is the share that was found, with a known spread.
    """
    images, share, trials = 150, 0.6, 300
    above, below, widths = 0, 0, []
    for trial in range(trials):
        hit = np.random.default_rng(trial).random(images) < share
        truth, found = small([(k, 1, 0) for k in range(images)],
                             [(k, 1, 0 if hit[k] else 50, 0.9) for k in range(images)])
        f1 = metrics.evaluated(truth, found, ("f1",))["f1"]
        above, below = above + (f1["low"] > share), below + (f1["high"] < share)
        widths.append(f1["high"] - f1["low"])
    assert 0.925 * trials <= trials - above - below <= 0.975 * trials
    assert min(above, below) >= 1 and max(above, below) <= 4 * min(above, below)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / images), rel=0.04)


def test_paired_differences():
    truth, detections = make(seed=60, images=80, found=4)
    same = metrics.paired_difference(truth, detections, detections)
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0}
    rng = np.random.default_rng(0)
    kept = rng.random(len(detections.image)) < 0.85
    worse = Detections(detections.image[kept], detections.boxes[kept], detections.class_ids[kept],
                       detections.scores[kept])
    for metric in metrics.METRICS:
        result = metrics.paired_difference(truth, detections, worse, metric=metric)
        a, b = (metrics.evaluated(truth, d, (metric,))[metric]["value"] for d in (detections, worse))
        assert result["value"] == a - b
        assert result["low"] < result["value"] < result["high"]
        assert 0 < result["p_value"] <= 1
        turned = metrics.paired_difference(truth, worse, detections, metric=metric)
        assert turned["value"] == -result["value"] and turned["low"] == pytest.approx(-result["high"])
    assert metrics.paired_difference(truth, detections, worse)["p_value"] < 0.05
    with pytest.raises(ValueError, match="weighted_map"):
        metrics.paired_difference(truth, detections, detections, metric="accuracy")


def test_bad_ground_truth_is_an_error():
    truth, _ = make(seed=70)
    def altered(**changes):
        fields = {name: getattr(truth, name) for name in truth.__dataclass_fields__}
        return GroundTruth(**{**fields, **changes})

    none = np.zeros(0)
    with pytest.raises(InputError, match="no images"):
        altered(image_ids=())
    with pytest.raises(InputError, match="no labelled boxes"):
        altered(boxes=np.zeros((0, 4)), image=none, class_ids=none)
    with pytest.raises(InputError, match="twice .*seq0000/00000"):
        altered(image_ids=(truth.image_ids[0], *truth.image_ids[:-1]))
    with pytest.raises(InputError, match=r"class ids 99 .*label map .*1 PassengerCar"):
        altered(class_ids=np.where(np.arange(len(truth.boxes)) == 1, 99, truth.class_ids))
    with pytest.raises(InputError, match="NaN"):
        altered(boxes=np.where(np.arange(len(truth.boxes))[:, None] == 1, np.nan, truth.boxes))


@pytest.mark.slow
def test_intervals_of_five_thousand_images_take_under_a_minute():
    from benchmarks.intervals import random_data

    truth, detections = random_data(images=5000, objects=6, found=20, classes=7)
    start = time.process_time()
    metrics.evaluated(truth, detections)
    assert time.process_time() - start < 60
