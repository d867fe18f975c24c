"""Converted zoo detectors compute TF1's numbers, and their checkpoints restore by every type."""

import pytest

from tests.odapi.detector_cases import FAST, SLOW

VARIABLES = {"ssd": 386 + 6 * 2 * 2, "faster_rcnn_inception_v2": 346 + 10, "faster_rcnn_resnet50": 265 + 10,
             "faster_rcnn_resnet101": 520 + 10}


@pytest.mark.parametrize("name", FAST)
def test_equals_tf1(fast_report, name):
    check_conversion(fast_report[name], FAST[name])


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
    outputs = found["outputs"]
    assert len(outputs) == 14 * len(case["sizes"])
    for output in outputs:
        bound = ("absolute", 1e-5) if ssd and output["name"].startswith("feature_maps") else ("relative", 1e-4)
        assert output[bound[0]] <= bound[1], output
        constant = output["name"] in ("num_detections", "num_proposals/0")
        assert constant or output["spread"] > 1e-3, f"{output['name']} hardly varies, so it would prove nothing"
    check_restores(found["restored"], ssd)
    config = record["pipeline_config"]
    unknown = ssd and any("pipeline.config".startswith(name) for name in case["files"])
    assert config["dropped_fields"] == (["model.ssd.feature_extractor.batch_norm_trainable"] if unknown else [])
    assert "faster_rcnn_resnet" not in case["archive"] or "slim_keras" in config["changed"][0]


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
