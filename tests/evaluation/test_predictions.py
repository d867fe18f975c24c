"""Classifiers of any framework: record sets of classes, frames for the program, its predictions, their metrics."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import records_data


@pytest.fixture(scope="module")
def records(tmp_path_factory, run_tool):
    """A record set of 24 pictures in three folders, each a class."""
    folder = tmp_path_factory.mktemp("signs")
    for index in range(24):
        path = folder / "signs" / ("stop", "yield", "turn")[index % 3] / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(records_data.scene(index, 32, 32)).save(path)
    process = run_tool("make_tfrecords", "--task", "classification", "--frames", folder / "signs", "--quality", 20,
                       "--val_fraction", 0.5, "--output", folder / "tfrecords")
    assert process.returncode == 0, process.stderr
    return folder / "tfrecords" / "jpeg-q20"


def test_predictions_of_any_program_are_measured(records, tmp_path, run_tool):
    process = run_tool("export_frames", records, "--split", "val", "--output", tmp_path / "frames")
    assert process.returncode == 0, process.stderr
    content = json.loads((tmp_path / "frames" / "images.json").read_text())
    ids = [category["id"] for category in content["categories"]]
    of = {annotation["image_id"]: annotation["category_id"] for annotation in content["annotations"]}
    rng, rows, right = np.random.default_rng(0), [], []
    for image in content["images"]:
        assert (tmp_path / "frames" / image["file_name"]).is_file()
        order = rng.permutation(ids).tolist()
        right.append(order[0] == of[image["id"]])
        rows.append({"image_id": image["source_id"], "class_ids": order, "scores": [0.6, 0.3, 0.1]})
    (tmp_path / "predictions.json").write_text(json.dumps(rows))
    process = run_tool("evaluate", "--metrics_from", tmp_path / "predictions.json", "--ground_truth", records,
                       "--output", tmp_path / "metrics")
    assert process.returncode == 0 and "top-1" in process.stdout, process.stdout + process.stderr
    result = json.loads((tmp_path / "metrics" / "metrics.json").read_text())
    assert result["task"] == "classification" and result["images"] == len(rows) == 12
    assert result["top1"]["value"] == pytest.approx(np.mean(right)) and result["top5"]["value"] == 1
    assert result["bpp"] == pytest.approx(8 * result["coded_bytes"] / result["pixels"])


def test_what_is_for_detectors_is_refused_in_one_line(records, tmp_path, run_tool):
    process = run_tool("evaluate", "--saved_model", tmp_path, "--records", records, "--output", tmp_path / "x")
    assert process.returncode == 1 and process.stderr.count("\n") == 1
    assert "is of classification" in process.stderr and "predictions.json" in process.stderr
