"""Studies: the file is validated, the graph is what the study says, a study runs end to end and only once."""

import json
import pathlib

import pytest
import yaml

from tfod_compress import study
from tfod_compress.errors import InputError

DEMO = pathlib.Path(__file__).parent.parent / "pipeline_configs" / "studies" / "demo.yaml"


def changed(tmp_path, **changes):
    """The demo study with some keys ("a.b" reaches into a) changed, as a file."""
    content = yaml.safe_load(DEMO.read_text())
    for name, value in changes.items():
        *path, last = name.split("__")
        place = content
        for key in path:
            place = place[key]
        place[last] = value
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(("changes", "told"), [
    ({"records__qualitys": [1]}, "records.qualitys"),
    ({"regimes": ["task_ft"]}, "off_the_shelf"),
    ({"regimes": ["off_the_shelf", "magic"]}, "regimes"),
    ({"detectors": ["yolo"]}, "ssd_inception_v2_300"),
    ({"records__codec": "jpg"}, "jpeg-gray"),
    ({"records__qualities": [101]}, "1 to 100"),
    ({"fine_tuning__qualities": [7]}, "records.qualities"),
    ({"evaluation__resamples": 10}, "1000"),
    ({"data": {"frames": "x"}}, "labels"),
])
def test_a_mistake_is_told_with_its_place(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        study.read(changed(tmp_path, **changes))
    assert "study.yaml" in str(error.value)


def test_points_are_the_grid():
    rows = study.points(study.read(DEMO))
    assert [(row["regime"], row["quality"]) for row in rows] == [
        ("off_the_shelf", 100), ("off_the_shelf", 40), ("off_the_shelf", 20), ("off_the_shelf", 10),
        ("off_the_shelf", 5), ("task_ft", 5), ("control_ft", 5)]
    assert len({row["model"] for row in rows}) == 3
    assert {row["trained_on"] for row in rows if row["regime"] != "task_ft"} == {100}


def test_regimes_differ_in_their_frames_alone(tmp_path):
    """task_ft and control_ft have the same start, steps and settings; only the record set differs."""
    nodes = {node.name: node.text for node in study.graph(study.read(DEMO), "w")}
    task = next(text for name, text in nodes.items() if name.startswith("config") and "task_ft" in name)
    control = next(text for name, text in nodes.items() if name.startswith("config") and "control_ft" in name)
    assert "w/tfrecords/jpeg-q5" in task
    task = task.replace("w/tfrecords/jpeg-q5", "w/tfrecords/jpeg-q100")
    assert task.replace("task_ft-jpeg-q5", "control_ft-jpeg-q100") == control


def test_every_node_comes_after_what_it_needs():
    seen = set()
    for node in study.graph(study.read(DEMO), "w"):
        assert set(node.needs) <= seen
        seen.add(node.name)


def test_dry_run_needs_no_data_and_writes_nothing(run_tool, tmp_path):
    process = run_tool("run_study", DEMO, "--workdir", tmp_path / "runs", "--dry_run")
    assert process.returncode == 0
    assert process.stdout.count("missing") == 11
    assert not (tmp_path / "runs").exists()


def test_a_small_study_runs_end_to_end_and_only_once(run_tool, tmp_path):
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    small = ["model.ssd.feature_extractor.depth_multiplier: 0.1", "train_config.batch_size: 2",
             f"{schedule}.total_steps: 2", f"{schedule}.warmup_steps: 0"]
    path = changed(tmp_path, data__make__count=30, data__make__broken=1, records__qualities=[100, 5],
                   training={"steps": 2, "set": small}, fine_tuning={"qualities": [5], "steps": 2, "set": small})
    workdir = tmp_path / "runs"
    process = run_tool("run_study", path, "--workdir", workdir, timeout=1200)
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((workdir / "results.json").read_text())
    assert len(results["points"]) == 4
    for point in results["points"]:
        values = json.loads((workdir / point["evaluation"] / "metrics.json").read_text())
        assert 0 <= values["weighted_map"]["value"] <= 1
        assert values["bpp"] > 0
    assert {(row["a"]["regime"], row["b"]["regime"]) for row in results["comparisons"]} == {
        ("off_the_shelf", "off_the_shelf"), ("task_ft", "off_the_shelf"), ("task_ft", "control_ft")}
    assert process.stdout.count("report:") == 1
    assert "report.html" in process.stdout
    assert (workdir / "report.html").stat().st_size > 10_000

    again = run_tool("run_study", path, "--workdir", workdir)
    assert again.returncode == 0
    assert "python -m tools.model_main_tf2" not in again.stdout
    other = run_tool("run_study", changed(tmp_path, data__make__count=31), "--workdir", workdir)
    assert other.returncode == 1
    assert "other settings" in other.stderr
