"""Classifiers of other frameworks behind a command: what they get, what they may write, what is said of the rest."""

import json
import re
import sys

import numpy as np
import pytest

from tests import tiny_classes
from tfod_compress import evaluation
from tfod_compress.evaluation.comparison import compare
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.models import Wanted

# Imports nothing of ours. The scores follow from the pixels, so that a wrong picture or name would show.
CLASSIFY = """
import json, os, sys
import numpy as np
from PIL import Image

frames, output, mode = sys.argv[1:4]
with open(os.path.join(frames, "images.json")) as file:
    content = json.load(file)
assert "annotations" not in content
if mode == "fail":
    print("no weights here")
    sys.exit(3)
rows = []
for image in content["images"]:
    mean = np.asarray(Image.open(os.path.join(frames, image["file_name"]))).reshape(-1, 3).mean(axis=0)
    scores = dict(zip([category["id"] for category in content["categories"]], mean / mean.sum()))
    best = sorted(scores, key=lambda number: -scores[number])
    rows.append({"image_id": image["source_id"], "class_ids": best, "scores": [scores[number] for number in best]})
first = rows[0]
if mode == "logits":
    for row in rows:
        row["scores"] = [10 * score - 2 for score in row["scores"]]
if mode == "ids":
    for number, row in enumerate(rows):
        row["image_id"] = number + 1
if mode == "one":
    for row in rows:
        row["class_ids"], row["scores"] = row["class_ids"][:1], row["scores"][:1]
if mode == "few":
    first["class_ids"], first["scores"] = first["class_ids"][:1], first["scores"][:1]
if mode == "class":
    first["class_ids"][0] = 99
if mode == "missing":
    rows.pop()
if mode == "unknown":
    first["image_id"] = "who"
if mode == "rising":
    first["scores"].reverse()
if mode != "nothing":
    with open(output, "w") as file:
        json.dump({"predictions": rows} if mode == "no list" else rows, file)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls"), "a") as file:
    file.write(frames + "\\n")
print("done")
"""


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two record sets of the same 12 pictures of three classes."""
    folder = tmp_path_factory.mktemp("sets")
    return [tiny_classes.write(folder / f"jpeg-q{quality}", {"val": tiny_classes.pictures(12)}, quality=quality)
            for quality in (90, 5)]


@pytest.fixture
def script(tmp_path):
    """A classifier's script in a folder of its own, and the command that runs it."""
    path = tmp_path / "theirs" / "classify.py"
    path.parent.mkdir()
    path.write_text(CLASSIFY)
    return path, f"{sys.executable} {path} {{frames}} {{output}} {{mode}}"


def expected(records):
    """{source_id: class ids, best first} of what the script finds, and the share that it gets right."""
    found, right = {}, []
    for example in RecordSet(records).examples("val"):
        order = np.argsort(-example.pixels().reshape(-1, 3).mean(axis=0), kind="stable") + 1
        found[example.source_id] = order.tolist()
        right.append(order[0] == example.class_id)
    return found, np.mean(right)


def test_a_classifier_of_another_framework(sets, script, tmp_path, run_tool):
    path, command = script
    arguments = ["--model_command", command.replace("{mode}", "good"), "--records", sets[0], "--records", sets[1],
                 "--output", tmp_path / "out"]
    done = run_tool("evaluate", *arguments)
    assert done.returncode == 0, done.stderr
    assert "top-1" in done.stdout and "top-5 is of so many" not in done.stderr
    for records in sets:
        folder = tmp_path / "out" / records.name
        assert sorted(item.name for item in folder.iterdir()) == ["metrics.json", "predictions.json"]  # no frames left
        wanted, share = expected(records)
        rows = json.loads((folder / "predictions.json").read_text())
        assert {row["image_id"]: row["class_ids"] for row in rows} == wanted
        result = json.loads((folder / "metrics.json").read_text())
        assert result["task"] == "classification" and result["model_command"] == arguments[1]
        assert result["checkpoint"] is None and result["bpp"] > 0 and "score_threshold" not in result
        assert result["top1"]["value"] == pytest.approx(share) and result["top1"]["low"] is not None
        assert result["made_from"].keys() == {"model_command", "record_set", "split"}
    calls = (path.parent / "calls").read_text()
    assert len(calls.splitlines()) == 2
    again = run_tool("evaluate", "--detector_command", *arguments[1:])  # by its first name it is the same
    assert again.returncode == 0 and done.stdout.endswith(again.stdout)  # the same table
    assert (path.parent / "calls").read_text() == calls  # what is done is not done again

    files = [tmp_path / "out" / records.name / "predictions.json" for records in sets]
    compared = run_tool("compare", *files, "--ground_truth", sets[0], "--margin", "5%", "--metric", "top1",
                        "--metric", "mean_class_accuracy")
    assert compared.returncode == 0, compared.stderr
    rows = [line.split("│")[1].strip() for line in compared.stdout.splitlines() if line.startswith("│")]
    assert rows == ["top1", "mean_class_accuracy"] and "12 images" in compared.stdout
    assert f"{expected(sets[0])[1] - expected(sets[1])[1]:+.4f}" in compared.stdout
    for more, told in ((["--metric", "f1"], "--metric f1: classification has no such metric"),
                       (["--split", "train"], "has no frames of the split 'train'")):
        wrong = run_tool("compare", *files, "--ground_truth", sets[0], *more)
        assert wrong.returncode == 1 and told in wrong.stderr and wrong.stderr.count("\n") == 1


def test_predictions_of_a_classifier_without_some_class_are_measured_again_and_compared(sets, tmp_path):
    """Its metrics.json tells which classes it lacks: pictures of those are left out, as when it was evaluated."""
    record_set = RecordSet(sets[0])
    kept = [example for example in record_set.examples("val") if example.class_name != "yield"]
    for name, ids, missing in (("a", [1, 3], ["yield"]), ("b", [3, 1, 2], [])):
        rows = [{"image_id": example.source_id, "class_ids": ids, "scores": [0.9, 0.1, 0.0][:len(ids)]}
                for example in (kept if missing else record_set.examples("val"))]
        (tmp_path / name).mkdir()
        (tmp_path / name / "predictions.json").write_text(json.dumps(rows))
        described = {"matched": {"stop": "stop", "priority": "priority"}, "not_in_detector": missing,
                     "not_in_records": []}
        if missing:
            (tmp_path / name / "metrics.json").write_text(json.dumps({"classes": described}))
    files = [tmp_path / name / "predictions.json" for name in "ab"]
    result = evaluation.metrics_from(files[0], sets[0], tmp_path / "out")
    assert result["images"] == len(kept) == 8 and result["top1"]["value"] == 0.5
    assert result["classes"]["not_in_detector"] == ["yield"]
    found = compare(files, sets[0], keys=["top1"])
    assert found.images == 8 and found.rows[0][1]["value"] == 0
    assert found.notes == ["compared on the classes that both cover: stop, priority"]
    (tmp_path / "a" / "metrics.json").unlink()
    with pytest.raises(InputError, match="no predictions on 4 images"):
        evaluation.metrics_from(files[0], sets[0], tmp_path / "again")


def test_its_frames_stay_where_that_is_asked_for(sets, script, tmp_path):
    wanted = Wanted(model_command=script[1].replace("{mode}", "one"), keep_frames=True)
    (_, result), = evaluation.evaluate_models(wanted, sets[:1], tmp_path / "out")
    content = json.loads((tmp_path / "out/jpeg-q90/model_command/frames/images.json").read_text())
    assert content["categories"] == [{"id": number, "name": name} for number, name in tiny_classes.NAMES.items()]
    assert {image["source_id"] for image in content["images"]} == expected(sets[0])[0].keys()
    # The best class alone will do, and it is told that nothing more is known.
    assert result["top5"]["value"] == result["top1"]["value"] and result["classes_scored"] == 1
    assert any("1 classes of each picture, so top-5 is of so many" in note for note in evaluation.notes(result))


@pytest.mark.parametrize(("mode", "told"), [
    ("fail", r"the command on jpeg-q90: .*classify.py .* ended with exit code 3; its last lines: no weights here"),
    ("nothing", r"must write its predictions to {output}; it ended well, but wrote no {output}; its last lines: done"),
    ("no list", "not predictions: a list with one object for each image"),
    ("logits", r"scores of 12 images are outside \[0, 1\], .*; give probabilities \(of logits, their softmax\)"),
    ("ids", "lacks: 1, 2, .*; image_id is the source_id of a frame in images.json, not its id"),
    ("few", "1 to 3 class_ids; give as many for every image, all classes or the best few"),
    ("class", r"class ids 99 are not among the ground truth's \(1 stop, 2 yield, 3 priority\)"),
    ("missing", "no predictions on 1 images"),
    ("unknown", "predictions on 1 images that .* lacks: who$"),
    ("rising", "scores must fall, the best-scored class first, and those of '.*' rise"),
])
def test_what_a_classifier_gets_wrong_is_told_in_one_line(sets, script, tmp_path, mode, told):
    wanted = Wanted(model_command=script[1].replace("{mode}", f"'{mode}'"))
    with pytest.raises(InputError, match=told) as error:
        evaluation.evaluate_models(wanted, sets[:1], tmp_path / "out")
    assert "\n" not in str(error.value)
    # What the command wrote is gone, so no path leads there; a command that is told is told as it ran.
    assert (str(tmp_path / "out") in str(error.value)) == (mode in ("fail", "nothing"))
    assert not list((tmp_path / "out").rglob("*.*"))  # neither frames nor results


def test_what_is_not_of_the_task_is_refused_before_anything_runs(sets, script, demo_records, tmp_path, run_tool):
    command = script[1].replace("{mode}", "good")
    for more, code, told in (
            (["--records", sets[0], "--detector_label_map", "coco"], 1, "--detector_label_map: .*is of classification"),
            (["--records", sets[0], "--records", demo_records / "jpeg-q5"], 1, "of several tasks"),
            (["--records", sets[0], "--checkpoint", "x"], 2, "--checkpoint stands without --model_command")):
        done = run_tool("evaluate", "--model_command", command, *more, "--output", tmp_path / "out")
        assert done.returncode == code and done.stderr.count("\n") == 1
        assert re.search(told, done.stderr), done.stderr
    for bad, told in (("python classify.py {frames}", "--model_command 'python classify.py {frames}': does not say"),
                      ("'", "No closing quotation")):
        done = run_tool("evaluate", "--model_command", bad, "--records", sets[0], "--output", tmp_path / "out")
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists() and not (script[0].parent / "calls").exists()
