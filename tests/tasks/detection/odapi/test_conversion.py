"""Converted zoo detectors compute TF1's numbers, and their checkpoints restore by every type."""

import functools
import http.server
import re
import threading

import pytest

from tests.tasks.detection.odapi.detector_cases import FAST, SLOW

VARIABLES = {"ssd": 386 + 6 * 2 * 2, "faster_rcnn_inception_v2": 346 + 10, "faster_rcnn_resnet50": 265 + 10,
             "faster_rcnn_resnet101": 520 + 10}


@pytest.mark.parametrize("name", FAST)
def test_equals_tf1(conversion_report, name):
    check_conversion(conversion_report[name], FAST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_equals_tf1_at_full_width(slow_report, name):
    check_conversion(slow_report[name], SLOW[name])


def check_conversion(found, case):
    """0.0 was reached throughout; SSD's feature maps may differ by 1e-5, everything else relatively by 1e-4."""
    record, ssd = found["record"], case["archive"].startswith("ssd")
    assert found["files"] == ["checkpoint", "ckpt-0.data-00000-of-00001", "ckpt-0.index", "conversion.json",
                              "pipeline.config"]
    expected = next(count for name, count in VARIABLES.items() if case["archive"].startswith(name))
    assert found["variables"] == len(record["variables"]) == expected
    assert record["variables_from"] == ("model.ckpt" if "model.ckpt" in case["files"] else "frozen_inference_graph.pb")
    check_verification(record["verification"], case)
    outputs = found["outputs"]
    assert len(outputs) == 14 * len(case["sizes"])
    for output in outputs:
        bound = ("absolute", 1e-5) if ssd and output["name"].startswith("feature_maps") else ("relative", 1e-4)
        assert output[bound[0]] <= bound[1], output
        constant = output["name"] in ("num_detections", "num_proposals/0")
        assert constant or output["spread"] > 1e-4, f"{output['name']} hardly varies, so it would prove nothing"
    check_restores(found["restored"], ssd)
    config = record["pipeline_config"]
    unknown = ssd and any("pipeline.config".startswith(name) for name in case["files"])
    assert config["dropped_fields"] == (["model.ssd.feature_extractor.batch_norm_trainable"] if unknown else [])
    assert "faster_rcnn_resnet" not in case["archive"] or "slim_keras" in config["changed"][0]


def check_verification(found, case):
    """The archive's frozen graph and the converted model saw the same pictures."""
    if "frozen_inference_graph.pb" not in case["files"] or case["width"]:
        assert found == {"skipped": "--noverify"}
        return
    assert found["reference"] == "frozen_inference_graph.pb"
    assert len(found["pictures"]) == 2 and found["compared"] >= 20
    assert max(found["largest_box_difference"], found["largest_score_difference"]) <= 1e-5


def check_restores(restored, ssd):
    """Type `full` leaves nothing as it was, and the others only what they are not for."""
    assert all(kind["step"] is None for kind in restored.values())
    assert restored["full"]["left"] == []
    heads = ("BoxEncodingPredictor", "ClassPredictor", "RPNConv")
    assert len(restored["detection"]["left"]) == (24 if ssd else 10)
    assert all(any(head in name for head in heads) for name in restored["detection"]["left"])
    extra = {name for name in restored["classification"]["left"] if not any(head in name for head in heads)}
    assert len(extra) == (40 if ssd else 0)  # SSD's four further feature maps are no part of the classifier
    assert all("FeatureMaps" in name or "_Conv2d_" in name for name in extra)


def test_a_detector_of_other_classes_keeps_the_region_proposals(conversion_report):
    """The stock path forgets them; the second stage's two heads depend on the classes and start fresh."""
    found = conversion_report["converted faster_rcnn"]["carried"]
    assert sorted(found["untouched"]) == sorted(found["reasons"])
    assert len(found["untouched"]) == 4
    assert all("_dense/" in name for name in found["untouched"])
    assert all("in the checkpoint" in reason and " here" in reason for reason in found["reasons"].values())


def test_command_downloads_converts_and_remembers(conversion_report, converted_folder, run_tool, tmp_path):
    """From a server on this machine, the archive that TF1's own code filled."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=converted_folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        process = run_tool(
            "fetch_checkpoint", "ssd_inception_v2_coco", "--zoo", f"http://127.0.0.1:{server.server_port}/",
            "--downloads", tmp_path / "downloads", "--output", tmp_path / "ssd")
    finally:
        server.shutdown()
        server.server_close()
    assert process.returncode == 0, process.stderr
    assert "kB" not in process.stderr
    name = "ssd_inception_v2_coco_2018_01_28"
    assert f"{name}.tar.gz " in process.stdout, "the bar"
    assert "dropped model.ssd.feature_extractor.batch_norm_trainable" in process.stdout
    assert re.search(r"^verified: \d+ detections.* on 2 pictures agree with frozen_inference_graph.pb", process.stdout,
                     re.MULTILINE)
    assert f"{tmp_path / 'ssd'}: {name}, all 410 variables from model.ckpt, 5 classes" in process.stdout
    assert sorted(path.name for path in (tmp_path / "ssd").iterdir()) == [
        "checkpoint", "ckpt-0.data-00000-of-00001", "ckpt-0.index", "conversion.json", "pipeline.config"]
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["sha256.json"]
    assert conversion_report["converted ssd"]["record"]["archive"]["sha256"] in (
        tmp_path / "downloads" / "sha256.json").read_text()


@pytest.mark.parametrize(("arguments", "code", "told"), [
    ([], 2, "give one name"), (["ssd_inception_v2_coco", "--archive", "a", "--zoo", "b"], 2, "--archive goes without"),
    (["ssd_mobilenet_v1_coco"], 1, "there are: ssd_inception_v2_coco_2018_01_28"),
    (["ssd_inception_v2_coco", "--noverify", "--verify_on", "a"], 2, "--verify_on goes without")])
def test_command_tells_mistakes_before_tensorflow(run_tool, tmp_path, arguments, code, told):
    process = run_tool("fetch_checkpoint", *arguments, "--output", tmp_path / "out")
    assert process.returncode == code
    assert told in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
