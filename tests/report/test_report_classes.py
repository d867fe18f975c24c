"""Reports with 80 classes at ids with gaps, of detectors that were not trained here, and of what the frames were."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from tests import report_study
from tests.report import pages
from tests.report.pages import Page, change
from tfod_compress import report
from tfod_compress.labels import label_map
from tfod_compress.records import sources
from tfod_compress.report import (
    comparing,
    detector_classes,
    differences,
    figures,
    findings,
    gallery,
    heat_maps,
    interactive,
    safe_compression,
    tables,
)
from tfod_compress.report.study_folder import read_study
from tfod_compress.statistics.margin import Margin

COCO = label_map.load("coco")
CLASSES = {"matched": {"car": "PassengerCar", "taxi": "PassengerCar", "truck": "Truck", "bus": "Bus",
                       "person": "Pedestrian", "Bicycle": "Bicycle", "motorcycle": "Motorbike"},
           "not_in_detector": ["Van"], "not_in_records": [f"thing {number}" for number in range(73)],
           "merged": {"PassengerCar": ["car", "taxi"]}, "nms_iou": 0.6}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A study of COCO's 80 classes, with its report."""
    folder = report_study.write(tmp_path_factory.mktemp("runs") / "many", frames=80, qualities=(100, 20, 5), names=COCO)
    report.make_report(folder)
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A study that trained nothing, with its report; the detector lacks Van."""
    folder = report_study.write(tmp_path_factory.mktemp("runs") / "published", frames=20, regimes=("published",),
                                classes=CLASSES, dropped=3)
    report.make_report(folder)
    return folder


def counts(folder):
    """{class: objects} of the validation frames, most first, those of equal number in label map order."""
    confusion = json.loads(next(folder.glob("evaluations/*/jpeg-q100/metrics.json")).read_text())["confusion"]
    found = {name: sum(row) for name, row in zip(confusion["classes"][:-1], confusion["matrix"], strict=False)}
    return dict(sorted(((name, count) for name, count in found.items() if count), key=lambda pair: -pair[1]))


def labels(text):
    """The texts of an SVG element."""
    return ["".join(element.itertext()).strip() for element in ET.fromstring(text).iter()
            if element.tag.endswith("text")]


def test_of_80_classes_the_20_with_most_objects_are_shown_and_all_unfold(many):
    expected = [f"{name} ({count})" for name, count in counts(many).items()]
    assert len(expected) > 45  # so that there are several parts
    page = Page(many / "report.html")
    assert [text for text in page.shown if text in expected] == expected[:tables.MOST]
    assert [text for text in re.split(r"\s*\n\s*", page.text) if text in expected] == expected
    absent = ", ".join(name for name in COCO.values() if name not in counts(many))
    assert absent.count(",") > tables.MOST and absent in page.text and absent not in page.shown
    parts = sorted((many / "figures").glob("class_ap_*.svg"), key=lambda path: (len(path.name), path.name))
    assert len(parts) == -(-len(expected) // tables.MOST)
    drawn = [label for path in parts for label in labels(path.read_text())]
    assert [text for text in drawn if text in expected] == expected


def test_no_table_shows_more_than_20_rows(many):
    folded = Page(many / "report.html")
    assert folded.tables and all(len(rows) - 1 <= tables.MOST for is_folded, rows in folded.tables if not is_folded)
    assert all(len(row) <= tables.MOST for rows in folded.tables for row in rows[1])


def test_long_tables_and_wide_heat_maps_unfold(published, tmp_path):
    """Each quality 9 times, so that there are 45 columns and rows."""
    folder = shutil.copytree(published, tmp_path / "study", ignore=shutil.ignore_patterns("tfrecords", "figures"))
    change(folder, lambda results: results.update(comparisons=8 * results["comparisons"], points=[
        {**point, "record_set": f"jpeg-q{point['quality']}-{number}"} for number in range(9)
        for point in results["points"]]))
    page = Page(report.make_report(folder))
    long = {rows[0][0]: len(rows) - 1 for is_folded, rows in page.tables if not is_folded}
    assert long["quality"] == long["difference of"] == tables.MOST
    rest = {rows[0][0]: len(rows) - 1 for is_folded, rows in page.tables if is_folded}
    assert (rest["quality"], rest["difference of"]) == (45 - tables.MOST, 8 * 4 - tables.MOST)
    series, = findings.series_of(read_study(folder))
    parts = heat_maps.error_cost(series)
    assert [part.part for part in parts] == [f"columns {some} of 45" for some in ("1 to 20", "21 to 40", "41 to 45")]
    assert all(label in labels(parts[2].svg) for label in heat_maps.ERRORS.values())


def test_every_class_is_in_the_csv(many):
    with open(many / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, point in zip(rows, json.loads((many / "results.json").read_text())["points"], strict=True):
        measured = json.loads((many / point["evaluation"] / "metrics.json").read_text())["ap_per_class"]
        assert {name: row[f"ap.{name}"] for name in COCO.values()} == {
            name: "" if value is None else str(value) for name, value in measured.items()}


def test_classes_at_ids_with_gaps_keep_their_names_in_the_pictures(many):
    study = read_study(many)
    series, = findings.series_of(study)
    truth = gallery.ground_truth(study, series)
    assert max(truth.class_ids) > len(COCO)
    frames = gallery.make_gallery(study, series, truth)
    for frame in frames:
        here = truth.image == truth.image_ids.index(frame.source_id)
        true = sorted(COCO[number] for number in truth.class_ids[here].tolist())
        assert sorted(box.label for box in frame.views[0].marks if box.kind in ("found", "missed")) == true
        assert {box.label.rsplit(" ", 1)[0] for box in frame.views[0].marks if box.kind == "right"} <= set(true)


def test_objects_are_counted_over_all_folds(many):
    """Two seeds as two folds: each class has the objects of both."""
    study = read_study(many)
    series, = findings.series_of(study)
    cell = series.reference.cells["off_the_shelf"]
    entry = cell.entries[0]
    folds = [findings.Evaluated(entry.point.model_copy(update={"split": f"fold{fold}"}), entry.metrics, entry.folder)
             for fold in (0, 1)]
    series.reference.cells["off_the_shelf"] = findings.Cell("off_the_shelf", tuple(folds), cell.metric)
    twice = {f"{name} ({2 * count})" for name, count in counts(many).items()}
    drawn = heat_maps.per_class(series, list(COCO.values()))
    assert twice == {label for part in drawn for label in labels(part.svg)} & twice


@pytest.mark.browser
def test_browser_shows_20_classes_and_unfolds_all(many, tmp_path):
    """Folded and unfolded, as on paper: which class names, rows and figures can be seen."""
    body = """
      const seen = e => e.getClientRects().length > 0 && e.checkVisibility();
      const measure = () => ({
        names: all('[id^="figure-class_ap"] text').filter(seen).map(e => e.textContent.trim()).filter(
          text => / \\\\(\\\\d+\\\\)$/.test(text)),
        rows: Math.max(...all('table').map(t => [...t.tBodies[0].rows].filter(seen).length)),
        bad: all('figure:not(#figure-rate_accuracy) > svg').filter(seen).filter(
          e => e.getBoundingClientRect().width < 99 || e.getBBox().height < 50).map(e => e.ariaLabel),
        wide: document.documentElement.scrollWidth > innerWidth });
      const folded = measure();
      dispatchEvent(new Event('beforeprint'));
      return {folded, printed: measure(), text: document.querySelector('main').innerText,
              loaded: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))};"""
    seen = pages.probe(many / "report.html", body.replace("\\\\", "\\"), tmp_path)
    expected = [f"{name} ({count})" for name, count in counts(many).items()]
    assert seen["folded"]["names"] == expected[:tables.MOST] and seen["printed"]["names"] == expected
    assert seen["folded"]["rows"] <= tables.MOST and not seen["loaded"]
    for state in ("folded", "printed"):
        assert seen[state]["bad"] == [] and not seen[state]["wide"]
    assert all(name in seen["text"] or name in counts(many) for name in COCO.values())


def test_a_published_detector_is_its_own_reference_everywhere(published):
    study = read_study(published)
    series, = findings.series_of(study)
    assert series.reference_regime == "published" and series.reference.quality == 100
    assert series.strongest().quality == 5 and series.rows[-1].loss.verdict == differences.SHOWN
    before, after = (row.cells["published"].estimate("weighted_map").value for row in (series.rows[0], series.rows[-1]))
    assert f"weighted mAP falls from {before:.3f} to {after:.3f}" in findings.headline(series)
    told = " ".join(findings.answer(series))
    assert told.count("As published (") == 1 and "Nothing was trained" in told and "seed" not in told
    safe, = safe_compression.maximum_safe(series, study.results.comparisons, Margin(0.15))
    assert safe.regime == "published" and safe.why != safe_compression.NOT_COMPARED
    assert safe.reference.value == before
    assert [view.regime for view in gallery.make_gallery(study, series, gallery.ground_truth(study, series))[0].views
            ] == ["published"] * len(report_study.QUALITIES)
    assert heat_maps.most_costly_change(series)[0] == "missed"
    kept = figures.accuracy_kept([series], [])
    assert "as published" in labels(kept.svg) and "q5" in labels(figures.rate_accuracy([series]).svg)
    curve, = interactive.rate_accuracy([series])
    assert curve["colour"] == "series-0" and len(curve["bpp"]) == len(report_study.QUALITIES)
    assert comparing.normalised([series, series])
    page = Page(published / "report.html")
    assert "off the shelf" not in page.text.replace("COCO, nine detectors off the shelf", "")
    assert "No pictures" not in page.text and len(list((published / "figures").glob("pictures_*.jpg"))) == 3


def test_lossless_frames_are_the_reference_of_a_published_detector_too(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "study")
    change(folder, lambda results: [point.update(codec="png", quality=None) for point in results["points"]
                                    if point["quality"] == 100])
    series, = findings.series_of(read_study(folder))
    assert (series.codec, series.reference.name, series.reference_regime) == ("jpeg", "PNG", "published")
    assert any(text.startswith("PNG, ") for text in labels(figures.rate_accuracy([series]).svg))


def test_one_published_point_has_nothing_to_compare(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "study")
    change(folder, lambda results: results.update(points=results["points"][:1], comparisons=[]))
    assert "nothing to compare yet" in Page(report.make_report(folder)).text


def test_what_was_trained_keeps_off_the_shelf_as_its_reference(tmp_path):
    """Published points of the same detector stand beside it, and are judged against themselves."""
    folder = report_study.write(tmp_path / "study", frames=9, qualities=(100, 20, 5), record_sets=False)
    shelf = [point for point in read_study(folder).results.points if point.regime == "off_the_shelf"]

    def publish(results):
        results["points"] += [{**point.model_dump(), "regime": "published", "trained_on": None} for point in shelf]
        results["comparisons"] += [{**c, "a": {**c["a"], "regime": "published"}, "b": {**c["b"], "regime": "published"}}
                                   for c in results["comparisons"] if c["b"]["record_set"] == "jpeg-q100"]

    series, = findings.series_of(read_study(change(folder, publish)))
    assert series.reference_regime == "off_the_shelf" and series.regimes()[:2] == ["off_the_shelf", "published"]
    assert all(row.cells.keys() >= {"off_the_shelf", "published"} for row in series.rows)
    found = safe_compression.maximum_safe(series, read_study(folder).results.comparisons)
    assert [safe.regime for safe in found] == ["off_the_shelf", "published"] and found[0].row == found[1].row
    assert {curve["colour"] for curve in interactive.rate_accuracy([series])[:2]} == {"series-0", "series-4"}
    report.make_report(folder)


def test_the_page_tells_which_classes_count(published):
    note, = detector_classes.notes(read_study(published))
    assert note.detector == report_study.DETECTOR
    (shared, names), (missing, left), (others, unknown), (again, merged), (dropped, none) = note.parts
    assert "the 6 classes that it shares" in shared and "Bicycle" in names
    assert "PassengerCar (the detector's car, taxi)" in names
    assert "1 class that it lacks are ignored, not missed" in missing and left == ("Van",)
    assert "73 classes" in others and len(unknown) == 73
    assert "once more at IoU 0.6" in again and "several classes of the detector became one" in again
    assert merged == ("PassengerCar",) and dropped.startswith("15 detections") and not none
    page = Page(published / "report.html")
    for sentence, names in note.parts:
        assert sentence in page.text and all(name in page.text for name in names)
    assert "thing 72" not in " ".join(page.shown) and "Van" in " ".join(page.shown)


def test_a_class_that_the_detector_lacks_is_not_missed_in_the_pictures(published):
    study = read_study(published)
    series, = findings.series_of(study)
    truth = gallery.ground_truth(study, series)
    assert "Van" in truth.class_names.values()
    shown = [box.label for frame in gallery.make_gallery(study, series, truth) for view in frame.views
             for box in view.marks]
    assert shown and not [label for label in shown if label.startswith("Van")]


def test_nothing_is_told_of_classes_that_are_the_record_sets_own(many):
    assert detector_classes.notes(read_study(many)) == []
    assert "Classes of" not in (many / "report.html").read_text(encoding="utf-8")


def test_what_the_frames_were_and_what_is_odd_is_told_once(tmp_path):
    was = {"formats": {"jpeg": 115, "png": 3},
           "jpeg_quality": {"lowest": 71, "median": 90, "highest": 96, "frames": 115}}
    odd = ["near duplicates <across> the split: 3 of 6", "frames of 2 sizes; 5 of 6 are 160x96"]
    folder = report_study.write(tmp_path / "told", frames=6, regimes=("off_the_shelf",),
                                qualities=(100, 5), manifest={"sources": was, "warnings": odd})
    text = Page(report.make_report(folder)).text
    assert text.count(sources.told(was)) == 1 and "71 to 96" in text
    assert all(text.count(line[1:]) == 1 for line in odd)
    for path in folder.glob("tfrecords/*/manifest.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({name: content[name] for name in content if name not in ("sources", "warnings")}))
    assert 'id="frames"' not in report.make_report(folder).read_text(encoding="utf-8")
