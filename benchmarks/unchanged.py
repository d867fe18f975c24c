"""Whether a change left every result as it was: runs the same commands from two checkouts and compares what they leave.

  python -m benchmarks.unchanged --before ../before --workdir /tmp/unchanged

`--before` is a checkout of the commit before, as `git worktree add ../before COMMIT` makes one; the other side is the
checkout that this runs in. Both use this Python. Compared are record sets of three codecs and two label formats, bit by
bit; the weights after 20 deterministic steps of SSD, of Faster R-CNN, and of SSD with a learned codec in front, bit by
bit; metrics.json and detections.json; what an exported SavedModel finds; the numbers of the demo's smoke study. Then
the study that the old checkout finished is given to the new one, which has to run nothing.

Left out of the comparison is what says when, by which version and in how many seconds something was made. Takes about
15 minutes on 2 cores; a side that is finished is not run again.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from absl import flags

from tools import command

_BEFORE = flags.DEFINE_string("before", None, "Checkout of the commit before.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for both sides.", required=True)

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Keys of JSON files that tell when, how fast and by what version something was made.
NOT_COMPARED = {"created", "time", "seconds", "timings", "version", "versions", "format", "encode_ms", "decode_ms",
                "manifest_sha256"}
STUDY = ("run_study", "pipeline_configs/studies/demo.yaml", "--workdir", "study", "--scale", "smoke")
STUDY_RAN = "python -m tools."  # how run_study begins the line of a command that it runs

_SETS = "sets/jpeg-q90"
_STEPS = ("--num_train_steps", "20", "--seed", "3", "--deterministic", "--checkpoint_every_n", "20")
COMMANDS = (
    ("make_demo_frames", "--output", "data", "--count", "40", "--size", "256x160", "--broken", "2"),
    *(("make_tfrecords", "--frames", "data/frames", "--labels", "data/labels", "--codec", codec, "--quality", quality,
       "--sequence_by", r"^(seq\d+)/", "--val_fraction", "0.3", "--output", "sets")
      for codec, quality in (("jpeg", "90,20"), ("webp", "50"), ("hevc", "35"))),
    ("export_frames", _SETS, "--output", "exported"),
    ("make_tfrecords", "--frames", "exported", "--labels", "exported/images.json", "--quality", "20", "--output",
     "coco"),
    *(("make_pipeline_config", "--detector", detector, "--records", _SETS, "--set", "train_config.batch_size: 2",
       "--output", f"{name}.config")
      for name, detector in (("ssd", "ssd_inception_v2_demo"), ("rcnn", "faster_rcnn_inception_v2_smoke"))),
    ("train_codec", "--codec", "bmshj2018", "--lmbda", "0.01", "--frames", "data/frames", "--output", "codec",
     "--steps", "10", "--crop", "64", "--batch_size", "2", "--num_filters", "8", "--num_latents", "12"),
    ("model_main_tf2", "--pipeline_config", "ssd.config", "--model_dir", "ssd", *_STEPS),
    ("model_main_tf2", "--pipeline_config", "rcnn.config", "--model_dir", "rcnn", *_STEPS),
    ("model_main_tf2", "--pipeline_config", "ssd.config", "--model_dir", "joint", *_STEPS, "--codec_model", "codec",
     "--codec_regime", "joint_ft", "--codec_beta", "1"),
    ("evaluate", "--checkpoint", "ssd", "--records", _SETS, "--records", "sets/hevc-qp35", "--output", "metrics"),
    ("export", "--pipeline_config_path", "ssd/pipeline.config", "--trained_checkpoint_dir", "ssd", "--output_directory",
     "exported_ssd"),
    ("evaluate", "--saved_model", "exported_ssd", "--records", _SETS, "--output", "metrics_saved_model"),
    STUDY,
)


def main():
    """Runs both sides, compares, prints a line for each kind of result; the exit code is 1 where something differs."""
    before, workdir = pathlib.Path(_BEFORE.value).resolve(), pathlib.Path(_WORKDIR.value).resolve()
    for name, checkout in (("before", before), ("after", ROOT)):
        _run_all(checkout, workdir / name)
    good = True
    for what, (same, others) in {"files of record sets and of the codec": _files(workdir),
                                 "tensors of checkpoints": _tensors(workdir),
                                 "JSON files": _json_files(workdir)}.items():
        good = good and bool(same) and not others
        print(f"{what}: {same} the same, {len(others)} not", *(f"  {each}" for each in others[:20]), sep="\n")
    ran = _finished_study_runs(workdir)
    print(f"commands that the finished study runs again: {len(ran)}", *ran, sep="\n")
    if ran or not good:
        sys.exit(1)


def _run_all(checkout, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pipeline_configs").exists():
        (folder / "pipeline_configs").symlink_to(checkout / "pipeline_configs")
    done = folder / "done.txt"
    finished = done.read_text().splitlines() if done.is_file() else []
    for each in COMMANDS:
        line = " ".join(each)
        if line in finished:
            continue
        print(f"{folder.name}: {line}", flush=True)
        process = _run(checkout, folder, each)
        if process.returncode:
            sys.exit(f"{folder.name}: {line} failed:\n{process.stdout[-2000:]}{process.stderr[-4000:]}")
        with open(done, "a") as file:
            file.write(line + "\n")


def _run(checkout, folder, each):
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_ENABLE_ONEDNN_OPTS": "0"}
    return subprocess.run([sys.executable, "-m", f"tools.{each[0]}", *each[1:]], cwd=folder, env=environment,
                          capture_output=True, text=True)


def _pairs(workdir, *patterns):
    """(relative path, before, after) of the files of either side."""
    names = {path.relative_to(workdir / side) for side in ("before", "after") for pattern in patterns
             for path in (workdir / side).glob(pattern)}
    for name in sorted(names):
        yield str(name), workdir / "before" / name, workdir / "after" / name


def _files(workdir):
    same, others = 0, []
    for name, old, new in _pairs(workdir, "**/*.tfrecord", "**/*.csv", "**/label_map.pbtxt", "**/*.bmp", "**/*.xml",
                                 "**/weights.npz", "exported/**/*.png"):
        if name.startswith("study/results"):
            continue
        if old.is_file() and new.is_file() and old.read_bytes() == new.read_bytes():
            same += 1
        else:
            others.append(name)
    return same, others


def _tensors(workdir):
    import tensorflow as tf

    same, others = 0, []
    for name, old, new in _pairs(workdir, "**/ckpt-*.index"):
        readers = [tf.train.load_checkpoint(str(path.with_suffix(""))) for path in (old, new)]
        keys = [sorted(reader.get_variable_to_shape_map()) for reader in readers]
        if keys[0] != keys[1]:
            others.append(f"{name}: other variables")
            continue
        for key in keys[0]:
            values = [reader.get_tensor(key) for reader in readers]
            told = key == "_CHECKPOINTABLE_OBJECT_GRAPH" or key.startswith("seconds/")
            if told or _bits(values[0]) == _bits(values[1]):
                same += 1
            else:
                others.append(f"{name}: {key}")
    return same, others


def _bits(value):
    return value.tobytes() if hasattr(value, "tobytes") else value


def _json_files(workdir):
    same, others = 0, []
    for name, old, new in _pairs(workdir, "**/*.json"):
        if "/done/" in name:
            continue
        sides = [_plain(json.loads(path.read_text())) if path.is_file() else None for path in (old, new)]
        if sides[0] == sides[1]:
            same += 1
        else:
            others.append(name)
    return same, others


def _plain(value):
    """A JSON value without what tells times and versions, and without the place of the checkout."""
    if isinstance(value, dict):
        # In made_from it is the hash of the manifest, which names the version; elsewhere the set's name.
        dropped = NOT_COMPARED | ({"record_set"} if "score_threshold" in value and "split" in value else set())
        if set(value) == {"path", "sha256"}:  # of a config, which names files by where they lie
            dropped |= {"sha256"}
        return {key: _plain(each) for key, each in value.items() if key not in dropped}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        for place in (str(pathlib.Path(_BEFORE.value).resolve()), str(ROOT)):
            value = value.replace(place, "CHECKOUT")
        for side in ("before", "after"):
            value = value.replace(f"{pathlib.Path(_WORKDIR.value).resolve()}/{side}", "WORKDIR")
    return value


def _finished_study_runs(workdir):
    """The commands that the new checkout runs of the study that the old one finished."""
    folder = workdir / "taken_over"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(workdir / "before", folder, symlinks=True)
    process = _run(ROOT, folder, STUDY)
    if process.returncode:
        return [process.stdout[-2000:] + process.stderr[-2000:]]
    return [line for line in process.stdout.splitlines() if line.lstrip().startswith(STUDY_RAN)]


if __name__ == "__main__":
    command.run(main)
