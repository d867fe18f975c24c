"""Record sets when things go wrong: killed runs, two runs at once, a full disk, changed input."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import records_data
from tests.conftest import ROOT
from tfod_compress.records import conversion, publish, space
from tfod_compress.support.errors import InputError


def convert(folder, output="tfrecords", **more):
    more = {"qualities": (90, 20), "workers_count": 1, "command": "test", "num_shards": 3, **more}
    return conversion.convert(folder / "frames", folder / "labels", folder / output, **more)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A data set and what an uninterrupted run makes of it."""
    folder = records_data.make(tmp_path_factory.mktemp("reference"), count=40, width=256, height=160)
    convert(folder)
    return folder, {quality: records_data.contents(folder / f"tfrecords/jpeg-q{quality}") for quality in (90, 20)}


def start(folder, output, *more):
    code = ("import sys; from pathlib import Path; from tfod_compress.records import convert; "
            f"folder = Path({str(folder)!r}); convert(folder / 'frames', folder / 'labels', {str(output)!r}, "
            "qualities=(90, 20), workers_count=2, command='test', num_shards=3)")
    return subprocess.Popen([sys.executable, "-c", code, *more], cwd=ROOT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished_shards(output):
    """{(quality, name): when it was written} of the shards whose note says that they are whole."""
    found = {}
    for path in output.glob("*/*.tfrecord"):
        if path.with_name(f"{path.name}.json").exists() or (path.parent / "manifest.json").exists():
            found[path.parent.name.removesuffix(".unfinished"), path.name] = path.stat().st_mtime_ns
    return found


def kill_and_rerun(reference, tmp_path, kills, seed):
    """Kills runs at random times, checks what lies there after each, and finishes.

    A run that was quicker than its killer is checked and taken away, so that the next one has work to do.
    """
    folder, expected = reference
    draw, killed = random.Random(seed), 0
    output = tmp_path / "tfrecords"
    started = time.monotonic()
    assert start(folder, tmp_path / "timed").wait() == 0
    usual = time.monotonic() - started
    while killed < kills:
        before = finished_shards(output)
        process = start(folder, output)
        time.sleep(draw.uniform(0.2, 1.0) * usual)
        process.send_signal(signal.SIGKILL)
        finished = process.wait() != -signal.SIGKILL
        killed += not finished
        process.stderr.close()
        time.sleep(0.1)
        for path in output.glob("*/*.tfrecord"):
            quality = int(path.parent.name.removeprefix("jpeg-q").removesuffix(".unfinished"))
            assert path.read_bytes() == expected[quality][path.name]
        assert before.items() <= finished_shards(output).items(), "a finished shard was made again"
        if finished:
            for quality, content in expected.items():
                assert records_data.contents(output / f"jpeg-q{quality}") == content
            shutil.rmtree(output)
    before = finished_shards(output)
    process = start(folder, output)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert before.items() <= finished_shards(output).items(), "a finished shard was made again"
    for quality, content in expected.items():
        assert records_data.contents(output / f"jpeg-q{quality}") == content
    assert not list(output.glob("*.unfinished")) and not list(output.glob(".*.old"))


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(reference, tmp_path):
    kill_and_rerun(reference, tmp_path, kills=3, seed=1)


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_only_unfinished_shards_are_made_again(reference, tmp_path, monkeypatch, damage):
    folder, expected = reference
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(publish, "describe", lambda *_: sys.exit(9))
        convert(folder, tmp_path)
    victim = tmp_path / "jpeg-q20.unfinished/train-00001-of-00003.tfrecord"
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:1000])
    before = finished_shards(tmp_path)
    convert(folder, tmp_path)
    after = finished_shards(tmp_path)
    assert len(after) == 12
    assert {key for key in after if before.get(key) != after[key]} == {("jpeg-q20", victim.name)}
    assert records_data.contents(tmp_path / "jpeg-q20") == expected[20]


@pytest.mark.slow
def test_twenty_kills(reference, tmp_path):
    kill_and_rerun(reference, tmp_path, kills=20, seed=2)


def test_every_moment_of_publishing_can_be_the_last(reference, tmp_path, monkeypatch):
    """Stops before each of the renames and removals that end a run, then finishes it."""
    folder, expected = reference
    stops = 0
    for stop in range(1, 12):
        left = stop
        output = tmp_path / f"stop{stop}"

        def step(real, *arguments, **more):
            nonlocal left
            left -= 1
            if not left:
                raise SystemExit
            return real(*arguments, **more)

        with monkeypatch.context() as patch:
            for name in ("rename", "unlink"):
                real = getattr(conversion.pathlib.Path, name)
                patch.setattr(conversion.pathlib.Path, name,
                              lambda self, *arguments, real=real, **more: step(real, self, *arguments, **more))
            try:
                convert(folder, output)
            except SystemExit:
                stops += 1
        shards = {path: path.stat().st_mtime_ns for path in output.glob("*/*.tfrecord")}
        convert(folder, output)
        for quality, content in expected.items():
            assert records_data.contents(output / f"jpeg-q{quality}") == content
        again = {path.name: path.stat().st_mtime_ns for path in output.glob("*/*.tfrecord")}
        assert {path.name: when for path, when in shards.items()} == again, "a finished shard was made again"
    assert stops >= 8


def test_workers_do_not_change_the_bytes(reference, tmp_path):
    folder, expected = reference
    convert(folder, tmp_path / "three", workers_count=3)
    for quality, content in expected.items():
        assert records_data.contents(tmp_path / f"three/jpeg-q{quality}") == content


def test_two_runs_into_one_folder_exclude_each_other(reference, tmp_path):
    folder, expected = reference
    with open(tmp_path / ".jpeg-q20.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run"):
            convert(folder, tmp_path)
    assert not (tmp_path / "jpeg-q20").exists()
    processes = [start(folder, tmp_path) for _ in range(2)]
    codes = [process.wait() for process in processes]
    errors = "".join(process.stderr.read() for process in processes)
    assert 0 in codes
    assert all(code == 0 for code in codes) or "another run" in errors
    assert records_data.contents(tmp_path / "jpeg-q20") == expected[20]


def test_a_second_run_does_nothing(reference):
    folder, _ = reference
    before = {path: path.stat().st_mtime_ns for path in (folder / "tfrecords").rglob("*")}
    assert all(made.was_there for made in convert(folder))
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "tfrecords").rglob("*")}


@pytest.mark.parametrize("change, told", [
    (lambda folder: records_data.Image.fromarray(records_data.scene(99)).save(folder / "frames/seq000/000000.bmp"),
     "input_frames_sha256 changed"),
    (lambda folder: records_data.write_voc(folder / "labels/seq000/000000.xml", [("Bus", 1, 1, 30, 30)]),
     "input_labels_sha256 changed"),
    (lambda folder: (folder / "frames/seq000/000000.bmp").unlink(), "input_frames was 8, is now 7"),
])
def test_changed_input_is_noticed(tmp_path, change, told):
    records_data.make(tmp_path, count=8)
    convert(tmp_path)
    before = records_data.contents(tmp_path / "tfrecords/jpeg-q20")
    change(tmp_path)
    with pytest.raises(InputError, match=told):
        convert(tmp_path)
    assert records_data.contents(tmp_path / "tfrecords/jpeg-q20") == before
    convert(tmp_path, overwrite=True)
    assert records_data.contents(tmp_path / "tfrecords/jpeg-q20") != before


def test_changed_flags_and_versions_are_noticed(tmp_path, monkeypatch):
    records_data.make(tmp_path, count=8)
    convert(tmp_path)
    with pytest.raises(InputError, match=r"val_fraction was 0\.2, is now 0\.5"):
        convert(tmp_path, val_fraction=0.5)
    monkeypatch.setattr("tfod_compress.RESULTS_VERSION", "9.9")
    with pytest.raises(InputError, match='version was ".*", is now "9.9"'):
        convert(tmp_path)


def test_a_foreign_folder_is_not_touched(tmp_path):
    records_data.make(tmp_path, count=4)
    (tmp_path / "tfrecords/jpeg-q20").mkdir(parents=True)
    (tmp_path / "tfrecords/jpeg-q20/thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        convert(tmp_path)
    assert (tmp_path / "tfrecords/jpeg-q20/thesis.txt").read_text() == "mine"


def test_too_little_space_is_told_before_work(tmp_path, monkeypatch):
    records_data.make(tmp_path, count=4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1000))
    with pytest.raises(InputError, match="are needed and 0.0 MB are free"):
        convert(tmp_path)
    assert not list((tmp_path / "tfrecords").glob("jpeg*"))


def test_a_full_disk_is_told_and_leaves_whole_shards(reference, tmp_path, monkeypatch):
    folder, expected = reference
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", disk], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        # Without this, the estimate before work would say it.
        monkeypatch.setattr(space, "SPACE_MARGIN", 0)
        with pytest.raises(InputError, match="the disk is full; make room"):
            convert(folder, disk, workers_count=2)
        left = list(disk.glob("*.unfinished/*.tfrecord"))
        assert left and not list(disk.glob("*.unfinished/.*.tmp"))
        for path in left:
            assert path.read_bytes() == expected[int(path.parent.name[6:8])][path.name]
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        convert(folder, disk)
        assert records_data.contents(disk / "jpeg-q20") == expected[20]
    finally:
        subprocess.run(["umount", disk], check=False)
