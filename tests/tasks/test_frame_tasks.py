"""What a task is that writes two methods alone: one label and one prediction a frame."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.tasks.frame_tasks import Level
from tfod_compress import evaluation, tasks
from tfod_compress.evaluation.comparison import compare
from tfod_compress.records import RecordSet, convert, export, inspection
from tfod_compress.statistics.margin import Margin
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.models import Wanted


@pytest.fixture(scope="module", autouse=True)
def known():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks.TASKS, "level", "tests.tasks.frame_tasks:Level")
        yield


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A record set of 24 grey frames in six sequences, in two folds."""
    folder = tmp_path_factory.mktemp("levels")
    for number in range(24):
        path = folder / "frames" / f"s{number // 4}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 24, 3), 10 * number + 5, np.uint8)).save(path)
    made, = convert(folder / "frames", output=folder / "out", task="level", codec="png", workers_count=1, folds=2,
                    sequence_by=r"^(s\d)/")
    return RecordSet(made.path)


def write(path, truth, change=lambda rows: None, off=1.0):
    """A predictions.json that is off by so many levels."""
    rows = [{"image_id": name, "prediction": label + off}
            for name, label in zip(truth.image_ids, truth.labels, strict=True)]
    change(rows)
    path.write_text(json.dumps(rows))
    return path


def test_numbers_are_labels(records, tmp_path):
    """Through records, truth, inspection and export, with nothing but the defaults."""
    task = records.task
    assert isinstance(task, Level) and records.label_map == {1: "frame"}
    truth = task.ground_truth(records, "fold0")
    assert not truth.are_classes and truth.groups is not None and list(truth.image_ids) == sorted(truth.image_ids)
    wanted = {f"s{number // 4}/{number:02d}": 10.0 * number + 5 for number in range(24)}
    assert dict(zip(truth.image_ids, truth.labels, strict=True)).items() <= wanted.items()
    found = inspection.inspect(records.path, tmp_path / "pictures", 4)
    assert not found.odd and "classes: 1 of 1: 12 frame" in found.text() and list((tmp_path / "pictures").iterdir())
    content, _ = export.export(records, ["fold0"], tmp_path / "frames")
    names = {image["id"]: image["source_id"] for image in content["images"]}
    assert {names[each["image_id"]]: each["value"] for each in content["annotations"]}.items() <= wanted.items()


def test_a_file_of_predictions_is_measured(records, tmp_path):
    truth = records.task.ground_truth(records, "fold0")
    result = evaluation.metrics_from(write(tmp_path / "a.json", truth), records.path, tmp_path / "out", split="fold0")
    assert result == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert result["task"] == "level" and result["error"]["mean"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert result["error"]["never"] == {"value": None, "low": None, "high": None}  # what is undefined is null
    assert (result["intervals"]["unit"], result["intervals"]["units"]) == ("sequence", 3) and "plain" not in result


def test_what_has_a_unit_has_the_interval_of_a_number(records, tmp_path):
    """Above 1, where there are no odds."""
    truth = records.task.ground_truth(records, "fold0")

    def later(rows):
        for number, row in enumerate(rows):
            row["prediction"] += number
        rows.reverse()  # in whatever order

    result = evaluation.metrics_from(write(tmp_path / "a.json", truth, later), records.path, tmp_path / "out",
                                     split="fold0")
    assert result["error"]["mean"]["value"] == 6.5
    assert result["error"]["mean"]["low"] < 6.5 < result["error"]["mean"]["high"]


def test_two_files_are_compared(records, tmp_path):
    truth = records.task.ground_truth(records, "fold0")
    files = [write(tmp_path / name, truth, off=off) for name, off in (("a.json", 1.0), ("b.json", 3.0))]
    found = compare(files, records.path, split="fold0", keys=["error.mean"], margin=Margin(0.1, relative=True))
    (metric, row), = found.rows
    assert (metric.key, row["a"], row["b"], row["value"]) == ("error.mean", 1.0, 3.0, -2.0)
    assert row["not_worse"]["lower"] == 2.0 and found.units == 3  # two levels better: lower is better
    with pytest.raises(InputError, match=r"--margin 0.1: mean error is in levels; .* 5%"):
        compare(files, records.path, split="fold0", margin=Margin(0.1))
    with pytest.raises(InputError, match="has no such metric with intervals; there are error.mean, error.never"):
        compare(files, records.path, split="fold0", keys=["plain"])


def test_folds_together_are_the_whole(records, tmp_path):
    task, parts = records.task, []
    for fold in ("fold0", "fold1"):
        truth = task.ground_truth(records, fold)
        task.write_predictions(tmp_path / fold, truth, [label + 1 for label in truth.labels])
        parts.append((truth, task.read_predictions(tmp_path / fold, truth)))
    truth, found = task.pool(parts)
    assert len(truth.image_ids) == 24 and list(truth.image_ids) == sorted(truth.image_ids)
    assert all(b == a + 1 for a, b in zip(truth.labels, found, strict=True)) and len(set(truth.groups)) == 6
    assert task.same_truth(truth, task.pool(parts[::-1])[0]) and not task.same_truth(parts[0][0], parts[1][0])


@pytest.mark.parametrize(("change", "told"), [
    (lambda rows: rows.pop(), "no predictions on 1 images"),
    (lambda rows: rows.append(rows[0]), "1 images come twice"),
    (lambda rows: rows[0].update(image_id=1), "lacks: 1; image_id is the source_id"),
    (lambda rows: rows[0].update(image_id=["a"]), "1 images that .* lacks"),
    (lambda rows: rows[0].pop("prediction"), "every one needs image_id and prediction, and s"),
    (lambda rows: rows[0].pop("image_id"), "not predictions: a list with one object"),
    (lambda rows: rows[0].update(prediction="dark"), "its prediction is a text, and the labels are each a number"),
    (lambda rows: rows[0].update(prediction=None), "its prediction is null"),
    (lambda rows: rows[0].update(prediction=float("nan")), "not JSON .NaN is no number"),
    (lambda rows: rows.clear(), "not predictions"),
])
def test_what_is_no_predictions_is_told(records, tmp_path, change, told):
    path = write(tmp_path / "a.json", records.task.ground_truth(records, "fold0"), change)
    with pytest.raises(InputError, match=told) as error:
        evaluation.metrics_from(path, records.path, tmp_path / "out", split="fold0")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_what_the_task_has_not_is_told(records, tmp_path):
    for wanted, told in ((Wanted(checkpoint=("x",)), "--checkpoint: .* is of level, which does not take it; give "
                          "--model_command, or the predictions.json"), (Wanted(nms_iou=0.5), "--nms_iou")):
        with pytest.raises(InputError, match=told):
            evaluation.evaluate_models(wanted, [records.path], tmp_path / "out", split="fold0")
    (tmp_path / "truth.txt").write_text("")
    with pytest.raises(InputError, match="no such record set"):
        evaluation.metrics_from(tmp_path / "a.json", tmp_path / "truth.txt", tmp_path / "out")
    with pytest.raises(InputError, match="level has its truth in record sets"):
        records.task.ground_truth_file(tmp_path / "truth.json")
