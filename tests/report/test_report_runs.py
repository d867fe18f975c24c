"""What is told of several runs and few units: the lowest seed decides, folds together, no share of a small loss."""

import dataclasses
import json

import numpy as np
import pytest

from tests import report_study
from tests.detection_data import coco_json, coco_results, make
from tests.study_files import point
from tfod_compress import tasks
from tfod_compress.report import differences, findings, safe_compression, tables
from tfod_compress.report.study_folder import Comparison, read_study
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.margin import is_within
from tfod_compress.study.left_out import Accuracies
from tfod_compress.study.pooled import pooled
from tfod_compress.tasks.detection import metrics

MAP = tasks.get("detection").decisive


@pytest.fixture
def folder(tmp_path):
    """A finished study of ten sequences, without frames."""
    return report_study.write(tmp_path / "study", frames=30, qualities=(100, 5), record_sets=False)


def change(folder, edit):
    """Changes results.json in place; the study as read."""
    results = json.loads((folder / "results.json").read_text())
    edit(results)
    (folder / "results.json").write_text(json.dumps(results))
    return read_study(folder)


def set_loss(results, value, low, high):
    """Gives the loss at the strongest quality this interval, in the comparison and in what the cells say."""
    for each in results["comparisons"]:
        if (each["a"]["regime"], each["b"]["regime"]) == ("off_the_shelf", "off_the_shelf"):
            each.update(value=value, low=low, high=high)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("value, low, high, told", [
    (-0.006, -0.0115, -0.0004, False), (-0.3, -0.4, -0.2, True), (-0.3, -0.5, -0.14, False), (-0.3, -0.5, 0.1, False)])
def test_no_share_of_a_loss_is_told_that_is_too_small_to_divide_by(folder, value, low, high, told, older):
    """A loss of 0.006 [0.0004, 0.0115] of which 646 % was won back."""
    def edit(results):
        set_loss(results, value, low, high)
        if not older:
            results["recoveries"] = [{
                "detector": report_study.DETECTOR, "regime": "task_ft", "over": "control_ft", "record_set": "jpeg-q5",
                "reference": "jpeg-q100", "seed": 0, "fold": None, "value": 6.46 if told else None,
                "low": 0.2 if told else None, "high": 90.0 if told else None}]

    series, = findings.series_of(change(folder, edit))
    text = findings.headline(series)
    assert ("of the loss beyond the control" in text) == told
    assert ("too small to tell what share" in text) == (not told and high < 0)
    assert (tables.results(series).rows[-1][-1].text == "–") != told


def test_of_several_seeds_the_lowest_bound_and_the_fewest_units_decide():
    def run(seed, low, units):
        side = {"regime": "off_the_shelf", "record_set": "a", "seed": seed}
        return Comparison(metric="weighted_map", a=side, b=side, value=0, low=low, high=0.1, unit="sequence",
                          units=units)

    good, bad, few = run(0, -0.01, 40), run(1, -0.03, 40), run(2, -0.01, 6)
    assert safe_compression.judge(differences.Difference((good,), MAP), 0.02) == safe_compression.SAFE
    for pair in ((good, bad), (bad, good)):
        difference = differences.Difference(pair, MAP)
        assert (difference.low, difference.units) == (-0.03, 40)
        assert safe_compression.judge(difference, 0.02) == safe_compression.TOO_FEW
    assert safe_compression.judge(differences.Difference((good, few), MAP), 0.02) == safe_compression.FEW_UNITS
    assert differences.Difference((good, few), MAP).few_units == "6 sequences"


@pytest.mark.parametrize("block", ["intervals", "bootstrap"])
@pytest.mark.parametrize("units, safe", [(10, True), (9, False), (1, False)])
def test_older_comparisons_rest_on_as_many_units_as_their_metrics_say(folder, block, units, safe):
    for path in folder.glob("evaluations/*/*/metrics.json"):
        numbers = json.loads(path.read_text())
        del numbers["intervals"]
        path.write_text(json.dumps({**numbers, block: {"unit": "sequence", "units": units}}))
    study = change(folder, lambda results: set_loss(results, 0.0, -0.01, 0.01))
    assert all((each.unit, each.units) == ("sequence", units) for each in study.results.comparisons)
    series, = findings.series_of(study)
    answer = safe_compression.maximum_safe(series, study.results.comparisons)[0]
    assert answer.why == (safe_compression.SAFE if safe else safe_compression.FEW_UNITS)
    said = " ".join([*safe_compression.told(series, answer, safe_compression.Fleet())[1]])
    assert (f"rest on {units} sequence" in said) != safe


@pytest.fixture
def folds(tmp_path):
    """(folder, rows, GroundTruth of all): 30 frames in three folds, and detections of two regimes on each fold."""
    images, labels = report_study._frames(30, (64, 96), report_study.NAMES)
    truth = report_study._truth(images, labels, report_study.NAMES)
    records, rows = tmp_path / "tfrecords" / "jpeg-q5", []
    for fold in range(3):
        own = set(truth.image_ids[10 * fold:10 * fold + 10])
        made = tmp_path / f"fold{fold}"
        report_study._record_set(made, *({name: each[name] for name in own} for each in (images, labels)), 5,
                                 report_study.NAMES, {})
        records.mkdir(parents=True, exist_ok=True)
        (made / "val-00000-of-00001.tfrecord").rename(records / f"fold{fold}-00000-of-00001.tfrecord")
    for name in ("label_map.pbtxt", "manifest.json"):
        (made / name).rename(records / name)
    manifest = json.loads((records / "manifest.json").read_text())
    names = [f"fold{fold}" for fold in range(3)]
    (records / "manifest.json").write_text(json.dumps({
        **manifest, "frames": dict.fromkeys(names, 10),
        "files": {f"{name}-00000-of-00001.tfrecord": "" for name in names}}))
    for regime, share in (("off_the_shelf", 0.8), ("task_ft", 0.6)):
        found = report_study._detections(truth, share, 0)
        for fold, split in enumerate(names):
            rows.append(point(fold=fold, regime=regime, split=split, evaluation=f"{regime}/{fold}"))
            metrics.write_detections(tmp_path / rows[-1].evaluation / "detections.json", truth.image_ids,
                                     found.take(found.image // 10 == fold))
    return tmp_path, rows, truth


def test_weighted_map_of_folds_is_of_all_their_frames(folds):
    folder, rows, truth = folds
    accuracies = Accuracies(folder, tasks.get("detection"))
    found = pooled(accuracies, rows)
    # Sequences of three frames: those that a fold's end cuts are one more unit here.
    assert [(each["regime"], each["folds"], each["unit"], each["units"]) for each in found] == [
        (regime, [0, 1, 2], "sequence", 12) for regime in ("off_the_shelf", "task_ft")]
    for each in found:
        files = [metrics.load_detections(folder / row.evaluation / "detections.json", truth) for row in rows
                 if row.regime == each["regime"]]
        whole = metrics.Detections(*(np.concatenate([getattr(file, name) for file in files])
                                     for name in ("image", "boxes", "class_ids", "scores")))
        groups = 10 * truth.groups + np.arange(30) // 10
        expected = metrics.evaluated(truth, whole, ("weighted_map",), groups=groups)["weighted_map"]
        assert {name: each[name] for name in expected} == pytest.approx(expected, abs=1e-4)
        assert each["low"] < each["value"] < each["high"]
    assert pooled(accuracies, rows[:1]) == [] and pooled(accuracies, [dataclasses.replace(rows[0], fold=None)]) == []


def test_a_detector_tested_in_folds_is_judged_by_all_its_frames(folder):
    """The weakest fold alone would leave nothing to conclude."""
    for path in folder.glob("evaluations/*off_the_shelf*/jpeg-q100/metrics.json"):
        numbers = json.loads(path.read_text())
        path.write_text(json.dumps({**numbers, "weighted_map": {"value": 0.6, "low": 0.02, "high": 0.9}}))

    def edit(results):
        set_loss(results, 0.0, -0.01, 0.01)
        for each in results["comparisons"]:
            each.update(unit="sequence", units=30)

    study = change(folder, edit)
    series, = findings.series_of(study)
    assert safe_compression.maximum_safe(series, study.results.comparisons)[0].why == safe_compression.NOTHING
    study = change(folder, lambda results: results.update(pooled=[
        {"detector": report_study.DETECTOR, "regime": "off_the_shelf", "record_set": "jpeg-q100", "seed": 0,
         "metric": "weighted_map", "value": 0.62, "low": 0.55, "high": 0.69}]))
    series, = findings.series_of(study)
    cell = series.reference.cells["off_the_shelf"]
    found = cell.estimate("weighted_map")
    assert (found.value, found.low, found.high) == (0.62, 0.55, 0.69)
    assert safe_compression.maximum_safe(series, study.results.comparisons)[0].why == safe_compression.SAFE
    assert cell.estimate("map").value == cell.entries[0].metrics.scores["map"].value


def test_a_verdict_is_the_same_whatever_the_seed_of_the_resampling_was(tmp_path, run_tool):
    """The flags of the bootstrap are still read, for commands of before, and change nothing."""
    truth, found = make(seed=2, images=40, found=4)
    (tmp_path / "truth.json").write_text(json.dumps(coco_json(truth)))
    for name, share in (("a", 0.95), ("b", 1.0)):
        kept = np.random.default_rng(0).random(len(found.image)) < share
        (tmp_path / f"{name}.json").write_text(json.dumps(coco_results(found.take(kept))))
    said = [run_tool("compare", tmp_path / "a.json", tmp_path / "b.json", "--ground_truth", tmp_path / "truth.json",
                     "--margin", "10%", *more) for more in ((), ("--seed", 29, "--resamples", 50))]
    assert said[0].returncode == said[1].returncode == 0 and said[0].stdout == said[1].stdout


def test_the_rule_needs_ten_units_and_the_whole_interval():
    assert is_within(0.02, -0.0199, 10) and is_within(0.02, -0.0199, None)
    assert not any(is_within(0.02, low, units) for low, units in ((-0.02, 10), (-0.0199, 9), (None, 10)))
    assert jackknife.ENOUGH == 10
