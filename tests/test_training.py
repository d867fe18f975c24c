"""The training loop: exactly its steps, resumes, starts a fine-tuning run at step 0, refuses what cannot work."""

import json

import numpy as np
import pytest

from tfod_compress import pipeline_config
from tfod_compress.errors import InputError

SMALL = ("model.ssd.feature_extractor.depth_multiplier: 0.1", "train_config.batch_size: 2",
         "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate.warmup_steps: 0")


@pytest.fixture(scope="module")
def config(demo_records, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", path, overrides=SMALL)
    return path


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """A model folder after 3 steps, and its losses."""
    from tfod_compress import training

    folder = tmp_path_factory.mktemp("model")
    return folder, training.train(config, folder, num_train_steps=3, seed=1)


def weights(folder):
    import tensorflow as tf

    prefix = tf.train.latest_checkpoint(str(folder))
    reader = tf.train.load_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map()
             if name.startswith("model/") and ".OPTIMIZER_SLOT" not in name and "VARIABLE_VALUE" in name]
    step = int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE"))
    return prefix, {name: reader.get_tensor(name) for name in names}, step


def tensorboard_tags(folder):
    """The names of the scalars that TensorBoard shows for a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"tensors": 1})
    events.Reload()
    return set(events.Tags()["tensors"])


def test_exact_steps_last_checkpoint_and_logs(trained):
    folder, losses = trained
    prefix, _, step = weights(folder)
    assert prefix.endswith("ckpt-3")
    assert step == 3
    assert all(np.isfinite(value) for value in losses.values())
    assert {"Loss/total_loss", "Loss/localization_loss", "Loss/classification_loss"} <= set(losses)
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["step"] == 3
    assert line["Loss/total_loss"] == losses["Loss/total_loss"]
    assert {"Loss/total_loss", "learning_rate"} <= tensorboard_tags(folder / "train")
    assert pipeline_config.read(folder / "pipeline.config").model.ssd.num_classes == 7


def test_resumes_where_it_stopped(config, trained, tmp_path):
    import shutil

    from tfod_compress import training

    shutil.copytree(trained[0], tmp_path / "model")
    assert training.train(config, tmp_path / "model", num_train_steps=3) == {}
    training.train(config, tmp_path / "model", num_train_steps=5, seed=1)
    assert weights(tmp_path / "model")[2] == 5


def test_a_fine_tuning_run_starts_at_step_0_and_moves_the_weights(config, demo_records, trained, tmp_path):
    """Without the repair of defect 11 the run starts at the old run's step, where the learning rate is 0."""
    from tfod_compress import training

    path = tmp_path / "ft.config"
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, checkpoint=trained[0],
                         overrides=(*SMALL, f"{schedule}.total_steps: 3"))
    training.train(path, tmp_path / "ft", num_train_steps=2, seed=1)
    _, before, _ = weights(trained[0])
    _, after, step = weights(tmp_path / "ft")
    assert step == 2
    import tensorflow as tf

    start = tf.train.load_checkpoint(str(tmp_path / "ft" / "ckpt-0"))
    assert all(np.array_equal(start.get_tensor(name), value) for name, value in before.items())
    rates = [json.loads(line)["learning_rate"] for line in (tmp_path / "ft" / "metrics.jsonl").read_text().splitlines()]
    assert rates[-1] > 0
    kernels = [name for name in before if name.endswith("kernel/.ATTRIBUTES/VARIABLE_VALUE")]
    assert kernels
    moved = sum(not np.array_equal(before[name], after[name]) for name in kernels)
    assert moved > 0.9 * len(kernels)


def test_refuses_a_checkpoint_of_another_detector(config, trained, demo_records, tmp_path):
    from tfod_compress import training

    path = tmp_path / "wide.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, checkpoint=trained[0], overrides=(
        "model.ssd.feature_extractor.depth_multiplier: 0.2", "train_config.batch_size: 2"))
    with pytest.raises(InputError, match="does not hold the weights"):
        training.train(path, tmp_path / "wide", num_train_steps=1)


def test_stops_on_a_loss_that_is_not_finite(demo_records, tmp_path):
    from tfod_compress import training

    path = tmp_path / "nan.config"
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, overrides=(
        *SMALL, f"{schedule}.learning_rate_base: 1e30", f"{schedule}.warmup_learning_rate: 1e29",
        "train_config.gradient_clipping_by_norm: 0"))
    with pytest.raises(InputError, match="at step"):
        training.train(path, tmp_path / "model", num_train_steps=50, seed=0)


@pytest.mark.parametrize(("change", "told"), [
    ("train_config.num_steps: 0", "number of steps"),
    ("train_input_reader.tf_record_input_reader.input_path: '/nowhere/train-0.tfrecord'", "missing"),
])
def test_refuses_inputs_that_cannot_work(demo_records, tmp_path, change, told):
    from tfod_compress import training

    path = tmp_path / "bad.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, overrides=(*SMALL, change))
    with pytest.raises(InputError, match=told):
        training.train(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_command_wants_a_config_and_tells_mistakes_before_tensorflow(run_tool, tmp_path):
    process = run_tool("model_main_tf2", "--model_dir", tmp_path)
    assert process.returncode == 2
    assert "--pipeline_config_path" in process.stderr
    process = run_tool("model_main_tf2", "--model_dir", tmp_path, "--pipeline_config", tmp_path / "none.config")
    assert process.returncode == 1
    assert "none.config" in process.stderr
    assert process.stderr.count("\n") == 1
