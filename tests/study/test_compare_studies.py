"""What changed between two studies: settings, versions, numbers."""

import json
import re

import pytest

from tests import report_study
from tfod_compress.study import compare
from tfod_compress.support.errors import InputError

REGIMES = ("off_the_shelf", "task_ft")


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two made-up studies: B lacks quality 40 and has other settings; and C, of other frames."""
    folder = tmp_path_factory.mktemp("studies")
    report_study.write(folder / "a", frames=12, qualities=(100, 40, 5), regimes=REGIMES)
    report_study.write(folder / "b", frames=12, qualities=(100, 5), regimes=REGIMES)
    report_study.write(folder / "c", frames=9, qualities=(100, 5), regimes=REGIMES)
    for name, steps, version in (("a", 1800, "1"), ("b", 900, "2"), ("c", 900, "2")):
        path = folder / name / "results.json"
        results = json.loads(path.read_text())
        results["settings"] = {"training": {"steps": steps}, "records": [{"codec": "jpeg", "qualities": [100, 5]}],
                               "detectors": [{"name": "x"}] + ([{"name": "y"}] if name == "b" else [])}
        results["versions"] = {"tfod_compress": version, "numpy": "1.26.4"}
        path.write_text(json.dumps(results))
    return folder


def test_settings_and_versions_that_differ_and_no_others(studies):
    found = compare.compare(studies / "a", studies / "b")
    assert found.settings == [("training.steps", 1800, 900), ("detectors.y.name", None, "y")]
    assert found.versions == [("tfod_compress", "1", "2")]
    assert [key[2] for key in found.only[0]] == ["jpeg-q40"] and not found.only[1]


def test_the_same_detections_differ_by_nothing_and_worse_ones_by_less(studies):
    found = compare.compare(studies / "a", studies / "b")
    assert {(point["regime"], point["record_set"]) for point in found.points} == {
        ("off_the_shelf", "jpeg-q100"), ("off_the_shelf", "jpeg-q5"), ("task_ft", "jpeg-q5")}
    for point in found.points:
        assert point["difference"]["value"] == point["difference"]["low"] == point["difference"]["high"] == 0
    path = studies / "b" / "evaluations"
    worse = next(point for point in found.points if point["record_set"] == "jpeg-q100")
    detections = next(path.glob("*off_the_shelf*/jpeg-q100/detections.json"))
    kept = detections.read_text()
    try:
        detections.write_text(json.dumps(json.loads(kept)[::2]))
        found = compare.compare(studies / "a", studies / "b")
    finally:
        detections.write_text(kept)
    changed = next(point for point in found.points if point["record_set"] == "jpeg-q100")
    assert changed["difference"]["value"] < 0 == worse["difference"]["value"]
    assert changed["difference"]["low"] <= changed["difference"]["value"] <= changed["difference"]["high"]


def test_other_frames_are_not_paired(studies):
    found = compare.compare(studies / "b", studies / "c", names=("weighted_map", "coco.AP"))
    assert len(found.points) == 6 and all(point["difference"] is None for point in found.points)
    assert all(point["a"]["low"] <= point["a"]["value"] <= point["a"]["high"] for point in found.points)


def test_the_command_prints_what_changed(studies, run_tool, tmp_path):
    process = run_tool("compare_studies", studies / "a", studies / "b", "--output", tmp_path / "x.json",
                       "--resamples", 100)
    assert process.returncode == 0, process.stderr
    assert re.search(r"training\.steps\W+1800\W+900", process.stdout)
    assert "only A has" in process.stdout and "numpy" not in process.stdout
    assert len(json.loads((tmp_path / "x.json").read_text())["points"]) == 3


def test_studies_of_one_seed_each_are_compared_across_seeds(studies, tmp_path):
    results = json.loads((studies / "b" / "results.json").read_text())
    results["points"] = [{**point, "seed": 7} for point in results["points"]]
    for part in ("evaluations", "tfrecords"):
        (tmp_path / part).symlink_to(studies / "b" / part)
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = compare.compare(studies / "b", tmp_path)
    assert len(found.points) == len(results["points"]) and not any(found.only)


def test_no_study_and_nothing_in_common_are_told(studies, tmp_path, run_tool):
    with pytest.raises(InputError, match="no finished study"):
        compare.compare(studies / "a", tmp_path)
    results = json.loads((studies / "c" / "results.json").read_text())
    results["points"] = [{**point, "detector": "other"} for point in results["points"]]
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert not compare.compare(studies / "a", tmp_path).points
    assert "no point in common" in run_tool("compare_studies", studies / "a", tmp_path).stdout
    with pytest.raises(InputError, match="no metric"):
        compare.compare(studies / "a", studies / "b", names=("speed",))
