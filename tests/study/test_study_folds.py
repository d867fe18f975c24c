"""Cross-validation: each fold is tested by a detector that was trained on the others."""

import json

import pytest

from tests.study_files import changed
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import pipeline_config


@pytest.fixture(scope="module")
def folds(tmp_path_factory, run_tool):
    """A record set of three folds."""
    folder = tmp_path_factory.mktemp("folds")
    for tool, arguments in (
            ("make_demo_frames", ["--output", folder, "--count", 12, "--size", "96x64", "--broken", 0,
                                  "--sequence_length", 2]),
            ("make_tfrecords", ["--frames", folder / "frames", "--labels", folder / "labels", "--folds", 3,
                                "--split_by", r"^(seq\d+)/", "--quality", 50, "--output", folder / "tfrecords"])):
        process = run_tool(tool, *arguments)
        assert process.returncode == 0, process.stderr
    return folder / "tfrecords" / "jpeg-q50"


def test_a_fold_is_tested_and_the_others_are_trained_on(folds, tmp_path):
    seen = []
    for fold in range(3):
        config = pipeline_config.make("ssd_inception_v2_demo", folds, tmp_path / f"{fold}.config", fold=fold,
                                      batch_size=2).config
        trained, tested = ({path.rsplit("/", 1)[1].split("-")[0] for path in reader.tf_record_input_reader.input_path}
                           for reader in (config.train_input_reader, config.eval_input_reader[0]))
        assert tested == {f"fold{fold}"} and trained == {"fold0", "fold1", "fold2"} - tested
        seen += tested
    assert len(seen) == 3


def test_a_fold_that_is_not_there_is_told(folds, tmp_path, run_tool):
    with pytest.raises(InputError, match="no fold 3.*fold0, fold1, fold2"):
        pipeline_config.make("ssd_inception_v2_demo", folds, tmp_path / "x.config", fold=3)
    config = tmp_path / "0.config"
    pipeline_config.make("ssd_inception_v2_demo", folds, config, fold=0, batch_size=2)
    (tmp_path / "ckpt-1.index").write_bytes(b"x")
    process = run_tool("evaluate", "--pipeline_config_path", config, "--checkpoint", tmp_path / "ckpt-1", "--records",
                       folds, "--output", tmp_path / "out")
    assert process.returncode == 1 and "split 'val'" in process.stderr and "fold0" in process.stderr


@pytest.mark.slow
def test_folds_seeds_jobs_and_scales_end_to_end(run_tool, tmp_path):
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    small = ["model.ssd.feature_extractor.depth_multiplier: 0.1", "train_config.batch_size: 2",
             f"{schedule}.total_steps: 2", f"{schedule}.warmup_steps: 0"]
    path = changed(tmp_path, data__make__count=24, data__make__broken=0, split={"folds": 2, "split_by": r"^(seq\d+)/"},
                   records=[{"codec": "png"}, {"codec": "jpeg", "rates": [2.0, 0.01]},
                            {"codec": "jpeg", "qualities": [90], "scale": 0.5}],
                   regimes=["off_the_shelf"], fine_tuning=None, training={"steps": 2, "set": small})
    process = run_tool("run_study", path, "--workdir", tmp_path / "runs", "--jobs", 2, timeout=2400)
    # JPEG has no 0.01 bits per pixel: that point fails, is told, and the others are there.
    assert process.returncode == 1, process.stdout + process.stderr
    assert "records jpeg-bpp0.01: failed" in process.stdout
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert {(point["record_set"], point["fold"]) for point in results["points"]} == {
        (name, fold) for name in ("png", "jpeg-bpp2", "jpeg-scale0.5-q90") for fold in (0, 1)}
    assert not results["complete"] and any("jpeg-bpp0.01" in line for line in results["problems"])
    assert all(entry["runs"] == 2 and entry["folds"] == [0, 1] for entry in results["summary"])
    assert {(each["record_set"], *each["folds"]) for each in results["pooled"]} == {
        (name, 0, 1) for name in ("png", "jpeg-bpp2", "jpeg-scale0.5-q90")}
    assert {each["a"]["fold"] for each in results["comparisons"]} == {0, 1, None}
    images = [json.loads((tmp_path / "runs" / point["evaluation"] / "metrics.json").read_text())["images"]
              for point in results["points"] if point["record_set"] == "png"]
    assert sum(images) == 24


def test_few_frames_are_spread_over_all(folds, tmp_path, run_tool):
    """What the smoke scale takes of frames that are named."""
    process = run_tool("make_tfrecords", "--frames", folds.parent.parent / "frames", "--labels",
                       folds.parent.parent / "labels", "--max_frames", 4, "--output", tmp_path)
    assert process.returncode == 0 and "4 of 12 frames" in process.stdout, process.stderr
    names = [line.split(",")[0] for line in (tmp_path / "jpeg-q100" / "images.csv").read_text().splitlines()[1:]]
    assert len({name.split("/")[0] for name in names}) == 4  # of six sequences of two frames
