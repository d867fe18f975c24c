"""Regimes of a tuned codec at equal rate: values of the curves, the same units left out of both sides, the report."""

import dataclasses
import json
import shutil

import pytest

from tests import report_study
from tests.study_files import written_points
from tfod_compress import report, tasks
from tfod_compress.rate_distortion.bd_accuracy import bd_accuracy
from tfod_compress.report import comparing
from tfod_compress.report.study_folder import read_study
from tfod_compress.study.curve_comparisons import compare_curves
from tfod_compress.study.left_out import Accuracies
from tfod_compress.support.errors import InputError


@pytest.fixture
def folder(tmp_path):
    return report_study.write(tmp_path / "study", frames=30, regimes=("off_the_shelf",))


def points(folder, share):
    """(rows, {evaluation: rate}): the study's points, and again as joint_ft at a share of their rates."""
    rows = written_points(folder)
    rates = {row.evaluation: json.loads((folder / row.evaluation / "metrics.json").read_text())["bpp"]
             for row in rows}
    for row in list(rows):
        twin = dataclasses.replace(row, regime="joint_ft", evaluation=f"joint/{row.record_set}", tuned_from="jpeg-q100")
        shutil.copytree(folder / row.evaluation, folder / twin.evaluation)
        rates[twin.evaluation] = share * rates[row.evaluation]
        rows.append(twin)
    return rows, rates


def compared(folder, rows, rates, before=()):
    return compare_curves(Accuracies(folder, tasks.get("detection")), rows, rates, before)


def test_the_value_is_that_of_the_curves_and_both_sides_share_units(folder):
    rows, rates = points(folder, 0.5)
    found, = compared(folder, rows, rates)
    accuracies = {row.evaluation: json.loads((folder / row.evaluation / "metrics.json").read_text())
                  ["weighted_map"]["value"] for row in rows}
    curves = {regime: [(rates[row.evaluation], accuracies[row.evaluation]) for row in rows
                       if row.regime == regime] for regime in ("joint_ft", "off_the_shelf")}
    assert (found["a"], found["b"], found["codec"]) == ("joint_ft", "off_the_shelf", "jpeg")
    assert found["value"] == pytest.approx(bd_accuracy(curves["joint_ft"], curves["off_the_shelf"]), abs=1e-12)
    assert found["value"] > 0 and found["low"] < found["value"] < found["high"]
    lowest, highest = min(rates.values()), max(rates.values())
    assert found["rates"] == pytest.approx([2 * lowest, highest / 2])


def test_the_same_curve_twice_differs_by_nothing_without_any_unit(folder):
    rows, rates = points(folder, 1.0)
    found, = compared(folder, rows, rates)
    assert (found["value"], found["low"], found["high"], found["p_value"]) == (0, 0, 0, 1)


def test_nothing_is_compared_without_a_tuned_codec_or_a_common_rate(folder):
    rows, rates = points(folder, 1e-3)
    assert compared(folder, rows, rates) == []
    assert compared(folder, [row for row in rows if not row.tuned_from], rates) == []


def test_what_was_compared_before_is_taken_over_until_detections_or_rates_change(folder):
    rows, rates = points(folder, 0.5)
    found = compared(folder, rows, rates)
    shutil.rmtree(folder / "tfrecords")  # what computing would need
    assert compared(folder, rows, rates, found) == found
    for changed in (rates | {rows[0].evaluation: 9.0}, rates):
        if changed is rates:
            (folder / rows[-1].evaluation / "detections.json").write_text("[]")
        with pytest.raises(InputError, match="no such record set"):
            compared(folder, rows, changed, found)


def write_comparisons(folder, found):
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "curve_comparisons": found}))


@pytest.mark.parametrize(("share", "change", "sign", "told"), [
    (0.5, {}, "+", "shown"), (2.0, {}, "\u2212", "shown"), (1.0, {}, "", "not shown"),
    (0.5, {"low": -0.001}, "+", "not shown"), (2.0, {"high": 0.001}, "\u2212", "not shown")])
def test_a_difference_is_shown_where_its_interval_leaves_zero_out(folder, share, change, sign, told):
    rows, rates = points(folder, share)
    found, = compared(folder, rows, rates)
    write_comparisons(folder, [{**found, **change}])
    (codec, regime, against, value, common, verdict), = comparing.regimes_of(read_study(folder)).rows
    assert (codec.text, regime.text, against.text) == ("JPEG", "jointly fine-tuned", "off the shelf")
    assert value.text == f"{sign}{abs(found['value']):.3f}" and value.small.startswith("[") and " to " in common.text
    assert verdict.text == told


def test_the_report_holds_them(folder):
    rows, rates = points(folder, 0.5)
    write_comparisons(folder, compared(folder, rows, rates))
    report.make_report(folder)
    assert "its regimes are compared over whole curves" in (folder / "report.html").read_text(encoding="utf-8")
