"""Codecs, grey and detectors side by side: numbers as computed by hand, sections only where there is something."""

import json
import math
import shutil

import pytest

from tests import report_study
from tfod_compress import report
from tfod_compress.rate_distortion.bd_accuracy import bd_accuracy
from tfod_compress.report import comparing, figures, findings, interactive, safe_compression, words
from tfod_compress.report.study_folder import read_study


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return report_study.write(tmp_path_factory.mktemp("runs") / "one", frames=30)


def doubled(one, folder, codec=None, detector=None, rate=1.0):
    """A copy of the study whose points occur twice, the second time as another codec or detector at another rate."""
    shutil.copytree(one, folder)
    results = json.loads((folder / "results.json").read_text())
    for point in list(results["points"]):
        twin = {**point, "codec": codec or point["codec"], "detector": detector or point["detector"]}
        twin["record_set"] = f"{twin['codec']}-q{point['quality']}"
        twin["evaluation"] = f"twins/{twin['detector']}/{point['regime']}/{twin['record_set']}"
        shutil.copytree(folder / point["evaluation"], folder / twin["evaluation"])
        path = folder / twin["evaluation"] / "metrics.json"
        measured = json.loads(path.read_text())
        measured["bpp"] *= rate
        measured["coded_bytes"] = math.ceil(measured["coded_bytes"] * rate)
        path.write_text(json.dumps(measured))
        results["points"].append(twin)
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_a_codec_that_needs_half_the_bits_has_a_bd_rate_of_minus_50_percent(one, tmp_path):
    folder = doubled(one, tmp_path / "study", codec="webp", rate=0.5)
    table = comparing.codecs_of(findings.series_of(read_study(folder)))
    (codec, regime, anchor, rate, accuracy, overlap), = table.rows
    assert (codec.text, regime.text, anchor.text) == ("WebP", "off the shelf", "JPEG")
    assert rate.text == "−50\u00a0%" and overlap.text == "100\u00a0%" and accuracy.text.startswith("+")
    report.make_report(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Codecs and detectors compared" in text and "BD-mAP" in text


def test_bd_accuracy_is_the_mean_distance_of_the_curves():
    reference = [(2.0**power, 0.1 * power + 0.3) for power in range(5)]
    assert bd_accuracy([(bpp, value + 0.05) for bpp, value in reference], reference) == pytest.approx(0.05)
    assert bd_accuracy([(100 * bpp, value) for bpp, value in reference], reference) is None


def test_lossless_frames_are_a_line_and_no_point_of_the_curve(one, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(one, folder)
    text = (folder / "results.json").read_text()
    assert "PNG" not in figures.rate_accuracy(findings.series_of(read_study(folder))).svg
    results = json.loads(text)
    for point in results["points"]:
        if point["quality"] == 100:
            point.update(codec="png", quality=None)
    (folder / "results.json").write_text(json.dumps(results))
    series, = findings.series_of(read_study(folder))
    svg = figures.rate_accuracy([series]).svg
    assert f"PNG, {words.rate(series.reference.bpp)} bits per pixel" in svg
    assert ">q40<" in svg and ">q100<" not in svg


def test_grey_is_set_beside_colour(one, tmp_path):
    folder = doubled(one, tmp_path / "study", codec="jpeg-gray", rate=0.8)
    study = read_study(folder)
    table = comparing.grey_of(findings.series_of(study))
    assert len(table.rows) == len(study.evaluated) / 2
    assert all(row[4].text == "0.000" and row[5].text == "80\u00a0%" for row in table.rows)


def test_detectors_are_drawn_between_their_own_extremes(one, tmp_path):
    folder = doubled(one, tmp_path / "study", detector="another")
    series = findings.series_of(read_study(folder))
    assert comparing.normalised(series) and comparing.codecs_of(series) is None and comparing.grey_of(series) is None
    report.make_report(folder)
    assert (folder / "figures" / "detectors_normalised.svg").is_file()


def test_one_codec_and_detector_have_nothing_to_compare(one):
    series = findings.series_of(read_study(one))
    assert comparing.codecs_of(series) is comparing.grey_of(series) is comparing.normalised(series) is None


def test_times_are_those_of_the_stamps(one, tmp_path):
    folder = shutil.copytree(one, tmp_path / "study")
    results = json.loads((folder / "results.json").read_text())
    model = results["points"][0]["model"]
    results["timings"] = [{"stage": f"train {model}", "seconds": 50.0}, {"stage": f"evaluate {model}", "seconds": 9.0}]
    (folder / "results.json").write_text(json.dumps(results))
    row, = comparing.times_of(read_study(folder)).rows
    images = sum(e.metrics.images for e in read_study(folder).evaluated if e.point.model == model)
    assert [entry.text for entry in row] == [model, "50 s", "500", "0.10 s", "9 s", f"{1000 * 9 / images:.0f} ms"]
    assert comparing.times_of(read_study(one)) is None


def test_interactive_curves_hold_the_measured_points(one):
    study = read_study(one)
    curves = json.loads(interactive.as_json(interactive.rate_accuracy(findings.series_of(study))))
    drawn = sorted(pair for curve in curves for pair in zip(curve["bpp"], curve["score"], strict=True))
    assert drawn == sorted((e.metrics.bpp, e.metrics.scores["weighted_map"].value) for e in study.evaluated)
    assert "</script" not in interactive.as_json([{"label": "</script><script>alert(1)</script>"}])


def test_several_codecs_open_with_the_safe_compression_of_each(one, tmp_path):
    folder = doubled(one, tmp_path / "study", codec="webp")
    results = json.loads((folder / "results.json").read_text())
    for comparison in results["comparisons"]:  # so that every compared quality is safe
        comparison.update(value=0.0, low=-0.01, high=0.01)
    (folder / "results.json").write_text(json.dumps(results))
    report.make_report(folder)
    series = findings.series_of(read_study(folder))
    answers = [safe_compression.maximum_safe(s, read_study(folder).results.comparisons) for s in series]
    rows = {(row[1].text, row[2].text): row for row in safe_compression.overview(series, answers).rows}
    assert rows["JPEG", "off the shelf"][3].text == "JPEG 5"
    assert rows["JPEG", "off the shelf"][5].text == words.rate(series[0].rows[-1].bpp)
    assert rows["WebP", "off the shelf"][3].text == "not compared"  # the study compared JPEG alone
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.index("Maximum safe compression") < text.index("At JPEG 5 the frames take")
    assert safe_compression.overview(series[:1], answers[:1]) is None
