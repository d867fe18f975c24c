"""Evaluation of checkpoints: strict about its inputs, equal to the stock loop, done once."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests import tiny_records
from tfod_compress import evaluation
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics, odapi
from tfod_compress.tasks.detection.config import label_maps, pipeline_config

COUNT = 10


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two record sets, a config, a checkpoint and its Detector; some labels are what the detector finds."""
    odapi.install()
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("world")
    images = tiny_records.pictures(COUNT)
    tiny_records.write(folder / "first", images, {}, quality=95)
    config = tiny_records.write_config(folder / "pipeline.config", folder / "first")
    tf.keras.utils.set_random_seed(3)
    save_checkpoint(config, folder / "model")

    from tfod_compress.tasks.detection.detector import Detector
    detector = Detector(config)
    detector.restore(folder / "model")
    labels = {}
    for source_id, _, boxes, classes, _ in detector.detect(RecordSet(folder / "first").files("val"), 8):
        found = [(*box, number) for box, number in zip(boxes[:3], classes[:3], strict=True)]
        labels[source_id] = [*found[::2], (0.1, 0.1, 0.4, 0.5, 2)]
    for quality in (95, 5):
        tiny_records.write(folder / f"jpeg-q{quality}", images, labels, quality=quality, split_by="^(seq[0-9]+)/")
    config = tiny_records.write_config(folder / "pipeline.config", folder / "jpeg-q95")
    return folder, config, detector, labels


def save_checkpoint(config, folder, number=1):
    """A checkpoint as training saves it, of new random weights; returns the model."""
    import tensorflow as tf
    from object_detection.builders import model_builder

    model = model_builder.build(pipeline_config.read(config).model, is_training=True)
    image, shapes = model.preprocess(tf.zeros([1, 64, 96, 3]))
    model.postprocess(model.predict(image, shapes), shapes)
    checkpoint = tf.train.Checkpoint(step=tf.Variable(0), model=model)
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=3).save(checkpoint_number=number)
    return model


def test_writes_detections_and_metrics_once(world, tmp_path):
    folder, config, detector, _ = world
    sets = [folder / "jpeg-q95", folder / "jpeg-q5"]
    results = evaluation.evaluate(config, folder / "model", sets, tmp_path, score_threshold=0.3,
                                  detector=detector)
    assert list(results) == ["jpeg-q95", "jpeg-q5"]
    assert detector._detect.experimental_get_tracing_count() == 1
    for name, result in results.items():
        assert result == json.loads((tmp_path / name / "metrics.json").read_text())
        for metric in (result["weighted_map"], result["map"], result["f1"], result["coco"]["AP"]):
            assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
        assert set(result["coco"]) == {"AP", "AP50", "AP75", "APs", "APm", "APl"}
        assert result["ap_per_class"].keys() == set(tiny_records.NAMES.values())
        assert (result["images"], result["score_threshold"]) == (COUNT, 0.3)
        assert result["intervals"]["unit"] == "sequence"
        size = sum(len(e.encoded) for e in RecordSet(folder / name).examples("val"))
        assert (result["coded_bytes"], result["bpp"]) == (size, 8 * size / (COUNT * 60 * 80))
        detections = json.loads((tmp_path / name / "detections.json").read_text())
        assert {d["image_id"] for d in detections} == {e.source_id for e in RecordSet(folder / name).examples("val")}
        assert all(d["bbox"][0] >= 0 and d["bbox"][0] + d["bbox"][2] <= 80.001 for d in detections)
    # The labels hold what this detector finds at quality 95, so it does well there and worse at 5.
    assert results["jpeg-q95"]["weighted_map"]["value"] > results["jpeg-q5"]["weighted_map"]["value"] > 0

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    assert evaluation.evaluate(config, folder / "model", sets, tmp_path, score_threshold=0.3) == results
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    (tmp_path / "jpeg-q5" / "metrics.json").write_text("{}")  # not whole: done again, the other one is not
    again = evaluation.evaluate(config, folder / "model", sets, tmp_path, score_threshold=0.3,
                                detector=detector, batch_size=3)
    assert again == results
    changed = [path.parent.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert set(changed) == {"jpeg-q5"}


def test_other_weights_are_evaluated_anew(world, tmp_path):
    folder, config, detector, _ = world
    model = tmp_path / "model"
    shutil.copytree(folder / "model", model)
    sets = [folder / "jpeg-q95"]
    first = evaluation.evaluate(config, model, sets, tmp_path / "out", detector=detector)["jpeg-q95"]
    save_checkpoint(config, model, number=2)
    second = evaluation.evaluate(config, model, sets, tmp_path / "out", detector=detector)["jpeg-q95"]
    assert second["checkpoint"].endswith("ckpt-2")
    assert second["weighted_map"]["value"] < first["weighted_map"]["value"]
    old = evaluation.evaluate(config, model / "ckpt-1", sets, tmp_path / "out", detector=detector)
    assert old["jpeg-q95"]["weighted_map"] == first["weighted_map"]


def test_detections_are_the_stock_pipelines(world):
    folder, config, detector, _ = world
    import tensorflow as tf
    from object_detection import inputs
    from object_detection.builders import model_builder

    message = pipeline_config.read(config)
    model = model_builder.build(message.model, is_training=False)
    image, shapes = model.preprocess(tf.zeros([1, 64, 96, 3]))
    model.postprocess(model.predict(image, shapes), shapes)
    tf.train.Checkpoint(model=model).restore(str(folder / "model" / "ckpt-1")).expect_partial()
    detector.restore(folder / "model")
    files = RecordSet(folder / "jpeg-q95").files("val")
    ours = {source_id: outputs for source_id, *outputs in detector.detect(files, 4)}
    order = [e.source_id for e in RecordSet(folder / "jpeg-q95").examples("val")]
    message.eval_input_reader[0].shuffle = False
    dataset = inputs.eval_input(message.eval_config, message.eval_input_reader[0], message.model, model=model)
    for source_id, (features, _) in zip(order[:4], dataset.take(4), strict=True):
        shapes = features["true_image_shape"]
        stock = model.postprocess(model.predict(features["image"], shapes), shapes)
        _, boxes, classes, scores = ours[source_id]
        count = int(stock["num_detections"][0])
        assert count == len(scores)
        np.testing.assert_allclose(stock["detection_boxes"][0, :count], boxes, atol=1e-5)
        np.testing.assert_allclose(stock["detection_scores"][0, :count], scores, atol=1e-5)
        np.testing.assert_array_equal(stock["detection_classes"][0, :count].numpy() + 1, classes)


@pytest.mark.parametrize("resizer", [
    pytest.param("keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 128 }", marks=pytest.mark.slow),
    "keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 128 pad_to_max_dimension: true }"])
def test_frames_of_several_sizes(world, tmp_path, resizer):
    from tfod_compress.tasks.detection.detector import Detector

    images = tiny_records.pictures(7, seed=1, sizes=((60, 80), (60, 100), (80, 60)))
    files = RecordSet(tiny_records.write(tmp_path / "png", images, {})).files("val")
    detector = Detector(tiny_records.write_config(tmp_path / "pipeline.config", tmp_path / "png", resizer=resizer))
    detector.restore(world[0] / "model")
    batched, single = ({name: rest for name, *rest in detector.detect(files, size)} for size in (4, 1))
    assert batched.keys() == images.keys()
    for name, (size, boxes, classes, scores) in batched.items():
        assert size == images[name].shape[:2]
        np.testing.assert_allclose(boxes, single[name][1], atol=1e-5)
        np.testing.assert_array_equal(classes, single[name][2])
        np.testing.assert_allclose(scores, single[name][3], atol=1e-5)
        assert boxes.min() >= 0 and boxes.max() <= 1
        # Boxes span the image itself and not the padding around it.
        assert boxes[:, 2].max() > 0.9 and boxes[:, 3].max() > 0.9
    assert detector._detect.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [5, 40, 95])
def test_images_are_decoded_as_pillow_does(mode, quality):
    from tfod_compress.tasks.detection.detector import decode

    image = Image.fromarray(tiny_records.pictures(1, sizes=((70, 90),))["seq000/000000"]).convert(mode)
    for name in ("JPEG", "PNG"):
        data = io.BytesIO()
        image.save(data, name, **({"quality": quality} if name == "JPEG" else {}))
        expected = np.asarray(Image.open(data).convert("RGB"))
        np.testing.assert_array_equal(decode(data.getvalue()).numpy(), expected)


def test_checkpoint_must_hold_every_variable(world, tmp_path):
    folder, config, detector, _ = world
    import tensorflow as tf

    model = save_checkpoint(config, tmp_path / "whole")
    cases = {
        "backbone": (tf.train.Checkpoint(model=tf.train.Checkpoint(_feature_extractor=model._feature_extractor)),
                     r"lacks 24 of .* variables .*BoxPredictor"),
        "root": (tf.train.Checkpoint(detector=model), r"lacks (\d+) of the \1 variables"),
    }
    for name, (checkpoint, message) in cases.items():
        tf.train.CheckpointManager(checkpoint, str(tmp_path / name), 1).save()
        with pytest.raises(InputError, match=message):
            detector.restore(tmp_path / name)
    other = tiny_records.write_config(tmp_path / "other.config", folder / "jpeg-q95", classes=5)
    save_checkpoint(other, tmp_path / "other")
    with pytest.raises(InputError, match="other.*cannot be restored into the model of"):
        detector.restore(tmp_path / "other")
    model.variables[0].assign(np.nan * model.variables[0])
    tf.train.Checkpoint(model=model).write(str(tmp_path / "nan"))
    with pytest.raises(InputError, match="NaN"):
        detector.restore(tmp_path / "nan")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(InputError, match=name):
            detector.restore(tmp_path / name)


@pytest.mark.slow
def test_saved_model_gives_the_checkpoints_metrics(world, tmp_path):
    folder, config, detector, _ = world
    from object_detection import exporter_lib_v2

    exporter_lib_v2.export_inference_graph("image_tensor", pipeline_config.read(config), str(folder / "model"),
                                           str(tmp_path / "export"))
    sets = [folder / "jpeg-q95"]
    exported = evaluation.evaluate_saved_model(tmp_path / "export", sets, tmp_path / "a")["jpeg-q95"]
    restored = evaluation.evaluate(config, folder / "model", sets, tmp_path / "b", detector=detector)
    for key in ("weighted_map", "map", "f1", "bpp"):
        assert exported[key] == pytest.approx(restored["jpeg-q95"][key], abs=1e-6)
    for name in ("export", "export/variables"):
        with pytest.raises(InputError, match="saved_model.pb"):
            evaluation.evaluate_saved_model(tmp_path / name / "gone", sets, tmp_path / "c")


def test_bad_record_sets_are_errors(world, tmp_path):
    folder, config, detector, labels = world
    images = tiny_records.pictures(3)

    def evaluated(name):
        return evaluation.evaluate(config, folder / "model", [tmp_path / name], tmp_path / "out",
                                   detector=detector)

    twice = tiny_records.write(tmp_path / "twice", images, labels, quality=90)
    shutil.copy(twice / "val-00000-of-00001.tfrecord", twice / "val-00001-of-00002.tfrecord")
    (twice / "val-00000-of-00001.tfrecord").rename(twice / "val-00000-of-00002.tfrecord")
    manifest = json.loads((twice / "manifest.json").read_text())
    manifest["files"] = {path.name: "" for path in twice.glob("val-*")}
    (twice / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="twice .*seq000/000000"):
        evaluated("twice")
    tiny_records.write(tmp_path / "unlabelled", images, {}, quality=90)
    with pytest.raises(InputError, match="no labelled boxes"):
        evaluated("unlabelled")
    tiny_records.write(tmp_path / "empty", {}, {}, quality=90)
    with pytest.raises(InputError, match="empty"):
        evaluated("empty")
    tiny_records.write(tmp_path / "unknown", images, {name: [(0.1, 0.1, 0.5, 0.5, 9)] for name in images}, quality=90)
    with pytest.raises(InputError, match="class ids 9 are not in the label map"):
        evaluated("unknown")
    tiny_records.write(tmp_path / "renamed", images, labels, names={1: "car", 2: "lorry", 3: "person"})
    with pytest.raises(InputError, match="no class in common"):
        evaluated("renamed")
    tiny_records.write(tmp_path / "more", images, labels, names={**tiny_records.NAMES, 4: "Bus"})
    for name, told in (("renamed", "1: PassengerCar / car"), ("more", "num_classes is 3")):
        with pytest.raises(InputError, match=told):  # what a training's own evaluation asks for
            label_maps.check(pipeline_config.read(config), config, RecordSet(tmp_path / name))
    cut = tiny_records.write(tmp_path / "cut", images, labels)
    shard = cut / "val-00000-of-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(InputError, match="cut"):
        evaluated("cut")
    foreign = tiny_records.write(tmp_path / "foreign", images, labels)
    lines = (foreign / "images.csv").read_text().splitlines()
    (foreign / "images.csv").write_text("\n".join(lines[:2]) + "\n")
    with pytest.raises(InputError, match="images.csv"):
        evaluated("foreign")
    assert not (tmp_path / "out").exists()


def test_commands(world, tmp_path, run_tool):
    folder, config, detector, _ = world
    done = run_tool("evaluate", "--pipeline_config_path", config, "--checkpoint", folder / "model", "--records",
                    folder / "jpeg-q95", "--records", folder / "jpeg-q5", "--output", tmp_path, "--resamples", 20)
    assert done.returncode == 0, done.stderr
    assert "jpeg-q95" in done.stdout and "weighted mAP" in done.stdout
    files = [tmp_path / name / "detections.json" for name in ("jpeg-q95", "jpeg-q5")]
    result = json.loads((tmp_path / "jpeg-q95" / "metrics.json").read_text())

    done = run_tool("evaluate", "--metrics_from", files[0], "--ground_truth", folder / "jpeg-q95", "--output",
                    tmp_path / "again", "--resamples", 20)
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    same = set(result) - {"checkpoint", "made_from"}
    assert {key: again[key] for key in same} == {key: result[key] for key in same}

    done = run_tool("compare", *files, "--ground_truth", folder / "jpeg-q95", "--resamples", 50)
    assert done.returncode == 0, done.stderr
    truth = metrics.load_ground_truth(folder / "jpeg-q95")
    value = metrics.paired_difference(truth, *(metrics.load_detections(file, truth) for file in files))["value"]
    assert f"{value:+.4f}" in done.stdout

    wrong = [
        (["evaluate", "--pipeline_config_path", config, "--checkpoint", tmp_path, "--records", folder / "jpeg-q5",
          "--output", tmp_path / "o"], 1, "no checkpoint"),
        (["evaluate", "--pipeline_config_path", config, "--checkpoint", folder / "model", "--records",
          tmp_path / "gone", "--output", tmp_path / "o"], 1, "gone"),
        (["evaluate", "--records", folder / "jpeg-q5", "--output", tmp_path / "o"], 2, "--pipeline_config_path"),
        (["compare", files[0], tmp_path / "gone.json", "--ground_truth", folder / "jpeg-q5"], 1, "gone.json"),
        (["compare", files[0], "--ground_truth", folder / "jpeg-q5"], 2, "two"),
    ]
    for arguments, code, text in wrong:
        done = run_tool(*arguments)
        assert (done.returncode, text in done.stderr, len(done.stderr.splitlines())) == (code, True, 1), done.stderr
    assert not (tmp_path / "o").exists()


def test_a_training_before_changes_nothing(world):
    """The OD API's training leaves Keras in its training phase, where batch normalisation follows the batch."""
    import tensorflow as tf

    from tfod_compress.tasks.detection.detector import Detector

    folder, config, detector, _ = world
    files = RecordSet(folder / "jpeg-q95").files("val")
    detector.restore(folder / "model")  # other tests gave it other weights
    expected = {found[0]: found[4] for found in detector.detect(files, 8)}
    tf.keras.backend.set_learning_phase(True)
    try:
        after = Detector(config)
        assert tf.keras.backend.learning_phase()
        after.restore(folder / "model")
        for found in after.detect(files, 3):
            np.testing.assert_allclose(found[4], expected.pop(found[0]), atol=1e-5)
        assert not expected
    finally:
        tf.keras.backend.set_learning_phase(False)
