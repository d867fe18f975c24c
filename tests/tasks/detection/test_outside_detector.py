"""Detectors of other frameworks: the frames that they get, what they may write, and what is said of those that fail."""

import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tfod_compress import evaluation
from tfod_compress.records import RecordSet, export
from tfod_compress.support.errors import InputError
from tfod_compress.tasks import outside_model
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import classes

# Imports nothing of ours. Its one box and score follow from the pixels, so that a wrong pixel or name would show.
DETECT = """
import json, os, sys
import numpy as np
from PIL import Image

frames, output, mode = sys.argv[1:4]
with open(os.path.join(frames, "images.json")) as file:
    content = json.load(file)
if mode == "fail":
    print("first line\\nno weights in", frames)
    sys.exit(3)
results = []
for image in content["images"]:
    pixels = np.asarray(Image.open(os.path.join(frames, image["file_name"])))
    assert pixels.shape == (image["height"], image["width"], 3) and pixels.dtype == np.uint8
    mean = pixels.reshape(-1, 3).mean(axis=0)
    for number, category in enumerate(content["categories"][:3]):
        results.append({"image_id": image["id"], "category_id": category["id"],
                        "bbox": [1, 2, image["width"] / 2, mean[number] / 8], "score": mean[number] / 255})
changes = {"image": {"image_id": 10**6}, "class": {"category_id": 99}, "box": {"bbox": [1, 2, float("nan"), 4]},
           "score": {"score": 1.5}, "negative": {"bbox": [1, 2, -3, 4]}, "string": {"category_id": "car"}}
results[-1].update(changes.get(mode, {}))
text = json.dumps({"results": results} if mode == "no list" else results)
if mode != "no file":
    with open(output, "w") as file:
        file.write(text[:len(text) // 2] if mode == "half" else text)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls"), "a") as file:
    file.write(frames + "\\n")
print("done")
"""


@pytest.fixture
def script(tmp_path):
    """A detector's script in a folder of its own, and the command that runs it."""
    path = tmp_path / "theirs" / "detect.py"
    path.parent.mkdir()
    path.write_text(DETECT)
    return path, f"{sys.executable} {path} {{frames}} {{output}} {{mode}}"


def expected(records, count=3):
    """{(source_id, class id): (box, score)} of what the script finds, from the record set itself."""
    found = {}
    for example in RecordSet(records).examples("val"):
        mean = example.pixels().reshape(-1, 3).mean(axis=0)
        for number in range(count):
            found[example.source_id, number + 1] = ([1, 2, example.width / 2, mean[number] / 8], mean[number] / 255)
    return found


def test_a_detector_of_another_framework(demo_records, script, tmp_path, run_tool):
    path, command = script
    sets = [demo_records / "jpeg-q100", demo_records / "jpeg-q5"]
    arguments = ["--detector_command", command.replace("{mode}", "good"), "--records", sets[0], "--records", sets[1],
                 "--output", tmp_path / "out", "--resamples", 20]
    done = run_tool("evaluate", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "jpeg-q5" in done.stdout
    for records in sets:
        folder = tmp_path / "out" / records.name
        assert sorted(item.name for item in folder.iterdir()) == ["detections.json", "metrics.json"]  # no frames left
        found = {(entry["image_id"], entry["category_id"]): (entry["bbox"], entry["score"])
                 for entry in json.loads((folder / "detections.json").read_text())}
        wanted = expected(records)
        assert found.keys() == wanted.keys()
        for key, (box, score) in found.items():
            np.testing.assert_allclose(box, wanted[key][0], atol=1e-4)
            assert score == pytest.approx(wanted[key][1])
        result = json.loads((folder / "metrics.json").read_text())
        assert result["detector_command"] == arguments[1] and result["bpp"] > 0 and "classes" not in result
        # Earlier versions wrote the same, so what they finished is known again.
        assert result["made_from"].keys() == {"detector_command", "record_set", "split", "score_threshold"}
    calls = (path.parent / "calls").read_text()
    assert len(calls.splitlines()) == 2
    again = run_tool("evaluate", "--model_command", *arguments[1:])  # one flag with two names
    assert again.returncode == 0 and done.stdout.endswith(again.stdout)  # the same table
    assert (path.parent / "calls").read_text() == calls  # what is done is not done again


def test_other_classes_are_matched(demo_records, script, tmp_path):
    """The categories of images.json are the detector's, and several of them become one."""
    _, command = script
    given = classes.Given(label_map={4: "car", 8: "lorry", 11: "van"}, nms_iou=0.5,
                          class_map={"car": "PassengerCar", "van": "PassengerCar", "lorry": "Truck"})
    result = evaluation.evaluate_command(command.replace("{mode}", "good"), [demo_records / "jpeg-q5"], tmp_path,
                                         given=given, keep_frames=True)["jpeg-q5"]
    content = json.loads((tmp_path / "jpeg-q5" / "detector_command" / "frames" / "images.json").read_text())
    assert content["categories"] == [{"id": 4, "name": "car"}, {"id": 8, "name": "lorry"}, {"id": 11, "name": "van"}]
    assert "annotations" not in content
    assert result["classes"]["merged"] == {"PassengerCar": ["car", "van"]}
    assert set(result["ap_per_class"]) == {"PassengerCar", "Truck"} and result["dropped_detections"] == 0
    written = json.loads((tmp_path / "jpeg-q5" / "detections.json").read_text())
    cars = [entry for entry in written if entry["category_id"] == 1]
    assert len({entry["image_id"] for entry in written}) <= len(cars) < len(written)
    fewer = classes.Given(label_map=given.label_map, class_map={"car": "PassengerCar"})
    again = evaluation.evaluate_command(command.replace("{mode}", "good"), [demo_records / "jpeg-q5"], tmp_path,
                                        given=fewer)["jpeg-q5"]
    assert again["classes"]["matched"] == {"car": "PassengerCar"}  # another class map, another evaluation
    assert not (tmp_path / "jpeg-q5" / "detector_command").exists()
    with pytest.raises(InputError, match="car, van become PassengerCar.*--nms_iou"):
        evaluation.evaluate_command(command, [demo_records / "jpeg-q5"], tmp_path / "no", given=classes.Given(
            label_map=given.label_map, class_map=given.class_map))


@pytest.mark.parametrize(("mode", "told"), [
    ("fail", r"on jpeg-q5: .*detect.py .* ended with exit code 3; its last lines: first line \| no weights in /"),
    ("no file", "ended well, but wrote no {output}; its last lines: done"),
    ("half", "results.json: not JSON"),
    ("no list", "not COCO results"),
    ("image", "detections on 1 images that .* lacks: 1000000"),
    ("class", r"class ids 99 are not among the categories \(1 PassengerCar, 2 Truck"),
    ("string", "category_id a whole number"),
    ("box", "1 boxes with NaN"),
    ("negative", "negative width"),
    ("score", r"1 scores are outside \[0, 1\], the first 1.5"),
])
def test_a_command_that_fails_is_told(demo_records, script, tmp_path, mode, told):
    command = script[1].replace("{mode}", f"'{mode}'")
    with pytest.raises(InputError, match=told) as error:
        evaluation.evaluate_command(command, [demo_records / "jpeg-q5"], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").rglob("*.*"))  # neither frames nor results


def test_a_command_that_is_none(demo_records, tmp_path, run_tool):
    for command, told in (("python detect.py {frames}", "does not say {output}"), ("detect {output}", "{frames}"),
                          ("python 'detect.py {frames} {output}", "No closing quotation")):
        done = run_tool("evaluate", "--detector_command", command, "--records", demo_records / "jpeg-q5", "--output",
                        tmp_path / "out")
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    for more, told in ((["--checkpoint", "x"], "--checkpoint stands without --detector_command"),
                       (["--pipeline_config_path", "x"], "without --pipeline_config_path")):
        done = run_tool("evaluate", "--detector_command", "a {frames} {output}", *more, "--records", "r", "--output",
                        tmp_path / "out")
        assert done.returncode == 2 and told in done.stderr
    with pytest.raises(InputError, match="'no_such_program' cannot be started: No such file"):
        evaluation.evaluate_command("no_such_program {frames} {output}", [demo_records / "jpeg-q5"], tmp_path / "out")
    with pytest.raises(InputError, match=r"was ended by SIGKILL \(out of memory\?\)"):
        outside_model.run(["sh", "-c", "kill -9 $$"], "it")


def test_ctrl_c_ends_the_command_and_its_children(demo_records, tmp_path):
    """The command is a shell here, whose child would live on and does not hear that it is to end."""
    (tmp_path / "slow.sh").write_text("sh -c 'trap \"\" TERM; exec sleep 1000' &\n"
                                      f"echo $! > {tmp_path}/child\nsleep 0.5\ntouch {tmp_path}/started\nwait\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.evaluate", "--detector_command", f"sh {tmp_path}/slow.sh {{frames}} {{output}}",
         "--records", demo_records / "jpeg-q5", "--output", tmp_path / "out"], cwd=ROOT, stderr=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    end = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    assert list((tmp_path / "out").rglob("*.png"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said
    child = pathlib.Path("/proc", (tmp_path / "child").read_text().strip())
    while child.exists() and "Z" not in (child / "stat").read_text().split():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_child_that_lives_on_does_not_hold_up_the_end():
    began = time.monotonic()
    told = outside_model.run(["sh", "-c", "sleep 60 & echo ready"], "it")
    assert "ready" in told and time.monotonic() - began < 20


def test_output_is_shown_where_there_is_a_terminal(capfdbinary):
    import pty

    leader, follower = pty.openpty()
    try:
        code = ("from tfod_compress.tasks import outside_model\n"
                "outside_model.run(['echo', 'epoch 1'], 'it')")
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=follower, check=True,
                       env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert b"epoch 1" in os.read(leader, 1000)
    finally:
        os.close(leader)
        os.close(follower)
    outside_model.run(["echo", "epoch 2"], "it")
    assert capfdbinary.readouterr().out == b""


def test_frames_are_exported_as_the_detectors_here_see_them(demo_records, tmp_path, run_tool):
    records = demo_records / "jpeg-q5"
    done = run_tool("export_frames", records, "--output", tmp_path / "frames", "--split", "all")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "frames" / "images.json").read_text())
    record_set = RecordSet(records)
    examples = {example.source_id: example for split in record_set.splits for example in record_set.examples(split)}
    assert {image["source_id"] for image in content["images"]} == examples.keys()
    assert len({image["id"] for image in content["images"]}) == len(examples)
    for image in content["images"]:
        with Image.open(tmp_path / "frames" / image["file_name"]) as picture:
            assert picture.format == "PNG" and picture.size == (image["width"], image["height"])
            np.testing.assert_array_equal(np.asarray(picture), examples[image["source_id"]].pixels())
    again = run_tool("export_frames", records, "--output", tmp_path / "frames", "--split", "all")
    assert again.returncode == 0 and "written before" in again.stdout
    for arguments, code, told in ((["--split", "val"], 1, "is there already"), (["--split", "test"], 1, "'test'")):
        done = run_tool("export_frames", records, "--output", tmp_path / "frames", *arguments)
        assert done.returncode == code and told in done.stderr and done.stderr.count("\n") == 1
    next((tmp_path / "frames").rglob("*.png")).unlink()  # no longer whole, and not to be written over
    done = run_tool("export_frames", records, "--output", tmp_path / "frames", "--split", "all")
    assert done.returncode == 1 and "is there already" in done.stderr


def test_the_exported_labels_are_the_record_set_s(demo_records, tmp_path):
    """Measured with pycocotools' own reader on the exported ground truth, as with ours on the record set."""
    from pycocotools.coco import COCO

    record_set = RecordSet(demo_records / "jpeg-q5")
    content, _ = export.export(record_set, ["val"], tmp_path / "frames")
    ours, exported = metrics.record_set_ground_truth(record_set, "val"), metrics.load_ground_truth(
        tmp_path / "frames" / "images.json")
    names = {image["id"]: image["source_id"] for image in content["images"]}

    def boxes(truth, name=lambda image_id: image_id):
        return sorted((name(truth.image_ids[image]), int(number), *box) for image, number, box in zip(
            truth.image, truth.class_ids, truth.boxes.tolist(), strict=True))
    assert boxes(exported, names.get) == boxes(ours)
    assert exported.class_names == ours.class_names
    coco = COCO(str(tmp_path / "frames" / "images.json"))
    assert len(coco.getAnnIds()) == len(ours.boxes) and len(coco.getImgIds()) == len(ours.image_ids)


def test_the_areas_of_outlines_are_exported_too(demo_records, tmp_path, run_tool):
    """What was exported is read as labels, with other areas, and exported again."""
    content, _ = export.export(RecordSet(demo_records / "jpeg-q5"), ["val"], tmp_path / "frames")
    for annotation in content["annotations"]:
        annotation["area"] = float(np.float32(annotation["area"] / 3))
    (tmp_path / "labels.json").write_text(json.dumps(content))
    done = run_tool("make_tfrecords", "--frames", tmp_path / "frames", "--labels", tmp_path / "labels.json", "--codec",
                    "png", "--output", tmp_path, "--unlabelled", "negative")
    assert done.returncode == 0, done.stderr
    again, _ = export.export(RecordSet(tmp_path / "png"), RecordSet(tmp_path / "png").splits, tmp_path / "again")
    names = {image["id"]: image["source_id"] for image in again["images"]}
    before = {image["id"]: image["source_id"] for image in content["images"]}
    assert sorted((names[one["image_id"]], one["area"]) for one in again["annotations"]) == sorted(
        (before[one["image_id"]], one["area"]) for one in content["annotations"])


@pytest.mark.parametrize("source_id", ["../out", "/etc/out", "a//b", "a/./b", "a\0b", "..", ""])
def test_no_frame_leaves_the_folder(demo_records, tmp_path, source_id):
    record_set = RecordSet(demo_records / "jpeg-q5")
    first = next(record_set.examples("val"))
    record_set.examples = lambda split: [type(first)(**{**vars(first), "source_id": source_id})]
    with pytest.raises(InputError, match="no path below a folder"):
        export.export(record_set, ["val"], tmp_path / "frames")
    assert not list(tmp_path.iterdir())


def test_stored_pictures_become_8_bit_rgb(demo_records, tmp_path):
    """PNG is handed on as it is; where it is grey, and for JPEG, it is written anew."""
    record_set = RecordSet(demo_records / "jpeg-q5")
    first = next(record_set.examples("val"))

    def stored(name, mode):
        data = io.BytesIO()
        Image.fromarray(first.pixels()).convert(mode).save(data, "PNG")
        return type(first)(**{**vars(first), "source_id": name, "encoded": data.getvalue(), "format": "png"})

    pictures = [stored("rgb", "RGB"), stored("grey", "L")]
    record_set.examples = lambda split: pictures
    export.export(record_set, ["val"], tmp_path / "frames")
    assert (tmp_path / "frames" / "rgb.png").read_bytes() == pictures[0].encoded
    with Image.open(tmp_path / "frames" / "grey.png") as picture:
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), pictures[1].pixels())
    shutil.rmtree(tmp_path / "frames")
    record_set.examples = lambda split: [pictures[0], pictures[0]]
    with pytest.raises(InputError, match="frame rgb comes twice"):
        export.export(record_set, ["val"], tmp_path / "frames")
