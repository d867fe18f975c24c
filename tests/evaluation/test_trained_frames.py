"""A detector is not tested on frames that it was trained on, unless that is asked for and told."""

import json
import shutil

import pytest

from tests import records_data, tiny_records
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import trained_on
from tfod_compress.tasks.detection.config import pipeline_config

SEQUENCE = r"^(seq\d+)/"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Record sets of the same frames: by sequence (train and val), by frame, and of other frames of the same names."""
    folder = records_data.make(tmp_path_factory.mktemp("data"), count=24, sequences=8)
    for name, options in (("sequences", {"sequence_by": SEQUENCE}), ("frames", {"seed": 1})):
        convert(folder / "frames", folder / "labels", folder / name, qualities=(50,), workers_count=1, val_fraction=0.5,
                **options)
    other = shutil.copytree(folder, folder.parent / "other")
    for index, path in enumerate(sorted((other / "frames").rglob("*.bmp"))):
        records_data.Image.fromarray(records_data.scene(100 + index)).save(path)
    convert(other / "frames", other / "labels", folder / "others", qualities=(50,), workers_count=1, val_fraction=0.5)
    return {name: folder / name / "jpeg-q50" for name in ("sequences", "frames", "others")}


def model(folder, records, start=""):
    """A model folder: the config of training on `records`, started from another folder."""
    folder.mkdir()
    tiny_records.write_config(folder / "pipeline.config", records, classes=7)
    config = pipeline_config.read(folder / "pipeline.config")
    config.train_input_reader.tf_record_input_reader.input_path.extend(
        map(str, sorted(records.glob("train-*"))))
    config.train_config.fine_tune_checkpoint = str(start and start / "ckpt-1")
    (folder / "pipeline.config").write_text(str(config))
    return folder


def seen(folder, record_set, split="val"):
    return set(trained_on.of_checkpoint(str(folder / "ckpt-1"), folder / "pipeline.config").among(
        RecordSet(record_set), split))


def names(record_set, split):
    return {example.source_id for example in RecordSet(record_set).examples(split)}


def test_frames_of_the_run_and_of_where_it_started_from_are_known(sets, tmp_path):
    first = model(tmp_path / "first", sets["sequences"])
    assert seen(first, sets["sequences"]) == set()
    leaked = names(sets["sequences"], "train") & names(sets["frames"], "val")
    assert leaked and seen(first, sets["frames"]) == leaked
    assert seen(first, sets["sequences"], "train") == names(sets["sequences"], "train")
    second = model(tmp_path / "second", sets["others"], start=first)
    assert seen(second, sets["frames"]) == leaked
    # Names and sizes alike, pixels not.
    assert seen(first, sets["others"]) == set()


def test_without_checksums_names_and_sizes_decide_and_a_lost_record_set_is_told(sets, tmp_path):
    old = shutil.copytree(sets["sequences"], tmp_path / "old" / "jpeg-q50")
    lines = [line.rsplit(",", 1)[0] for line in (old / "images.csv").read_text().splitlines()]
    (old / "images.csv").write_text("\n".join(lines) + "\n")
    first = model(tmp_path / "first", old)
    assert seen(first, sets["frames"]) == names(sets["sequences"], "train") & names(sets["frames"], "val")
    (old / "images.csv").unlink()
    found = trained_on.of_checkpoint(str(first / "ckpt-1"), first / "pipeline.config")
    assert found.unknown == (str(old),) and not found.frames


def test_evaluation_refuses_them_or_marks_the_numbers(sets, tmp_path, run_tool):
    import tensorflow as tf

    from tfod_compress import evaluation
    from tfod_compress.tasks.detection import odapi

    folder = model(tmp_path / "model", sets["sequences"])
    odapi.install()
    from object_detection.builders import model_builder

    config = pipeline_config.read(folder / "pipeline.config")
    built = model_builder.build(config.model, is_training=False)
    built.predict(*built.preprocess(tf.zeros([1, 64, 96, 3])))
    tf.train.Checkpoint(model=built).write(str(folder / "ckpt-1"))
    leaked = names(sets["sequences"], "train") & names(sets["frames"], "val")
    command = ["evaluate", "--checkpoint", folder / "ckpt-1", "--records", sets["frames"], "--output", tmp_path / "out"]
    done = run_tool(*command)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"{len(leaked)} of its 12 val frames" in done.stderr and "--allow_training_frames" in done.stderr
    assert not (tmp_path / "out").exists()
    result, = evaluation.evaluate(None, folder / "ckpt-1", [sets["frames"]], tmp_path / "out",
                                  allow_training_frames=True).values()
    assert result["training_frames"] == len(leaked)
    assert any(f"trained on {len(leaked)} of these 12 frames" in line for line in evaluation.notes(result))
    clean, = evaluation.evaluate(None, folder / "ckpt-1", [sets["sequences"]], tmp_path / "clean").values()
    assert "training_frames" not in json.loads((tmp_path / "clean/jpeg-q50/metrics.json").read_text())
    with pytest.raises(InputError, match="are among those that"):
        evaluation.evaluate(None, folder / "ckpt-1", [sets["frames"]], tmp_path / "out")


def test_training_refuses_to_be_judged_by_frames_that_it_trains_on_before_it_starts(sets, tmp_path):
    from tfod_compress.training.detector_evaluations import DetectorEvaluations

    folder = model(tmp_path / "model", sets["sequences"])
    config = pipeline_config.read(folder / "pipeline.config")
    with pytest.raises(InputError, match="val frames, such as .* are among those that this run was trained on"):
        DetectorEvaluations(tmp_path / "run", config, "config", [sets["frames"]], "weighted_map", None)
    assert DetectorEvaluations(tmp_path / "run", config, "config", [sets["sequences"]], "weighted_map", None).sets
