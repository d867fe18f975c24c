"""Maximum safe compression, the fleet's storage, and the published numbers."""

import json

import pytest

from tests import report_study
from tfod_compress import published, report
from tfod_compress.report import findings, safe_compression, words
from tfod_compress.report.study_folder import read_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study's folder without frames."""
    return report_study.write(tmp_path_factory.mktemp("runs") / "safe", frames=9, resamples=20, record_sets=False)


def answers(folder, intervals, margin=0.02, regime="off_the_shelf"):
    """(series, maximum_safe) when the differences to the best quality have these {quality: (low, high)} intervals."""
    study = read_study(folder)
    kept = [c for c in study.results.comparisons if c.b.record_set != "jpeg-q100"]
    side = {"seed": 0, "record_set": "jpeg-q100", "regime": "off_the_shelf"}
    kept += [findings.Comparison(metric="weighted_map", value=(low + high) / 2, low=low, high=high, b=side,
                                 a={**side, "regime": regime, "record_set": f"jpeg-q{quality}"})
             for quality, (low, high) in intervals.items()]
    series, = findings.series_of(study)
    return series, safe_compression.maximum_safe(series, kept, margin)


@pytest.mark.parametrize(("intervals", "quality", "why"), [
    ({40: (-0.01, 0.01), 20: (-0.015, 0.0), 10: (-0.06, -0.03), 5: (-0.3, -0.2)}, 20, safe_compression.WORSE),
    ({40: (-0.01, 0.01), 20: (-0.03, 0.0), 10: (-0.01, 0.01), 5: (-0.3, -0.2)}, 40, safe_compression.TOO_FEW),
    ({40: (-0.05, -0.03), 20: (-0.01, 0.01), 10: (-0.01, 0.01), 5: (-0.01, 0.01)}, None, safe_compression.WORSE),
    ({40: (-0.05, 0.04), 20: (-0.01, 0.01), 10: (-0.01, 0.01), 5: (-0.01, 0.01)}, None, safe_compression.TOO_FEW),
    ({40: (-0.01, 0.01), 20: (-0.01, 0.01), 10: (-0.01, 0.01), 5: (-0.01, 0.01)}, 5, safe_compression.SAFE),
    ({40: (-0.01, 0.01), 5: (-0.01, 0.01)}, 40, safe_compression.NOT_COMPARED),
    ({}, None, safe_compression.NOT_COMPARED),
])
def test_the_first_quality_that_is_not_safe_ends_the_test(finished, intervals, quality, why):
    series, (safe,) = answers(finished, intervals)
    assert (safe.row.quality if safe.row else None, safe.why) == (quality, why)
    short, further = safe_compression.told(series, safe, safe_compression.Fleet())
    expected = f"JPEG {quality}," if quality else {safe_compression.WORSE: "none found", safe_compression.TOO_FEW:
                                                   "too few frames to tell"}.get(why, "not tested")
    assert expected in short and further


def test_an_interval_around_zero_is_not_yet_safe(finished):
    """No difference shown is not the same as no difference: the margin decides."""
    wide = {quality: (-0.04, 0.05) for quality in (40, 20, 10, 5)}
    assert answers(finished, wide, margin=0.02)[1][0].row is None
    assert answers(finished, wide, margin=0.05)[1][0].row.quality == 5


def test_retraining_has_its_own_answer_where_compared_with_the_best(finished):
    series, found = answers(finished, {5: (-0.01, 0.02)}, regime="task_ft")
    assert [(safe.regime, safe.row and safe.row.quality) for safe in found] == [("off_the_shelf", None), ("task_ft", 5)]


def test_margin_must_be_positive(finished):
    with pytest.raises(ValueError, match="margin"):
        answers(finished, {}, margin=0)


def test_fleet_of_the_lmu_study():
    fleet = safe_compression.Fleet()
    assert fleet.tb_per_day() == pytest.approx(10 * 8 * 60 * 9e9 / 1e12)
    assert fleet.tb_per_day(2.4) == pytest.approx(4.32) and fleet.price_of_a_month() is None
    assert safe_compression.Fleet(price_per_tb_month=20).price_of_a_month(2.4) == pytest.approx(4.32 * 30 * 20)


def test_savings_are_told_with_the_price(finished):
    series, (safe,) = answers(finished, {40: (-0.01, 0.01)})
    fleet = safe_compression.Fleet(cars=100, price_per_tb_month=3)
    told = " ".join(safe_compression.told(series, safe, fleet)[1])
    saved = fleet.tb_per_day(series.reference.bpp) - fleet.tb_per_day(safe.row.bpp)
    assert f"{words.size(saved * 1e12)} a day less" in told and f"{saved * 30 * 3:,.0f} less" in told


def test_command_takes_margin_and_fleet(finished, run_tool):
    results = json.loads((finished / "results.json").read_text())
    widest = min(c["low"] for c in results["comparisons"] if c["b"]["record_set"] == "jpeg-q100")
    done = run_tool("make_report", finished, "--margin", f"{0.01 - widest:.3f}", "--cars", 7,
                    "--price_per_tb_month", 11)
    assert done.returncode == 0, done.stderr
    text = (finished / "report.html").read_text(encoding="utf-8")
    assert "7 cars" in text and "At 11 per TB and month" in text and "JPEG 100): JPEG 5," in text
    assert run_tool("make_report", finished, "--margin", 0).returncode == 2


def test_command_has_the_defaults_of_the_library(run_tool):
    told = run_tool("make_report", "--help").stdout
    fleet = report.Fleet()
    for flag, value in (("margin", report.MARGIN), ("cars", fleet.cars), ("hours_per_day", fleet.hours_per_day),
                        ("gb_per_minute", fleet.gb_per_minute)):
        line = next(line for line in told.splitlines() if line.strip().startswith(f"--{flag}:"))
        assert float(line.rsplit("default: ", 1)[1].strip(" )'\"")) == value


def test_published_tables_name_their_source():
    assert {"coco_jpeg_sweep", "durham_detection", "lmu_detection"} <= set(published.names())
    for name in published.names():
        table = published.load(name)
        assert len(table.source) > 20 and table.rows and all(None not in row for row in table.rows)
    with pytest.raises(KeyError, match="durham_detection"):
        published.load("no such table")


def test_published_curves_keep_everything_at_their_best_quality():
    curves = {curve.label: curve for curve in published.jpeg_curves()}
    assert len(curves) == 11 and all(curve.kept[0] == 1 for curve in curves.values())
    assert all(list(curve.qualities) == sorted(curve.qualities, reverse=True) for curve in curves.values())
    pretrained = curves["Poyser et al., pretrained"]
    assert pretrained.kept[pretrained.qualities.index(5)] == pytest.approx(0.187 / 0.703)


def test_published_curves_stand_beside_the_study(finished):
    report.make_report(finished)
    drawn = (finished / "figures" / "accuracy_kept.svg").read_text()
    for label in ("Poyser et al., retrained", "COCO, nine detectors off the shelf", "off the shelf", "control"):
        assert f">{label}</text>" in drawn
    assert "0.633 at 40" in (finished / "report.html").read_text(encoding="utf-8")
