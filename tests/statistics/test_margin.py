"""Margins: what is one, and that nothing is claimed of a reference that is too weak for it, in library and command."""

import json

import numpy as np
import pytest

from tests.detection_data import coco_json, coco_results, make
from tfod_compress.statistics import intervals
from tfod_compress.statistics.margin import Margin, can_show
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import Detections


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(folder with truth.json, best.json, worse.json, blind.json; the truth; {name: Detections})."""
    folder = tmp_path_factory.mktemp("files")
    truth, best = make(seed=2, images=80, found=4)
    kept = np.random.default_rng(0).random(len(best.image)) < 0.95
    found = {"best": best, "worse": Detections(best.image[kept], best.boxes[kept], best.class_ids[kept],
                                               best.scores[kept]),
             "blind": Detections(best.image, best.boxes % 1 + 0.1, best.class_ids, best.scores)}
    (folder / "truth.json").write_text(json.dumps(coco_json(truth)))
    for name, detections in found.items():
        (folder / f"{name}.json").write_text(json.dumps(coco_results(detections)))
    return folder, truth, found


@pytest.mark.parametrize(("text", "margin"), [
    ("0.02", Margin(0.02)), ("5%", Margin(0.05, relative=True)), (" 2.5 % ", Margin(0.025, relative=True)),
    ("1", Margin(1.0)), ("100%", Margin(1.0, relative=True)),
    ("0", None), ("0%", None), ("-1%", None), ("1.01", None), ("101%", None), ("nan", None), ("inf%", None),
    ("five", None), ("%", None), ("", None), ("5%%", None),
])
def test_margins_are_read_or_refused(text, margin):
    if margin is None:
        with pytest.raises(ValueError, match="margin"):
            Margin.parse(text)
    else:
        assert Margin.parse(text) == margin and Margin.parse(str(margin)) == margin


def test_the_rule_is_a_fifth_of_the_lower_bound():
    assert can_show(0.02, 0.1) and not can_show(0.02, 0.0999) and not can_show(0.0201, 0.1)
    assert not any(can_show(margin, low) for margin, low in ((0.02, 0.0), (0.0, 0.0), (0.02, None), (0.02, np.nan)))


def not_worse(truth, a, b, margin):
    return metrics.compare(truth, a, b, margin=margin)["metrics"]["weighted_map"]["not_worse"]


def test_an_error_is_judged_as_the_accuracy_that_it_leaves():
    rng = np.random.default_rng(1)
    for margin, shift in ((0.02, 0.0), (0.02, 0.01), (0.1, 0.05), (0.1, 0.15), (0.3, 0.05)):
        reference = 0.7 + 0.002 * rng.standard_normal(31)
        candidate = reference - shift + 0.001 * rng.standard_normal(31)
        accuracy = intervals.not_worse(candidate, reference, margin, 30)
        error = intervals.not_worse(1 - candidate, 1 - reference, margin, 30, higher_is_better=False)
        assert error["reference"]["low"] == pytest.approx(1 - accuracy["reference"]["high"])
        for name in ("lower", "margin", "p_value"):
            assert error[name] == pytest.approx(accuracy[name], abs=1e-9)
        assert all(error[name] == accuracy[name] for name in ("can_show", "non_inferior"))


def test_a_metric_with_a_unit_has_relative_margins_alone():
    reference = 20.0 + 0.01 * np.random.default_rng(1).standard_normal(31)
    with pytest.raises(ValueError, match="such as 5%"):
        intervals.not_worse(reference, reference, 0.02, 30, higher_is_better=False, share=False)
    for factor, shown in ((1.04, True), (1.06, False), (0.5, True)):
        found = intervals.not_worse(factor * reference, reference, Margin(0.05, True), 30, higher_is_better=False,
                                    share=False)
        assert found["can_show"] and found["non_inferior"] == shown and found["margin"] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("relative", [False, True])
def test_non_inferiority_needs_a_reference_far_above_the_margin(files, relative):
    _, truth, found = files
    reference = metrics.evaluated(truth, found["best"], ("weighted_map",))["weighted_map"]
    limit = reference["low"] / 5
    for factor, shown in ((0.99, True), (1.01, False)):
        margin = Margin(factor * limit / reference["value"], True) if relative else factor * limit
        test = not_worse(truth, found["worse"], found["best"], margin)
        assert test["margin"] == pytest.approx(factor * limit) and test["lower"] > -test["margin"]
        assert test["reference"] == reference and test["can_show"] == test["non_inferior"] == shown
    nothing = not_worse(truth, found["blind"], found["blind"], 1e-6)
    assert nothing["lower"] == 0 < nothing["margin"] and not nothing["non_inferior"]


def compare(run_tool, folder, a, b, margin):
    return run_tool("compare", folder / f"{a}.json", folder / f"{b}.json", "--ground_truth", folder / "truth.json",
                    "--resamples", 100, "--margin", margin)


def test_the_command_concludes_nothing_from_a_detector_that_finds_too_little(files, run_tool):
    folder, truth, found = files
    done = compare(run_tool, folder, "blind", "blind", 0.02)
    assert done.returncode == 0, done.stderr
    for metric in metrics.METRICS:
        assert (f"{metric}: Nothing can be concluded: the detector itself reaches only 0.000 [0.000, 0.000]"
                in done.stdout)
    assert "yes" not in done.stdout

    limits = {metric: each["low"] / 5 for metric, each in metrics.evaluated(truth, found["best"]).items()}
    for factor, shown in ((0.999, True), (1.001, False)):  # just above the rule and just below it
        done = compare(run_tool, folder, "best", "best", factor * limits["weighted_map"])
        row = next(line for line in done.stdout.splitlines() if "weighted_map" in line and "│" in line)
        assert ("yes" in row) == shown and ("weighted_map: Nothing can be concluded" in done.stdout) != shown


def test_the_command_takes_a_share_of_b(files, run_tool):
    folder, truth, found = files
    done = compare(run_tool, folder, "worse", "best", "13%")
    assert done.returncode == 0 and "worse by < 13 % of B" in done.stdout
    rows = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("│")}
    result = metrics.compare(truth, found["worse"], found["best"], margin=Margin(0.13, True))
    for metric, each in result["metrics"].items():
        test = each["not_worse"]
        assert test["margin"] == pytest.approx(0.13 * each["b"])
        said = "yes" if test["non_inferior"] else "not shown" if test["can_show"] else "nothing"
        assert f" {said} " in rows[metric]
    assert {each["not_worse"]["non_inferior"] for each in result["metrics"].values()} == {True, False}


@pytest.mark.parametrize("margin", ["0", "-1%", "five", "nan", "200%", ""])
def test_what_is_no_margin_is_wrong_usage(files, run_tool, margin):
    done = run_tool("compare", "a.json", "b.json", "--ground_truth", files[0] / "truth.json", f"--margin={margin}")
    assert done.returncode == 2 and "--margin" in done.stderr and done.stderr.count("\n") == 1
