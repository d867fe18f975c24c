"""Exports: the SavedModel and the TensorFlow Lite model find what the checkpoint finds, elsewhere too."""

import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format

from tests import tiny_records
from tests.evaluation.test_evaluation import save_checkpoint
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import odapi, trained_model
from tfod_compress.tasks.detection.config import pipeline_config

ELSEWHERE = """
import importlib.abc, sys
import numpy as np

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("tfod_compress", "object_detection", "official", "tf_slim"):
            raise ImportError(name + " must not be needed")

sys.meta_path.insert(0, Refuse())
import tensorflow as tf
found = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](input_tensor=np.load(sys.argv[2])[None])
np.savez(sys.argv[3], **{name: value.numpy()[0] for name, value in found.items()})
"""


def random_checkpoint(name, folder, changes=()):
    """A model folder of a template's detector whose random weights give boxes and scores of some variety."""
    odapi.install()
    import tensorflow as tf
    from object_detection.builders import model_builder

    config = pipeline_config.template(name)
    for change in changes:
        text_format.Merge(change, config)
    folder.mkdir()
    (folder / "pipeline.config").write_text(text_format.MessageToString(config))
    model = model_builder.build(config.model, is_training=False)
    model.predict(*model.preprocess(tf.zeros([1, 160, 256, 3])))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "kernel" in variable.name:
            gain = 0.5 if "resnet" in name else 1.2  # a hundred residual layers of more would grow beyond float32
            variable.assign(rng.normal(0, gain / np.sqrt(np.prod(variable.shape[:-1])), variable.shape))
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model, step=tf.Variable(0)), str(folder), 1).save(1)
    return folder


def elsewhere(saved_model, image, folder):
    """(boxes, class ids, scores) in a fresh process that refuses to import this package or the OD API."""
    np.save(folder / "image.npy", image)
    process = subprocess.run([sys.executable, "-c", ELSEWHERE, str(saved_model), str(folder / "image.npy"),
                              str(folder / "found.npz")], cwd=folder, capture_output=True, text=True, timeout=900)
    assert process.returncode == 0, process.stderr[-2000:]
    found = np.load(folder / "found.npz")
    count = int(found["num_detections"])
    return (found["detection_boxes"][:count], found["detection_classes"][:count].astype(int),
            found["detection_scores"][:count])


def check_saved_model(model, folder):
    """Exports a model folder; returns its Detector and the picture on which both found the same."""
    from tfod_compress.tasks.detection import export

    export.export_saved_model(model / "pipeline.config", model, folder / "exported")
    written = {path.name for path in (folder / "exported").iterdir()} - {"label_map.pbtxt"}
    assert written == {"saved_model", "checkpoint", "pipeline.config"}
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    detector = trained_model.find(checkpoint=model).load()
    image = np.random.default_rng(1).integers(0, 256, (120, 200, 3)).astype(np.uint8)
    ours = detector.detect_image(image)
    assert len(ours[2]) > 5 and ours[2].std() > 0 and ours[0].std() > 0.1
    found = elsewhere(folder / "exported" / "saved_model", image, folder)
    for one, other in zip(found, ours, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    return detector, image


NARROW = "model { ssd { feature_extractor { depth_multiplier: 0.1 } } }"
AS_MANY_OF_A_CLASS = "model { ssd { post_processing { batch_non_max_suppression { max_detections_per_class: 100 } } } }"


@pytest.mark.slow
def test_saved_model_of_ssd(tmp_path):
    model = random_checkpoint("ssd_inception_v2_demo", tmp_path / "model", [NARROW])
    detector, image = check_saved_model(model, tmp_path)
    loaded = trained_model.find(saved_model=tmp_path / "exported").load()
    for one, other in zip(loaded.detect_image(image), detector.detect_image(image), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_tflite_of_ssd(tmp_path):
    odapi.install()
    import tensorflow as tf

    from tfod_compress.tasks.detection import export

    model = random_checkpoint("ssd_inception_v2_demo", tmp_path / "model", [NARROW, AS_MANY_OF_A_CLASS])
    export.export_tflite(model / "pipeline.config", model / "ckpt-1", tmp_path / "lite")
    assert {path.name for path in (tmp_path / "lite").iterdir()} == {"model.tflite", "pipeline.config"}
    detector = trained_model.find(checkpoint=model).load()
    image = np.random.default_rng(1).integers(0, 256, (120, 200, 3)).astype(np.uint8)
    lite = tf.lite.Interpreter(str(tmp_path / "lite" / "model.tflite"))
    lite.allocate_tensors()
    prepared, _ = detector._model.preprocess(tf.cast(image, tf.float32)[tf.newaxis])
    lite.set_tensor(lite.get_input_details()[0]["index"], prepared.numpy())
    lite.invoke()
    outputs = [lite.get_tensor(output["index"])[0] for output in lite.get_output_details()]
    boxes = next(output for output in outputs if output.ndim == 2)
    scores, classes = (output for output in outputs if output.ndim == 1)
    ours_boxes, ours_classes, ours_scores = detector.detect_image(image)
    count = int(next(output for output in outputs if output.ndim == 0))
    assert count == len(ours_scores)
    np.testing.assert_allclose(scores[:count], ours_scores, atol=1e-4)
    # Scores that are nearly equal may change places further down.
    np.testing.assert_array_equal(classes[:5] + 1, ours_classes[:5])
    np.testing.assert_allclose(np.clip(boxes[:5], 0, 1), ours_boxes[:5], atol=1e-3)


@pytest.mark.slow
def test_saved_model_of_faster_rcnn(tmp_path):
    from tfod_compress.tasks.detection import export

    model = random_checkpoint("faster_rcnn_inception_v2_smoke", tmp_path / "model")
    check_saved_model(model, tmp_path)
    with pytest.raises(InputError, match="ssd with a fixed_shape_resizer alone"):
        export.export_tflite(model / "pipeline.config", model, tmp_path / "lite")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssd_inception_v2_300", "faster_rcnn_inception_v2", "faster_rcnn_resnet101"])
def test_saved_model_at_full_width(name, tmp_path):
    change = "fixed_shape_resizer { height: 96 width: 160 }"
    part = f"{'ssd' if name.startswith('ssd') else 'faster_rcnn'} {{ image_resizer {{ {change} }} }}"
    check_saved_model(random_checkpoint(name, tmp_path / "model", [f"model {{ {part} }}"]), tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    odapi.install()
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("export")
    tiny_records.write(folder / "records", tiny_records.pictures(1), {})
    (folder / "model").mkdir()
    config = tiny_records.write_config(folder / "model" / "pipeline.config", folder / "records")
    tf.keras.utils.set_random_seed(3)
    return folder, config, save_checkpoint(config, folder / "model")


def test_saved_model_of_a_tiny_ssd(tiny, tmp_path):
    from tfod_compress.tasks.detection import export

    folder, config, _ = tiny
    check_saved_model(folder / "model", tmp_path)
    with pytest.raises(InputError, match="is there already"):
        export.export_saved_model(config, folder / "model", tmp_path / "exported")


def test_what_does_not_fit_is_one_line_and_leaves_nothing(tiny, tmp_path):
    import tensorflow as tf

    from tfod_compress.tasks.detection import export

    folder, config, model = tiny

    def told(checkpoint, expected, settings=config):
        with pytest.raises(InputError, match=expected) as error:
            export.export_saved_model(settings, checkpoint, tmp_path / "exported")
        assert "\n" not in str(error.value)

    other = tiny_records.write_config(tmp_path / "other.config", folder / "records", classes=5)
    told(folder / "model", "cannot be exported as the model of .*other.config", other)
    tf.train.Checkpoint(other=model).write(str(tmp_path / "stranger"))
    told(tmp_path / "stranger", "holds no model")
    kept = model.variables[0].numpy()
    model.variables[0].assign(np.nan * kept)
    tf.train.Checkpoint(model=model).write(str(tmp_path / "nan"))
    model.variables[0].assign(kept)
    told(tmp_path / "nan", "NaN or infinite")
    told(tmp_path / "gone", "gone")
    part = tf.train.Checkpoint(_feature_extractor=model._feature_extractor)
    tf.train.Checkpoint(model=part).write(str(tmp_path / "part"))
    told(tmp_path / "part", "cannot be exported")
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"other", "stranger", "nan", "part"}


@pytest.mark.parametrize(("arguments", "code", "told"), [
    ([], 2, "--output_directory"),
    (["--input_type", "picture"], 2, "picture"),
    (["--pipeline_config_path", "gone.config"], 1, "gone.config"),
    (["--trained_checkpoint_dir", "gone"], 1, "gone"),
])
def test_command_mistakes(tiny, tmp_path, run_tool, arguments, code, told):
    folder, config, _ = tiny
    given = {"--pipeline_config_path": config, "--trained_checkpoint_dir": folder / "model"}
    if arguments:
        given["--output_directory"] = tmp_path / "o"
    given.update(zip(arguments[::2], arguments[1::2], strict=True))
    done = run_tool("export", *[part for pair in given.items() for part in pair])
    assert (done.returncode, told in done.stderr, len(done.stderr.splitlines())) == (code, True, 1), done.stderr
    assert not (tmp_path / "o").exists()
