"""A detector with other classes than the record set: what is matched, what counts, what is suppressed once more."""

import dataclasses
import json

import numpy as np
import pytest

from tests import tiny_records
from tests.detection_data import coco_json, coco_results, make
from tests.evaluation.test_evaluation import save_checkpoint
from tfod_compress import evaluation
from tfod_compress.labels import label_map
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics, odapi
from tfod_compress.tasks.detection.metrics import Detections, classes

THEIRS = {1: "car", 3: "van", 4: "Bus", 7: "tram"}
OURS = {1: "PassengerCar", 2: "Bus", 5: "Pedestrian"}
BY_MAP = {"car": "PassengerCar", "van": "PassengerCar", "tram": "ignore"}


def matched(theirs=THEIRS, ours=OURS, **given):
    return classes.match(theirs, ours, classes.Given(**given), "the detector", "the record set")


def detections(class_ids, **kwargs):
    count = len(class_ids)
    values = {"image": np.zeros(count, np.int64), "boxes": np.tile([5.0, 5, 10, 10], (count, 1)),
              "class_ids": np.array(class_ids, np.int64), "scores": np.linspace(0.9, 0.1, count)}
    return Detections(**{**values, **kwargs})


def test_classes_are_matched_by_name_and_by_class_map():
    assert matched().ids == {4: 2}
    found = matched(class_map=BY_MAP, nms_iou=0.5)
    assert found.ids == {1: 1, 3: 1, 4: 2} and found.differs
    assert found.described() == {
        "matched": {"car": "PassengerCar", "van": "PassengerCar", "Bus": "Bus"}, "not_in_detector": ["Pedestrian"],
        "not_in_records": ["tram"], "merged": {"PassengerCar": ["car", "van"]}, "nms_iou": 0.5}
    assert matched(class_map={"Bus": "ignore", "tram": "Bus"}).ids == {7: 2}  # the map goes before the name
    same = matched(theirs=OURS)
    assert not same.differs and same.ids == {1: 1, 2: 2, 5: 5}
    assert matched(theirs={2: "PassengerCar", 1: "Bus", 5: "Pedestrian"}).differs  # the same names, other ids


@pytest.mark.parametrize(("given", "told"), [
    ({"class_map": {"cars": "PassengerCar"}}, "the detector has no class 'cars', is car meant.*it has car, van"),
    ({"class_map": {"car": "Passengercar"}}, "the record set has no class .*is PassengerCar meant.* or say ignore"),
    ({"class_map": {"Bus": "ignore"}}, "no class in common: the detector has car.* record set PassengerCar.*"
     "\"car: PassengerCar\".*--class_map"),
    ({"class_map": BY_MAP}, "car, van become PassengerCar.*--nms_iou"),
])
def test_what_cannot_be_matched_is_told(given, told):
    with pytest.raises(InputError, match=told):
        matched(**given)


def test_detections_of_other_classes_are_left_out_and_strange_ids_counted():
    found = matched(class_map={"car": "PassengerCar"}).translate(detections([1, 3, 4, 7, 2, 90, 1]))
    assert found.class_ids.tolist() == [1, 2, 1] and found.dropped == 2
    np.testing.assert_allclose(found.scores, np.linspace(0.9, 0.1, 7)[[0, 2, 6]])
    assert matched().translate(detections([])).class_ids.tolist() == []


def test_suppression_runs_once_more_where_classes_become_one():
    near = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [1, 0, 10, 10], [1, 0, 10, 10], [30, 30, 5, 5]], float)
    found = detections([3, 1, 4, 4, 3], boxes=near)
    kept = matched(class_map=BY_MAP, nms_iou=0.8).translate(found)
    assert kept.class_ids.tolist() == [1, 2, 2, 1]  # the second is the first again; the buses stay
    apart = dataclasses.replace(found, image=np.array([0, 1, 0, 0, 1]))
    assert len(matched(class_map=BY_MAP, nms_iou=0.8).translate(apart).scores) == 5
    assert len(matched(class_map=BY_MAP, nms_iou=9 / 11).translate(found).scores) == 5  # not above the threshold


@pytest.mark.parametrize("grid", [0, 20])
def test_suppression_is_tensorflow_s(grid):
    import tensorflow as tf

    _, found = make(seed=4, images=30, found=40, classes=3, ties=bool(grid), grid=grid)
    for threshold in (0.3, 0.5, 0.6):
        kept = classes.survivors(found, [1, 3], threshold)
        assert kept[found.class_ids == 2].all() and not kept.all()
        for image in range(30):
            for number in (1, 3):
                mine = np.flatnonzero((found.image == image) & (found.class_ids == number))
                x, y, width, height = found.boxes[mine].T
                expected = tf.image.non_max_suppression(np.stack([y, x, y + height, x + width], 1).reshape(-1, 4),
                                                        found.scores[mine], max(1, len(mine)), threshold)
                assert sorted(mine[kept[mine]]) == sorted(mine[expected.numpy()])


def test_objects_of_other_classes_are_ignored_and_not_missed():
    """As if nobody had labelled them."""
    truth, found = make(seed=5, images=40, classes=3)
    left = classes.restrict(truth, {1, 3})
    content = coco_json(truth)
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 2]
    content["categories"] = [c for c in content["categories"] if c["id"] != 2]
    assert left.class_names == {1: "PassengerCar", 3: "Van"} and len(left.boxes) == len(content["annotations"])
    numbers = metrics.summarise(left, found.take(found.class_ids != 2), 0.5)
    assert set(numbers["ap_per_class"]) == {"PassengerCar", "Van"}
    full = metrics.summarise(truth, found, 0.5)
    assert numbers["ap_per_class"]["Van"] == full["ap_per_class"]["Van"]
    with pytest.raises(InputError, match="Truck alone.*no labelled boxes"):
        classes.restrict(dataclasses.replace(truth, class_ids=np.ones_like(truth.class_ids)), {2})


def test_files_are_compared_on_the_classes_that_all_cover(tmp_path):
    truth, found = make(seed=6, images=20, classes=3)
    (tmp_path / "truth.json").write_text(json.dumps(coco_json(truth)))
    for name, missing in (("a", ["Van"]), ("b", ["Truck"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "detections.json").write_text(json.dumps(coco_results(found)))
        (tmp_path / name / "metrics.json").write_text(json.dumps({"classes": {"not_in_detector": missing}}))
    files = [tmp_path / name / "detections.json" for name in "ab"]
    full = metrics.load_ground_truth(tmp_path / "truth.json")
    truth, (a, b) = metrics.load_together(files, full)
    assert set(truth.class_names) == {1} == set(a.class_ids) == set(b.class_ids)
    one, (only,) = metrics.load_together(files[:1], full)
    assert set(one.class_names) == {1, 2} and set(only.class_ids) == {1, 2}


# A whole evaluation: a detector with COCO's 90 outputs.

MAP = {"car": "PassengerCar", "truck": "Truck", "bus": "Truck", "train": "Truck", "person": "Pedestrian"}


@pytest.fixture(scope="module")
def coco_detector(tmp_path_factory):
    """(folder, config, Detector, images, what it finds): a detector that also gives the ids that COCO's map lacks."""
    odapi.install()
    import tensorflow as tf

    from tfod_compress.tasks.detection.detector import Detector

    folder = tmp_path_factory.mktemp("coco")
    images = tiny_records.pictures(6)
    coco = label_map.load("coco")
    tiny_records.write(folder / "first", images, {}, quality=95, names=coco)
    (folder / "model").mkdir()
    config = tiny_records.write_config(folder / "model" / "pipeline.config", folder / "first", classes=90)
    text = config.read_text().replace("max_total_detections: 20", "max_total_detections: 200")
    config.write_text(text.replace("iou_threshold: 0.6", "iou_threshold: 0.3"))
    tf.keras.utils.set_random_seed(2)
    save_checkpoint(config, folder / "model")
    detector = Detector(config)
    detector.restore(folder / "model")
    found = {name: (boxes, ids, scores) for name, _, boxes, ids, scores in detector.detect(
        RecordSet(folder / "first").files("val"), 8)}
    return folder, config, detector, images, found


def labels_from(found, to):
    """Labels that are some of what was found, and an object of the last class on each image."""
    return {name: [(*box, to[number]) for box, number in zip(boxes, ids, strict=True) if number in to][:3]
            + [(0.1, 0.1, 0.5, 0.5, max(to.values()))] for name, (boxes, ids, _) in found.items()}


def test_ids_that_the_label_map_lacks_are_dropped_and_counted(coco_detector, tmp_path):
    folder, config, detector, images, found = coco_detector
    coco = label_map.load("coco")
    strange = sum(int((~np.isin(ids, list(coco))).sum()) for _, ids, _ in found.values())
    assert strange > 0
    labels = labels_from(found, {number: number for number in coco})
    records = tiny_records.write(tmp_path / "set", images, labels, quality=95, names=coco)
    result = evaluation.evaluate(config, folder / "model", [records], tmp_path, detector=detector)["set"]
    assert result["dropped_detections"] == strange and "classes" not in result
    written = json.loads((tmp_path / "set" / "detections.json").read_text())
    assert len(written) == sum(len(ids) for _, ids, _ in found.values()) - strange
    assert {entry["category_id"] for entry in written} <= set(coco)


def test_a_coco_detector_on_other_classes(coco_detector, tmp_path, run_tool):
    import tensorflow as tf

    folder, _, detector, images, found = coco_detector
    to = {number: {"PassengerCar": 2, "Truck": 3, "Pedestrian": 7}[MAP[name]]
          for number, name in label_map.load("coco").items() if name in MAP}
    ours = {2: "PassengerCar", 3: "Truck", 7: "Pedestrian", 9: "Van"}
    labels = {name: [*boxes, (0.2, 0.2, 0.9, 0.9, 9)] for name, boxes in labels_from(found, to).items()}
    records = tiny_records.write(tmp_path / "set", images, labels, quality=95, names=ours)
    (tmp_path / "map.yaml").write_text("".join(f"{theirs}: {name}\n" for theirs, name in MAP.items()))
    result = evaluation.evaluate(None, folder / "model", [records], tmp_path / "out", detector=detector,
                                 given=classes.Given(class_map=MAP))["set"]
    assert result["classes"]["merged"] == {"Truck": ["bus", "train", "truck"]}
    assert result["classes"]["not_in_detector"] == ["Van"] and len(result["classes"]["not_in_records"]) == 75
    assert result["classes"]["nms_iou"] == 0.3  # of the config
    assert set(result["ap_per_class"]) == {"PassengerCar", "Truck", "Pedestrian"}

    expected = set()
    for name, (boxes, ids, scores) in found.items():
        for number in set(to.values()):
            mine = np.flatnonzero([to.get(int(one)) == number for one in ids])
            kept = tf.image.non_max_suppression(boxes[mine], scores[mine], max(1, len(mine)), 0.3).numpy()
            expected |= {(name, number, f"{scores[index]:.5g}") for index in mine[kept]}
    written = json.loads((tmp_path / "out" / "set" / "detections.json").read_text())
    assert {(d["image_id"], d["category_id"], f"{d['score']:.5g}") for d in written} == expected
    assert len(written) < sum(int(np.isin(ids, list(to)).sum()) for _, ids, _ in found.values())

    again = evaluation.metrics_from(tmp_path / "out" / "set" / "detections.json", records, tmp_path / "again")
    same = set(result) - {"checkpoint", "made_from", "dropped_detections"}
    assert {key: again[key] for key in same} == {key: result[key] for key in same}

    before = (tmp_path / "out" / "set" / "detections.json").stat().st_mtime_ns
    done = run_tool("evaluate", "--checkpoint", folder / "model", "--records", records, "--resamples", 5, "--output",
                    tmp_path / "out", "--class_map", tmp_path / "map.yaml")
    assert done.returncode == 0, done.stderr
    assert "objects of Van are ignored" in done.stderr and "Truck (the detector's bus)" in done.stderr
    assert (tmp_path / "out" / "set" / "detections.json").stat().st_mtime_ns == before  # it is not run again
    with pytest.raises(InputError, match="no class in common.*--class_map"):
        evaluation.evaluate(None, folder / "model", [records], tmp_path / "out")


def test_a_label_map_that_cannot_be_the_detector_s(coco_detector, tmp_path):
    folder, config, _, images, found = coco_detector
    records = tiny_records.write(tmp_path / "set", images, {}, names=tiny_records.NAMES)
    label_map_beside = folder / "first" / "label_map.pbtxt"
    hidden = label_map_beside.rename(folder / "first" / "hidden")
    try:
        with pytest.raises(InputError, match="label map is not known.*is not there.*--detector_label_map"):
            evaluation.evaluate(config, folder / "model", [records], tmp_path)
    finally:
        hidden.rename(label_map_beside)
    with pytest.raises(InputError, match="num_classes is 90, but its label map has ids up to 91"):
        evaluation.evaluate(config, folder / "model", [records], tmp_path,
                            given=classes.Given(label_map={1: "PassengerCar", 91: "x"}))
