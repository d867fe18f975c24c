"""Our Keras extractors equal TF1's slim graphs, and detectors on them train and restore."""

import pytest

from tests.tasks.detection.odapi.conftest import FAST_CASES, SLOW_CASES, VARIABLES


@pytest.mark.parametrize("name", FAST_CASES)
def test_equals_tf1(extractor_report, name):
    check_parity(extractor_report[name], FAST_CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_CASES)
def test_equals_tf1_at_full_width(slow_report, name):
    check_parity(slow_report[name], SLOW_CASES[name])


def check_parity(found, case):
    """Every variable has its TF1 name and every feature map TF1's values: 0.0 was reached, 1e-5 is allowed."""
    assert found["only_ours"] == [] and found["only_theirs"] == []
    assert found["unused"] == (50 if "resnet" in case.get("architecture", "") else 0)  # block4 of the first stage
    extra = 5 if case.get("use_depthwise") else 0
    assert found["variables"] == VARIABLES[case.get("architecture", case["network"])] + extra
    assert found["count"] == case.get("num_layers", 2)
    assert len(found["maps"]) == found["count"] * len(case["sizes"])
    for feature_map in found["maps"]:
        assert feature_map["same_shape"]
        assert feature_map["spread"] > 0.1, "a map of zeros would prove nothing"
        assert feature_map["difference"] <= 1e-5


def test_one_training_step(extractor_report):
    """The config's batch-norm settings arrive, and every kernel is regularised."""
    found = extractor_report["ssd_inception_v2_keras"]
    check_training(found)
    assert found["after"] < found["loss"]
    assert found["batch_norms"] == [[pytest.approx(0.9997), pytest.approx(0.001)]]
    assert found["kernels"] == found["regularised"] == 90


@pytest.mark.slow
@pytest.mark.parametrize("name, decay, epsilon", [
    ("faster_rcnn_inception_v2_keras", 0.9997, 0.001), ("faster_rcnn_resnet101_slim_keras", 0.997, 1e-5)])
def test_one_training_step_of_faster_rcnn(slow_report, name, decay, epsilon):
    """TF1's own batch-norm settings; only the heads are regularised, as TF1's builder passes no weight decay."""
    found = slow_report[name]
    check_training(found)
    assert found["batch_norms"] == [[pytest.approx(decay), pytest.approx(epsilon)]]
    assert found["regularised"] == 3


def check_training(found):
    """Evaluation changes nothing; a step has gradients everywhere and moves all statistics; restores are complete."""
    assert found["still_without_training"]
    assert found["statistics"] > 100 and found["unmoved_statistics"] == []
    # A box head whose anchors match nothing has no gradient.
    assert [name for name in found["without_gradient"] if "BoxEncodingPredictor/bias" not in name] == []
    assert 0 < found["loss"] < float("inf") and found["backbone"] > 300
    assert found["not_restored"] == {"classification": [], "detection": [], "full": []}


def test_impossible_configs_are_refused(extractor_report):
    expected = ("override_base_feature_extractor_hyperparams: true", "depth_multiplier is 0.0",
                "first_stage_features_stride is 32", "takes no conv_hyperparams")
    for message, part in zip(extractor_report["refused"], expected, strict=True):
        assert part in message
