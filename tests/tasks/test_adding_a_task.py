"""docs/adding_a_task.md, followed to the letter in a copy of the library: files, the line in the table, commands."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.report.pages import Page

PAGE = ROOT / "docs" / "adding_a_task.md"
TABLE = "tfod_compress/tasks/__init__.py"
BLOCK = re.compile(r"^(?:`([\w./]+)`[^\n]*:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_LINES = 100


def blocks():
    """[(file or "", language, text)] of the page, in its order."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def files():
    """{file: text} of the files that are to be written; the table gets a line, and is none of them."""
    return {name: text for name, _, text in blocks() if name and name != TABLE}


def python_lines():
    """How many lines of Python the page has, with the one in the table and without empty ones."""
    texts = [text for name, text in files().items() if name.endswith(".py")]
    return 1 + sum(bool(line.strip()) for text in texts for line in text.splitlines())


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """(the folder, {command: what it said}) of a reader who did all that the page says."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("tfod_compress", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pipeline_configs").symlink_to(ROOT / "pipeline_configs")
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"the page writes over {name}"
        path.write_text(text, encoding="utf-8")
    (line,) = (text for name, _, text in blocks() if name == TABLE)
    table = (folder / TABLE).read_text(encoding="utf-8")
    assert "TASKS = {\n" in table and line.count("\n") == 1
    (folder / TABLE).write_text(table.replace("TASKS = {\n", f"TASKS = {{\n{line}"), encoding="utf-8")
    said = {}
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
    for _, language, text in blocks():
        for command in text.splitlines() if language == "sh" else ():
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True,
                                  timeout=300)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            said[command] = done.stdout + done.stderr
    return folder, said


def said_by(followed, part):
    """What the one command said that has this part."""
    (text,) = (text for command, text in followed[1].items() if part in command)
    return text


def test_it_is_short():
    assert {pathlib.Path(name).name for name in files()} >= {"__init__.py", "task.py", "predict.py"}
    assert 40 < python_lines() < MOST_LINES


def test_record_sets_are_of_the_task(followed):
    manifest = json.loads((followed[0] / "brightness/tfrecords/jpeg-q5/manifest.json").read_text())
    assert manifest["task"] == "brightness" and manifest["frames"] == {"train": 18, "val": 18, "broken": 0}
    shown = said_by(followed, "inspect_records")
    assert "classes: 3 of 3" in shown and "nothing is odd" in shown


def test_the_program_is_measured_with_intervals(followed):
    results = {}
    for name in ("jpeg-q100", "jpeg-q5"):
        folder = followed[0] / "brightness/runs" / name
        assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "predictions.json"]
        results[name] = result = json.loads((folder / "metrics.json").read_text())
        assert result["task"] == "brightness" and result["images"] == 18 and result["bpp"] > 0
        assert result["model_command"].startswith("python brightness/predict.py")
        assert result["intervals"] == {"method": "jackknife", "confidence": 0.95, "unit": "image", "units": 18}
        for key in ("accuracy", "off"):
            assert result[key]["low"] <= result[key]["value"] <= result[key]["high"]
    assert results["jpeg-q5"]["accuracy"]["value"] < results["jpeg-q100"]["accuracy"]["value"]
    assert results["jpeg-q5"]["accuracy"]["low"] < results["jpeg-q5"]["accuracy"]["high"]
    again = json.loads((followed[0] / "brightness/metrics/metrics.json").read_text())
    same = set(results["jpeg-q5"]) - {"model_command", "made_from"}
    assert {key: again[key] for key in same} == {key: results["jpeg-q5"][key] for key in same}
    table = said_by(followed, "--model_command")
    assert "accuracy" in table and "mean error" in table and "jpeg-q5" in table


def test_both_qualities_are_compared(followed):
    compared = [text for command, text in followed[1].items() if "tools.compare" in command]
    whole, one = ({line.split("│")[1].strip(): line for line in text.splitlines() if line.startswith("│")}
                  for text in compared)
    assert list(whole) == ["accuracy", "off"] and list(one) == ["accuracy"]
    assert all("18 images; intervals by leaving out each of 18 images" in text for text in compared)
    for name in ("jpeg-q5", "jpeg-q100"):
        result = json.loads((followed[0] / "brightness/runs" / name / "metrics.json").read_text())
        for key in ("accuracy", "off"):
            assert f"{result[key]['value']:.4f}" in whole[key]


def test_a_study_of_it_ends_with_a_report(followed):
    results = json.loads((followed[0] / "brightness/study/results.json").read_text())
    assert results["task"] == "brightness" and results["complete"]
    assert [point["record_set"] for point in results["points"]] == ["jpeg-q100", "jpeg-q20", "jpeg-q5"]
    assert {(each["metric"], each["units"]) for each in results["comparisons"]} == {("accuracy", 18)}
    page = Page(followed[0] / "brightness/study/report.html")
    assert "how much of the loss does retraining win back" in page.text and "a model suffers" in page.text
    assert "mean error (steps)" in page.text and "Nothing was trained." in page.text
    assert "corner" in said_by(followed, "run_study")
