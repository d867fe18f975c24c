"""Training of a learned codec through the command, on narrow models: resume, kill, NaN, bad input, and its use."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.learned import model_folder
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError
from tfod_compress.training.codec import crops, loop, sweep

NARROW = {"num_filters": 8, "num_latents": 8, "crop": 64, "batch_size": 2, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """The folder frames/ of 12 labelled frames, 72x50: smaller than a crop in one direction."""
    return records_data.make(tmp_path_factory.mktemp("data"), width=72, height=50) / "frames"


@pytest.fixture(scope="module", autouse=True)
def every_step_is_logged():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        yield


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory):
    """The folder of a model trained for eight steps in one go."""
    folder = tmp_path_factory.mktemp("trained") / "whole"
    sweep.train("bls2017", [0.01], frames, folder, 8, checkpoint_every=5, split_by=r"^(seq\d+)/", **NARROW)
    return folder


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_training_leaves_a_model_and_what_it_is_worth(trained, frames):
    content = model_folder.read(trained, "bls2017").content
    assert content["training"]["steps"] == 8 and content["training"]["seconds"] > 0
    assert content["training"]["train_frames"] + content["training"]["val_frames"] == 12
    codec = codecs.get("bls2017", model=trained)
    _, val = crops.open_frames(frames, split_by=r"^(seq\d+)/")
    rates, errors = [], []
    for number in range(len(val)):
        rgb = val.read(number)
        data = codec.encode(rgb, 0.01)
        rates.append(8 * len(data) / (72 * 50))
        errors.append(10 * np.log10(255**2 / np.square(codec.decode(data) - rgb.astype(float)).mean()))
    assert content["validation"]["bpp"] == pytest.approx(np.mean(rates), abs=1e-5)
    assert content["validation"]["psnr_db"] == pytest.approx(np.mean(errors), abs=1e-3)
    log = lines(trained)
    assert [line["step"] for line in log if "val/bpp" in line] == [5, 8]
    assert all(line["train/loss"] == pytest.approx(line["train/bpp"] + 0.01 * line["train/mse"], rel=1e-4)
               for line in log if "train/loss" in line)
    tags = set()
    for path in sorted((trained / "val").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"bpp", "psnr", "mse", "original_and_reconstruction/0"} <= tags


def test_validation_frames_are_never_trained_on(frames):
    train, val = crops.open_frames(frames, val_fraction=0.3, split_by=r"^(seq\d+)/")
    assert len(train) + len(val) == 12 and not set(train.source_ids) & set(val.source_ids)
    assert not {name.split("/")[0] for name in train.source_ids} & {name.split("/")[0] for name in val.source_ids}
    seen = {name for step in range(40) for name in crops.batch(train, step, 4, 64, 0)[1]}
    assert seen == set(train.source_ids)


def test_crops_are_parts_of_frames_and_depend_on_seed_and_step_alone(frames):
    train, _ = crops.open_frames(frames)
    first, names = crops.batch(train, 3, 4, 32, 7)
    again, _ = crops.batch(train, 3, 4, 32, 7)
    np.testing.assert_array_equal(first, again)
    assert (crops.batch(train, 4, 4, 32, 7)[0] != first).any() and (crops.batch(train, 3, 4, 32, 8)[0] != first).any()
    for crop, name in zip(first, names, strict=True):
        rgb = train.read(train.source_ids.index(name))
        windows = np.lib.stride_tricks.sliding_window_view(rgb, (32, 32), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
        assert (windows == crop).all(axis=(2, 3, 4)).any()
    padded, names = crops.batch(train, 0, 1, 128, 0)
    rgb = train.read(train.source_ids.index(names[0]))
    np.testing.assert_array_equal(padded[0], np.pad(rgb, ((0, 78), (0, 56), (0, 0)), "edge"))


def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(trained, frames, tmp_path):
    """Also with what it had logged beyond its last checkpoint, which must not be there twice."""
    options = {"checkpoint_every": 5, "split_by": r"^(seq\d+)/", **NARROW}
    real, calls = loop.crops.batch, []

    def batch(frames, step, *rest):
        if len(calls) == 7:
            raise RuntimeError("killed")
        calls.append(step)
        return real(frames, step, *rest)

    loop.crops.batch = batch
    try:
        with pytest.raises(RuntimeError, match="killed"):
            sweep.train("bls2017", [0.01], frames, tmp_path / "run", 8, **options)
    finally:
        loop.crops.batch = real
    assert not (tmp_path / "run" / "model.json").exists()
    with pytest.raises(InputError, match="training has not ended"):
        codecs.get("bls2017", model=tmp_path / "run")
    model, = sweep.train("bls2017", [0.01], frames, tmp_path / "run", 8, **options)
    whole = model_folder.read(trained)
    assert model.model_hash == whole.model_hash
    assert [line["step"] for line in lines(tmp_path / "run")] == [line["step"] for line in lines(trained)]
    before = (tmp_path / "run" / "weights.npz").stat().st_mtime_ns
    said = []
    sweep.train("bls2017", [0.01], frames, tmp_path / "run", 8, say=said.append, **options)
    assert (tmp_path / "run" / "weights.npz").stat().st_mtime_ns == before and "all 8 steps are made" in said[-1]
    with pytest.raises(InputError, match="--learning_rate"):
        sweep.train("bls2017", [0.01], frames, tmp_path / "run", 8, **options | {"learning_rate": 1e-4})
    with pytest.raises(InputError, match="the frames"):
        sweep.train("bls2017", [0.01], frames, tmp_path / "run", 8, **options | {"split_by": None})


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(frames, tmp_path):
    with pytest.raises(InputError, match=r"not finite .*seq.*the last good checkpoint is kept.*--learning_rate"):
        sweep.train("bls2017", [0.01], frames, tmp_path / "run", 30, checkpoint_every=1,
                    **NARROW | {"learning_rate": 1e30})
    assert [path.name for path in (tmp_path / "run").glob("ckpt-*.index")] == ["ckpt-0.index"]
    reader = tf.train.load_checkpoint(str(tmp_path / "run" / "ckpt-0"))
    weights = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
    assert len(weights) > 20 and all(np.isfinite(array).all() for array in weights)


def test_a_model_can_start_from_another_one(trained, frames, tmp_path):
    """With a step too small to change anything, the weights are those it started from."""
    options = {"split_by": r"^(seq\d+)/", **NARROW, "learning_rate": 1e-30}
    base = model_folder.read(trained)
    model, other = sweep.train("bls2017", [0.02, 0.03], frames, tmp_path, 1, start_from=trained,
                               **options | {"num_filters": None, "num_latents": None})
    assert (tmp_path / "lmbda-0.02" / "model.json").is_file() and other.folder.name == "lmbda-0.03"
    (ours, _), (theirs, _) = model_folder.read_arrays(model), model_folder.read_arrays(base)
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    with pytest.raises(InputError, match="--num_filters 9: the model .* has 8"):
        sweep.train("bls2017", [0.02], frames, tmp_path / "x", 1, start_from=trained, **options | {"num_filters": 9})


def test_a_learned_codec_makes_record_sets_like_any_other(trained, frames, tmp_path):
    labels = frames.parent / "labels"
    made, = convert(frames, labels, tmp_path, codec="bls2017", codec_model=trained, workers_count=1, measure="all",
                    split_by=r"^(seq\d+)/")
    model = model_folder.read(trained)
    assert made.path.name == f"bls2017-{model.model_hash[:8]}"
    record_set, codec = RecordSet(made.path), codecs.get("bls2017", model=trained)
    assert record_set.manifest["codec_settings"] == {"models": {"0.01": model.model_hash}}
    with open(made.path / "images.csv", newline="") as file:
        rows = {row["source_id"]: row for row in csv.DictReader(file)}
    for example in record_set.examples("val"):
        source = np.asarray(Image.open(frames / f"{example.source_id}.bmp"))
        data = codec.encode(source, 0.01)
        np.testing.assert_array_equal(example.pixels(), codec.decode(data))
        assert example.compressed_bytes == len(data) == int(rows[example.source_id]["coded_bytes"])
    # Frames can be taken from a record set as well; its val frames are not trained on.
    train, val = crops.open_frames(made.path)
    assert len(train) + len(val) == 12 and set(val.source_ids) == {
        example.source_id for example in record_set.examples("val")}


@pytest.mark.parametrize("change, message", [
    ({"lmbdas": [0.0]}, "--lmbda 0: from"), ({"lmbdas": [-1.0]}, "--lmbda"), ({"lmbdas": [11.0]}, "--lmbda"),
    ({"lmbdas": [0.1, 0.1]}, "twice"), ({"crop": 100}, "--crop 100: bls2017 takes multiples of 16"),
    ({"crop": 0}, "--crop"), ({"batch_size": 0}, "--batch_size"), ({"learning_rate": 0.0}, "--learning_rate"),
    ({"num_filters": 0}, "--num_filters"), ({"codec": "jpeg"}, "no learned codec"), ({"steps": 0}, "--steps"),
    ({"start_from": "/nowhere"}, "nowhere"), ({"val_fraction": 1e-9, "split_by": "seq"}, "no frame to validate on")])
def test_bad_settings_are_refused_before_anything_is_written(frames, tmp_path, change, message):
    arguments = {"codec": "bls2017", "lmbdas": [0.01], "frames": frames, "output": tmp_path / "run", "steps": 1,
                 **NARROW} | change
    with pytest.raises(InputError, match=message):
        sweep.train(**arguments)
    assert not (tmp_path / "run").exists()


def test_folders_without_frames_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    Image.fromarray(records_data.scene(0)).save(tmp_path / "one" / "a.png")
    (tmp_path / "one" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, message in (("empty", "no frames"), ("nowhere", "no such folder"), ("one", "two are the least")):
        with pytest.raises(InputError, match=message):
            crops.open_frames(tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("")
    for number in range(2):
        Image.fromarray(records_data.scene(number)).save(tmp_path / "one" / f"c{number}.png")
    with pytest.raises(InputError, match="something else"):
        sweep.train("bls2017", [0.01], tmp_path / "one", tmp_path / "other", 1, **NARROW)


def test_the_command_tells_wrong_usage_from_bad_input(run_tool, tmp_path):
    process = run_tool("train_codec", "--codec", "bls2017", "--lmbda", "0.01", "--frames", tmp_path)
    assert process.returncode == 2 and "--output is missing" in process.stderr
    process = run_tool("train_codec", "--codec", "jpeg", "--lmbda", "0.01")
    assert process.returncode == 2


@pytest.mark.slow
def test_a_killed_command_goes_on_and_codecs_are_measured_beside_others(frames, run_tool, tmp_path):
    arguments = ["--codec", "bmshj2018", "--lmbda", "0.003,0.03", "--frames", frames, "--output", tmp_path / "run",
                 "--steps", 60, "--checkpoint_every", 10, "--num_filters", 8, "--num_latents", 8, "--crop", 64,
                 "--batch_size", 2, "--learning_rate", "1e-3"]
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen([sys.executable, "-m", "tools.train_codec", *map(str, arguments)], cwd=ROOT,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        count = len(list((tmp_path / "run").glob("*/ckpt-*.index")))
        deadline = time.monotonic() + 300
        while len(list((tmp_path / "run").glob("*/ckpt-*.index"))) <= min(count, 1) and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(300) != 0
    process = run_tool("train_codec", *arguments)
    assert process.returncode == 0, process.stderr
    assert "goes on from step" in process.stdout
    measured = run_tool("codec", "bench", frames, "--codecs", "jpeg,bmshj2018", "--codec_model", tmp_path / "run",
                        "--nohvs_and_vmaf", "--output", tmp_path / "rd", "--workers", 2)
    assert measured.returncode == 0, measured.stderr
    with open(tmp_path / "rd" / "rd.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == "bmshj2018"]
    assert {row["quality"] for row in rows} == {"0.003", "0.03"} and len(rows) == 24
    matched = run_tool("make_tfrecords", "--frames", frames, "--labels", frames.parent / "labels", "--codec",
                       "bmshj2018", "--codec_model", tmp_path / "run", "--target_bpp", 20, "--workers", 2,
                       "--output", tmp_path / "sets")
    assert matched.returncode == 0, matched.stderr
    assert RecordSet(tmp_path / "sets" / "bmshj2018-bpp20").manifest["quality"] == 0.03
