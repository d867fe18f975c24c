"""The report's pictures: frames chosen by rule, every view with its boxes, large frames cut and not scaled."""

import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests import report_study
from tfod_compress import report
from tfod_compress.report import contact_sheet, findings, gallery
from tfod_compress.report.study_folder import read_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study's folder with its report."""
    folder = report_study.write(tmp_path_factory.mktemp("runs") / "made-up")
    report.make_report(folder)
    return folder


def counts(view):
    """(objects found, objects, wrong detections) that a view's caption tells."""
    return tuple(map(int, re.fullmatch(r"(\d+) of (\d+) found, (\d+) wrong", view.told).groups()))


def test_gallery_follows_its_rule(finished):
    study = read_study(finished)
    series, = findings.series_of(study)
    truth = gallery.ground_truth(study, series)
    frames = gallery.make_gallery(study, series, truth)
    assert [frame.reason.split()[0] for frame in frames] == ["largest", "median", "drawn"]
    assert len({frame.source_id for frame in frames}) == 3
    for frame in frames:
        assert [(v.name, v.regime) for v in frame.views] == [
            *((f"JPEG {quality}", "off_the_shelf") for quality in report_study.QUALITIES),
            ("JPEG 5", "task_ft"), ("JPEG 5", "control_ft")]
        for view in frame.views:
            kinds, (found, objects, wrong) = [mark.kind for mark in view.marks], counts(view)
            assert (kinds.count("found"), kinds.count("right")) == (found, found)
            assert kinds.count("missed") == objects - found and kinds.count("wrong") == wrong
            assert view.data_uri.startswith("data:image/jpeg;base64,")

    def f1(view):
        found, objects, wrong = counts(view)
        return 2 * found / (found + wrong + objects)

    falls = [f1(frame.views[0]) - f1(frame.views[4]) for frame in frames]
    assert falls[0] == max(falls) and falls[0] > 0


def test_large_frames_are_cut_and_not_scaled(tmp_path):
    folder = report_study.write(tmp_path / "large", frames=4, size=(500, 700), qualities=(100, 5))
    study = read_study(folder)
    series, = findings.series_of(study)
    frame = gallery.make_gallery(study, series, gallery.ground_truth(study, series))[0]
    assert (frame.width, frame.height, frame.is_part) == (gallery.MAX_WIDTH, gallery.MAX_HEIGHT, True)
    assert frame.views[0].marks
    for box in frame.views[0].marks:
        assert box.x >= 0 and box.x + box.width <= frame.width + 0.2
        assert box.y >= 0 and box.y + box.height <= frame.height + 0.2


def test_the_pictures_are_files_too_with_every_view_and_its_boxes(finished):
    series, = findings.series_of(read_study(finished))
    truth = gallery.ground_truth(read_study(finished), series)
    frames = gallery.make_gallery(read_study(finished), series, truth)
    files = sorted((finished / "figures").glob("pictures_*.jpg"))
    assert [path.stem.rsplit("_", 1)[1] for path in files] == ["1", "2", "3"] and len(frames) == 3
    for path, frame in zip(files, frames, strict=True):
        assert path.read_bytes() == contact_sheet.draw(frame)
        drawn, bare = (np.asarray(Image.open(io.BytesIO(contact_sheet.draw(each)))).astype(int) for each in (
            frame, dataclasses.replace(frame, views=tuple(dataclasses.replace(v, marks=()) for v in frame.views))))
        rows, columns = -(-len(frame.views) // contact_sheet.COLUMNS), contact_sheet.COLUMNS
        changed = np.abs(drawn - bare).max(axis=2)
        height, width = changed.shape[0] // rows, changed.shape[1] // columns
        for number, view in enumerate(frame.views):
            top, left = number // columns * height, number % columns * width
            assert (changed[top:top + height, left:left + width].max() > 60) == bool(view.marks)
