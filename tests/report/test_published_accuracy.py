"""Reports of the zoos' detectors on COCO: beside what the zoos print, and beside published curves of COCO AP."""

import csv
import dataclasses
import json
import re
import shutil

import pytest

from tests import report_study
from tests.report.pages import Page, change
from tests.study_files import STUDIES
from tfod_compress import report
from tfod_compress.labels import label_map
from tfod_compress.report import figures, findings, published, published_accuracy
from tfod_compress.report.study_folder import read_study
from tfod_compress.tasks.detection.zoo import catalogue
from tfod_compress.tasks.detection.zoo import published as zoo

DETECTOR = report_study.DETECTOR
OF_TF1 = "faster_rcnn_resnet50_coco"


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A study of COCO's classes of a detector as it is, without settings."""
    return report_study.write(tmp_path_factory.mktemp("runs") / "coco", frames=30, regimes=("published",),
                              qualities=(100, 20, 5), names=label_map.load("coco"), record_sets=False)


@pytest.fixture
def of(coco, tmp_path):
    """Makes the study one of a checkpoint, with images.csv of these frames."""
    def make(checkpoint, source_ids=("a", "b"), **settings):
        folder = shutil.copytree(coco, tmp_path / "study", dirs_exist_ok=True)
        entry = {"name": DETECTOR, "checkpoint": checkpoint, **settings}
        images = folder / "tfrecords" / "jpeg-q100" / "images.csv"
        images.parent.mkdir(parents=True, exist_ok=True)
        with open(images, "w", newline="") as file:
            rows = csv.DictWriter(file, ("source_id", "split"))
            rows.writeheader()
            rows.writerows({"source_id": name, "split": "val"} for name in source_ids)
        return change(folder, lambda results: results.update(settings={"detectors": [entry]}))
    return make


@pytest.fixture
def of_tf2(monkeypatch):
    """A detector of the TF2 zoo, which prints 0.293 of it on val2017."""
    class OfTf2:
        published_map = 29.3

    find = catalogue.find
    monkeypatch.setattr(catalogue, "find", lambda name: OfTf2() if name == "of_tf2" else find(name))
    return "of_tf2"


def test_the_study_on_val2017_has_the_zoos_numbers():
    found = re.findall(r"name: (\w+), checkpoint: ([\w-]+)} +# ([\d.]+)$", (STUDIES / "coco.yaml").read_text(), re.M)
    assert len(found) == 10
    for name, checkpoint, printed in found:
        known = zoo.find(checkpoint)
        assert 100 * known.coco_ap == pytest.approx(float(printed))
        assert known.trained_on_val2017 is name.endswith("_tf1") is (known.frames != "COCO val2017")


def val2017():
    return ["000000000139", *(f"{number:012d}" for number in range(200, 5198)), "000000581781"]


def sentence(folder):
    (detector, text), = published_accuracy.sentences(read_study(folder))
    assert detector == DETECTOR
    return text


def test_the_difference_from_what_the_zoo_prints_is_told_on_the_page(of, of_tf2):
    folder = of(of_tf2, val2017())
    found = json.loads(next(folder.glob("evaluations/*/jpeg-q100/metrics.json")).read_text())["coco"]["AP"]
    text = sentence(folder)
    here, low, high, printed, difference = map(float, re.fullmatch(
        r"COCO AP (\S+) \[(\S+), (\S+)\] on the best quality here \(JPEG 100\); (0.293) published for this archive on "
        r"COCO val2017 \((\S+)\)", text.replace("−", "-")).groups())
    assert (here, low, high) == pytest.approx((found["value"], found["low"], found["high"]), abs=5e-4)
    assert difference == pytest.approx(found["value"] - printed, abs=1e-3)
    page = Page(report.make_report(folder))
    assert f"{DETECTOR}: {text}." in page.text


def test_of_other_frames_nothing_is_concluded(of, of_tf2):
    told = "The frames here are not those of COCO val2017, so nothing can be concluded from the difference"
    assert sentence(of(of_tf2)).endswith(told) and sentence(of(OF_TF1)).endswith(told)
    assert sentence(of(of_tf2, val2017()[:-1])).endswith(told)
    folder = of(of_tf2, val2017())
    shutil.rmtree(folder / "tfrecords")
    assert "is not known without the record set, so nothing can be concluded" in sentence(folder)


def test_the_tf1_zoo_printed_other_frames_and_was_trained_on_some_of_these(of):
    text = sentence(of(OF_TF1, val2017()))
    assert "; 0.30 published for this archive on the TF1 zoo's own minival of COCO 2014 (" in text
    assert "trained on a part of them, so nothing can be concluded from the difference unless it is large" in text


@pytest.mark.parametrize("checkpoint", ["faster_rcnn_resnet101_kitti", "runs/mine/ckpt-3", None])
def test_of_what_no_zoo_prints_nothing_is_told(of, checkpoint):
    assert published_accuracy.sentences(read_study(of(checkpoint))) == []


def test_nothing_is_told_of_other_classes_nor_of_trained_detectors(of, tmp_path):
    folder = of(OF_TF1)
    for change_of in (lambda results: results["class_names"].pop(), lambda results: results.pop("settings"),
                      lambda results: [point.update(regime="off_the_shelf") for point in results["points"]],
                      lambda results: [point.update(fold=0) for point in results["points"]]):
        other = shutil.copytree(folder, tmp_path / "other", dirs_exist_ok=True)
        assert published_accuracy.sentences(read_study(change(other, change_of))) == []
    lacking = {"matched": {"person": "person"}, "not_in_detector": ["car"]}
    for path in other.glob("evaluations/*/*/metrics.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "classes": lacking}))
    (other / "results.json").write_text((folder / "results.json").read_text())
    assert published_accuracy.sentences(read_study(other)) == []


def test_of_coco_s_classes_coco_ap_is_drawn_beside_coco_ap(coco, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "accuracy_kept", lambda *given: drawn.append(given))
    folder = shutil.copytree(coco, tmp_path / "study")
    report.make_report(folder)
    report.make_report(change(folder, lambda results: results["class_names"].pop()))
    (_, of_ap, metric), (_, of_ap50) = drawn
    assert metric.key == "coco.AP" and of_ap == published.jpeg_curves("AP") and of_ap50 == published.jpeg_curves()
    row = next(row for row in published.load("coco_jpeg_sweep").rows if (row["model"], row["quality"]) == ("R101", "5"))
    first = next(curve for curve in of_ap if curve.label == "COCO, R101")
    assert first.kept[first.qualities.index(5)] == pytest.approx(float(row["AP"]) / 40.421)


def test_detectors_of_one_regime_are_told_apart(coco):
    series, = findings.series_of(read_study(coco))
    several = [dataclasses.replace(series, detector=f"detector {number}") for number in range(10)]
    svg = figures.accuracy_kept(several, []).file_text()
    curves = re.findall(r'<path d="[^"]*" clip-path="[^"]*" style="([^"]*)"', svg)
    lines = {style for style in curves if "stroke-width: 1.8" in style}
    assert len(lines) == 10


def test_the_metric_that_is_drawn_is_the_one_that_was_asked_for(coco):
    study = read_study(coco)
    series = findings.series_of(study)
    metric = next(metric for metric in study.task.metrics if metric.key == "coco.AP")
    plain, of_ap = figures.accuracy_kept(series, []), figures.accuracy_kept(series, [], metric)
    assert ">COCO AP, share of that at best quality</text>" in of_ap.file_text()
    points = [re.findall(r'<path d="(M [^"]+)"', drawing.svg) for drawing in (plain, of_ap)]
    assert points[0] != points[1]
    assert figures.accuracy_kept(series, published.jpeg_curves("AP"), metric) is not None
    report.make_report(coco)
    assert "COCO val2017: AP)" in (coco / "report.html").read_text()
