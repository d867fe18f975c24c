"""The training loop: exactly its steps, resumes, starts a fine-tuning run at step 0, refuses what cannot work."""

import contextlib
import hashlib
import io
import json
import shutil

import numpy as np
import pytest

from tests.training.config_reads import watched
from tests.training.runs import train_detector
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import changes, pipeline_config

SMALL = ("model.ssd.feature_extractor.depth_multiplier: 0.1", "train_config.batch_size: 2",
         "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate.warmup_steps: 0")
READ = ("train_config.batch_size", "train_input_reader.shuffle", "batch_norm.decay",
        "convolutional_box_predictor.kernel_size", "ssd.feature_extractor.pad_to_multiple")
REFUSED = {f"train_config.{name}" for name in (
    "freeze_variables", "update_trainable_variables", "load_all_detection_checkpoint_vars")}


@pytest.fixture(scope="module")
def config(demo_records, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", path, overrides=SMALL)
    return path


@pytest.fixture(scope="module")
def fields_read():
    """The fields of `trained`'s config that were read, of those that are watched."""
    return set()


@pytest.fixture(scope="module")
def trained(config, demo_records, tmp_path_factory, fields_read):
    """A model folder after 4 steps with an evaluation every 2, its losses, and what was printed."""
    from tensorflow.python.framework import config as tf_config

    folder, output = tmp_path_factory.mktemp("model"), io.StringIO()
    with contextlib.redirect_stdout(output), watched([*changes.IGNORED, *READ]) as read:
        losses = train_detector(config, folder, hparams={"regime": "retrained"}, seed=1, **settings(demo_records))
    fields_read |= read
    yield folder, losses, output.getvalue()
    tf_config.disable_op_determinism()


def settings(demo_records):
    return {"num_train_steps": 4, "checkpoint_every_n": 2, "eval_every": 2, "deterministic": True,
            "balance_classes": True, "eval_records": [demo_records / "jpeg-q100", demo_records / "jpeg-q5"],
            "best_metric": "jpeg-q5:coco/AP50"}


def weights(folder):
    import tensorflow as tf

    prefix = tf.train.latest_checkpoint(str(folder))
    reader = tf.train.load_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map()
             if name.startswith("model/") and ".OPTIMIZER_SLOT" not in name and "VARIABLE_VALUE" in name]
    step = int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE"))
    return prefix, {name: reader.get_tensor(name) for name in names}, step


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_exact_steps_last_checkpoint_and_losses(trained):
    folder, losses, output = trained
    prefix, _, step = weights(folder)
    assert prefix.endswith("ckpt-4")
    assert step == 4
    assert sorted(path.name for path in folder.glob("ckpt-*.index")) == ["ckpt-0.index", "ckpt-2.index", "ckpt-4.index"]
    assert all(np.isfinite(value) for value in losses.values())
    assert {"Loss/total_loss", "Loss/localization_loss", "Loss/classification_loss"} <= set(losses)
    line = next(row for row in rows(folder) if "Loss/total_loss" in row)
    assert line["step"] == 4
    assert {name: line[name] for name in losses} == losses
    assert line["learning_rate"] > 0
    assert line["images_per_second"] > 0
    assert pipeline_config.read(folder / "pipeline.config").model.ssd.num_classes == 7
    assert "random weights" in output
    assert "class shares" in output


def test_what_is_called_ignored_is_not_read(trained, fields_read):
    """By nothing that training and its evaluation run through, ours or the OD API's, other than to refuse them."""
    from object_detection.builders import model_builder

    assert fields_read == {*READ, *REFUSED}
    with watched(changes.IGNORED) as read:
        model_builder.build(pipeline_config.template("faster_rcnn_inception_v2_smoke").model, is_training=True)
    assert not read


def test_tensorboard_has_the_numbers_pictures_and_hparams(trained):
    folder, losses, _ = trained
    train, evaluated = events(folder / "train"), events(folder / "eval" / "jpeg-q5")
    assert {*losses, "learning_rate", "images_per_second", "train_input_images/0"} <= set(train.Tags()["tensors"])
    assert {"weighted_map", "map", "coco/AP", "detections/0", "labels/0"} <= set(evaluated.Tags()["tensors"])
    assert [event.step for event in evaluated.Tensors("weighted_map")] == [2, 4]
    from tensorboard.plugins.hparams import metadata

    found = events(folder).SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    shown = {name: getattr(value, value.WhichOneof("kind"))
             for name, value in metadata.parse_session_start_info_plugin_data(found).hparams.items()}
    assert {"codec": "jpeg", "quality": 100, "regime": "retrained", "seed": 1, "detector": "ssd_inception_v2_keras",
            "balance_classes": True}.items() <= shown.items()


def test_run_record_says_how_the_weights_came_to_be(trained, demo_records):
    record = json.loads((trained[0] / "run.json").read_text())
    manifest = demo_records / "jpeg-q100" / "manifest.json"
    assert record["record_set"]["manifest_sha256"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert record["seed"] == 1
    assert record["deterministic"]
    assert record["command"]
    assert record["versions"]["tensorflow"].startswith("2.14")
    assert sum(share["sampled"] for share in record["class_shares"].values()) == pytest.approx(1)


def test_evaluation_on_the_shared_weights_is_that_of_the_checkpoint(trained, demo_records, tmp_path):
    """The same detections, to the last bit, as from a detector that is built for itself and restored."""
    from tfod_compress import evaluation

    folder = trained[0]
    sets = [demo_records / "jpeg-q100", demo_records / "jpeg-q5"]
    evaluation.evaluate(folder / "pipeline.config", folder, sets, tmp_path)
    for name in ("jpeg-q100", "jpeg-q5"):
        inside = folder / "evaluations" / "step-4" / name
        assert json.loads((tmp_path / name / "detections.json").read_text()) == json.loads(
            (inside / "detections.json").read_text())
        logged = next(row for row in rows(folder) if row["step"] == 4 and f"eval/{name}/map" in row)
        measured = json.loads((inside / "metrics.json").read_text())
        assert logged[f"eval/{name}/map"] == measured["map"]["value"]
        assert logged[f"eval/{name}/coco/AP50"] == measured["coco"]["AP50"]


def test_the_best_checkpoint_is_kept_apart(trained):
    folder = trained[0]
    values = {row["step"]: row["eval/jpeg-q5/coco/AP50"] for row in rows(folder) if "eval/jpeg-q5/map" in row}
    best = json.loads((folder / "best" / "best.json").read_text())
    assert best == {"step": best["step"], "record_set": "jpeg-q5", "metric": "coco/AP50", "value": max(values.values())}
    assert values[best["step"]] == max(values.values())
    assert weights(folder / "best")[2] == best["step"]
    assert len(list((folder / "best").glob("ckpt-*"))) == 2


def test_stopped_and_resumed_ends_with_the_same_bits(config, trained, demo_records, tmp_path, capsys):
    """Time is up after step 3; what the interrupted run logged beyond its checkpoint is taken back."""
    folder = tmp_path / "model"
    shutil.copytree(trained[0], folder)
    for path in [*folder.glob("ckpt-4.*"), *folder.glob("best/*"), *folder.glob("evaluations/step-4/*/*")]:
        path.unlink()
    (folder / "checkpoint").write_text("".join(
        line.replace('model_checkpoint_path: "ckpt-4"', 'model_checkpoint_path: "ckpt-2"')
        for line in (folder / "checkpoint").read_text().splitlines(keepends=True)
        if line.strip() != 'all_model_checkpoint_paths: "ckpt-4"' and "timestamp" not in line))
    train_detector(config, folder, max_hours=1e-9, **settings(demo_records))
    assert weights(folder)[2] == 3
    assert "stopped at step 3 of 4" in capsys.readouterr().out
    train_detector(config, folder, **settings(demo_records))
    _, whole, _ = weights(trained[0])
    _, parts, step = weights(folder)
    assert step == 4
    assert all(np.array_equal(parts[name], value) for name, value in whole.items())
    assert [{**row, "images_per_second": 0} for row in rows(folder)] == [
        {**row, "images_per_second": 0} for row in rows(trained[0])]
    assert len(json.loads((folder / "run.json").read_text())["starts"]) == 3
    restored = json.loads((folder / "restored.json").read_text())
    assert restored["from"].endswith("ckpt-3")
    assert len(restored["restored"]) == len(whole)
    assert restored["kept"] == []


def test_a_run_keeps_its_seed(trained, tmp_path):
    from tfod_compress.training import run_record

    assert run_record.seed_of(trained[0], None) == 1
    with pytest.raises(InputError, match="started with seed 1, not 2"):
        run_record.seed_of(trained[0], 2)
    assert run_record.seed_of(tmp_path, None) != run_record.seed_of(tmp_path, None)


@pytest.mark.parametrize(("values", "best", "exhausted"), [
    ([0.1, 0.3, 0.2, 0.3], 20, True), ([0.1, 0.3, 0.2, 0.31], 40, False), ([0.1, 0.3, 0.2], 20, False),
    ([0.2, 0.1], 10, False)])
def test_patience_counts_evaluations_without_a_better_one(config, demo_records, tmp_path, values, best, exhausted):
    from tfod_compress.training.detector_evaluations import DetectorEvaluations

    kept = DetectorEvaluations(tmp_path, pipeline_config.read(config), config, [demo_records / "jpeg-q5"], "map", 2)
    history = [{"step": 10 * number, "eval/jpeg-q5/map": value} for number, value in enumerate(values, 1)]
    assert kept.exhausted(history) == exhausted
    assert kept.best(history)[1] == best


def test_a_damaged_newest_checkpoint_is_passed_over(trained, tmp_path, capsys):
    import tensorflow as tf

    from tfod_compress.training.checkpoints import Checkpoints

    shutil.copytree(trained[0], tmp_path / "model")
    data = tmp_path / "model" / "ckpt-4.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    (tmp_path / "model" / "ckpt-6_temp").mkdir()
    step = tf.Variable(0, dtype=tf.int64)
    found = Checkpoints(tmp_path / "model", tf.train.Checkpoint(step=step), 7)
    assert found.resume().endswith("ckpt-2")
    assert step.numpy() == 2
    assert "ckpt-4: cannot be read" in capsys.readouterr().out
    assert not (tmp_path / "model" / "ckpt-6_temp").exists()


def test_a_fine_tuning_run_starts_at_step_0_and_moves_the_weights(config, demo_records, trained, tmp_path):
    """Without the repair of defect 11 the run starts at the old run's step, where the learning rate is 0."""
    path = tmp_path / "ft.config"
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, checkpoint=trained[0],
                         overrides=(*SMALL, f"{schedule}.total_steps: 3"))
    with watched(changes.IGNORED) as read:
        train_detector(path, tmp_path / "ft", num_train_steps=2, seed=1)
    assert read <= REFUSED
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
    path = tmp_path / "wide.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, checkpoint=trained[0], overrides=(
        "model.ssd.feature_extractor.depth_multiplier: 0.2", "train_config.batch_size: 2"))
    with pytest.raises(InputError, match="does not hold the weights"):
        train_detector(path, tmp_path / "wide", num_train_steps=1)


def test_stops_on_a_loss_that_is_not_finite(demo_records, tmp_path):
    path = tmp_path / "nan.config"
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, overrides=(
        *SMALL, f"{schedule}.learning_rate_base: 1e30", f"{schedule}.warmup_learning_rate: 1e29",
        "train_config.gradient_clipping_by_norm: 0"))
    with pytest.raises(InputError, match="not finite"):
        train_detector(path, tmp_path / "model", num_train_steps=50, checkpoint_every_n=1, seed=0)
    _, found, step = weights(tmp_path / "model")
    assert all(np.isfinite(value).all() for value in found.values())
    record = json.loads((tmp_path / "model" / "non_finite.json").read_text())
    assert record["step"] == step + 1
    assert len(record["source_ids"]) == 2
    assert not all(np.isfinite(float(value)) for value in record["losses"].values())


@pytest.mark.parametrize(("change", "told"), [
    ("train_config { num_steps: 0 }", "number of steps"),
    ("train_input_reader { tf_record_input_reader { input_path: '/nowhere/train-0.tfrecord' } }", "missing"),
    ("train_config { batch_size: 41 }", "a batch of 41 does not fit"),
    ("train_config { batch_size: 0 }", "batch_size is 0"),
    ("model { ssd { num_classes: 5 } }", "num_classes is 5"),
    ("train_input_reader { sample_from_datasets_weights: 1.0 }", "sample_from_datasets_weights"),
    ("train_config { freeze_variables: 'x' }", "no effect in TF2"),
    ("train_config { update_trainable_variables: 'x' }", "no effect in TF2"),
    ("train_config { load_all_detection_checkpoint_vars: true }", "not supported in TF2"),
])
def test_refuses_inputs_that_cannot_work(config, tmp_path, change, told):
    """Configs may come from elsewhere, so that training checks what tools.make_pipeline_config checks too."""
    from google.protobuf import text_format

    path, message = tmp_path / "bad.config", pipeline_config.read(config)
    text_format.Merge(change, message)
    path.write_text(text_format.MessageToString(message))
    with pytest.raises(InputError, match=told):
        train_detector(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_command_wants_a_config_and_tells_mistakes_before_tensorflow(run_tool, tmp_path):
    process = run_tool("model_main_tf2", "--model_dir", tmp_path)
    assert process.returncode == 2
    assert "--pipeline_config_path" in process.stderr
    process = run_tool("model_main_tf2", "--model_dir", tmp_path, "--pipeline_config", tmp_path / "none.config")
    assert process.returncode == 1
    assert "none.config" in process.stderr
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(("flags", "told"), [
    (["--use_tpu"], "--use_tpu: never tried here"),
    (["--tpu_name", "x"], "--use_tpu: never tried here"),
    (["--eval_on_train_data"], "--split train"),
    (["--eval_every", 5], "--eval_every and --eval_records go together"),
    (["--patience", 2], "--patience needs --eval_every"),
    (["--checkpoint_dir", "d", "--eval_every", 5, "--eval_records", "r"], "--checkpoint_dir only evaluates"),
    (["--hparams", "regime"], "give name=value"),
    (["--num_workers", "many"], "num_workers"),
])
def test_flags_that_cannot_work_are_wrong_usage(run_tool, config, tmp_path, flags, told):
    process = run_tool("model_main_tf2", "--model_dir", tmp_path / "m", "--pipeline_config_path", config, *flags)
    assert process.returncode == 2, process.stdout + process.stderr
    assert told in process.stderr
    assert not (tmp_path / "m").exists()
