"""The Keras Inception v2 equals TF1's slim graph, and trains."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_COMMON = {"network": "ssd_inception_v2", "min_depth": 16, "pad_to_multiple": 1, "activation": "RELU_6",
           "use_explicit_padding": False, "use_depthwise": False, "num_layers": 6,
           "sizes": [[97, 131], [128, 128]]}  # one odd, one square
NARROW = {
    "narrow": {**_COMMON, "seed": 1, "depth_multiplier": 0.35},
    "other settings": {**_COMMON, "seed": 2, "depth_multiplier": 0.35, "min_depth": 24, "pad_to_multiple": 32,
                       "activation": "RELU", "use_explicit_padding": True, "use_depthwise": True, "num_layers": 5},
}
FULL = {**_COMMON, "seed": 0, "depth_multiplier": 1.0, "sizes": [[97, 131], [128, 128], [300, 300]]}


def run_checks(folder, cases, *also):
    """What inception_v2_checks finds; TF1's numbers come from a process of their own."""
    file = folder / "cases.json"
    file.write_text(json.dumps([{"name": name, **case} for name, case in cases.items()]))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    for module, arguments in (("tf1_oracle", ()), ("inception_v2_checks", also)):
        command = [sys.executable, "-m", f"tests.odapi.{module}", str(file), str(folder), *arguments]
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert process.returncode == 0, process.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run_checks(tmp_path_factory.mktemp("inception_v2"), NARROW, "train", "refused")


@pytest.mark.parametrize("name", NARROW)
def test_equals_tf1(report, name):
    check_parity(report[name], NARROW[name])


@pytest.mark.slow
def test_equals_tf1_at_full_width(tmp_path):
    check_parity(run_checks(tmp_path, {"full": FULL})["full"], FULL)


def check_parity(found, case):
    """Every variable has its TF1 name, and every feature map TF1's values."""
    assert found["only_ours"] == [] and found["only_theirs"] == []
    assert found["variables"] == (391 if case["use_depthwise"] else 386)
    assert found["count"] == case["num_layers"]
    for feature_map in found["maps"]:
        assert feature_map["same_shape"]
        assert feature_map["spread"] > 0.1, "a map of zeros would prove nothing"
        assert feature_map["difference"] <= 1e-5


def test_detector_from_a_config(report):
    """160x192 pixels give maps at strides 16 to 512, and the config's batch-norm settings arrive."""
    train = report["train"]
    assert train["maps"] == [[2, 10, 12], [2, 5, 6], [2, 3, 3], [2, 2, 2], [2, 1, 1], [2, 1, 1]]
    assert train["momentum"] == pytest.approx(0.9997) and train["epsilon"] == pytest.approx(0.001)


def test_one_training_step(report):
    train = report["train"]
    assert train["still_without_training"]
    assert train["statistics"] == 154 and train["unmoved_statistics"] == []
    # A box head whose anchors match nothing has no gradient.
    assert all("BoxEncodingPredictor/bias" in name for name in train["without_gradient"])
    assert train["after"] < train["loss"]


def test_every_kernel_is_regularised(report):
    assert report["train"]["kernels"] == report["train"]["regularised"] == 90


def test_base_without_hyperparams_is_refused(report):
    assert "override_base_feature_extractor_hyperparams: true" in report["refused"]
