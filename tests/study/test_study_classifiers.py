"""Studies of classifiers: what may stand in their files, what their commands are, and a small one from end to end."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.report.pages import Page
from tests.study_files import STUDIES, check_slices
from tfod_compress import study
from tfod_compress.study import smoke
from tfod_compress.support.errors import InputError

SIGNS = STUDIES / "signs_demo.yaml"
MODEL = {"name": "small", "experiment": "resnet_imagenet", "config_file": "signs"}


def changed(folder, **changes):
    """The study of signs with some of its keys changed, as a file; None removes one."""
    content = {**yaml.safe_load(SIGNS.read_text()), **changes}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in content.items() if value is not None},
                                   sort_keys=False))
    return path


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "tools.run_study", *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, **options)


@pytest.mark.parametrize(("changes", "told"), [
    ({"models": ["signs"]}, "models.0"),
    ({"models": [{"name": "x"}]}, "models.0: give an experiment, a checkpoint or a command"),
    ({"models": [{**MODEL, "template": "ssd_inception_v2_demo"}]}, "models.0.template: no such key.*experiment"),
    ({"models": [{**MODEL, "config_file": "sings"}]}, r"models.0.config_file: sings: no such file.*resnet50, signs"),
    ({"models": [{**MODEL, "set": ["task.losses.label_smoothing"]}]}, "models.0.set.0: .*label_smoothing=0.1"),
    ({"models": [{"name": "x", "checkpoint": "runs/x", "steps": 3}]}, "models.0.steps: goes with an experiment"),
    ({"models": [{**MODEL, "command": "python classify.py {frames} {output}"}]}, "models.0.command: give either"),
    ({"models": [{"name": "x", "command": "python classify.py"}]}, "models.0.command: .*does not say {frames}"),
    ({"models": [MODEL, MODEL]}, "models.1: two classifiers are called small"),
    ({"models": [MODEL], "regimes": ["published"]}, "regimes.0: no classifier has a checkpoint or a command"),
    ({"data": {"label_format": "voc"}}, "data.label_format: .*classification.*folders, csv, list"),
    ({"split": {"folds": 3}}, "split.folds|val_fraction"),
    ({"task": "clasification"}, "task: .*no task; there are detection, classification"),
])
def test_a_mistake_is_told_with_its_place(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        study.read(changed(tmp_path, **changes))
    assert "\n" not in str(error.value)
    assert "study.yaml:" in str(error.value)


def test_commands_are_those_of_classifiers():
    plan = study.read(SIGNS)
    nodes = {node.name: node for node in study.graph(plan, "w")}
    assert {node.tool for node in nodes.values()} == {"make_demo_frames", "make_tfrecords", "train", "evaluate"}
    assert "--task classification" in nodes["frames"].text
    assert all("--task classification" in node.text and "--labels" not in node.text
               for name, node in nodes.items() if node.tool == "make_tfrecords")
    first = nodes["train resnet18-off_the_shelf-png-s1"]
    assert "--params_override trainer.train_steps=1200 --records w/tfrecords/png" in first.text and (
        "--seed 1 " in first.text)
    task, control = (nodes[f"train resnet18-{name}-s1"].text for name in ("task_ft-jpeg-q5", "control_ft-png"))
    assert "task.init_checkpoint=w/models/resnet18-off_the_shelf-png-s1" in task
    # The same start, steps and settings: only the record set differs.
    assert task.replace("task_ft-jpeg-q5", "control_ft-png").replace("tfrecords/jpeg-q5", "tfrecords/png").replace(
        "regime=task_ft", "regime=control_ft") == control
    evaluation = nodes["evaluate resnet18-control_ft-png-s1"]
    assert "score_threshold" not in evaluation.text
    assert [item.value.rsplit("/")[-1] for item in evaluation.items] == ["jpeg-q5", "webp-bpp1", "hevc-bpp1"]
    check_slices(plan, 4)


def test_the_config_file_decides_what_is_done(tmp_path, monkeypatch):
    from tfod_compress.study import stamps
    from tfod_compress.tasks.classification import params_file

    plan, found = study.read(SIGNS), []
    monkeypatch.setattr(params_file, "CONFIGS", tmp_path)
    for text in ("trainer: {train_steps: 1}", "trainer: {train_steps: 2}"):
        (tmp_path / "signs.yaml").write_text(text)
        found.append(stamps.digests(study.graph(plan, "w"))["train resnet18-off_the_shelf-png-s0"])
    assert {name for name in found[0] if found[0][name] != found[1][name]} == {"template signs", "all"}


def test_models_may_be_called_detectors_and_are_written_so(tmp_path):
    content = yaml.safe_load(SIGNS.read_text())
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**{key: value for key, value in content.items()
                                                            if key != "models"}, "detectors": content["models"]}))
    plan, other = study.read(SIGNS), study.read(tmp_path / "other.yaml")
    assert plan == other
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(plan.model_dump(mode="json")))
    assert study.read(tmp_path / "again.yaml") == plan


def test_a_classifier_as_it_is(tmp_path):
    plan = study.read(changed(tmp_path, regimes=["published"], training=None, fine_tuning=None, models=[
        {"name": "mine", "command": "python classify.py {frames} {output}"},
        {"name": "theirs", "checkpoint": "runs/theirs", "records": ["png", "jpeg-*"]}]))
    nodes = {node.name: node for node in study.graph(plan, "w")}
    assert "--model_command 'python classify.py {frames} {output}' --output" in nodes["evaluate mine-published"].text
    assert "--checkpoint runs/theirs --output" in nodes["evaluate theirs-published"].text
    with pytest.raises(InputError, match="classifier theirs: runs/theirs"):
        study.run(study.with_data(plan, frames=str(tmp_path)), tmp_path / "w")


def test_a_smoke_test_has_the_same_stages():
    plan = smoke.small(study.read(SIGNS))
    assert plan.regimes == study.read(SIGNS).regimes and plan.task == "classification"
    assert plan.data.make.count < 200 and {node.work[1] for node in study.graph(plan, "w") if node.tool == "train"} == {
        plan.training.steps}


def test_wrong_usage(tmp_path):
    made = command(SIGNS, "--workdir", tmp_path / "w", "--labels", "x.csv")
    assert made.returncode == 2 and "--frames and --labels go together" in made.stderr
    made = command(STUDIES / "own_frames.yaml", "--workdir", tmp_path / "w", "--frames", tmp_path)
    assert made.returncode == 2 and "--frames and --labels go together" in made.stderr
    made = command(STUDIES / "janeiro_classification.yaml", "--workdir", tmp_path / "w")
    assert made.returncode == 1 and "give --frames, or set it" in made.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(folder of a small study that was run, its study file)."""
    folder = tmp_path_factory.mktemp("classifiers")
    path = changed(
        folder, data={**yaml.safe_load(SIGNS.read_text())["data"],
                      "make": {"count": 90, "size": "32x32", "flags": {"sequence_length": 2}}},
        records=[{"codec": "png"}, {"codec": "jpeg", "qualities": [90, 1]}], seeds=[0], training={"steps": 6},
        models=[{**MODEL, "set": ["task.model.input_size=[32,32,3]"], "batch_size": 8}],
        fine_tuning={"steps": 2, "records": ["jpeg-q1"]})
    made = command(path, "--workdir", folder / "w")
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return folder / "w", path


def test_a_small_study_runs_from_end_to_end(finished):
    folder, _ = finished
    results = json.loads((folder / "results.json").read_text())
    assert results["task"] == "classification" and results["complete"]
    assert [(point["regime"], point["record_set"], point["template"]) for point in results["points"]] == [
        *(("off_the_shelf", name, "resnet_imagenet") for name in ("png", "jpeg-q90", "jpeg-q1")),
        ("task_ft", "jpeg-q1", "resnet_imagenet"), ("control_ft", "jpeg-q1", "resnet_imagenet")]
    assert {each["metric"] for each in results["comparisons"]} == {"top1"}
    assert {each["unit"] for each in results["comparisons"]} == {"sequence"}
    for point in results["points"]:
        metrics = json.loads((folder / point["evaluation"] / "metrics.json").read_text())
        assert metrics["top1"]["low"] is not None and metrics["bpp"] > 0
    record = json.loads((folder / "models/small-task_ft-jpeg-q1-s0/run.json").read_text())
    assert record["record_set"]["path"].endswith("jpeg-q1")


def test_its_report_shows_pictures_and_classes(finished):
    page = Page(finished[0] / "report.html")
    assert "how much of the loss does retraining win back" in page.text and "a classifier suffers" in page.text
    assert "taken for" in page.text and "top-1 accuracy of each class" in page.text.lower()
    assert "The same frames at each quality" in page.text
    answer = page.text.split("How it was made")[0]  # the commands and the study file name their keys
    assert not any(word in answer for word in ("detector", "mAP", "objects", "boxes"))
    assert list((finished[0] / "figures").glob("class_accuracy_*.svg"))


def test_run_again_it_does_nothing_more(finished):
    folder, path = finished
    before = json.loads((folder / "results.json").read_text())
    made = command(path, "--workdir", folder)
    assert made.returncode == 0 and "python -m tools" not in made.stdout
    assert {**before, "created": ""} == {**json.loads((folder / "results.json").read_text()), "created": ""}


def test_settings_that_no_training_takes_are_told_before_anything_runs(tmp_path):
    path = changed(tmp_path, models=[{**MODEL, "set": ["task.train_data.aug_type.type=randaug"]}])
    made = command(path, "--workdir", tmp_path / "w")
    assert made.returncode == 1 and "task.train_data.aug_type" in made.stderr and "small, off_the_shelf" in made.stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_a_study_with_every_regime_runs(tmp_path):
    """Also those that tune a codec through the classifier; what is published is a program."""
    (tmp_path / "first.py").write_text(
        "import json, pathlib, sys\n"
        "images = json.loads(pathlib.Path(sys.argv[1], 'images.json').read_text())\n"
        "rows = [{'image_id': image['source_id'], 'class_ids': [images['categories'][0]['id']], 'scores': [1.0]}\n"
        "        for image in images['images']]\n"
        "pathlib.Path(sys.argv[2]).write_text(json.dumps(rows))\n")
    trained = {**MODEL, "set": ["task.model.input_size=[32,32,3]"], "batch_size": 8}
    path = changed(
        tmp_path, seeds=[0], training={"steps": 4}, fine_tuning={"steps": 2, "records": ["narrow-*"]},
        data={**yaml.safe_load(SIGNS.read_text())["data"],
              "make": {"count": 90, "size": "64x64", "flags": {"sequence_length": 2}}},
        codecs=[{"name": "narrow", "codec": "bmshj2018", "lmbdas": [0.01], "steps": 4, "num_filters": 8,
                 "num_latents": 12, "crop": 64, "batch_size": 2}],
        records=[{"codec": "png"}, {"codec": "bmshj2018", "model": "narrow", "qualities": [0.01]}],
        codec_tuning={"records": ["narrow-*"], "betas": [0.5], "steps": 3, "set": [  # momentum would overturn a codec
            "trainer.optimizer_config.optimizer.type=adam",
            "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate=0.0001"]},
        models=[trained, {"name": "first", "command": f"{sys.executable} {tmp_path}/first.py {{frames}} {{output}}"}],
        regimes=["published", "off_the_shelf", "retrained", "task_ft", "control_ft", "codec_ft", "joint_ft"])
    made = command(path, "--workdir", tmp_path / "w")
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    results = json.loads((tmp_path / "w" / "results.json").read_text())
    assert {point["regime"] for point in results["points"]} == set(study.read(path).regimes) and results["complete"]
    for regime in ("codec_ft", "joint_ft"):
        tuned, = (point for point in results["points"] if point["regime"] == regime)
        assert tuned["tuned_from"] == "narrow-lmbda0.01"
        manifest = json.loads((tmp_path / "w" / "tfrecords" / tuned["record_set"] / "manifest.json").read_text())
        assert manifest["task"] == "classification" and manifest["bpp"] > 0
