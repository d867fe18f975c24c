"""Studies of detectors as they are: which detector takes part in what, what they are compared with, whole runs."""

import json
import re
import sys

import pytest

from tests.conftest import ROOT
from tests.study_files import STUDIES, changed, check_slices
from tests.tasks.detection.test_outside_detector import DETECT
from tfod_compress import study
from tfod_compress.study import smoke
from tfod_compress.support.errors import InputError

COMMAND = "python detect.py {frames} {output}"
ALONE = {"regimes": ["published"], "fine_tuning": None, "training": None}
MINE = {"name": "mine", "command": COMMAND}


def planned(folder, *detectors, **changes):
    return study.read(changed(folder, detectors=list(detectors), **changes))


@pytest.mark.parametrize(("changes", "told"), [
    ({"detectors": ["ssd_inception_v2_demo", MINE]}, "detectors.1: has no template to train.*published"),
    ({"detectors": ["ssd_inception_v2_demo", MINE], **ALONE}, "detectors.0: published takes a detector as it is: give"),
    ({"detectors": [{"name": "x"}]}, "detectors.0: give a template, a checkpoint, a saved_model or a command"),
    ({"detectors": [{"command": COMMAND}]}, "detectors.0.name: is missing"),
    ({"detectors": [{**MINE, "template": "ssd_inception_v2_demo"}]}, "a template is trained, and a command is taken"),
    ({"detectors": [{**MINE, "saved_model": "x"}]}, "give either saved_model or command"),
    ({"detectors": [{**MINE, "steps": 5}], **ALONE}, "detectors.0.steps: goes with a template"),
    ({"detectors": [{**MINE, "command": "python detect.py"}], **ALONE}, "detectors.0.command: .*does not say {frames}"),
    ({"detectors": [{**MINE, "label_map": "cocoa"}], **ALONE}, "detectors.0.label_map: no label map 'cocoa'.*coco"),
    ({"detectors": [{**MINE, "nms_iou": 2}], **ALONE}, "detectors.0.nms_iou"),
    ({"detectors": [{"template": "ssd_inception_v2_demo", "class_map": "x.yaml"}]}, "class_map: goes with what is"),
    ({"detectors": [{"name": "x", "checkpoint": "ssd_inception_v2_cocoa"}], **ALONE}, "no checkpoint 'ssd_inception"),
    ({"detectors": ["ssd_inception_v2_demo"], "regimes": ["published", "off_the_shelf"], "fine_tuning": None},
     "regimes.0: no detector has a checkpoint"),
    ({"detectors": [MINE], "regimes": ["published", "off_the_shelf"], "fine_tuning": None},
     "regimes.1: no detector has a template"),
    ({"detectors": [MINE, "ssd_inception_v2_demo"], "regimes": ["published", "task_ft"]}, "off_the_shelf is what"),
    ({"split": {"val_fraction": 1.0}}, "split.val_fraction: leaves no frames to train on"),
    ({"split": {"val_fraction": 1.5}}, "split.val_fraction"),
])
def test_a_mistake_is_told_with_its_place(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        study.read(changed(tmp_path, **changes))
    assert "\n" not in str(error.value)


def test_nothing_is_trained_and_each_point_is_evaluated_once(tmp_path):
    plan = planned(tmp_path, {**MINE, "label_map": "coco", "class_map": "map.yaml", "nms_iou": 0.6},
                   {"name": "zoo", "checkpoint": "ssd_inception_v2_coco", "records": ["jpeg-q100", "jpeg-q5"]},
                   {"name": "export", "saved_model": "exported/best"}, **ALONE, seeds=[3, 4],
                   split={"val_fraction": 1.0})
    rows = study.points(plan)
    assert len(rows) == 5 + 2 + 5 and {row.regime for row in rows} == {"published"}
    assert {(row.steps, row.trained_on, row.template, row.seed) for row in rows} == {(0, None, None, 3)}
    nodes = {node.name: node for node in study.graph(plan, "w")}
    assert [node.tool for node in nodes.values()] == [
        "make_demo_frames", "make_tfrecords", "fetch_checkpoint", "evaluate", "evaluate", "evaluate"]
    assert nodes["evaluate mine-published"].text_of(()) == (
        f"python -m tools.evaluate --detector_command '{COMMAND}' --detector_label_map coco --class_map map.yaml "
        "--nms_iou 0.6 --output w/evaluations/mine-published --score_threshold 0.3 --resamples 1000")
    assert "--checkpoint checkpoints/ssd_inception_v2_coco --output" in nodes["evaluate zoo-published"].text
    assert nodes["evaluate zoo-published"].needs == ("checkpoint ssd_inception_v2_coco",)
    assert "--saved_model exported/best --output" in nodes["evaluate export-published"].text
    check_slices(plan, 2)
    lines = []
    study.run(plan, tmp_path / "w", dry_run=True, say=lines.append)
    assert "12 points of 3 models; 6 of 6 commands are left to run, with 0 training steps" in lines


def test_folds_are_evaluated_one_by_one(tmp_path):
    rows = study.points(planned(tmp_path, MINE, **ALONE, split={"folds": 3}))
    assert len({row.evaluation for row in rows}) == len(rows) == 3 * 5
    assert {(row.model, row.split) for row in rows} == {(f"mine-published-f{n}", f"fold{n}") for n in range(3)}


def test_each_detector_takes_part_in_what_it_can(tmp_path):
    both = {"template": "ssd_inception_v2_demo", "name": "both", "checkpoint": "runs/mine/ckpt-3"}
    plan = planned(tmp_path, both, "ssd_inception_v2_300", MINE,
                   regimes=["published", "off_the_shelf", "task_ft", "control_ft"])
    found = {}
    for row in study.points(plan):
        found.setdefault(row.detector, set()).add(row.regime)
    trained = {"off_the_shelf", "task_ft", "control_ft"}
    assert found == {"both": {"published", *trained}, "ssd_inception_v2_300": trained, "mine": {"published"}}
    texts = {node.name: node.text for node in study.graph(plan, "w")}
    assert "--checkpoint runs/mine/ckpt-3 --output" in texts["evaluate both-published"]
    assert "--checkpoint runs/mine/ckpt-3" in texts["config both-off_the_shelf-jpeg-q100-s0"]
    small = smoke.small(plan)
    assert {detector.name for detector in small.detectors} == {
        "both", "both-smoke", "ssd_inception_v2_300-smoke", "mine"}
    assert {row.regime for row in study.points(small) if row.detector == "both"} == {"published"}
    assert next(detector for detector in small.detectors if detector.name == "mine").command == COMMAND


def test_trained_detectors_are_evaluated_as_before():
    """The commands by which finished studies are recognised."""
    nodes = {node.name: node for node in study.graph(study.read(STUDIES / "demo.yaml"), "w")}
    name = "ssd_inception_v2_demo-off_the_shelf-jpeg-q100-s0"
    node = nodes[f"evaluate {name}"]
    assert node.key == (
        f"python -m tools.evaluate --pipeline_config_path w/models/{name}/pipeline.config --checkpoint w/models/{name} "
        f"--output w/evaluations/{name} --score_threshold 0.3 --resamples 1000")
    assert node.needs == (f"train {name}",) and node.work == ("evaluate ssd_inception_v2_demo", 5 * 480, "frames")


@pytest.mark.parametrize(("detector", "told"), [
    ({"command": "no_such_program {frames} {output}"}, "'no_such_program' is no program here"),
    ({"saved_model": "no/export"}, "no/export: holds no saved_model.pb"),
    ({"checkpoint": "no/ckpt-3"}, "no/ckpt-3: no such checkpoint"),
    ({"command": f"{sys.executable} {{frames}} {{output}}", "class_map": "no.yaml"}, "no.yaml"),
    ({"command": f"{sys.executable} {{frames}} {{output}}", "label_map": "no.pbtxt"}, "no.pbtxt"),
])
def test_what_is_not_there_is_told_before_anything_runs(tmp_path, detector, told):
    with pytest.raises(InputError, match=f"detector mine: .*{told}"):
        study.run(planned(tmp_path, {"name": "mine", **detector}, **ALONE), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_study_of_a_detector_of_another_framework(tmp_path, run_tool):
    """Frames, record sets, the command, results and report; run again, nothing is done again."""
    (tmp_path / "detect.py").write_text(DETECT)
    (tmp_path / "map.yaml").write_text("car: PassengerCar\nvan: PassengerCar\n")
    (tmp_path / "label_map.pbtxt").write_text("".join(
        f"item {{ id: {number} name: '{name}' }}\n" for number, name in ((3, "car"), (5, "van"), (9, "Pedestrian"))))
    mine = {"name": "mine", "command": f"{sys.executable} {tmp_path}/detect.py {{frames}} {{output}} good",
            "label_map": str(tmp_path / "label_map.pbtxt"), "class_map": str(tmp_path / "map.yaml"), "nms_iou": 0.5}
    path = changed(tmp_path, detectors=[mine], **ALONE, data__make__count=16, data__make__broken=0,
                   data__make__size="128x96", records=[{"codec": "jpeg", "qualities": [100, 20]},
                                                       {"codec": "webp", "qualities": [90, 5]}])
    process = run_tool("run_study", path, "--workdir", tmp_path / "runs")
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert results["complete"] and len(results["points"]) == 4
    # With nothing trained, each is compared with the best quality, and with the best of its own codec.
    assert {(row["a"]["regime"], row["a"]["record_set"], row["b"]["record_set"]) for row in results["comparisons"]} == {
        ("published", "jpeg-q20", "jpeg-q100"), ("published", "webp-q90", "jpeg-q100"),
        ("published", "webp-q5", "jpeg-q100"), ("published", "webp-q5", "webp-q90")}
    values = {}
    for point in results["points"]:
        found = json.loads((tmp_path / "runs" / point["evaluation"] / "metrics.json").read_text())
        assert found["classes"]["merged"] == {"PassengerCar": ["car", "van"]}
        assert set(found["ap_per_class"]) == {"PassengerCar", "Pedestrian"}
        values[point["record_set"]] = found["weighted_map"]["value"]
    for row in results["comparisons"]:  # of the same classes as the metrics
        assert row["value"] == pytest.approx(values[row["a"]["record_set"]] - values[row["b"]["record_set"]])
    assert len((tmp_path / "calls").read_text().splitlines()) == 4
    again = run_tool("run_study", path, "--workdir", tmp_path / "runs", "--dry_run")
    assert "4 points of 1 models; 0 of 4 commands are left to run" in again.stdout


def test_the_documented_example_runs(demo_records, tmp_path, run_tool):
    """OpenCV's pedestrian detector, out of docs/outside_detectors.md."""
    text = (ROOT / "docs" / "outside_detectors.md").read_text()
    script = re.search(r"Save as `hog.py`:\n\n```python\n(.*?)```", text, re.DOTALL)[1]
    label_map = re.search(r"as `hog.pbtxt`:\n\n```\w*\n(.*?)```", text, re.DOTALL)[1]
    (tmp_path / "hog.py").write_text(script)
    (tmp_path / "hog.pbtxt").write_text(label_map)
    done = run_tool("evaluate", "--detector_command", f"{sys.executable} {tmp_path}/hog.py {{frames}} {{output}}",
                    "--detector_label_map", tmp_path / "hog.pbtxt", "--records", demo_records / "jpeg-q100",
                    "--split", "train", "--output", tmp_path / "out", "--resamples", 20)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "jpeg-q100" / "metrics.json").read_text())
    assert result["classes"]["matched"] == {"Pedestrian": "Pedestrian"}
    assert list(result["ap_per_class"]) == ["Pedestrian"]
    assert json.loads((tmp_path / "out" / "jpeg-q100" / "detections.json").read_text())
