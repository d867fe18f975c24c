"""Training a classifier by the same loop: exact steps, the same bits after a stop, starts from other checkpoints."""

import contextlib
import io
import json
import re
import shutil

import numpy as np
import pytest

from tests import tiny_classes
from tests.training.runs import train_classifier, variables
from tests.training.test_training import weights
from tfod_compress import evaluation
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.models import Wanted

SETTINGS = {"num_train_steps": 4, "checkpoint_every_n": 2, "eval_every": 2, "deterministic": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the record set jpeg-q90, others of five and of one class, and a config."""
    folder = tmp_path_factory.mktemp("data")
    splits = {"train": tiny_classes.pictures(18), "val": tiny_classes.pictures(9, seed=5)}
    tiny_classes.write(folder / "jpeg-q90", splits)
    five = {**tiny_classes.NAMES, 4: "ahead", 5: "end"}
    tiny_classes.write(folder / "five", {"train": tiny_classes.pictures(10, five)}, five)
    one = [each for each in tiny_classes.pictures(18) if each[1] == 2]
    tiny_classes.write(folder / "one", {"train": one})
    (folder / "small.yaml").write_text(tiny_classes.CONFIG)
    return folder


def train(data, folder, overrides="", records="jpeg-q90", **options):
    return train_classifier(data / "small.yaml", data / records, folder, overrides, **options)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """(a model folder after 4 steps with an evaluation every 2, its losses, what was printed)."""
    from tensorflow.python.framework import config as tf_config

    folder, output = tmp_path_factory.mktemp("model"), io.StringIO()
    with contextlib.redirect_stdout(output):
        losses = train(data, folder, seed=1, eval_records=[data / "jpeg-q90"], hparams={"regime": "retrained"},
                       **SETTINGS)
    yield folder, losses, output.getvalue()
    tf_config.disable_op_determinism()


def test_exact_steps_and_what_a_run_leaves(trained, data):
    folder, losses, output = trained
    prefix, values, step = weights(folder)
    assert prefix.endswith("ckpt-4")
    assert step == 4
    assert all(np.isfinite(value).all() for value in values.values())
    assert losses["Loss/total_loss"] == pytest.approx(
        losses["Loss/classification_loss"] + losses["Loss/regularization_loss"])
    assert "random weights" in output
    record = json.loads((folder / "run.json").read_text())
    assert (record["task"], record["experiment"], record["seed"]) == ("classification", "resnet_imagenet", 1)
    assert record["record_set"]["path"] == str((data / "jpeg-q90").resolve())
    told = {"codec": "jpeg", "quality": 90, "regime": "retrained", "backbone": "resnet"}
    assert told.items() <= record["hparams"].items()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "eval/jpeg-q90/top1" in row] == [2, 4]


def test_the_folder_gives_scores_again(trained, data):
    """Of every checkpoint, of best/ too; a picture's scores do not depend on those beside it."""
    from tfod_compress.records import wire
    from tfod_compress.records.framing import read_records
    from tfod_compress.tasks.classification import inputs
    from tfod_compress.tasks.classification import trained as classifiers

    rgb = np.stack([rgb for _, _, rgb in tiny_classes.pictures(9, seed=5)])
    predictor = classifiers.find(trained[0]).load()
    scores = predictor.predict(rgb)
    assert scores.dtype == np.float32
    assert scores.shape == (9, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(predictor.predict(rgb[:2]), scores[:2], atol=1e-5)
    assert predictor.class_names == tiny_classes.NAMES
    found = [wire.parse(each) for each in read_records(data / "jpeg-q90" / "val-00000-of-00001.tfrecord")]
    coded = np.stack([inputs.decode(each["image/encoded"][0]) for each in found])
    guessed = predictor.class_ids[predictor.predict(coded).argmax(axis=1)]
    right = guessed == [each["image/class/label"][0] for each in found]
    told = json.loads((trained[0] / "evaluations" / "step-4" / "jpeg-q90" / "metrics.json").read_text())
    assert (told["top1"]["value"], told["images"]) == (right.mean(), 9)
    best = json.loads((trained[0] / "best" / "best.json").read_text())
    assert classifiers.find(trained[0] / "best").load().predict(rgb).shape == (9, 3)
    assert best["metric"] == "top1"


def test_stopped_and_resumed_ends_with_the_same_bits(trained, data, tmp_path, capsys):
    folder = tmp_path / "model"
    settings = {**SETTINGS, "eval_records": [data / "jpeg-q90"]}
    train(data, folder, seed=1, max_hours=1e-9, **settings)
    assert "stopped at step 1 of 4 with a checkpoint" in capsys.readouterr().out
    train(data, folder, **settings)
    assert "resumed at step 1" in capsys.readouterr().out
    assert weights(trained[0])[2] == weights(folder)[2] == 4
    # The backbone's weights are kept by its own name, and so are the optimizer's.
    one, other = ({name: value for name, value in variables(each).items() if "save_counter" not in name}
                  for each in (trained[0], folder))
    assert one.keys() == other.keys() and any(name.startswith("backbone/") for name in one)
    assert all(np.array_equal(value, other[name]) for name, value in one.items())


def test_the_folder_tells_which_frames_it_was_trained_on_and_which_model_it_is(trained, data):
    from tfod_compress.records import RecordSet
    from tfod_compress.tasks.classification import trained as classifiers
    from tfod_compress.tasks.classification import trained_on

    found = classifiers.find(trained[0])
    seen, record_set = trained_on.of_classifier(found.folder), RecordSet(data / "jpeg-q90")
    assert len(seen.among(record_set, "train")) == 18
    assert seen.among(record_set, "val") == []
    assert found.class_names == tiny_classes.NAMES
    assert found.digest == classifiers.find(trained[0] / "ckpt-4").digest
    assert found.digest != classifiers.find(trained[0] / "ckpt-2").digest
    with pytest.raises(InputError, match=r"params\.yaml: is not there"):
        classifiers.find(_without(trained[0], "params.yaml", data))


def _without(folder, name, data):
    shutil.copytree(folder, data / "without", ignore=shutil.ignore_patterns(name))
    return data / "without"


@pytest.mark.parametrize("modules", ["all", "backbone"])
def test_a_start_from_another_checkpoint_begins_at_step_0(trained, data, tmp_path, modules, capsys):
    """With "backbone" the records may have other classes."""
    records = "jpeg-q90" if modules == "all" else "five"
    train(data, tmp_path / "ft", f"task.init_checkpoint={trained[0]},task.init_checkpoint_modules={modules}", records,
          num_train_steps=1, seed=2, record_summaries=False)
    prefix, values, step = weights(tmp_path / "ft")
    assert step == 1
    told = json.loads((tmp_path / "ft" / "restored.json").read_text())
    assert told["step"] == 0
    assert len(told["kept"]) == (0 if modules == "all" else 2)
    import tensorflow as tf

    first, last = tf.train.load_checkpoint(str(tmp_path / "ft" / "ckpt-0")), weights(trained[0])[1]
    same = [name for name, value in last.items() if np.array_equal(value, first.get_tensor(name))]
    assert len(last) - len(same) == len(told["kept"])
    assert any((value != first.get_tensor(name)).any() for name, value in values.items())


def test_refuses_a_checkpoint_of_another_number_of_classes(trained, data, tmp_path):
    start = f"task.init_checkpoint={trained[0]}"
    with pytest.raises(InputError, match="a checkpoint of 3 classes, and here are 5; .*backbone"):
        train(data, tmp_path / "ft", start, "five", num_train_steps=1)
    with pytest.raises(InputError, match="a checkpoint of 3 classes, and here are 4; .*label_offset"):
        train(data, tmp_path / "ft2", f"{start},label_offset=1", num_train_steps=1)
    with pytest.raises(InputError, match="is no checkpoint of this model"):
        shutil.copytree(trained[0], tmp_path / "other")
        train(data, tmp_path / "other", "task.model.backbone.resnet.depth_multiplier=0.5", num_train_steps=5)


def test_batches_depend_on_seed_and_step_alone(data):
    from tfod_compress.records import RecordSet
    from tfod_compress.tasks.classification import experiment, inputs
    from tfod_compress.training import batches as input_pipeline
    from tfod_compress.training import records
    from tfod_compress.training.order import Order

    record_set = RecordSet(data / "jpeg-q90")
    frames = records.scan(record_set.files("train"), record_set.label_map, 3, records.class_of)
    transform = inputs.for_training(experiment.read("resnet_imagenet", [data / "small.yaml"]))

    def batches(count, first_step=0, seed=3, **options):
        order = Order(len(frames), 4, seed)
        found = input_pipeline.batches(transform, frames, order, first_step, **options)
        return [(features["image"], features["source_id"], index)
                for features, index in found.take(count).as_numpy_iterator()]

    plain = batches(10)
    for one, other in zip(plain[6:], batches(4, first_step=6, cache_bytes=0), strict=True):
        assert all(map(np.array_equal, one, other))
    assert not np.array_equal(plain[0][1], batches(1, seed=4)[0][1])
    places = {name.decode(): int(index) + 1 for _, names, indices in plain
              for name, index in zip(names, indices, strict=True)}
    assert places == {source_id: class_id for source_id, class_id, _ in tiny_classes.pictures(18)}
    of_first = [image for images, names, _ in plain for image, name in zip(images, names, strict=True)
                if name == plain[0][1][0]]
    assert len(of_first) > 1
    assert not np.array_equal(of_first[0], of_first[1])  # augmented anew in each epoch


@pytest.mark.parametrize(("records", "overrides", "told"), [
    ("one", "", "of one class only"), ("nowhere", "", "no such record set"),
    ("jpeg-q90", "task.train_data.global_batch_size=19", "a batch of 19 does not fit 18 frames"),
    ("jpeg-q90", "task.model.num_classes=43", "num_classes is 43"),
    ("jpeg-q90", "task.model.input_size=[32,32]", r"input_size is \[32, 32\]"),
    ("jpeg-q90", "task.init_checkpoint_modules=head", "there are all and backbone"),
    ("jpeg-q90", "trainer.optimizer_config.optimizer.type=sgd_experimental", "is not supported"),
    ("jpeg-q90", "task.init_checkpoint=/nowhere", "no such checkpoint")])
def test_refuses_what_cannot_work_before_the_first_step(data, tmp_path, records, overrides, told):
    with pytest.raises(InputError, match=told):
        train(data, tmp_path / "model", overrides, records, num_train_steps=1)
    assert not list(tmp_path.glob("model/ckpt-*"))


def test_a_record_of_no_class_or_of_an_unknown_one_is_named(data, tmp_path):
    bad = [("x/1", 7, np.zeros((32, 32, 3), np.uint8))]
    tiny_classes.write(tmp_path / "bad", {"train": [*tiny_classes.pictures(4), *bad]})
    shutil.copy(data / "small.yaml", tmp_path)
    with pytest.raises(InputError, match="x/1: class id 7 is not in the label map"):
        train(tmp_path, tmp_path / "model", records="bad")


def test_the_command_refuses_in_one_line(data, demo_records, run_tool, tmp_path):
    """Records of the other task, on both sides, and an unknown experiment."""
    from tfod_compress.tasks.detection.config import pipeline_config

    config = tmp_path / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q100", config)
    text = config.read_text().replace(str(demo_records / "jpeg-q100"), str(data / "jpeg-q90"))
    config.write_text(re.sub(r"(train|val)-\d+-of-\d+", r"\1-*", text))
    with pytest.raises(InputError, match="records of classification, not of detection"):
        pipeline_config.make("ssd_inception_v2_demo", data / "jpeg-q90", tmp_path / "other.config")
    for name, arguments, told in (
            ("train", ["--experiment", "resnet_imagenet", "--records", demo_records / "jpeg-q100"],
             "records of detection, not of classification; train on it with tools.model_main_tf2"),
            ("model_main_tf2", ["--pipeline_config_path", config], "records of classification, not of detection; "
             "train on it with tools.train"),
            ("train", ["--experiment", "resnet_imagnet", "--records", data / "jpeg-q90"], "is resnet_imagenet meant")):
        process = run_tool(name, "--model_dir", tmp_path / "model", *arguments)
        assert process.returncode == 1, process.stdout + process.stderr
        lines = [line for line in process.stderr.splitlines() if line.startswith("tools.")]
        assert len(lines) == 1
        assert told in lines[0]


def test_evaluated_afterwards_it_is_worth_what_it_was_while_it_trained(trained, data, tmp_path):
    folder, _, _ = trained
    (_, result), = evaluation.evaluate_models(Wanted(checkpoint=(folder,)), [data / "jpeg-q90"], tmp_path)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = {name: value for row in rows for name, value in row.items() if name.startswith("eval/")}
    for metric in ("top1", "top5", "mean_class_accuracy"):
        assert result[metric]["value"] == pytest.approx(last[f"eval/jpeg-q90/{metric}"])
    assert result["images"] == 9 and "training_frames" not in result
    assert (tmp_path / "jpeg-q90" / "predictions.json").is_file()
    with pytest.raises(InputError, match="no frames of the split 'test'"):
        evaluation.evaluate_models(Wanted(checkpoint=(folder,)), [data / "jpeg-q90"], tmp_path / "x", split="test")
