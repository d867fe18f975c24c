"""Several devices, several processes, parts of a batch and other precisions: the numbers of one device in float32."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import pipeline_config

TOTAL = "Loss/total_loss"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What device_checks found in a process of its own."""
    output = tmp_path_factory.mktemp("devices") / "report.json"
    done = subprocess.run([sys.executable, "-m", "tests.training.device_checks", str(output)], cwd=ROOT,
                          capture_output=True, text=True, timeout=3000,
                          env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(output.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("case", "way"), [
    ("hard mining", "two devices"), ("hard mining", "two parts"), ("hard mining", "four parts on two devices"),
    ("focal loss, unpadded, not normalised", "two devices"), ("focal loss, unpadded, not normalised", "two parts")])
def test_devices_and_parts_give_the_losses_and_weights_of_one_device(report, case, way):
    """With frozen batch normalisation; images without a box make the devices' numbers of matches differ."""
    one, other = report[case], report[f"{case}, {way}"]
    assert len(one["losses"]) == 2
    for alone, together in zip(one["losses"], other["losses"], strict=True):
        assert set(alone) == set(together)
        for name, value in alone.items():
            assert together[name] == pytest.approx(value, rel=1e-5), name
    print(f"{case}, {way}: weights moved by {one['moved']:.1e}, differ by {other['weights']:.1e}")
    assert one["moved"] > 1e-4
    assert other["weights"] < 0.01 * one["moved"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_gives_about_the_losses_of_float32(report, precision):
    """On the same batch from the same weights, each loss; after an update of its own, the total is still near."""
    exact, found = report["float32"], report[precision]
    first, second = exact["losses"]
    assert found["losses"][0] == pytest.approx(first, rel=0.005)
    assert found["losses"][0] != first
    assert found["losses"][1][TOTAL] == pytest.approx(second[TOTAL], rel=0.1)
    assert found["moved"] == pytest.approx(exact["moved"], rel=0.1)


def test_the_loss_scale_falls_on_an_overflow_and_rises_after_good_steps():
    import tensorflow as tf

    from tfod_compress.training.step import LossScale

    scale = LossScale(initial=8.0, patience=2)
    assert bool(scale.update([tf.constant([1.0, 2.0])]))
    assert not bool(scale.update([tf.constant([1.0]), tf.constant([np.inf])]))
    assert float(scale.value) == 4.0
    for _ in range(2):
        assert bool(scale.update([tf.constant(1.0)]))
    assert float(scale.value) == 8.0


@pytest.mark.parametrize("value", [
    None, "{", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}'])
def test_refuses_a_cluster_that_does_not_fit(monkeypatch, value):
    from tfod_compress.training import devices

    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(InputError, match="TF_CONFIG"):
        devices.strategy(2)


def test_several_workers_need_a_seed(run_tool, tmp_path):
    process = run_tool("model_main_tf2", "--model_dir", tmp_path, "--pipeline_config", "x", "--num_workers", 2)
    assert process.returncode == 2
    assert "--seed" in process.stderr


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_workers(config, model_dir, steps):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        with open(model_dir.parent / f"worker{index}-{steps}.log", "w") as log:
            processes.append(subprocess.Popen(
                [sys.executable, "-m", "tools.model_main_tf2", "--pipeline_config_path", str(config), "--model_dir",
                 str(model_dir), "--num_workers", "2", "--seed", "3", "--num_train_steps", str(steps),
                 "--checkpoint_every_n", "2", "--norecord_summaries"],
                cwd=ROOT, env={**os.environ, "TF_CONFIG": cluster}, stdout=log, stderr=log))
    return processes


@pytest.mark.slow
def test_a_worker_is_killed_and_the_run_resumes(demo_records, tmp_path):
    config, model_dir = tmp_path / "ssd.config", tmp_path / "model"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", config, batch_size=4, overrides=(
        "model { ssd { feature_extractor { depth_multiplier: 0.1 } } }",))
    first, second = start_workers(config, model_dir, 2000)
    try:
        deadline = time.time() + 900
        while not (model_dir / "ckpt-4.index").exists():
            assert time.time() < deadline and first.poll() is None and second.poll() is None, logs(tmp_path)
            time.sleep(1)
        second.send_signal(signal.SIGKILL)
        second.wait()
        killed = time.time()
        assert first.wait(timeout=120) == 1, logs(tmp_path)
        seconds = time.time() - killed
        print(f"the other worker stopped after {seconds:.0f} s")
        assert seconds < 60
        assert "another worker is lost" in (tmp_path / "worker0-2000.log").read_text()
    finally:
        for process in (first, second):
            process.kill()
    newest = max(int(path.stem.split("-")[1]) for path in model_dir.glob("ckpt-*.index"))
    assert newest >= 4
    processes = start_workers(config, model_dir, newest + 3)
    try:
        assert [process.wait(timeout=900) for process in processes] == [0, 0], logs(tmp_path)
    finally:
        for process in processes:
            process.kill()
    text = (tmp_path / f"worker0-{newest + 3}.log").read_text()
    assert "resumed" in text
    assert (model_dir / f"ckpt-{newest + 3}.index").exists()
    lines = [json.loads(line) for line in (model_dir / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == newest + 3 and np.isfinite(lines[-1][TOTAL])


def logs(folder):
    return "\n".join(f"{path.name}:\n{path.read_text()[-1500:]}" for path in sorted(folder.glob("*.log")))
