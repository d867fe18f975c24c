"""What a study computes by leaving units out: folds pooled, the share won back, each against doing it by hand."""

import dataclasses
import types

import numpy as np
import pytest

from tests import report_study
from tests.detection_data import make, take
from tests.study_files import written_points
from tfod_compress import tasks
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import left_out
from tfod_compress.study.comparisons import compare_all
from tfod_compress.study.left_out import Accuracies
from tfod_compress.study.recoveries import recoveries
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics.folds import pool
from tfod_compress.tasks.detection.metrics.scores import Scorer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(study, its folder, its points) of made-up detections: JPEG 100, 20 and 5; retrained and control at 5."""
    folder = report_study.write(tmp_path_factory.mktemp("study") / "made", frames=24, qualities=(100, 20, 5))
    study = types.SimpleNamespace(best=types.SimpleNamespace(record_set="jpeg-q100"))
    return study, folder, written_points(folder)


def accuracies(folder, rows, regime, record_set):
    row = next(row for row in rows if (row.regime, row.record_set) == (regime, record_set))
    truth = metrics.load_ground_truth(folder / "tfrecords" / record_set)
    return metrics.together(truth, [metrics.load_detections(folder / row.evaluation / "detections.json", truth)])[0]


def test_comparisons_are_those_of_the_files_and_name_their_sides(finished):
    study, folder, rows = finished
    read = Accuracies(folder, tasks.get("detection"))
    found = compare_all(study, read, rows, ())
    gain, = [each for each in found if each["a"]["regime"] == "task_ft" and each["b"]["regime"] == "control_ft"]
    task, control = (accuracies(folder, rows, regime, "jpeg-q5") for regime in ("task_ft", "control_ft"))
    assert {name: gain[name] for name in ("value", "low", "high", "p_value")} == jackknife.difference(task - control)
    assert gain["value"] > 0 and (gain["unit"], gain["units"]) == ("sequence", 8)
    # What was computed from the same detections is taken over, what an earlier method made is not.
    assert compare_all(study, read, rows, found) == found
    old = [{**each, "low": -9, "made_from": "of another method"} for each in found]
    assert compare_all(study, read, rows, old) == found


def test_the_share_won_back_is_the_ratio_of_paired_differences(finished):
    study, folder, rows = finished
    read = Accuracies(folder, tasks.get("detection"))
    found, = [each for each in recoveries(study, read, rows) if each["record_set"] == "jpeg-q5"]
    task, control, shelf = (accuracies(folder, rows, regime, "jpeg-q5")
                            for regime in ("task_ft", "control_ft", "off_the_shelf"))
    best = accuracies(folder, rows, "off_the_shelf", "jpeg-q100")
    assert {name: found[name] for name in ("value", "low", "high")} == jackknife.ratio(task - control, best - shelf)
    assert found["low"] < found["value"] < found["high"] and found["over"] == "control_ft"
    # No loss at the same quality: nothing to divide by.
    best = next(row.evaluation for row in rows if row.record_set == "jpeg-q100")
    same = [dataclasses.replace(row, evaluation=best)
            if row.regime == "off_the_shelf" else row for row in rows]
    assert all(each["value"] is None for each in recoveries(study, read, same))


@pytest.mark.parametrize("grouped", [False, True])
def test_pooled_folds_are_the_whole_set(grouped):
    truth, detections = make(seed=7, images=30)
    groups = np.repeat(np.arange(10), 3) if grouped else None
    whole = take(truth, detections, np.arange(30))
    parts = []
    for fold in range(3):
        chosen = np.flatnonzero(np.arange(30) // 3 % 3 == fold)
        part, found = take(truth, detections, chosen)
        names = tuple(whole[0].image_ids[index] for index in chosen)
        own = None if groups is None else np.unique(groups[chosen], return_inverse=True)[1]
        parts.append((type(part)(**{name: getattr(part, name) for name in part.__dataclass_fields__}
                                 | {"image_ids": names, "groups": own}), found))
    pooled, found = pool(parts)
    assert pooled.image_ids == whole[0].image_ids
    units = [jackknife.units(30, each) for each in (pooled.groups, groups)]
    assert units[0].count == units[1].count == (10 if grouped else 30)
    values = [left_out(Scorer(metrics.Matches(*each)), ("weighted_map", "map"), own)
              for each, own in zip(((pooled, found), whole), units, strict=True)]
    for metric in ("weighted_map", "map"):
        np.testing.assert_allclose(values[0][metric][0], values[1][metric][0], atol=1e-12)
        np.testing.assert_allclose(sorted(values[0][metric]), sorted(values[1][metric]), atol=1e-12)
