"""Running the graph: failures stay where they are, kills lose nothing, several runs share a folder, results are true.

The nodes here are real commands that take moments; one study is run with real training.
"""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.study_files import STUDIES, changed
from tests.study_files import point as made_up
from tfod_compress import tasks
from tfod_compress.records.framing import read_records
from tfod_compress.study import execution, stamps
from tfod_compress.study.graph import Item, Node
from tfod_compress.study.hparams import write_hparams
from tfod_compress.support.errors import InputError


def frames_node(folder, name="frames", count=2, needs=()):
    arguments = ("--output", folder / name, "--count", count, "--size", "96x64", "--broken", 0, "--workers", 1)
    return Node(name, "make_demo_frames", arguments, needs, folder / name / "labels",
                work=("frames 96x64", count, "frames"))


def records_node(folder, name, codec, qualities, needs=("frames",)):
    items = tuple(Item(str(quality), folder / "tfrecords" / f"{codec}-q{quality}" / "manifest.json")
                  for quality in qualities)
    return Node(name, "make_tfrecords", ("--frames", folder / "frames/frames", "--labels", folder / "frames/labels",
                                         "--codec", codec, "--output", folder / "tfrecords", "--workers", 1), needs,
                flag="--quality", joined=True, items=items)


def run(nodes, folder, slots=(None,)):
    """(problems, what was said) of one pass."""
    said = []
    pass_ = execution._Run(nodes, folder, stamps.digests(nodes), list(slots), said.append)
    return pass_.all(), said


def commands(said):
    return [line.split("\n")[1].split()[2].removeprefix("tools.") for line in said if "\n  python" in line]


@pytest.mark.parametrize("slots", [(None,), (None, None)])
def test_a_failure_stays_with_what_needs_it(tmp_path, slots):
    nodes = [frames_node(tmp_path), records_node(tmp_path, "good", "jpeg", [90]),
             records_node(tmp_path, "bad", "jpeg", [300]),
             Node("after", "inspect_records", (tmp_path / "tfrecords/jpeg-q300",), ("bad",), tmp_path / "x"),
             frames_node(tmp_path, "other")]
    problems, said = run(nodes, tmp_path, slots)
    assert [line.split(":")[0] for line in problems] == ["bad", "after"]
    assert "exit code 1" in problems[0] and "'bad' failed" in problems[1]
    assert stamps.is_whole(tmp_path / "tfrecords/jpeg-q90/manifest.json") and (tmp_path / "other/labels").is_dir()
    if len(slots) > 1:
        assert any("300" in line and line.startswith("  |") for line in said)  # its last words
    again, said = run(nodes, tmp_path, slots)
    assert len(again) == 2 and commands(said) == ["make_tfrecords"]


def test_items_that_failed_are_left_out_of_what_follows(tmp_path):
    """An evaluation takes the record sets that there are."""
    wanted = [Item("5", tmp_path / "tfrecords/jpeg-q5/manifest.json", "frames"),
              Item("7", tmp_path / "tfrecords/jpeg-q7/manifest.json", "bad")]
    last = records_node(tmp_path, "last", "jpeg", [])
    last = Node(last.name, last.tool, last.arguments, (), flag="--quality", joined=True, items=tuple(wanted))
    nodes = [frames_node(tmp_path), records_node(tmp_path, "bad", "jpeg", [300]), last]
    problems, said = run(nodes, tmp_path)
    assert len(problems) == 2 and "last on 7: left out" in problems[1]
    assert stamps.is_whole(wanted[0].result) and not wanted[1].result.exists()
    # What was missing comes, and only that is made.
    nodes[1] = records_node(tmp_path, "bad", "jpeg", [30])
    problems, said = run(nodes, tmp_path)
    assert not problems and stamps.is_whole(wanted[1].result)


def test_done_is_not_done_again_unless_a_result_is_gone(tmp_path):
    nodes = [frames_node(tmp_path), records_node(tmp_path, "records", "jpeg", [90, 5])]
    assert not run(nodes, tmp_path)[0]
    assert commands(run(nodes, tmp_path)[1]) == []
    manifest = tmp_path / "tfrecords/jpeg-q5/manifest.json"
    manifest.write_text(manifest.read_text()[:50])
    left = stamps.missing(nodes[1])
    assert [item.value for item in left] == ["5"]
    with pytest.raises(InputError, match="changed since: command "):
        run([frames_node(tmp_path, count=3), nodes[1]], tmp_path)


def test_more_items_are_made_without_the_others(tmp_path):
    nodes = [frames_node(tmp_path), records_node(tmp_path, "records", "jpeg", [90])]
    assert not run(nodes, tmp_path)[0]
    first = (tmp_path / "tfrecords/jpeg-q90/manifest.json").stat().st_mtime_ns
    nodes[1] = records_node(tmp_path, "records", "jpeg", [90, 5])
    problems, said = run(nodes, tmp_path)
    assert not problems and commands(said) == ["make_tfrecords"]
    assert (tmp_path / "tfrecords/jpeg-q90/manifest.json").stat().st_mtime_ns == first
    assert stamps.is_whole(tmp_path / "tfrecords/jpeg-q5/manifest.json")


SCRIPT = """
import pathlib, sys
from tests.study import test_study_execution as t
folder = pathlib.Path(sys.argv[1])
nodes = [t.frames_node(folder, count=int(sys.argv[2])), t.records_node(folder, "records", "jpeg", [90, 5])]
problems, said = t.run(nodes, folder)
print("\\n".join(said))
sys.exit(len(problems))
"""


def start(folder, count=40):
    # Where the tests run in the background, Ctrl-C is ignored, and would be below them.
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(count)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def children(pid):
    """Processes below one, by /proc."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT,
                                    pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_killed_and_run_again_it_goes_on(tmp_path, number):
    """Killed while a command runs: the command ends too, and the next run finishes the work."""
    process = start(tmp_path, count=60)
    wait_for(lambda: len(list((tmp_path / "frames/frames").rglob("*.bmp"))) > 3)
    below = children(process.pid)
    assert below
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}/cmdline").exists() and
                             b"make_demo_frames" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below))
    assert not list((tmp_path / "done").glob("frames.json"))
    made = len(list((tmp_path / "frames/frames").rglob("*.bmp")))
    assert 3 < made < 60
    again = start(tmp_path, count=60)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    stamp = json.loads((tmp_path / "done/frames.json").read_text())
    # A kill leaves no word of how long it ran; an ordered end does.
    assert (stamp["seconds"] is None) == (number == signal.SIGKILL)


def test_two_runs_on_one_folder_do_each_thing_once(tmp_path):
    both = [start(tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(text.count("python -m tools.make_demo_frames") for text in said) == 1
    assert sum(text.count("python -m tools.make_tfrecords") for text in said) == 1


def test_jobs_have_a_gpu_each(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert execution._slots(2, print) == ["2", "5"]
    assert execution._slots(1, print) == [None]  # one job has them all
    with pytest.raises(InputError, match="2 GPUs"):
        execution._slots(3, print)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    told = []
    assert execution._slots(3, told.append) == [None] * 3 and "share" in told[0]


def written_hparams(tmp_path):
    """The study's folder of two points that were evaluated, its rows and their metrics."""
    rows = [made_up(record_set=name, evaluation=f"evaluations/m/{name}", regime="task_ft", quality=quality,
                  trained_on="jpeg-q5", steps=70, seed=3) for name, quality in (("jpeg-q5", 5), ("png", None))]
    found = {}
    for row in rows:
        (tmp_path / row.evaluation).mkdir(parents=True)
        (tmp_path / row.evaluation / "metrics.json").write_text("{}")
        found[row.evaluation] = {"weighted_map": {"value": 0.25}, "coco": {"AP": {"value": 0.125}}, "bpp": 2.0}
    write_hparams(tmp_path, tasks.get("detection"), rows, found)
    return rows, found


@pytest.mark.slow
def test_tensorboard_reads_the_hparams(tmp_path):
    """By TensorBoard's own reader, which imports TensorFlow."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    written_hparams(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard/m/jpeg-q5")).Reload()
    assert events.Scalars("weighted_map")[0].value == 0.25 and events.Scalars("weighted_map")[0].step == 70
    assert metadata.SESSION_START_INFO_TAG in events.PluginTagToContent(metadata.PLUGIN_NAME)


def test_hparams_are_one_row_a_point(tmp_path):
    """Hyperparameters and metrics of each point, and what is there already is left alone."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    rows, found = written_hparams(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*tfevents*")}
    write_hparams(tmp_path, tasks.get("detection"), rows, found)
    assert len(before) == 2 and before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*tfevents*")}
    (path,) = (tmp_path / "tensorboard/m/jpeg-q5").iterdir()
    values = {value.tag: value for data in read_records(path) for value in Event.FromString(data).summary.value}
    content = values.pop(metadata.SESSION_START_INFO_TAG).metadata.plugin_data.content
    start_info = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start_info.hparams["regime"].string_value == "task_ft" and start_info.hparams["seed"].number_value == 3
    assert values.pop(metadata.SESSION_END_INFO_TAG)
    assert {tag: value.simple_value for tag, value in values.items()} == {
        "weighted_map": 0.25, "coco/AP": 0.125, "bpp": 2.0}


def test_a_small_study_runs_end_to_end_and_only_once(run_tool, tmp_path):
    schedule = "train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate"
    small = ["model.ssd.feature_extractor.depth_multiplier: 0.1", "train_config.batch_size: 2",
             f"{schedule}.total_steps: 2", f"{schedule}.warmup_steps: 0"]
    changes = {"data__make__count": 30, "data__make__broken": 1, "records__0__qualities": [100, 5],
               "training": {"steps": 2, "set": small},
               "fine_tuning": {"records": ["jpeg-q5"], "steps": 2, "set": small}}
    path, workdir = changed(tmp_path, **changes), tmp_path / "runs"
    process = run_tool("run_study", path, "--workdir", workdir, timeout=1200)
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((workdir / "results.json").read_text())
    assert len(results["points"]) == 4 and results["complete"] and not results["problems"]
    for point in results["points"]:
        values = json.loads((workdir / point["evaluation"] / "metrics.json").read_text())
        assert 0 <= values["weighted_map"]["value"] <= 1
        assert values["bpp"] > 0
        entry = next(entry for entry in results["summary"] if all(
            entry[name] == point[name] for name in ("detector", "regime", "record_set")))
        assert entry["weighted_map"]["mean"] == values["weighted_map"]["value"] and entry["weighted_map"]["sd"] is None
        assert (workdir / "tensorboard" / point["model"] / point["record_set"]).is_dir()
    assert {(row["a"]["regime"], row["b"]["regime"]) for row in results["comparisons"]} == {
        ("off_the_shelf", "off_the_shelf"), ("task_ft", "off_the_shelf"), ("task_ft", "control_ft")}
    assert {"tensorflow", "codec jpeg"} <= results["versions"].keys()
    assert process.stdout.count("report:") == 1
    assert "report.html" in process.stdout
    assert (workdir / "report.html").stat().st_size > 10_000

    again = run_tool("run_study", path, "--workdir", workdir)
    assert again.returncode == 0
    assert "python -m tools.model_main_tf2" not in again.stdout
    assert json.loads((workdir / "results.json").read_text())["comparisons"] == results["comparisons"]
    other = run_tool("run_study", changed(tmp_path, **{**changes, "data__make__count": 31}), "--workdir", workdir)
    assert other.returncode == 1
    assert "other settings" in other.stderr


def test_mean_and_spread_over_seeds():
    from tfod_compress.study.results import _summary

    rows = [made_up(seed=seed, evaluation=str(seed)) for seed in (0, 1, 2)]
    found = {str(seed): {"weighted_map": {"value": value}, "coco": {}} for seed, value in enumerate((0.1, 0.2, 0.6))}
    (entry,) = _summary(tasks.get("detection"), rows, found)
    assert entry["runs"] == 3 and entry["seeds"] == [0, 1, 2] and "coco.AP" not in entry
    assert entry["weighted_map"] == {"mean": pytest.approx(0.3), "min": 0.1, "max": 0.6,
                                     "sd": pytest.approx((0.07) ** 0.5)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["durham", "janeiro", "resolution"])
def test_a_paper_s_study_runs_at_smoke_scale(run_tool, tmp_path, name):
    """The others differ from these by their number of detectors."""
    process = run_tool("run_study", STUDIES / f"{name}.yaml", "--workdir", tmp_path, "--scale", "smoke", timeout=3000)
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["complete"] and not results["problems"]
    assert (tmp_path / "report.html").is_file()
