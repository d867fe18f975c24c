"""Each repair is needed, works, and may be applied twice; a version that we do not know is refused."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import odapi

REPAIRS = (
    "stand_in_for_tensorflow_io",
    "restore_control_flow_names",
    "restore_numpy_names",
    "draw_boxes_with_current_pillow",
    "restore_canvas_bytes",
    "pass_rmsprop_decay_as_rho",
    "trim_padded_ground_truth",
    "refuse_unknown_class_text",
    "refuse_duplicate_images",
    "report_evaluation_errors",
    "start_fine_tuning_at_step_zero",
    "decode_jpeg_accurately",
    "restore_keras_resnet",
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """{repair: [error without it, with it, after a second round]}; null means the check passed."""
    output = tmp_path_factory.mktemp("repairs") / "outcomes.json"
    command = [sys.executable, "-m", "tests.tasks.detection.odapi.repair_checks", str(output)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(output.read_text())


def test_every_repair_is_checked(outcomes):
    assert tuple(outcomes) == REPAIRS


@pytest.mark.parametrize("repair", REPAIRS)
def test_repair(outcomes, repair):
    without, repaired, again = outcomes[repair]
    if repair == "stand_in_for_tensorflow_io" and without is None:
        pytest.skip("tensorflow_io itself is installed here")
    assert without is not None, "the check passes without the repair"
    assert repaired is None, repaired
    assert again is None, f"after applying all repairs a second time: {again}"


def test_unknown_version_is_refused(tmp_path, monkeypatch):
    metadata = tmp_path / "tf_models_research_object_detection-2.9.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: tf-models-research-object-detection\nVersion: 2.9.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"2\.9\.0 is installed.*pip install.*==2\.8\.0\.post1"):
        odapi.check_version()


def test_missing_package_is_named():
    code = "from tfod_compress import odapi; odapi.install()"
    command = [sys.executable, "-S", "-c", code]  # -S: without installed packages
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "InputError: tf-models-research-object-detection is not installed: pip install" in process.stderr
