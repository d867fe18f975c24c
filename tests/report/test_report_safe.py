"""Maximum safe compression, the fleet's storage, and the published numbers."""

import json
import shutil

import pytest

from tests import report_study
from tfod_compress import report, tasks
from tfod_compress.report import differences, findings, published, safe_compression, study_folder, words
from tfod_compress.report.study_folder import read_study
from tfod_compress.statistics.margin import Margin

MAP = tasks.get("detection").decisive


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study's folder without frames."""
    return report_study.write(tmp_path_factory.mktemp("runs") / "safe", frames=40, record_sets=False)


def reach(folder, value, low, high, seed=0):
    """Makes the off-the-shelf detector of one seed reach this weighted mAP at the best quality; the folder."""
    point, = (p for p in json.loads((folder / "results.json").read_text())["points"]
              if (p["regime"], p["quality"], p["seed"]) == ("off_the_shelf", 100, seed))
    path = folder / point["evaluation"] / "metrics.json"
    numbers = json.loads(path.read_text())
    numbers["weighted_map"] = {"value": value, "low": low, "high": high}
    path.write_text(json.dumps(numbers))
    return folder


def answers(folder, intervals, margin=0.02, regime="off_the_shelf"):
    """(series, maximum_safe) when the differences to the best quality have these {quality: (low, high)} intervals."""
    study = read_study(folder)
    kept = [c for c in study.results.comparisons if c.b.record_set != "jpeg-q100"]
    side = {"seed": 0, "record_set": "jpeg-q100", "regime": "off_the_shelf"}
    kept += [study_folder.Comparison(metric="weighted_map", value=(low + high) / 2, low=low, high=high, b=side,
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


TIGHT = {quality: (-0.01, 0.01) for quality in (40, 20, 10, 5)}


@pytest.mark.parametrize(("reached", "margin", "claimed"), [
    ((0.0, 0.0, 0.0), 0.02, False),
    ((0.15, 0.0999, 0.2), 0.02, False),  # just below the rule: the lower bound is not quite five margins
    ((0.15, 0.1, 0.2), 0.02, True),
    ((0.15, None, None), 0.02, False),
    ((0.0, 0.0, 0.0), Margin(0.05, relative=True), False),  # a share of nothing is nothing
    ((0.8, 0.1999, 0.9), Margin(0.05, relative=True), False),
    ((0.8, 0.2001, 0.9), Margin(0.05, relative=True), True),
])
def test_a_claim_needs_a_detector_that_works(finished, tmp_path, reached, margin, claimed):
    folder = reach(shutil.copytree(finished, tmp_path / "study"), *reached)
    series, (safe,) = answers(folder, TIGHT, margin)
    assert (safe.row.quality if safe.row else None, safe.why) == (
        (5, safe_compression.SAFE) if claimed else (None, safe_compression.NOTHING))
    headline = safe_compression.headline(series, margin)
    interval = "" if reached[1] is None else f" [{reached[1]:.3f}, {reached[2]:.3f}]"
    nothing = f"Nothing can be concluded: the detector itself reaches only {reached[0]:.3f}{interval}."
    assert (headline == nothing) != claimed and ("JPEG 5" in headline) == claimed
    short, further = safe_compression.told(series, safe, safe_compression.Fleet())
    assert ("JPEG 5," in short) == claimed and ("none can be claimed" in short) != claimed and further
    cell = safe_compression.overview([series, series], [[safe], []]).rows[0][3]
    assert cell.text == ("JPEG 5" if claimed else "nothing can be concluded")
    assert (f"itself only {reached[0]:.3f}" in cell.small) != claimed
    terminal = report.print_table(folder, margin=margin)
    assert ("Nothing can be concluded: the detector itself reaches only" in terminal) != claimed
    assert "Maximum safe compression off the shelf" in terminal


def test_of_several_seeds_the_worst_decides(tmp_path):
    folder = report_study.write(tmp_path / "seeds", frames=9, seeds=(0, 1), qualities=(100, 5),
                                record_sets=False)
    for low, why in ((0.1, safe_compression.SAFE), (0.09, safe_compression.NOTHING)):
        reach(folder, 0.9, 0.8, 1.0, seed=0)
        reach(folder, 0.2, low, 0.3, seed=1)
        assert answers(folder, {5: (-0.01, 0.01)})[1][0].why == why


def test_of_several_seeds_the_lowest_bound_decides():
    side = {"regime": "off_the_shelf", "record_set": "a"}
    runs = tuple(study_folder.Comparison(metric="weighted_map", a=side, b=side, value=0.0, low=low, high=0.1)
                 for low in (-0.01, -0.05))
    assert safe_compression.judge(differences.Difference(runs, MAP), 0.02) == safe_compression.TOO_FEW
    assert safe_compression.judge(differences.Difference(runs[:1], MAP), 0.02) == safe_compression.SAFE


def test_a_relative_margin_is_a_share_of_the_reference(finished):
    series, _ = answers(finished, {})
    reached = series.reference.cells["off_the_shelf"].estimate("weighted_map").value
    for share, why in ((0.9 * 0.05 / reached, safe_compression.TOO_FEW), (1.1 * 0.05 / reached, safe_compression.SAFE)):
        series, (safe,) = answers(finished, {q: (-0.05, 0.05) for q in TIGHT}, Margin(share, relative=True))
        assert safe.why == why and safe.loss == pytest.approx(share * reached)
        assert f"{100 * share:.6g} % of the weighted mAP of JPEG 100" in safe_compression.told(
            series, safe, safe_compression.Fleet())[0]


def test_retraining_has_its_own_answer_where_compared_with_the_best(finished):
    series, found = answers(finished, {5: (-0.01, 0.02)}, regime="task_ft")
    assert [(safe.regime, safe.row and safe.row.quality) for safe in found] == [("off_the_shelf", None), ("task_ft", 5)]


@pytest.mark.parametrize(("interval", "short", "then"), [
    ((-0.3, -0.2), "not known, only JPEG 5 was retrained.", "JPEG 5 loses more than 0.02."),
    ((-0.3, 0.2), "not known, only JPEG 5 was retrained.", "At JPEG 5 the interval reaches beyond a loss of 0.02"),
    ((-0.01, 0.2), "JPEG 5, ", "Only JPEG 5 was retrained. Nothing was retrained for a stronger compression."),
])
def test_what_was_retrained_is_told_where_that_is_not_all(finished, interval, short, then):
    """The others may be safe after retraining, so that none is, or that the next is not, has not been found."""
    series, (_, safe) = answers(finished, {5: interval}, regime="task_ft")
    sentence, further = safe_compression.told(series, safe, safe_compression.Fleet())
    assert short in sentence and " ".join(further).startswith(then) and "none found" not in sentence
    row = safe_compression.overview([series, series], [[safe], []]).rows[0]
    assert (row[3].text, row[3].small) == ("JPEG 5" if safe.row else "not known", "only JPEG 5 was retrained")


def test_several_that_were_retrained_are_a_fixed_sequence(finished, tmp_path):
    """JPEG 20 and 5 of four were retrained: 20 is tested first, and that they are not neighbours is told."""
    folder = shutil.copytree(finished, tmp_path / "study")
    results = json.loads((folder / "results.json").read_text())
    row = next(p for p in results["points"] if p["regime"] == "task_ft")
    twin = next(p for p in results["points"] if p["quality"] == 20)
    results["points"].append({**row, "quality": 20, "record_set": "jpeg-q20", "evaluation": twin["evaluation"]})
    (folder / "results.json").write_text(json.dumps(results))
    for intervals, quality, then in (
            ({20: (-0.3, -0.2), 5: (-0.01, 0.01)}, None, "JPEG 20 loses more than 0.02."),
            ({20: (-0.01, 0.01), 5: (-0.3, -0.2)}, 20, "The next that was retrained, JPEG 5, loses more"),
            ({5: (-0.01, 0.01)}, None, "JPEG 20 was not compared with JPEG 100.")):
        series, (_, safe) = answers(folder, intervals, regime="task_ft")
        assert (safe.row and safe.row.quality) == quality
        sentence, further = safe_compression.told(series, safe, safe_compression.Fleet())
        told = " ".join([sentence, *further])
        assert "nly JPEG 20, JPEG 5 were retrained" in told and then in told


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


def test_command_takes_margin_and_fleet(finished, tmp_path, run_tool):
    folder = shutil.copytree(finished, tmp_path / "study")
    results = json.loads((finished / "results.json").read_text())
    for comparison in results["comparisons"]:
        comparison.update(value=0.0, low=-0.03, high=0.03)
    (folder / "results.json").write_text(json.dumps(results))
    reach(folder, 0.8, 0.5, 0.9)
    done = run_tool("make_report", folder, "--margin", "5%", "--cars", 7, "--price_per_tb_month", 11)
    assert done.returncode == 0, done.stderr
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "7 cars" in text and "At 11 per TB and month" in text
    assert "(within 0.04, 5 % of the weighted mAP of JPEG 100): JPEG 5," in text and "JPEG 100): JPEG 5," in done.stdout
    for margin in (0, "five", "0%"):
        done = run_tool("make_report", folder, "--margin", margin)
        assert done.returncode == 2 and "--margin" in done.stderr and done.stderr.count("\n") == 1


def test_a_detector_that_finds_nothing_is_told_by_the_command(finished, tmp_path, run_tool):
    folder = reach(shutil.copytree(finished, tmp_path / "study"), 0.0, 0.0, 0.0)
    done = run_tool("make_report", folder)
    nothing = "Nothing can be concluded: the detector itself reaches only 0.000 [0.000, 0.000]."
    assert done.returncode == 0 and nothing in done.stdout
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f'<p class="main">{nothing}</p>' in text and "of the size of JPEG 100" not in text


def test_command_has_the_defaults_of_the_library(run_tool):
    told = run_tool("make_report", "--help").stdout
    fleet = report.Fleet()
    for flag, value in (("margin", report.MARGIN.amount), ("cars", fleet.cars), ("hours_per_day", fleet.hours_per_day),
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
