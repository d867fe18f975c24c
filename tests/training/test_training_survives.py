"""The real command: killed at any moment it ends with the same bits; each loop goes on from the other's checkpoints."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import tiny_classes
from tests.conftest import ROOT
from tests.training.runs import train_detector, variables
from tests.training.test_training import SMALL, weights
from tfod_compress.tasks.detection.config import pipeline_config

pytestmark = pytest.mark.slow
KILLS = 20


@pytest.fixture(scope="module")
def config(demo_records, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", path, overrides=(
        *SMALL, "train_config.data_augmentation_options { random_adjust_brightness {} }",
        "model.ssd.box_predictor.convolutional_box_predictor { num_layers_before_predictor: 1 max_depth: 8 "
        "use_dropout: true dropout_keep_probability: 0.8 }"))
    return path


def command(config, folder, steps, *more):
    return [sys.executable, "-m", "tools.model_main_tf2", "--pipeline_config_path", str(config), "--model_dir",
            str(folder), "--num_train_steps", str(steps), "--seed", "5", "--deterministic", *more]


def started(arguments, until):
    """The running process, once `until()` is true; its output goes to a file beside the model folder."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None and not until():
        time.sleep(0.02)
    return process


def same_bits(one, other):
    whole, parts = variables(one), variables(other)
    assert whole.keys() == parts.keys()
    differing = [name for name in whole if not np.array_equal(whole[name], parts[name])]
    assert not differing, f"{len(differing)} of {len(whole)}: {differing[:3]}"


def newest(folder):
    return max((int(path.name[5:-6]) for path in folder.glob("ckpt-*.index")), default=-1)


def kill(arguments, folder, kills):
    """Starts a training with a checkpoint every step so often and kills it; the steps at which it was.

    Every checkpoint left by a kill is whole. The training may come to its end before.
    """
    import tensorflow as tf

    moments, made = random.Random(0), []
    while len(made) < kills:
        # Past a checkpoint of its own, so that every start makes some way; then anywhere in the steps and saves.
        beyond = newest(folder) + moments.randrange(4)
        process = started([*arguments, "--checkpoint_every_n", "1"],
                          until=lambda beyond=beyond: newest(folder) > beyond)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        output = process.communicate()[0]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, output
        made.append(newest(folder))
        for path in folder.glob("ckpt-*.index"):
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    print(f"{len(made)} kills, at steps {made}")
    return made


def test_killed_at_any_moment_ends_with_the_same_bits(config, tmp_path):
    """Dropout, augmentation, optimizer and order of the frames included."""
    steps = 100
    subprocess.run(command(config, tmp_path / "whole", steps), cwd=ROOT, check=True, capture_output=True)
    folder = tmp_path / "killed"
    assert len(kill(command(config, folder, steps), folder, KILLS)) >= min(KILLS, 5)
    subprocess.run(command(config, folder, steps), cwd=ROOT, check=True, capture_output=True)
    same_bits(tmp_path / "whole", folder)


def test_so_does_a_classifier(tmp_path):
    tiny_classes.write(tmp_path / "records", {"train": tiny_classes.pictures(18)})
    (tmp_path / "small.yaml").write_text(tiny_classes.CONFIG)

    def command(folder):
        return [sys.executable, "-m", "tools.train", "--experiment", "resnet_imagenet", "--config_file",
                str(tmp_path / "small.yaml"), "--records", str(tmp_path / "records"), "--model_dir", str(folder),
                "--num_train_steps", "30", "--seed", "5", "--deterministic"]

    subprocess.run(command(tmp_path / "whole"), cwd=ROOT, check=True, capture_output=True)
    folder = tmp_path / "killed"
    assert len(kill(command(folder), folder, 3)) >= 2
    subprocess.run(command(folder), cwd=ROOT, check=True, capture_output=True)
    same_bits(tmp_path / "whole", folder)
    assert newest(folder) == 30


def test_asked_to_end_it_saves_the_step_it_made(config, tmp_path):
    folder = tmp_path / "model"
    process = started(command(config, folder, 100_000), until=lambda: (folder / "metrics.jsonl").is_file()
                      and (folder / "metrics.jsonl").stat().st_size > 0)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()[0]
    assert process.returncode == 130, output
    assert "SIGTERM" in output
    _, _, step = weights(folder)
    assert step == newest(folder) >= 10


def test_each_loop_goes_on_from_the_others_checkpoint(config, tmp_path):
    """Ours to step 2, stock to 4, ours to 6; weights, optimizer and step go over, and the newest is found."""
    import tensorflow as tf

    from tfod_compress.tasks.detection import odapi

    odapi.install()
    from object_detection import model_lib_v2

    folder = tmp_path / "model"
    train_detector(config, folder, num_train_steps=2, seed=1)
    assert weights(folder)[2] == 2
    shutil.copytree(folder, tmp_path / "ours")

    model_lib_v2.train_loop(str(config), str(folder), train_steps=4, checkpoint_every_n=1, num_steps_per_iteration=1,
                            record_summaries=False)
    prefix, stock, step = weights(folder)
    assert step == 4
    _, ours, _ = weights(tmp_path / "ours")
    assert stock.keys() == ours.keys()
    # Two steps of Adam at this rate move a weight by little: it went on, and did not start anew.
    assert all(np.abs(stock[name] - ours[name]).max() < 0.1 for name in ours if "kernel" in name)
    assert any(not np.array_equal(stock[name], ours[name]) for name in ours if "kernel" in name)
    count = "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"
    assert tf.train.load_checkpoint(prefix).get_tensor(count) == 4

    train_detector(config, folder, num_train_steps=6)
    record = json.loads((folder / "run.json").read_text())
    assert f"resumed at step 4, {len(stock)} of {len(stock)} variables from {prefix}" in record["start"]
    prefix, _, step = weights(folder)
    assert step == 6
    assert tf.train.load_checkpoint(prefix).get_tensor(count) == 6


def test_checkpoint_dir_evaluates_what_appears_and_ends_with_the_last_step(config, tmp_path):
    folder = tmp_path / "model"
    subprocess.run(command(config, folder, 2), cwd=ROOT, check=True, capture_output=True)
    arguments = [sys.executable, "-m", "tools.model_main_tf2", "--pipeline_config_path", str(config), "--model_dir",
                 str(tmp_path / "evaluated"), "--checkpoint_dir"]
    done = subprocess.run([*arguments, str(folder), "--num_train_steps", "2", "--eval_timeout", "60"], cwd=ROOT,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert any("tfevents" in name for _, _, names in os.walk(tmp_path / "evaluated") for name in names)
    (tmp_path / "empty").mkdir()
    done = subprocess.run([*arguments, str(tmp_path / "empty"), "--eval_timeout", "1"], cwd=ROOT, capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 1
    assert "no checkpoint within 1 s" in done.stderr


def test_moving_averages_are_made_saved_and_evaluated(demo_records, tmp_path):
    """The recurrence of Polyak averaging with TensorFlow's growing decay; evaluation, inside and outside, and exports
    use it."""
    import tensorflow as tf

    from tfod_compress import evaluation
    from tfod_compress.tasks.detection import export, trained_model
    from tfod_compress.tasks.detection.detector import Detector

    config, folder = tmp_path / "ema.config", tmp_path / "model"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", config, overrides=(
        *SMALL, "train_config.optimizer { use_moving_average: true moving_average_decay: 0.3 }"))
    train_detector(config, folder, num_train_steps=4, checkpoint_every_n=1, seed=1, eval_every=4,
                   eval_records=[demo_records / "jpeg-q5"])
    slot = "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES/VARIABLE_VALUE"
    readers = [tf.train.load_checkpoint(str(folder / f"ckpt-{step}")) for step in range(5)]
    names = [name.removesuffix(slot) for name in readers[0].get_variable_to_shape_map() if name.endswith(slot)]
    assert len(names) > 50
    for name in names:
        average = readers[0].get_tensor(name + slot)
        assert not average.any()
        for step in range(1, 5):
            decay = min(0.3, (1 + step) / (10 + step))
            weight = readers[step].get_tensor(name + "/.ATTRIBUTES/VARIABLE_VALUE")
            average = decay * average + (1 - decay) * weight
            np.testing.assert_allclose(readers[step].get_tensor(name + slot), average, rtol=1e-4, atol=1e-6)
    detector = Detector(folder / "pipeline.config")
    evaluation.evaluate(folder / "pipeline.config", folder, [demo_records / "jpeg-q5"], tmp_path / "outside",
                        detector=detector)
    inside = folder / "evaluations" / "step-4" / "jpeg-q5" / "detections.json"
    assert json.loads(inside.read_text()) == json.loads((tmp_path / "outside/jpeg-q5/detections.json").read_text())
    values = [variable.numpy() for variable in detector._variables]
    for name in names:
        average = readers[4].get_tensor(name + slot)
        assert any(np.array_equal(average, value) for value in values), name
    export.export_saved_model(folder / "pipeline.config", folder, tmp_path / "exported")
    picture = np.random.default_rng(0).integers(0, 256, (160, 256, 3)).astype(np.uint8)
    exported = trained_model.find(saved_model=tmp_path / "exported").load().detect_image(picture)
    found = detector.detect_image(picture)
    # After four steps all scores are nearly the same: which boxes come first is left out.
    np.testing.assert_allclose(exported[2], found[2], atol=1e-6)
    np.testing.assert_allclose(np.sort(exported[0], axis=0)[:9], np.sort(found[0], axis=0)[:9], atol=1e-3)
    averages = [readers[4].get_tensor(name + slot) for name in names]
    reader = tf.train.load_checkpoint(str(tmp_path / "exported" / "checkpoint" / "ckpt-0"))
    kept = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
    for average, name in zip(averages, names, strict=True):
        assert any(average.shape == value.shape and (average == value).all() for value in kept), name


@pytest.mark.parametrize(("flags", "close"), [
    (["--mixed_precision", "bfloat16"], 0.05), (["--mixed_precision", "float16"], 0.05),
    (["--mixed_precision", "bfloat16", "--accumulate", "2"], 0.2)])
def test_ways_of_computing_give_about_the_loss_of_the_plain_one(config, tmp_path, flags, close):
    """The first step's loss, and weights that stay finite.

    Accumulation alone would be exact but for the batch normalisation of each part.
    """
    found = {}
    for name, more in (("plain", []), ("other", flags)):
        done = subprocess.run(command(config, tmp_path / name, 1, *more), cwd=ROOT, capture_output=True, text=True,
                              timeout=1500)
        assert done.returncode == 0, done.stderr[-2000:]
        line = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])
        found[name] = line["Loss/total_loss"]
        assert all(np.isfinite(array).all() for array in weights(tmp_path / name)[1].values())
    assert found["other"] == pytest.approx(found["plain"], rel=close)
    assert found["other"] != found["plain"]


def test_xla_without_a_gpu_is_refused(config, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    done = subprocess.run(command(config, tmp_path / "model", 1, "--xla"), cwd=ROOT, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 1 and "--xla: there is no GPU here" in done.stderr
