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
from tfod_compress.tasks.classification import trained
from tfod_compress.training import codec_tuning

ADAM = "trainer.optimizer_config.optimizer.type=adam"
CODEC, SLOT = "model/codec/", ".OPTIMIZER_SLOT"
REGIMES = [("codec_ft", False, True), ("task_ft", True, False), ("joint_ft", True, True)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with records of 32x32 pictures, a config, a narrow bmshj2018 with drawn weights, and a classifier."""
    folder = tmp_path_factory.mktemp("data")
    splits = {"train": tiny_classes.pictures(12), "val": tiny_classes.pictures(3, seed=5)}
    tiny_classes.write(folder / "records", splits)
    (folder / "small.yaml").write_text(tiny_classes.CONFIG)
    model = drawn_model("bmshj2018")
    model_folder.write(folder / "codec", "bmshj2018", 8, 12, 0.01, coder.weights_of(model), model.tables(), {})
    trainable = built(folder, seed=7)
    trainable.checkpoint.save(str(folder / "plain" / "ckpt"))
    trainable.experiment.write(folder / "plain")
    trained.write_label_map(folder / "plain", tiny_classes.NAMES)
    return folder


def built(folder, seed):
    """A TrainableClassifier with drawn weights, those of batch normalisation's statistics too."""
    import tensorflow as tf

    from tfod_compress.tasks.classification import experiment
    from tfod_compress.tasks.classification.model import TrainableClassifier

    tf.keras.utils.set_random_seed(seed)
    found = experiment.read("resnet_imagenet", [folder / "small.yaml"], ADAM)
    trainable = TrainableClassifier(found.for_classes(tiny_classes.NAMES))
    for variable in trainable.model.non_trainable_variables:
        variable.assign(tf.random.uniform(variable.shape, 0.5, 1.5))
    return trainable


@pytest.fixture(scope="module")
def base(data):
    return model_folder.read(data / "codec")


@pytest.fixture(scope="module")
def tuned(data, base, run_tool):
    """The folder of a codec_ft run of two steps by the command."""
    process = run_tool(
        "train", "--experiment", "resnet_imagenet", "--config_file", data / "small.yaml", "--records",
        data / "records", "--model_dir", data / "codec_ft", "--num_train_steps", 2, "--seed", 1, "--deterministic",
        "--params_override", f"{ADAM},task.init_checkpoint={data / 'plain'}", "--codec_model", base.folder,
        "--codec_regime", "codec_ft", "--codec_beta", 0.5, "--codec_lmbda", 0.01)
    assert process.returncode == 0, process.stdout + process.stderr
    return data / "codec_ft"


def moved(before, after):
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


@pytest.mark.parametrize(("regime", "classifier", "codec"), REGIMES)
def test_each_regime_moves_what_it_says(data, base, regime, classifier, codec):
    """Weights and the statistics of batch normalisation, bit for bit; the loss is the sum of its parts."""
    import tensorflow as tf

    from tfod_compress.training import step
    from tfod_compress.training.codec_in_front import CodecInFront

    trainable, (model, _) = built(data, seed=1), coder.load(base)
    sides = {"weights": trainable.model.trainable_variables, "statistics": trainable.model.non_trainable_variables,
             "codec": [variable for modules in model.parts.values() for module in modules
                       for variable in module.trainable_variables]}
    sides = {name: list(variables) for name, variables in sides.items()}
    trainable.put_in_front(CodecInFront(model, regime, beta=0.5, lmbda=0.01))
    before = {name: [variable.numpy() for variable in variables] for name, variables in sides.items()}
    rgb = tf.constant(np.stack([rgb for _, _, rgb in tiny_classes.pictures(4)]), tf.float32)
    features, labels = {"image": trainable.normalization().redo(rgb)}, tf.constant([0, 1, 2, 0])
    for _ in range(2):
        losses, gradients = step.losses_and_gradients(trainable, features, labels)
        trainable.optimizer.apply_gradients(zip(gradients, trainable.trained_variables, strict=True))
    changed = {name: sum((old != new.numpy()).any() for old, new in zip(before[name], variables, strict=True))
               for name, variables in sides.items()}
    assert min(len(variables) for variables in sides.values()) > 10
    for name, moves in (("weights", classifier), ("statistics", classifier), ("codec", codec)):
        assert changed[name] == (len(sides[name]) if moves else 0), name
    found = {name.partition("/")[2]: float(value) for name, value in losses.items()}
    assert found["codec_rate"] == pytest.approx(0.5 * found["bpp"])
    assert found["codec_distortion"] == pytest.approx(0.01 * found["mse"])
    assert found["total_loss"] == pytest.approx(sum(value for name, value in found.items() if name in (
        "classification_loss", "regularization_loss", "codec_rate", "codec_distortion")), rel=1e-5)


def test_codec_ft_by_the_command_leaves_every_bit_of_the_classifier_and_a_tuned_codec(tuned, data, base):
    before, after = variables(data / "plain"), variables(tuned)
    weights = {name for name in before if name.startswith(("model/", "backbone/"))}
    assert len(weights) > 100 and sum("moving_" in name for name in weights) > 30
    assert not moved({name: before[name] for name in weights}, after)
    made = model_folder.read(tuned / "codec", "bmshj2018")
    ours, theirs = (model_folder.read_arrays(which)[0] for which in (made, base))
    assert moved(theirs, ours) == set(theirs)
    kept = {value.tobytes() for name, value in after.items() if name.startswith(CODEC) and SLOT not in name}
    assert all(value.tobytes() in kept for value in ours.values())
    assert {name.startswith(CODEC) for name in after if SLOT in name} == {True}  # what keeps still has no momentum
    record = json.loads((tuned / "run.json").read_text())
    assert (record["codec"]["model_hash"], record["codec"]["regime"]) == (base.model_hash, "codec_ft")
    assert record["hparams"]["codec_regime"] == "codec_ft" and record["hparams"]["codec"] == "jpeg"


def test_the_folder_is_a_classifier_like_any_other(tuned, data, tmp_path):
    """After codec_ft the same one, which knows of no codec."""
    from tfod_compress import evaluation
    from tfod_compress.tasks.models import Wanted

    rgb = np.stack([rgb for _, _, rgb in tiny_classes.pictures(3)])
    one, other = (trained.find(folder).load().predict(rgb) for folder in (tuned, data / "plain"))
    np.testing.assert_array_equal(one, other)
    (_, result), = evaluation.evaluate_models(Wanted(checkpoint=(tuned,)), [data / "records"], tmp_path)
    assert result["images"] == 3


def test_a_run_goes_on_with_its_own_codec_alone(tuned, data, base):
    for codec, told in ((codec_tuning.CodecTuning(base, "codec_ft", 0.6, 0.01), "beta 0.5 then, 0.6 now"),
                        (None, "started with a codec")):
        with pytest.raises(InputError, match=told):
            train_classifier(data / "small.yaml", data / "records", tuned,
                             f"{ADAM},task.init_checkpoint={data / 'plain'}", codec=codec)


def test_the_tuned_codec_codes_record_sets(tuned, run_tool, tmp_path):
    for source_id, _, rgb in tiny_classes.pictures(6):
        path = tmp_path / "frames" / f"{source_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
    process = run_tool("make_tfrecords", "--task", "classification", "--frames", tmp_path / "frames", "--codec",
                       "bmshj2018", "--codec_model", tuned / "codec", "--record_set", "tuned", "--output",
                       tmp_path / "tfrecords")
    assert process.returncode == 0, process.stdout + process.stderr
    manifest = json.loads((tmp_path / "tfrecords" / "tuned" / "manifest.json").read_text())
    assert manifest["task"] == "classification" and sum(manifest["frames"].values()) == 6
    assert model_folder.read(tuned / "codec").model_hash in json.dumps(manifest)


@pytest.mark.slow
def test_stopped_and_resumed_ends_with_the_same_bits(tuned, data, base, tmp_path):
    from tensorflow.python.framework import config as tf_config

    folder, codec = tmp_path / "model", codec_tuning.CodecTuning(base, "codec_ft", 0.5, 0.01)
    for more in ({"max_hours": 1e-9}, {}):
        train_classifier(data / "small.yaml", data / "records", folder,
                         f"{ADAM},task.init_checkpoint={data / 'plain'}", codec=codec, num_train_steps=2, seed=1,
                         deterministic=True, **more)
    tf_config.disable_op_determinism()
    starts = json.loads((folder / "run.json").read_text())["starts"]
    assert [start["step"] for start in starts] == [0, 1]
    whole, parts = variables(tuned), variables(folder)
    assert whole.keys() == parts.keys()
    assert not moved(whole, parts)
    assert model_folder.read(folder / "codec").model_hash == model_folder.read(tuned / "codec").model_hash


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
