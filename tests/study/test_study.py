"""Studies: the file is validated, the graph is what the study says, what is done is not done again."""

import json

import pytest
import yaml

from tests.study_files import DEMO, STUDIES, changed, check_slices
from tfod_compress import study
from tfod_compress.study import smoke, stamps
from tfod_compress.support.errors import InputError

LEARNING_RATE = "train_config.optimizer.momentum_optimizer.momentum_optimizer_value"


@pytest.mark.parametrize(("changes", "told"), [
    ({"records__0__qualitys": [1]}, "records.0.qualitys: no such key, is qualities meant.* codec, qualities, rates"),
    ({"trainings": {}}, "is training meant"),
    ({"regimes": ["task_ft"]}, "off_the_shelf"),
    ({"regimes": ["off_the_shelf", "magic"]}, "regimes.1.*task_ft"),
    ({"regimes": ["off_the_shelf", "codec_ft"]}, "codec_ft: .* codec_tuning"),
    ({"regimes": ["off_the_shelf", "off_the_shelf"]}, "twice"),
    ({"detectors": ["yolo"]}, "ssd_inception_v2_300"),
    ({"detectors": ["ssd_inception_v2_dem"]}, "is ssd_inception_v2_demo meant"),
    ({"detectors": ["ssd_inception_v2_demo", "ssd_inception_v2_demo"]}, "two detectors are called"),
    ({"detectors": [{"template": "ssd_inception_v2_demo", "records": ["jpeg-q6"]}]}, "jpeg-q100"),
    ({"detectors": [{"template": "ssd_inception_v2_300", "checkpoint": "faster_rcnn_resnet101_kitti"}]},
     "is one of faster_rcnn_resnet101"),
    ({"detectors": [{"template": "ssd_inception_v2_300", "checkpoint": "no_such_model"}]}, "ssd_inception_v2_coco"),
    ({"records__0__codec": "jpg"}, "records.0.codec: .*jpeg-gray"),
    ({"records__0__qualities": [101]}, "records.0.qualities.0: .*1 to 100"),
    ({"records__0__qualities": [float("inf")]}, "records.0.qualities.0"),
    ({"records": [{"codec": "jpeg", "rates": [float("nan")]}]}, "records.0.rates.0"),
    ({"records__0__qualities": [5, 100]}, "put 100 first"),
    ({"records__0__qualities": [100, 5, 5]}, "jpeg-q5 comes twice"),
    ({"records__0__qualities": None}, "needs qualities"),
    ({"records__0__rates": [1.0]}, "not both"),
    ({"records": [{"codec": "png", "qualities": [3]}]}, "lossless"),
    ({"records": [{"codec": "png", "rates": [3]}]}, "lossless"),
    ({"records": [{"codec": "jpeg", "qualities": [100], "model": "runs/x"}]}, "not learned"),
    ({"records": [{"codec": "h264", "qualities": [20], "scale": 0.5}]}, "video"),
    ({"records__0__scale": 2}, "scale"),
    ({"fine_tuning__records": ["jpeg-q7"]}, "no record set is called 'jpeg-q7'; there are jpeg-q100, jpeg-q40"),
    ({"fine_tuning": None}, "need fine_tuning"),
    ({"fine_tuning__set": ["train_config.batch_sice: 3"]}, "batch_sice"),
    ({"training": {}}, "no steps for off_the_shelf"),
    ({"evaluation__resamples": 10}, "1000"),
    ({"data": {"frames": "x"}}, "labels"),
    ({"data__frames": "x", "data__labels": "y"}, "either make"),
    ({"split": {}}, "val_fraction, split_files and folds"),
    ({"split__folds": 5}, "one of val_fraction"),
    ({"split__split_by": "("}, "regular expression"), ({"data__sequence_by": "("}, "regular expression"),
    ({"split__split_by": None, "records": [{"codec": "jpeg", "qualities": [100, 5]},
                                           {"codec": "h264", "qualities": [20]}]},
     r"records.1.codec: codes whole sequences, .*data.sequence_by"),
    ({"seeds": [1, 1]}, "twice"),
])
def test_a_mistake_is_told_with_its_place(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        study.read(changed(tmp_path, **changes))
    assert "\n" not in str(error.value)
    assert "study.yaml:" in str(error.value)


@pytest.mark.parametrize(("text", "line"), [
    ("title: x\nrecords:\n  - codec: jpeg\n    qualities: [100]\n    scal: 0.5\n", 5),
    ("title: x\nrecords:\n  - codec: jpeg\n    qualities: [100]\n  - codec: jpeg\n    qualities:\n      - 90\n"
     "      - 101\n", 8),
    ("title: x\nrecords: []\ntitle: y\n", 3),
])
def test_a_mistake_is_told_with_its_line(tmp_path, text, line):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        study.read(path)
    assert f"study.yaml:{line}: " in str(error.value)


@pytest.mark.parametrize("text", ["", "- 1", "title: [", "a: &a [*a]", "\x00", "1: 2", "? [a]\n: b",
                                  "title: x\nrecords: 3"])
def test_what_is_no_study_is_told(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"study\.yaml"):
        study.read(path)


def test_points_are_the_grid():
    rows = study.points(study.read(DEMO))
    assert [(row.regime, row.quality) for row in rows] == [
        ("off_the_shelf", 100), ("off_the_shelf", 40), ("off_the_shelf", 20), ("off_the_shelf", 10),
        ("off_the_shelf", 5), ("task_ft", 5), ("control_ft", 5)]
    assert len({row.model for row in rows}) == 3
    assert {row.trained_on for row in rows if row.regime != "task_ft"} == {"jpeg-q100"}


def test_several_codecs_detectors_seeds_and_scales(tmp_path):
    plan = study.read(changed(
        tmp_path, seeds=[0, 3], regimes=["off_the_shelf", "retrained"], fine_tuning=None,
        records=[{"codec": "png"}, {"codec": "jpeg", "qualities": [20, 5]}, {"codec": "webp", "rates": [1, 0.5]},
                 {"codec": "jpeg", "qualities": [90], "scale": 0.5}],
        detectors=["ssd_inception_v2_demo",
                   {"template": "ssd_inception_v2_300", "name": "other", "steps": 7, "records": ["png", "jpeg-q*"]}]))
    rows = study.points(plan)
    names = ["png", "jpeg-q20", "jpeg-q5", "webp-bpp1", "webp-bpp0.5", "jpeg-scale0.5-q90"]
    for seed in (0, 3):
        own = [row for row in rows if row.detector == "ssd_inception_v2_demo" and row.seed == seed]
        # Retrained on the best quality would be off the shelf once more.
        assert [row.record_set for row in own] == names + names[1:]
        other = [row for row in rows if row.detector == "other" and row.seed == seed]
        assert [row.record_set for row in other] == names[:3] + names[1:3]
    assert {row.steps for row in rows if row.detector == "other"} == {7}
    shown = {row.record_set: (row.codec, row.quality) for row in rows}
    assert shown["png"] == ("png", None)
    assert shown["webp-bpp0.5"] == ("webp", "0.5 bpp")
    assert shown["jpeg-scale0.5-q90"] == ("jpeg-scaled", "90 at scale 0.5")
    texts = {node.name: node.text for node in study.graph(plan, "w")}
    assert "--codec webp --target_bpp 0.5" in texts["records webp-bpp0.5"]
    assert "--codec jpeg-scale0.5 --quality 90" in texts["records jpeg-scale0.5"]
    assert "--quality" not in texts["records png"]
    assert texts["evaluate ssd_inception_v2_demo-off_the_shelf-png-s3"].count("--records") == len(names)


def test_folds_are_points_of_their_own(tmp_path):
    plan = study.read(changed(tmp_path, split={"folds": 3}))
    rows = study.points(plan)
    assert {row.fold for row in rows} == {0, 1, 2} and len(rows) == 3 * 7
    texts = {node.name: node.text for node in study.graph(plan, "w")}
    assert "--folds 3" in texts["records jpeg"]
    name = "ssd_inception_v2_demo-task_ft-jpeg-q5-s0-f2"
    assert "--fold 2" in texts[f"config {name}"] and "--split fold2" in texts[f"evaluate {name}"]
    assert "off_the_shelf-jpeg-q100-s0-f2" in texts[f"config {name}"]


def test_a_zoo_checkpoint_is_fetched_once_and_a_path_is_taken(tmp_path):
    plan = study.read(changed(tmp_path, regimes=["off_the_shelf"], fine_tuning=None, detectors=[
        {"template": "ssd_inception_v2_300", "checkpoint": "ssd_inception_v2_coco"},
        {"template": "ssd_inception_v2_600", "checkpoint": "ssd_inception_v2_coco"},
        {"template": "ssd_inception_v2_demo", "checkpoint": "runs/mine/ckpt-3"}]))
    nodes = {node.name: node for node in study.graph(plan, "w")}
    assert [name for name in nodes if name.startswith("checkpoint")] == ["checkpoint ssd_inception_v2_coco"]
    for size in (300, 600):
        config = nodes[f"config ssd_inception_v2_{size}-off_the_shelf-jpeg-q100-s0"]
        assert "checkpoint ssd_inception_v2_coco" in config.needs
        assert "--checkpoint checkpoints/ssd_inception_v2_coco" in config.text
    assert "--checkpoint runs/mine/ckpt-3" in nodes["config ssd_inception_v2_demo-off_the_shelf-jpeg-q100-s0"].text


def test_regimes_differ_in_their_frames_alone(tmp_path):
    """task_ft and control_ft have the same start, steps and settings; only the record set differs."""
    nodes = {node.name: node.text for node in study.graph(study.read(DEMO), "w")}
    task = next(text for name, text in nodes.items() if name.startswith("config") and "task_ft" in name)
    control = next(text for name, text in nodes.items() if name.startswith("config") and "control_ft" in name)
    assert "w/tfrecords/jpeg-q5" in task
    task = task.replace("w/tfrecords/jpeg-q5", "w/tfrecords/jpeg-q100")
    assert task.replace("task_ft-jpeg-q5", "control_ft-jpeg-q100") == control


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", ["full", "smoke"])
def test_every_study_is_valid_and_says_what_it_is(path, scale):
    plan = study.read(path)
    if scale == "smoke":
        plan = smoke.small(plan)
    seen = set()
    nodes = study.graph(plan, "w")
    for node in nodes:
        assert set(node.needs) <= seen and {item.needs for item in node.items} - {None} <= seen
        seen.add(node.name)
    head = path.read_text().split("title:")[0]
    said = ["# Command", "# Expect"] if path.stem in ("demo", "own_frames", "own_classes", "signs_demo") else [
        "# Paper", "# Command", "# Hours", "# Expect", "# Published"]
    if path.stem != "demo":
        assert all(word in head for word in said)
    assert f"pipeline_configs/studies/{path.name}" in head


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_smoke_scale_keeps_regimes_and_codecs(path):
    plan = study.read(path)
    small = smoke.small(plan)
    assert {row.regime for row in study.points(small)} == {row.regime for row in study.points(plan)}
    assert [entry.coder for entry in small.records] == [entry.coder for entry in plan.records]
    assert len(small.detectors) == len(plan.detectors)
    assert len({row.model for row in study.points(small) if row.regime != "published"}) <= 8
    if not plan.data.frames:
        assert small.data.make


def test_slices_cover_all_models_once_with_what_they_need():
    check_slices(study.read(STUDIES / "lmu.yaml"), 3)


def test_more_qualities_and_seeds_leave_what_is_done(tmp_path):
    """A digest holds what makes a result wrong, and nothing else."""
    plan = study.read(DEMO)
    before = stamps.digests(study.graph(plan, "w"))
    more = study.read(changed(tmp_path, records__0__qualities=[100, 60, 40, 20, 10, 5], seeds=[0, 1]))
    after = stamps.digests(study.graph(more, "w"))
    assert len(after) > len(before) and all(after[name] == digest for name, digest in before.items())
    other = stamps.digests(study.graph(study.read(changed(tmp_path, data__make__count=31)), "w"))
    assert all(other[name]["all"] != digest["all"] for name, digest in before.items())


@pytest.mark.parametrize(("name", "content", "whole"), [
    ("metrics.json", '{"a": 1}', True), ("metrics.json", '{"a": ', False), ("metrics.json", "", False),
    ("x.config", "model {}", True), ("x.config", "", False), ("checkpoint", 'model_checkpoint_path: "ckpt-1"', False),
])
def test_half_a_result_is_none(tmp_path, name, content, whole):
    (tmp_path / name).write_text(content)
    assert stamps.is_whole(tmp_path / name) is whole
    assert not stamps.is_whole(tmp_path / "missing" / name)


def test_dry_run_needs_no_data_and_writes_nothing(run_tool, tmp_path):
    process = run_tool("run_study", STUDIES / "durham.yaml", "--workdir", tmp_path / "runs", "--dry_run")
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("missing  ") == 20
    assert "11 points of 6 models" in process.stdout and "420,000 training steps" in process.stdout
    assert not (tmp_path / "runs").exists()


def test_the_classes_of_named_data_reach_the_record_sets(run_tool, tmp_path):
    arguments = ["--workdir", tmp_path / "runs", "--frames", tmp_path / "frames", "--labels", tmp_path / "labels"]
    process = run_tool("run_study", STUDIES / "own_classes.yaml", *arguments, "--dry_run", "--label_map", "coco",
                       "--names", "coco", "--unlabelled", "negative")
    assert process.returncode == 0, process.stderr
    records = next(line for line in process.stdout.splitlines() if "make_tfrecords" in line)
    for part in ("--label_map coco", "--names coco", "--unlabelled negative"):
        assert part in records
    process = run_tool("run_study", STUDIES / "own_classes.yaml", *arguments[:2], "--frames", tmp_path, "--labels",
                       tmp_path, "--label_map", tmp_path / "none.pbtxt")
    assert process.returncode == 1 and "none.pbtxt: no such file or folder" in process.stderr


def test_dry_run_tells_the_cost_from_past_runs(tmp_path):
    plan = study.read(DEMO)
    past = tmp_path / "past" / "done"
    past.mkdir(parents=True)
    (past / "train-x.json").write_text(json.dumps(
        {"seconds": 360, "work": {"kind": "train ssd_inception_v2_demo", "amount": 180, "unit": "steps"}}))
    (past / "broken.json").write_text("{")
    lines = []
    study.run(plan, tmp_path / "new", dry_run=True, say=lines.append)
    train = next(line for line in lines if " train " in line and "off_the_shelf" in line)
    assert "1,800 steps" in train and "about 60 min" in train
    assert "about 60 min" in lines[-1] and "none has run" in lines[-1]


def test_without_frames_nothing_starts(tmp_path, run_tool):
    process = run_tool("run_study", STUDIES / "lmu.yaml", "--workdir", tmp_path / "runs")
    assert process.returncode == 1 and "--frames" in process.stderr and process.stderr.count("\n") == 1
    process = run_tool("run_study", STUDIES / "lmu.yaml", "--workdir", tmp_path / "runs", "--frames", tmp_path / "no",
                       "--labels", tmp_path)
    assert process.returncode == 1 and "no such file" in process.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("flags", [["--points", "0/3"], ["--points", "4/3"], ["--points", "x"], ["--frames", "x"],
                                   ["--jobs", "0"], ["--scale", "tiny"]])
def test_wrong_usage(run_tool, tmp_path, flags):
    assert run_tool("run_study", DEMO, "--workdir", tmp_path / "runs", *flags).returncode == 2


def test_the_study_as_run_can_be_read_again(tmp_path):
    path = tmp_path / "study.yaml"
    for plan in (study.read(DEMO), smoke.small(study.read(STUDIES / "resolution.yaml"))):
        path.write_text(yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False))
        assert study.read(path) == plan


@pytest.mark.parametrize("line, strongest", [
    ("{codec: webp, qualities: [100, 40, 20, 10, 5]}", "webp-q5"),
    ("{codec: hevc444, qualities: [12, 27, 37, 43, 47]}", "hevc444-qp47"),
    ("{codec: vvc, rates: [4, 0.5, 0.2]}", "vvc-bpp0.2")])
def test_the_demo_takes_another_codec_by_one_line(tmp_path, line, strongest):
    text = (STUDIES / "demo.yaml").read_text()
    changed = text.replace("{codec: jpeg, qualities: [100, 40, 20, 10, 5]}", line)
    assert changed != text
    (tmp_path / "demo.yaml").write_text(changed)
    points = study.points(study.read(tmp_path / "demo.yaml"))
    assert {row.record_set for row in points if row.regime != "off_the_shelf"} == {strongest}
    assert {row.regime: row.trained_on for row in points}["task_ft"] == strongest
    usual = study.points(study.read(STUDIES / "demo.yaml"))
    assert [row.record_set for row in usual if row.regime == "task_ft"] == ["jpeg-q5"]


def test_a_study_with_video_says_once_what_a_sequence_is(tmp_path):
    records = [{"codec": "jpeg", "qualities": [100, 5]}, {"codec": "h264", "qualities": [20]}]
    plan = study.read(changed(tmp_path, split__split_by=None, data__sequence_by="^(seq)", records=records))
    made = [node.text for node in study.graph(plan, "w") if node.tool == "make_tfrecords"]
    assert len(made) == 2 and all("--sequence_by '^(seq)'" in text for text in made)
    lists = {"split": {"split_files": "lists"}, "data__sequence_by": "^(seq)"}
    assert study.read(changed(tmp_path, **lists)).split.split_files == "lists"
