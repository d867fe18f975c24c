"""Detections files and ground truths from elsewhere, and what is said of those that do not fit."""

import json
import types

import numpy as np
import pytest

from tests.detection_data import coco_json, coco_results, make, perfect
from tfod_compress.records.sequences import numbers
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import Detections


@pytest.fixture
def files(tmp_path):
    """A COCO JSON and COCO results of random data."""
    truth, found = make(seed=0, crowd=0.1)
    (tmp_path / "truth.json").write_text(json.dumps(coco_json(truth)))
    (tmp_path / "found.json").write_text(json.dumps(coco_results(found)))
    return tmp_path, truth, found


def test_coco_files_give_the_same_metrics(files):
    folder, truth, found = files
    read = metrics.load_ground_truth(folder / "truth.json")
    result = metrics.summarise(read, metrics.load_detections(folder / "found.json", read), 0.5)
    assert result == metrics.summarise(truth, found, 0.5) | {
        "images_without_detections": result["images_without_detections"]}


def test_detections_survive_their_file(files):
    folder, truth, found = files
    metrics.write_detections(folder / "d.json", truth.image_ids, found)
    read = metrics.load_detections(folder / "d.json", truth)
    np.testing.assert_allclose(read.boxes, found.boxes, atol=5.1e-5)
    np.testing.assert_allclose(read.scores, found.scores, atol=1e-9)
    assert (read.image == found.image).all() and (read.class_ids == found.class_ids).all()
    assert isinstance(json.loads((folder / "d.json").read_text())[0]["image_id"], str)


@pytest.mark.parametrize("change, message", [
    (lambda d: d[0].update(image_id=999), "1 images that .*truth.json lacks: 999"),
    (lambda d: [found.update(category_id=77) for found in d], r"class ids 77 .*ground truth's \(1 PassengerCar"),
    (lambda d: d[3].update(category_id=1.5), "whole number"),
    (lambda d: d[2].update(score=1.5), r"1 scores are outside \[0, 1\], the first 1.5 on image"),
    (lambda d: d[2].update(score=float("nan")), r"outside \[0, 1\]"),
    (lambda d: d[2].update(bbox=[1, 2, float("nan"), 4]), "1 boxes with NaN"),
    (lambda d: d[2].update(bbox=[1, 2, -3, 4]), "negative width"),
    (lambda d: d[2].update(bbox=[1, 2, 3]), "not COCO results"),
    (lambda d: d[2].pop("score"), "not COCO results.*score"),
])
def test_bad_detections_are_named(files, change, message):
    folder, _, found = files
    results = coco_results(found)
    change(results)
    (folder / "bad.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match=f"bad.json.*{message}"):
        metrics.load_detections(folder / "bad.json", metrics.load_ground_truth(folder / "truth.json"))


def test_detections_of_class_ids_that_the_ground_truth_lacks_are_left_out_and_counted(files, run_tool):
    """As a detector gives them whose ids have gaps."""
    folder, _, found = files
    results = coco_results(found)
    (folder / "more.json").write_text(json.dumps([*results, {**results[0], "category_id": 77}]))
    read = metrics.load_detections(folder / "more.json", metrics.load_ground_truth(folder / "truth.json"))
    assert read.dropped == 1 and len(read.scores) == len(results)
    done = run_tool("evaluate", "--metrics_from", folder / "more.json", "--ground_truth", folder / "truth.json",
                    "--output", folder / "out", "--resamples", 20)
    assert done.returncode == 0 and "1 detections of class ids that the label map lacks are left out" in done.stderr
    assert json.loads((folder / "out" / "metrics.json").read_text())["dropped_detections"] == 1
    done = run_tool("compare", folder / "more.json", folder / "found.json", "--ground_truth", folder / "truth.json",
                    "--resamples", 20)
    assert done.returncode == 0 and "more.json: 1 detections" in done.stderr


@pytest.mark.parametrize("change, message", [
    (lambda c: c["images"].append(c["images"][0]), "occur twice .1"),
    (lambda c: c["annotations"][1].update(id=1), "annotation ids occur twice"),
    (lambda c: c["annotations"][1].update(image_id=999), "not in \"images\": 999"),
    (lambda c: c["annotations"][1].update(category_id=50), "class ids 50"),
    (lambda c: c["annotations"][1].update(bbox=[0, 0, None, 1]), "not a COCO ground truth"),
    (lambda c: c["annotations"][1].update(bbox=[0, 0, float("nan"), 1]), "NaN"),
    (lambda c: c["annotations"].clear(), "no labelled boxes"),
    (lambda c: (c["images"].clear(), c["annotations"].clear()), "no images"),
    (lambda c: c.pop("categories"), "not a COCO ground truth"),
    (lambda c: [a.update(iscrowd=1) for a in c["annotations"]], "every box is marked is_crowd"),
])
def test_bad_ground_truth_is_named(files, change, message):
    folder, truth, _ = files
    content = coco_json(truth)
    change(content)
    (folder / "bad.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"bad.json.*{message}"):
        metrics.load_ground_truth(folder / "bad.json")


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.json").write_text("no json")
    for name, message in (("text.json", "not JSON"), ("gone.json", "no such file")):
        with pytest.raises(InputError, match=f"{name}: {message}"):
            metrics.load_ground_truth(tmp_path / name)


def test_images_without_detections_are_listed():
    truth, _ = make(seed=1)
    good = perfect(truth)
    kept = good.image != good.image[0]
    result = metrics.summarise(truth, Detections(good.image[kept], good.boxes[kept], good.class_ids[kept],
                                                 good.scores[kept]), 0.5)
    assert truth.image_ids[good.image[0]] in result["images_without_detections"]["first"]


def test_sequences_come_from_source_ids():
    ids = ("seq1/a", "seq1/b", "seq2/a", "lone")
    assert numbers(ids, r"^(seq\d)/").tolist() == [0, 0, 1, 2]
    assert numbers(ids, r"^seq\d/").tolist() == [0, 0, 1, 2]
    assert numbers(ids, None) is None


def test_record_set_boxes_become_pixels():
    def example(name, boxes):
        count = len(boxes)
        return types.SimpleNamespace(source_id=name, height=100, width=200, boxes=np.array(boxes, np.float32),
                                     class_ids=np.ones(count, np.int64), difficult=np.zeros(count, bool),
                                     is_crowd=np.zeros(count, bool), areas=np.zeros(count))

    examples = [example("b", [[0.1, 0.2, 0.5, 0.9]]), example("a", np.zeros((0, 4)))]
    record_set = types.SimpleNamespace(path="set", manifest={}, has_areas=False, label_map={1: "car"},
                                       examples=lambda split: examples)
    truth = metrics.record_set_ground_truth(record_set, "val")
    assert truth.image_ids == ("a", "b") and truth.image.tolist() == [1]
    np.testing.assert_allclose(truth.boxes, [[40, 10, 140, 40]], atol=1e-4)


def not_inferior(truth, a, b, margin):
    return metrics.compare(truth, a, b, margin=margin)["metrics"]["weighted_map"]["not_worse"]


def test_non_inferiority():
    truth, found = make(seed=2, images=80, found=4)
    same = not_inferior(truth, found, found, 0.01)
    assert same["non_inferior"] and same["lower"] == 0 and same["p_value"] < 0.01
    kept = np.random.default_rng(0).random(len(found.image)) < 0.96
    worse = Detections(found.image[kept], found.boxes[kept], found.class_ids[kept], found.scores[kept])
    tight = not_inferior(truth, worse, found, 0.002)
    wide = not_inferior(truth, worse, found, 0.02)
    assert not tight["non_inferior"] and tight["p_value"] > 0.5
    assert wide["non_inferior"] and wide["lower"] == tight["lower"] < 0
    with pytest.raises(ValueError, match="margin"):
        not_inferior(truth, found, found, 0.0)


def test_commands_on_coco_files(files, run_tool):
    folder, truth, found = files
    fewer = [result for result in coco_results(found) if result["image_id"] != 3]
    (folder / "fewer.json").write_text(json.dumps(fewer))
    done = run_tool("evaluate", "--metrics_from", folder / "fewer.json", "--ground_truth", folder / "truth.json",
                    "--output", folder / "out", "--resamples", 20)
    assert done.returncode == 0, done.stderr
    assert "has nothing on" in done.stderr and "such as 2, 3;" in done.stderr and "left out" not in done.stderr
    result = json.loads((folder / "out" / "metrics.json").read_text())
    assert result["bpp"] is None and f"{result['weighted_map']['value']:.3f} [" in done.stdout

    done = run_tool("compare", folder / "found.json", folder / "fewer.json", "--ground_truth", folder / "truth.json",
                    "--resamples", 50, "--margin", 0.03)
    assert done.returncode == 0, done.stderr
    assert "fewer.json has nothing on 2, 3" in done.stderr and "worse by < 0.03" in done.stdout and "yes" in done.stdout
    done = run_tool("compare", folder / "found.json", folder / "fewer.json", "--ground_truth", folder / "truth.json",
                    "--margin", 0)
    assert done.returncode == 2 and "--margin" in done.stderr
