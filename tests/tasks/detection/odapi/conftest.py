"""The comparisons of our extractors and of whole detectors with TF1's graphs, each run once for all its tests."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.tasks.detection.odapi import detector_cases

SIZES = [[97, 131], [128, 128]]  # one odd, one square
SSD = {"network": "ssd_inception_v2", "min_depth": 16, "pad_to_multiple": 1, "activation": "RELU_6",
       "use_explicit_padding": False, "use_depthwise": False, "num_layers": 6, "sizes": SIZES}
FASTER_RCNN = {"network": "faster_rcnn", "stride": 16, "width": {}, "sizes": SIZES}
FAST_CASES = {
    "ssd_inception_v2, narrow": {**SSD, "seed": 1, "depth_multiplier": 0.35},
    "ssd_inception_v2, other settings": {
        **SSD, "seed": 2, "depth_multiplier": 0.35, "min_depth": 24, "pad_to_multiple": 32, "activation": "RELU",
        "use_explicit_padding": True, "use_depthwise": True, "num_layers": 5},
    "faster_rcnn_inception_v2, narrow": {
        **FASTER_RCNN, "seed": 3, "architecture": "InceptionV2", "width": {"depth_multiplier": 0.35, "min_depth": 16}},
}
SLOW_CASES = {
    "ssd_inception_v2": {**SSD, "seed": 5, "depth_multiplier": 1.0, "sizes": [*SIZES, [300, 300]]},
    "faster_rcnn_inception_v2": {**FASTER_RCNN, "seed": 6, "architecture": "InceptionV2"},
    "faster_rcnn_resnet50": {**FASTER_RCNN, "seed": 4, "architecture": "resnet_v1_50"},
    "faster_rcnn_resnet101": {**FASTER_RCNN, "seed": 7, "architecture": "resnet_v1_101"},
    "faster_rcnn_resnet50, stride 8": {**FASTER_RCNN, "seed": 8, "architecture": "resnet_v1_50", "stride": 8},
}
VARIABLES = {"ssd_inception_v2": 386, "InceptionV2": 346, "resnet_v1_50": 265, "resnet_v1_101": 520}


@pytest.fixture(scope="session")
def extractor_report(tmp_path_factory):
    """What keras_checks found for the fast cases of extractors, and for one training step of the SSD detector."""
    return _run(tmp_path_factory.mktemp("extractors"), FAST_CASES, "ssd_inception_v2_keras", "refused")


@pytest.fixture(scope="session")
def converted_folder(tmp_path_factory):
    """The folder of the fast conversions, with an archive as the zoo's for each detector of `detector_cases.FAST`."""
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="session")
def conversion_report(converted_folder):
    """What keras_checks found for the fast conversions of whole detectors."""
    return _run(converted_folder, detector_cases.FAST)


@pytest.fixture(scope="session")
def slow_report(tmp_path_factory):
    """What keras_checks found at full width, and for one training step of the Faster R-CNN detectors."""
    cases = {**SLOW_CASES, **detector_cases.SLOW}
    return _run(tmp_path_factory.mktemp("parity_slow"), cases, "faster_rcnn_inception_v2_keras",
                "faster_rcnn_resnet101_slim_keras")


def _run(folder, cases, *also):
    """TF1's numbers come from a process of their own."""
    file = folder / "cases.json"
    file.write_text(json.dumps([{"name": name, **case} for name, case in cases.items()]))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    for module, arguments in (("tf1_oracle", ()), ("keras_checks", also)):
        command = [sys.executable, "-m", f"tests.tasks.detection.odapi.{module}", str(file), str(folder), *arguments]
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2400)
        assert process.returncode == 0, process.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())
