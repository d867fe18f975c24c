"""Detections on pictures: the detector's own numbers, drawn where they are; broken images never stop it."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests import tiny_records
from tests.evaluation.test_evaluation import save_checkpoint
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics, odapi, pictures, trained_model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, {source id: pixels}): a model with its config, and a folder of images of two sizes, one broken."""
    odapi.install()
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("detect")
    images = tiny_records.pictures(4, sizes=((60, 80), (50, 120)))
    tiny_records.write(folder / "records", images, {name: [(0.1, 0.1, 0.5, 0.5, 1)] for name in images})
    (folder / "model").mkdir()
    config = tiny_records.write_config(folder / "model" / "pipeline.config", folder / "records")
    tf.keras.utils.set_random_seed(3)
    save_checkpoint(config, folder / "model")
    for name, pixels in images.items():
        path = folder / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (folder / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return folder, images


@pytest.fixture(scope="module")
def detector(world):
    return trained_model.find(checkpoint=world[0] / "model").load()


def test_finds_on_files_what_the_detector_finds_on_records(world, detector, tmp_path):
    folder, images = world
    counts, broken = pictures.detect(detector, [folder / "images"], tmp_path, tiny_records.NAMES,
                                               score_threshold=0.4)
    (path, reason), = broken
    assert path.endswith("broken.jpg") and reason
    assert (tmp_path / "broken_frames.csv").read_text() == f"path,reason\n{path},{reason}\n"
    check_results(world, detector, tmp_path, dict(counts))


@pytest.mark.slow
def test_the_command_does_the_same(world, detector, tmp_path, run_tool):
    folder, _ = world
    done = run_tool("detect", "--checkpoint", folder / "model", folder / "images", "--output", tmp_path / "out",
                    "--score_threshold", 0.4)
    assert done.returncode == 0, done.stderr
    assert "broken.jpg" in done.stdout and "4 images, 1 could not be read" in done.stdout
    counts = dict(re.findall(r"^(\S+): (\d+) objects", done.stdout, re.MULTILINE))
    check_results(world, detector, tmp_path / "out", {name: int(count) for name, count in counts.items()})


def check_results(world, detector, output, counts):
    """detections.json, pictures and counts are what Detector.detect gives on the record set of the same images."""
    folder, images = world
    truth = metrics.record_set_ground_truth(RecordSet(folder / "records"), "val")
    found = metrics.load_detections(output / "detections.json", truth)
    seen = 0
    for source_id, size, boxes, classes, scores in detector.detect(RecordSet(folder / "records").files("val"), 1):
        own = found.image == truth.image_index[source_id]
        np.testing.assert_allclose(found.scores[own], scores, atol=1e-6)
        np.testing.assert_array_equal(found.class_ids[own], classes)
        np.testing.assert_allclose(found.boxes[own], metrics.to_pixels(boxes, np.tile(size, (len(boxes), 1))),
                                   atol=1e-3)
        picture = np.asarray(Image.open(output / "pictures" / f"{source_id}.png"))
        assert picture.shape == images[source_id].shape
        assert counts[source_id] == (scores >= 0.4).sum()
        assert (picture != images[source_id]).any() == (scores >= 0.4).any()
        seen += counts[source_id]
    assert seen and len(counts) == len(images)


def test_class_names_come_from_the_label_map(world, tmp_path):
    folder, _ = world
    model = trained_model.find(checkpoint=folder / "model")
    assert model.class_names() == tiny_records.NAMES
    other = tmp_path / "coco.pbtxt"
    other.write_text('item { name: "/m/01g317" id: 1 display_name: "person" }')
    assert model.class_names(other) == {1: "person"}
    with pytest.raises(InputError, match="gone.pbtxt"):
        model.class_names(tmp_path / "gone.pbtxt")


@pytest.mark.parametrize(("arguments", "code", "told"), [
    (["--output", "o"], 2, "name images"),
    (["images", "--output", "o"], 2, "either --checkpoint, --saved_model or --zoo"),
    (["--checkpoint", "model", "--saved_model", "model", "images", "--output", "o"], 2, "either"),
    (["--checkpoint", "model", "gone.png", "--output", "o"], 1, "gone.png"),
    (["--checkpoint", "gone", "images", "--output", "o"], 1, "gone"),
    (["--saved_model", "model", "images", "--output", "o"], 1, "saved_model.pb"),
])
def test_mistakes_are_told_before_tensorflow_is_imported(world, tmp_path, run_tool, arguments, code, told):
    folder, _ = world
    full = [folder / part if part in ("model", "images", "gone", "gone.png") else part for part in arguments]
    full = [tmp_path / part if part == "o" else part for part in full]
    done = run_tool("detect", *full)
    assert (done.returncode, told in done.stderr, len(done.stderr.splitlines())) == (code, True, 1), done.stderr
    assert not (tmp_path / "o").exists()


class _Fixed:
    """A detector that finds one object everywhere."""

    def detect_image(self, rgb):
        return np.array([[0.25, 0.25, 0.75, 0.75]], np.float32), np.array([2]), np.array([0.9], np.float32)


def test_images_of_one_name_do_not_overwrite_each_other(tmp_path):
    for name in ("a/frame.png", "b/frame.png", "b/other.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(path)
    paths = [tmp_path / "in" / name for name in ("a/frame.png", "b/frame.png", "b/other.png", "a/frame.png")]
    counts, broken = pictures.detect(_Fixed(), paths, tmp_path / "out", {2: "Truck"}, score_threshold=0.5)
    assert broken == [] and len(counts) == 3
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert len({result["image_id"] for result in results}) == 3
    assert all(result["bbox"] == pytest.approx([10, 7.5, 20, 15]) for result in results)
    assert len(list((tmp_path / "out" / "pictures").rglob("*.png"))) == 3
    assert not (tmp_path / "out" / "broken_frames.csv").exists()


def test_without_one_readable_image_it_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="a.png.*empty file"):
        pictures.detect(_Fixed(), [tmp_path / "a.png"], tmp_path / "out", {}, score_threshold=0.5)
    assert not (tmp_path / "out").exists()


def drawn(boxes, class_ids, scores, size=(200, 300)):
    rgb = np.full((*size, 3), 127, np.uint8)
    return np.asarray(pictures.draw_detections(
        rgb, np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), np.array(scores, np.float32),
        {1: "PassengerCar", 2: "Truck"}))


def test_drawing_marks_the_box_and_nothing_else():
    assert (drawn([], [], []) == 127).all()
    picture = drawn([[0.5, 0.2, 0.9, 0.8]], [1], [0.87])
    changed = (picture != 127).any(axis=2)
    assert changed[100, 60:240].all() and changed[100:180, 60].all() and changed[100:180, 239].all()
    assert not changed[100:, 240:].any() and not changed[180:].any()
    assert not changed[110:170, 70:230].any()  # inside, and
    assert not changed[:70].any() and not changed[:, :55].any()  # beyond label and line
    assert changed[85:100].any(), "the label stands above the box"


def test_classes_have_colours_of_their_own_and_labels_say_class_and_score():
    lines = [drawn([[0.5, 0.2, 0.9, 0.8]], [number], [0.87])[179, 150] for number in range(1, 8)]
    assert len({tuple(line) for line in lines}) == 7
    one, other = drawn([[0.5, 0.2, 0.9, 0.8]], [1], [0.87]), drawn([[0.5, 0.2, 0.9, 0.8]], [1], [0.34])
    assert (one[:100] != other[:100]).any() and (one[101:] == other[101:]).all()


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [-0.2, -0.2, 1.3, 1.3], [0.5, 0.5, 0.5, 0.5], [0.99, 0.99, 1, 1]])
@pytest.mark.parametrize("size", [(200, 300), (8, 8), (1, 1)])
def test_any_box_and_any_size_can_be_drawn(box, size):
    assert drawn([box], [9], [1.0], size).shape == (*size, 3)
