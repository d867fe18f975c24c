"""Reports of other tasks: an error is judged as the accuracy that it leaves, and a unit shows where numbers do."""

import json
import re
import shutil

import pytest

from tests import report_study
from tests.report.pages import Page
from tfod_compress import report, study, tasks
from tfod_compress.report import findings, safe_compression
from tfod_compress.report.study_folder import read_study
from tfod_compress.statistics.margin import Margin
from tfod_compress.study.results import write_results
from tfod_compress.support.errors import InputError

STUDY = """
title: made
data: {frames: FRAMES, labels: LABELS}
split: {val_fraction: 0.2}
records: [{codec: jpeg, qualities: [100, 40, 5]}]
detectors: [ssd_inception_v2_demo]
regimes: [off_the_shelf, task_ft, control_ft]
training: {steps: 1800}
fine_tuning: {records: [strongest], steps: 400}
evaluation: {score_threshold: 0.3}
"""


@pytest.fixture(scope="module", autouse=True)
def known():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks.TASKS, "mirrored", "tests.report.other_tasks:Mirrored")
        patch.setitem(tasks.TASKS, "corners", "tests.report.other_tasks:Toy")
        yield


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Folders of one study: by its accuracy, and by its error."""
    root = tmp_path_factory.mktemp("runs")
    (root / "study.yaml").write_text(STUDY)
    plan = study.read(root / "study.yaml")
    folders = [report_study.write(root / "accuracy", frames=60, qualities=(100, 40, 5)), root / "error"]
    (folders[0] / "results.json").unlink()
    shutil.copytree(*folders)
    for path in folders[1].glob("evaluations/*/*/metrics.json"):
        numbers = json.loads(path.read_text())
        found = numbers.pop("weighted_map")
        error = {"value": 1 - found["value"], "low": 1 - found["high"], "high": 1 - found["low"]}
        path.write_text(json.dumps({**numbers, "task": "mirrored", "error": error}))
    for folder, name in zip(folders, ("detection", "mirrored"), strict=True):
        write_results(plan.model_copy(update={"task": name}), folder, study.graph(plan, folder))
    return folders


def written(folder):
    return json.loads((folder / "results.json").read_text())


def test_differences_turn_their_sign_and_recoveries_stay(both):
    accuracy, error = map(written, both)
    assert "task" not in accuracy and "task" not in accuracy["settings"] and error["task"] == "mirrored"
    assert accuracy["points"] == error["points"] and len(accuracy["comparisons"]) == len(error["comparisons"]) > 3
    for a, b in zip(accuracy["comparisons"], error["comparisons"], strict=True):
        assert (a["a"], a["b"], b["metric"]) == (b["a"], b["b"], "error")
        assert [b["value"], b["low"], b["high"], b["p_value"]] == pytest.approx(
            [-a["value"], -a["high"], -a["low"], a["p_value"]], abs=1e-9)
    won = [[(each["value"], each["low"], each["high"]) for each in results["recoveries"]]
           for results in (accuracy, error)]
    assert won[0][0][0] > 0 and won[1] == [pytest.approx(each, abs=1e-6) for each in won[0]]


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.1, 0.5])
def test_verdicts_are_those_of_the_accuracy(both, margin):
    said = []
    for folder in both:
        found = read_study(folder)
        series, = findings.series_of(found)
        answers = safe_compression.maximum_safe(series, found.results.comparisons, margin)
        said.append(([(each.regime, each.row and each.row.quality, each.why) for each in answers],
                     [(row.loss and row.loss.verdict, row.gain and row.gain.verdict, str(row.recovered))
                      for row in series.rows]))
    assert said[0] == said[1] and said[0][0]
    assert margin != 0.1 or any(quality for _, quality, _ in said[0][0])


def test_a_loss_is_a_rise(both):
    for folder, text in zip(both, ("weighted mAP falls from", "error rises from"), strict=True):
        series, = findings.series_of(read_study(folder))
        assert text in findings.headline(series) and "retraining wins back" in findings.headline(series)
    report.make_report(both[1])
    page = Page(both[1] / "report.html")
    assert "0 to 1, lower is better" in page.text and "weighted mAP" not in page.text


@pytest.fixture
def toy(tmp_path):
    """A study of offsets in pixels, of which nothing is known but numbers."""
    offsets = {100: (2.0, 1.9, 2.1), 20: (2.04, 1.95, 2.15), 5: (12.5, 11.0, 14.0)}
    points, comparisons = [], []
    for quality, (value, low, high) in offsets.items():
        folder, name = tmp_path / "study" / f"evaluations/m/jpeg-q{quality}", f"jpeg-q{quality}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({
            "task": "corners", "offset": {"mean": {"value": value, "low": low, "high": high}}, "images": 40,
            "bpp": quality / 20, "coded_bytes": 1000 * quality, "confusion": "of another kind"}))
        points.append({"codec": "jpeg", "quality": quality, "record_set": name, "detector": "net", "seed": 0,
                       "regime": "off_the_shelf", "evaluation": f"evaluations/m/{name}", "model": "m"})
        if quality < 100:
            sides = [{"regime": "off_the_shelf", "record_set": f"jpeg-q{each}", "seed": 0} for each in (quality, 100)]
            rise = value - 2.0
            comparisons.append({"metric": "offset.mean", "detector": "net", "a": sides[0], "b": sides[1], "value": rise,
                                "low": 0.9 * rise, "high": 1.1 * rise, "unit": "image", "units": 40})
    (tmp_path / "study/results.json").write_text(json.dumps(
        {"study": "study", "task": "corners", "points": points, "comparisons": comparisons}))
    return tmp_path / "study"


def test_a_report_is_made_of_a_metric_with_a_unit(toy):
    report.make_report(toy)
    page = Page(toy / "report.html")
    assert "mean offset rises from 2.00 to 12.5 px" in page.text
    assert "(within 0.1 px, 5 % of the mean offset of JPEG 100): JPEG 20," in page.text
    assert "in px, lower is better: of all corners" in page.text and "mean offset (px)" in page.text
    assert not re.search("mAP|background|detections|Why it gets worse|The same frames at|published", page.text)
    header = (toy / "results.csv").read_text().splitlines()[0]
    assert "offset.mean,offset.mean.low,offset.mean.high" in header and "weighted_map" not in header
    assert "JPEG 20" in report.print_table(toy)


def test_a_margin_without_a_unit_is_refused(toy):
    with pytest.raises(InputError, match="--margin, of mean offset in px.*5%"):
        report.make_report(toy, margin=0.5)
    report.make_report(toy, margin=Margin(0.01, relative=True))
    assert "none found" in Page(toy / "report.html").text


@pytest.mark.parametrize(("change", "told"), [
    (lambda folder: (folder / "results.json").write_text(json.dumps({**written(folder), "task": "golf"})), "no task"),
    (lambda folder: next(folder.glob("evaluations/*/*/metrics.json")).write_text("{}"), "offset.mean")])
def test_what_no_task_reads_is_told(toy, change, told):
    change(toy)
    with pytest.raises(InputError, match=told) as error:
        report.make_report(toy)
    assert str(toy) in str(error.value) and "\n" not in str(error.value)
