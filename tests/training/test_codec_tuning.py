"""The real training loop with a codec in front of the detector: what moves, what is left, what goes on and what not."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.learned.test_learned import drawn_model
from tests.training.runs import train_detector
from tests.training.test_training import SMALL, rows, weights
from tfod_compress import codecs
from tfod_compress.learned import coder, model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.training import codec_tuning


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """`Description` of a narrow bls2017 with drawn weights."""
    model = drawn_model("bls2017")
    return model_folder.write(tmp_path_factory.mktemp("models") / "base", "bls2017", 8, 12, 0.01,
                              coder.weights_of(model), model.tables(), {})


@pytest.fixture(scope="module")
def detector(demo_records, tmp_path_factory):
    """The folder of a detector after one step, and a config that starts from it."""
    folder = tmp_path_factory.mktemp("detector")
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", folder / "first.config", overrides=SMALL)
    train_detector(folder / "first.config", folder / "model", num_train_steps=1, seed=1, record_summaries=False)
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", folder / "tune.config", overrides=SMALL,
                         checkpoint=folder / "model")
    return folder


def of_detector(found):
    return {name: value for name, value in found.items() if not name.startswith("model/codec/")}


def of_codec(found):
    return {name: value for name, value in found.items() if name.startswith("model/codec/")}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def tuned(detector, base, tmp_path_factory):
    """The folder of a codec_ft run of three steps."""
    from tensorflow.python.framework import config as tf_config

    folder = tmp_path_factory.mktemp("tuned") / "model"
    train_detector(detector / "tune.config", folder, num_train_steps=3, checkpoint_every_n=2, seed=1,
                   deterministic=True, codec=codec_tuning.CodecTuning(base, "codec_ft", 0.5))
    yield folder
    tf_config.disable_op_determinism()


def test_codec_ft_leaves_every_bit_of_the_detector_and_a_tuned_codec(tuned, detector, base):
    _, before, _ = weights(detector / "model")
    _, after, step = weights(tuned)
    assert step == 3 and len(before) > 100 and same(before, of_detector(after))
    assert of_codec(after)
    made = model_folder.read(tuned / "codec", "bls2017")
    assert made.model_hash != base.model_hash and made.content["base"] == base.model_hash
    assert made.content["end_to_end"]["regime"] == "codec_ft" and made.content["end_to_end"]["steps"] == 3
    ours, theirs = (model_folder.read_arrays(which)[0] for which in (made, base))
    moved = [name for name in ours if not np.array_equal(ours[name], theirs[name])]
    assert len(moved) == len(ours)
    line = next(row for row in rows(tuned) if row["step"] == 3)
    assert line["Loss/codec_rate"] == pytest.approx(0.5 * line["codec/bpp"], rel=1e-5) and line["codec/mse"] > 0
    assert json.loads((tuned / "run.json").read_text())["codec"]["model_hash"] == base.model_hash


def test_the_folder_is_a_detector_and_a_codec_like_any_other(tuned, detector, demo_records, tmp_path):
    """What evaluates and fine-tunes takes every variable of the plain detector from it, and the codec codes."""
    from tests import records_data
    from tfod_compress.tasks.detection.detector import Detector

    config = pipeline_config.read(tuned / "pipeline.config")
    assert config.model == pipeline_config.read(detector / "tune.config").model
    found = Detector(tuned / "pipeline.config")
    found.restore(tuned)
    _, before, _ = weights(detector / "model")
    values = {variable.numpy().tobytes() for variable in found._variables}
    assert all(value.tobytes() in values for name, value in before.items())
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", tmp_path / "ft.config", overrides=SMALL,
                         checkpoint=tuned)
    train_detector(tmp_path / "ft.config", tmp_path / "ft", num_train_steps=1, seed=1, record_summaries=False)
    codec, rgb = codecs.get("bls2017", model=tuned / "codec"), records_data.scene(1, 96, 64)
    assert codec.decode(codec.encode(rgb, codec.check_quality(None))).shape == rgb.shape


def test_stopped_and_resumed_ends_with_the_same_bits(tuned, detector, base, tmp_path, capsys):
    settings = {"num_train_steps": 3, "checkpoint_every_n": 2, "seed": 1, "deterministic": True,
                "codec": codec_tuning.CodecTuning(base, "codec_ft", 0.5)}
    train_detector(detector / "tune.config", tmp_path / "model", max_hours=1e-9, **settings)
    early = model_folder.read(tmp_path / "model" / "codec")
    assert weights(tmp_path / "model")[2] == early.content["end_to_end"]["steps"] == 1
    train_detector(detector / "tune.config", tmp_path / "model", **settings)
    _, whole, _ = weights(tuned)
    _, parts, step = weights(tmp_path / "model")
    assert step == 3 and same(whole, parts)
    assert model_folder.read(tmp_path / "model" / "codec").model_hash == model_folder.read(tuned / "codec").model_hash
    restored = json.loads((tmp_path / "model" / "restored.json").read_text())
    assert len(restored["restored"]) == len(whole) and restored["kept"] == []
    assert [{**row, "images_per_second": 0} for row in rows(tmp_path / "model")] == [
        {**row, "images_per_second": 0} for row in rows(tuned)]


@pytest.mark.parametrize(("change", "told"), [
    ({"beta": 0.6}, "beta 0.5 then, 0.6 now"), ({"regime": "fixed_decoder"}, "regime codec_ft then, fixed_decoder now"),
    (None, "started with a codec")])
def test_a_run_goes_on_with_its_own_codec_alone(tuned, detector, base, change, told):
    codec = codec_tuning.CodecTuning(**{"base": base, "regime": "codec_ft", "beta": 0.5, **change}) if change else None
    before = (tuned / "run.json").read_bytes()
    with pytest.raises(InputError, match=told):
        train_detector(detector / "tune.config", tuned, num_train_steps=4, codec=codec)
    assert (tuned / "run.json").read_bytes() == before


def test_a_frozen_detector_must_have_been_trained(detector, base, tmp_path):
    with pytest.raises(InputError, match="must be a trained one"):
        train_detector(detector / "first.config", tmp_path / "m", num_train_steps=1,
                       codec=codec_tuning.CodecTuning(base, "codec_ft", 0.5))
    assert not (tmp_path / "m").exists()


def test_a_plain_run_does_not_take_a_codec_up(detector, base, tmp_path):
    shutil.copytree(detector / "model", tmp_path / "model")
    with pytest.raises(InputError, match="started with no codec"):
        train_detector(detector / "tune.config", tmp_path / "model", num_train_steps=2,
                       codec=codec_tuning.CodecTuning(base, "joint_ft", 0.5))


def test_one_model_of_a_folder_of_models_has_to_be_named(base, tmp_path):
    for name in ("lmbda-0.01", "lmbda-0.03"):
        shutil.copytree(base.folder, tmp_path / "models" / name)
    assert codec_tuning.one_model(base.folder) == base
    with pytest.raises(InputError, match="lmbda-0.01, lmbda-0.03 .--codec_model.") as error:
        codec_tuning.one_model(tmp_path / "models")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="tools.train_codec"):
        codec_tuning.one_model(tmp_path / "nothing")


@pytest.mark.parametrize(("flags", "told", "status"), [
    (["--codec_regime", "codec_ft"], "go with --codec_model", 2),
    (["--codec_model", "BASE"], "--codec_regime and --codec_beta are missing", 2),
    (["--codec_model", "BASE", "--codec_regime", "codec_ft"], "--codec_beta is missing", 2),
    (["--codec_model", "BASE", "--codec_regime", "codec_ft", "--codec_beta", 1, "--eval_every", 5, "--eval_records",
      "r"], "tools.evaluate", 2),
    (["--codec_model", "BASE", "--codec_regime", "codec_ft", "--codec_beta", 1, "--mixed_precision", "bfloat16"],
     "float32 alone", 2),
    (["--codec_model", "nowhere", "--codec_regime", "codec_ft", "--codec_beta", 1], "nowhere", 1),
])
def test_flags_that_cannot_work_are_told_before_tensorflow(run_tool, detector, base, tmp_path, flags, told, status):
    flags = [base.folder if flag == "BASE" else flag for flag in flags]
    process = run_tool("model_main_tf2", "--model_dir", tmp_path / "m", "--pipeline_config_path",
                       detector / "tune.config", *flags)
    assert process.returncode == status, process.stdout + process.stderr
    assert told in process.stderr and "Traceback" not in process.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bits(tuned, detector, base, tmp_path):
    command = [sys.executable, "-m", "tools.model_main_tf2", "--pipeline_config_path", str(detector / "tune.config"),
               "--model_dir", str(tmp_path / "m"), "--num_train_steps", "3", "--seed", "1", "--deterministic",
               "--codec_model", str(base.folder), "--codec_regime", "codec_ft", "--codec_beta", "0.5",
               "--checkpoint_every_n", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None and not (tmp_path / "m" / "ckpt-1.index").is_file():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "m" / "codec" / "model.json").exists()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert same(weights(tmp_path / "m")[1], weights(tuned)[1])
    assert model_folder.read(tmp_path / "m" / "codec").model_hash == model_folder.read(tuned / "codec").model_hash


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["codec_ft", "joint_ft"])
def test_faster_rcnn_too(demo_records, base, tmp_path, regime):
    pipeline_config.make("faster_rcnn_inception_v2_smoke", demo_records / "jpeg-q100", tmp_path / "first.config")
    train_detector(tmp_path / "first.config", tmp_path / "first", num_train_steps=1, seed=1, record_summaries=False)
    pipeline_config.make("faster_rcnn_inception_v2_smoke", demo_records / "jpeg-q100", tmp_path / "tune.config",
                         checkpoint=tmp_path / "first")
    train_detector(tmp_path / "tune.config", tmp_path / "tuned", num_train_steps=2, seed=1, record_summaries=False,
                   codec=codec_tuning.CodecTuning(base, regime, 0.5))
    before, after = weights(tmp_path / "first")[1], weights(tmp_path / "tuned")[1]
    assert same(before, of_detector(after)) == (regime == "codec_ft")
    made = model_folder.read(tmp_path / "tuned" / "codec")
    ours, theirs = (model_folder.read_arrays(which)[0] for which in (made, base))
    first = next(name for name in ours if name.startswith("encoder/"))
    assert (ours[first] != theirs[first]).any()
