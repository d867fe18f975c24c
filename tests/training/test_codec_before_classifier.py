"""A codec in front of a classifier: what each regime moves, what a run leaves, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import tiny_classes
from tests.learned.test_learned import drawn_model
from tests.training.runs import train_classifier, variables
from tfod_compress.learned import coder, model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.training import codec_tuning

ADAM = "trainer.optimizer_config.optimizer.type=adam"
CODEC, SLOT = "model/codec/", ".OPTIMIZER_SLOT"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with records of 32x32 pictures, a config, and the model of a narrow bmshj2018 with drawn weights."""
    folder = tmp_path_factory.mktemp("data")
    splits = {"train": tiny_classes.pictures(12), "val": tiny_classes.pictures(3, seed=5)}
    tiny_classes.write(folder / "records", splits)
    (folder / "small.yaml").write_text(tiny_classes.CONFIG)
    model = drawn_model("bmshj2018")
    model_folder.write(folder / "codec", "bmshj2018", 8, 12, 0.01, coder.weights_of(model), model.tables(), {})
    return folder


@pytest.fixture(scope="module")
def base(data):
    return model_folder.read(data / "codec")


def train(data, folder, start=None, **options):
    overrides = f"{ADAM},task.init_checkpoint={start}" if start else ADAM
    return train_classifier(data / "small.yaml", data / "records", folder, overrides, **{
        "num_train_steps": 2, "checkpoint_every_n": 1, "seed": 1, "deterministic": True, "record_summaries": False,
        **options})


@pytest.fixture(scope="module")
def runs(data, base, tmp_path_factory, run_tool):
    """A folder with a classifier, `plain`, and runs that start from it, by their regime; one is the command's."""
    from tensorflow.python.framework import config as tf_config

    folder = tmp_path_factory.mktemp("runs")
    train(data, folder / "plain", num_train_steps=1)
    for regime in ("task_ft", "joint_ft"):
        train(data, folder / regime, folder / "plain", codec=codec_tuning.CodecTuning(base, regime, 0.5, 0.01))
    process = run_tool(
        "train", "--experiment", "resnet_imagenet", "--config_file", data / "small.yaml", "--records",
        data / "records", "--model_dir", folder / "codec_ft", "--num_train_steps", 2, "--seed", 1, "--params_override",
        f"{ADAM},task.init_checkpoint={folder / 'plain'}", "--codec_model", base.folder, "--codec_regime", "codec_ft",
        "--codec_beta", 0.5)
    assert process.returncode == 0, process.stdout + process.stderr
    yield folder
    tf_config.disable_op_determinism()


def moved(before, after):
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


def of_model(found):
    return {name: value for name, value in found.items()
            if name.startswith(("model/", "backbone/")) and not name.startswith(CODEC) and SLOT not in name}


@pytest.mark.parametrize(("regime", "classifier", "codec"), [
    ("codec_ft", False, True), ("task_ft", True, False), ("joint_ft", True, True)])
def test_each_regime_moves_what_it_says(runs, base, regime, classifier, codec):
    """Weights and the statistics of batch normalisation, bit for bit; what keeps still has no momentum either."""
    before, after = variables(runs / "plain"), variables(runs / regime)
    weights = of_model(before)
    assert weights.keys() == of_model(after).keys() and len(weights) > 100
    statistics = {name for name in weights if "moving_" in name}
    assert len(statistics) > 30
    changed = moved(weights, after)
    assert changed == (set(weights) if classifier else set())
    made = model_folder.read(runs / regime / "codec", "bmshj2018")
    ours, theirs = (model_folder.read_arrays(which)[0] for which in (made, base))
    assert moved(theirs, ours) == (set(theirs) if codec else set())
    assert {value.tobytes() for value in ours.values()} <= {
        value.tobytes() for name, value in after.items() if name.startswith(CODEC)}
    slots = {name.startswith(CODEC) for name in after if SLOT in name}
    assert slots == ({True} if codec else set()) | ({False} if classifier else set())


def test_the_run_tells_its_codec_and_what_it_costs(runs, base):
    record = json.loads((runs / "joint_ft" / "run.json").read_text())
    assert (record["codec"]["model_hash"], record["codec"]["regime"]) == (base.model_hash, "joint_ft")
    assert record["hparams"]["codec_regime"] == "joint_ft" and record["hparams"]["codec"] == "jpeg"
    line = json.loads((runs / "joint_ft" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["Loss/codec_rate"] == pytest.approx(0.5 * line["codec/bpp"], rel=1e-5)
    assert line["Loss/codec_distortion"] == pytest.approx(0.01 * line["codec/mse"], rel=1e-5)
    parts = sum(value for name, value in line.items() if name.startswith("Loss/") and "total" not in name)
    assert line["Loss/total_loss"] == pytest.approx(parts, rel=1e-5)


def test_stopped_and_resumed_ends_with_the_same_bits_and_no_other_tuning_goes_on(runs, data, base, tmp_path):
    settings = {"start": runs / "plain", "codec": codec_tuning.CodecTuning(base, "joint_ft", 0.5, 0.01)}
    train(data, tmp_path / "model", max_hours=1e-9, **settings)
    assert variables(tmp_path / "model")["step/.ATTRIBUTES/VARIABLE_VALUE"] == 1
    train(data, tmp_path / "model", **settings)
    whole, parts = variables(runs / "joint_ft"), variables(tmp_path / "model")
    assert whole.keys() == parts.keys()
    assert not moved(whole, parts)
    hashes = [model_folder.read(folder / "codec").model_hash for folder in (runs / "joint_ft", tmp_path / "model")]
    assert hashes[0] == hashes[1]
    for codec, told in ((codec_tuning.CodecTuning(base, "joint_ft", 0.6, 0.01), "beta 0.5 then, 0.6 now"),
                        (None, "started with a codec")):
        with pytest.raises(InputError, match=told):
            train(data, tmp_path / "model", runs / "plain", codec=codec)


def test_the_folder_is_a_classifier_like_any_other(runs, data, run_tool, tmp_path):
    """After codec_ft the same one: the command that evaluates gives the same predictions, and knows of no codec."""
    for name in ("plain", "codec_ft"):
        process = run_tool("evaluate", "--checkpoint", runs / name, "--records", data / "records", "--output",
                           tmp_path / name)
        assert process.returncode == 0, process.stdout + process.stderr
    one, other = ((tmp_path / name / "records" / "predictions.json").read_text() for name in ("plain", "codec_ft"))
    assert one == other and json.loads(one)


def test_the_tuned_codec_codes_record_sets(runs, run_tool, tmp_path):
    for source_id, _, rgb in tiny_classes.pictures(6):
        path = tmp_path / "frames" / f"{source_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
    process = run_tool("make_tfrecords", "--task", "classification", "--frames", tmp_path / "frames", "--codec",
                       "bmshj2018", "--codec_model", runs / "codec_ft" / "codec", "--record_set", "tuned", "--output",
                       tmp_path / "tfrecords")
    assert process.returncode == 0, process.stdout + process.stderr
    manifest = json.loads((tmp_path / "tfrecords" / "tuned" / "manifest.json").read_text())
    assert manifest["task"] == "classification" and sum(manifest["frames"].values()) == 6
    assert model_folder.read(runs / "codec_ft" / "codec").model_hash in json.dumps(manifest)


def test_it_shows_what_the_decoder_shows_also_of_pictures_below_its_stride(base):
    """A decoder rounds. The bits are those of the padded picture, as in its file, over the picture's own pixels."""
    import tensorflow as tf

    from tfod_compress.training.codec_in_front import CodecInFront

    model, tables = coder.load(base)
    real = coder.PictureCoder(model, tables, base.stream_hash)
    rgb = tiny_classes.pictures(1)[0][2]
    decoded = CodecInFront(model, "joint_ft", beta=2.0, lmbda=0.1)(tf.constant(rgb[np.newaxis], tf.float32))
    shown = decoded.pixels[0].numpy()
    assert shown.shape == rgb.shape and shown.min() >= 0 and shown.max() <= 255
    assert np.abs(np.rint(shown) - real.decode(real.encode(rgb), 10**4)).max() <= 1
    bpp = float(decoded.metrics["bpp"])
    assert bpp == pytest.approx(real.information(rgb) / (32 * 32), rel=0.2)
    assert float(decoded.losses["rate"]) == pytest.approx(2 * bpp)
    assert float(decoded.losses["distortion"]) == pytest.approx(0.1 * float(decoded.metrics["mse"]))


def test_pixels_come_back_from_the_input_of_the_model(data):
    """The normalisation that is undone is the one of the input pipeline."""
    from tfod_compress.tasks.classification import experiment, inputs

    levels = np.array([[0, 0, 0], [255, 255, 255], [10, 200, 90]], np.uint8)
    pictures = np.broadcast_to(levels[:, np.newaxis, np.newaxis], (3, 32, 32, 3))
    seen = inputs.for_prediction(experiment.read("resnet_imagenet", [data / "small.yaml"]))(pictures)
    normalization = inputs.normalization()
    np.testing.assert_allclose(normalization.undo(seen), pictures, atol=1e-3)
    np.testing.assert_allclose(normalization.redo(pictures.astype(np.float32)), seen, atol=1e-5)


@pytest.mark.parametrize(("overrides", "told"), [
    ("", r"codec_ft tunes a codec .*; set task\.init_checkpoint"),
    ("task.init_checkpoint=/nowhere,task.init_checkpoint_modules=backbone", "init_checkpoint_modules to all")])
def test_a_frozen_classifier_must_have_been_trained(data, base, tmp_path, overrides, told):
    with pytest.raises(InputError, match=told) as error:
        train_classifier(data / "small.yaml", data / "records", tmp_path / "m", overrides, num_train_steps=1,
                         codec=codec_tuning.CodecTuning(base, "codec_ft", 0.5))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("flags", "told"), [
    (["--codec_lmbda", 0.1], "go with --codec_model"),
    (["--codec_model", "nowhere"], "--codec_regime and --codec_beta are missing")])
def test_flags_that_cannot_work_are_told_before_tensorflow(run_tool, data, tmp_path, flags, told):
    process = run_tool("train", "--experiment", "resnet_imagenet", "--records", data / "records", "--model_dir",
                       tmp_path / "m", *flags)
    assert process.returncode == 2, process.stdout + process.stderr
    assert told in process.stderr and "Traceback" not in process.stderr
