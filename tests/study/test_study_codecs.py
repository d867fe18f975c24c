"""Studies that train learned codecs and tune them through a detector: the file, and the graph of commands."""

import json
import shutil

import pytest
import yaml

from tests.learned.test_learned import drawn_model
from tests.study_files import STUDIES, changed, check_slices
from tfod_compress import study
from tfod_compress.learned import coder, model_folder
from tfod_compress.study import smoke, stamps
from tfod_compress.support.errors import InputError

CODEC = {"name": "narrow", "codec": "bmshj2018", "lmbdas": [0.01, 0.001], "num_filters": 8, "num_latents": 8,
         "steps": 20, "further_steps": 5, "crop": 64}
LEARNED = {"codec": "bmshj2018", "model": "narrow", "qualities": [0.01, 0.001]}
TUNING = {"records": ["narrow-*"], "betas": [0.5, 2], "steps": 7}


def written(folder, **changes):
    """The demo with a learned codec, some keys changed; None removes one."""
    content = {"codecs": [CODEC], "records": [{"codec": "png"}, {"codec": "jpeg", "qualities": [20]}, LEARNED],
               "regimes": ["off_the_shelf", "task_ft", "control_ft", "codec_ft", "joint_ft"],
               "fine_tuning__records": ["narrow-*"], "codec_tuning": TUNING, **changes}
    return changed(folder, **{name: value for name, value in content.items() if value is not None})


@pytest.mark.parametrize(("changes", "told"), [
    ({"codec_tuning": None}, "regimes: codec_ft, joint_ft: .* codec_tuning"),
    ({"codec_tuning": {**TUNING, "beta": 1}}, "codec_tuning.beta: no such key, is betas meant"),
    ({"codec_tuning": {**TUNING, "betas": [1, 2, 3]}}, "codec_tuning.records: there are 2 record sets, 3 betas"),
    ({"codec_tuning": {**TUNING, "betas": [-1]}}, "codec_tuning.betas.0"),
    ({"codec_tuning": {**TUNING, "betas": [float("nan")]}}, "codec_tuning.betas.0"),
    ({"codec_tuning": {**TUNING, "records": ["jpeg-q20"]}}, "codec_tuning.records.0: .*narrow-lmbda0.01, narrow-lmb"),
    ({"codec_tuning": {**TUNING, "records": ["narrow-lmbda0.01"], "betas": [1, 1]}}, "codec_tuning.betas: .*twice"),
    ({"codec_tuning": {**TUNING, "set": ["train_config.batch_sice: 3"]}}, "batch_sice"),
    ({"codecs": None}, "records.2.model: neither a folder nor one of the study's codecs .none."),
    ({"codecs": [CODEC, CODEC]}, "codecs.1.name: two codecs are called narrow"),
    ({"codecs": [CODEC, {**CODEC, "name": "wide"}]}, "codecs.1: no record set has model: wide"),
    ({"codecs": [{**CODEC, "name": "webp"}]}, "codecs.0.name: webp is a codec's name"),
    ({"codecs": [{**CODEC, "codec": "bmshj"}]}, "codecs.0.codec: .*bmshj2018"),
    ({"codecs": [{**CODEC, "lmbdas": [0.001, 0.01]}]}, "codecs.0.lmbdas: the highest first"),
    ({"codecs": [{**CODEC, "lmbdas": [0.01, 100]}]}, "codecs.0.lmbdas.1"),
    ({"codecs": [{**CODEC, "further_steps": None}]}, "codecs.0: .*further_steps"),
    ({"codecs": [{**CODEC, "crop": 100}]}, "codecs.0.crop: 100 is no multiple of 64"),
    ({"records": [{"codec": "jpeg", "qualities": [20]}, LEARNED]}, "records: codecs are trained on lossless frames"),
    ({"records": [{"codec": "png"}, {**LEARNED, "qualities": [0.01, 0.002]}]},
     "records.1.qualities.1: narrow has no lmbda 0.002; it has 0.01, 0.001"),
    ({"records": [{"codec": "png"}, {**LEARNED, "codec": "bls2017"}]}, "records.1.codec: narrow is bmshj2018"),
    ({"records": [{"codec": "png"}, {**LEARNED, "qualities": [0.001, 0.01]}]}, "put 0.01 first"),
    ({"records": [{"codec": "png"}, {**LEARNED, "qualities": None, "rates": [0.5]}]}, "has qualities, its lmbdas"),
    ({"split": {"folds": 3}}, "split.folds: codecs would have to be trained anew for each fold"),
])
def test_a_mistake_is_told_with_its_place(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        study.read(written(tmp_path, **changes))
    assert "\n" not in str(error.value) and "study.yaml:" in str(error.value)


def test_tuned_codecs_are_points_of_their_own(tmp_path):
    rows = study.points(study.read(written(tmp_path)))
    tuned = [row for row in rows if row.regime in ("codec_ft", "joint_ft")]
    assert [(row.regime, row.tuned_from, row.beta) for row in tuned] == [
        (regime, f"narrow-lmbda{lmbda}", beta) for regime in ("codec_ft", "joint_ft")
        for lmbda, beta in ((0.01, 0.5), (0.001, 2))]
    assert {row.codec for row in tuned} == {"narrow"} and {row.trained_on for row in tuned} == {"png"}
    assert len({row.record_set for row in tuned}) == len({row.model for row in tuned}) == 4
    assert not {row.record_set for row in tuned} & {row.record_set for row in rows if row not in tuned}
    others = [(row.regime, row.record_set) for row in rows if row not in tuned]
    assert others == [("off_the_shelf", name) for name in ("png", "jpeg-q20", "narrow-lmbda0.01", "narrow-lmbda0.001")
                      ] + [(regime, f"narrow-lmbda{lmbda}") for regime in ("task_ft", "control_ft")
                           for lmbda in (0.01, 0.001)]


@pytest.mark.parametrize(("records", "betas", "lmbdas", "found"), [
    (["narrow-*"], [1], [0], [(0.01, 1, 0), (0.001, 1, 0)]),
    (["narrow-*"], [1, 2], [0.1], [(0.01, 1, 0.1), (0.001, 2, 0.1)]),
    (["narrow-lmbda0.01"], [1, 2, 3], [0], [(0.01, 1, 0), (0.01, 2, 0), (0.01, 3, 0)]),
    (["narrow-lmbda0.01"], [1], [0, 0.1], [(0.01, 1, 0), (0.01, 1, 0.1)]),
])
def test_weights_go_with_models_one_by_one_or_one_for_all(tmp_path, records, betas, lmbdas, found):
    plan = study.read(written(tmp_path, codec_tuning={**TUNING, "records": records, "betas": betas, "lmbdas": lmbdas}))
    starts = plan.starts_of(plan.detectors[0])
    assert [(start.setting.number, start.beta, start.lmbda) for start in starts] == found
    assert len({row.model for row in study.points(plan) if row.regime == "codec_ft"}) == len(found)


def test_the_graph_trains_codecs_and_tunes_them(tmp_path):
    nodes = study.graph(study.read(written(tmp_path)), "w")
    seen = set()
    for node in nodes:
        assert set(node.needs) <= seen and {item.needs for item in node.items} - {None} <= seen, node.name
        seen.add(node.name)
    by_name = {node.name: node for node in nodes}
    first, further = by_name["codec narrow lmbda 0.01"], by_name["codec narrow lmbda 0.001"]
    assert "--frames w/tfrecords/png --output w/codecs/narrow/lmbda-0.01 --steps 20" in first.text
    assert "--start_from" not in first.text and first.needs == ("records png",)
    assert "--steps 5" in further.text and further.text.endswith("--start_from w/codecs/narrow/lmbda-0.01")
    assert first.name in further.needs and first.result.name == "model.json"
    records = by_name["records narrow-lmbda0.001"]
    assert "--codec_model w/codecs/narrow/lmbda-0.001 --record_set narrow-lmbda0.001" in records.text
    model = "ssd_inception_v2_demo-joint_ft-b2-narrow-lmbda0.001-s0"
    config, train = by_name[f"config {model}"], by_name[f"train {model}"]
    base = "ssd_inception_v2_demo-off_the_shelf-png-s0"
    assert f"--records w/tfrecords/png --checkpoint w/models/{base}" in config.text and f"train {base}" in config.needs
    assert "num_steps: 7" in config.text
    assert train.text.endswith("--codec_model w/codecs/narrow/lmbda-0.001 --codec_regime joint_ft --codec_beta 2")
    assert further.name in train.needs
    made, evaluated = by_name[f"records {model}"], by_name[f"evaluate {model}"]
    assert f"--codec bmshj2018 --codec_model w/models/{model}/codec --record_set {model}" in made.text
    assert f"train {model}" in made.needs and [item.needs for item in evaluated.items] == [made.name]
    assert f"--records w/tfrecords/{model}" in evaluated.text
    plain = by_name["train ssd_inception_v2_demo-task_ft-narrow-lmbda0.001-s0"]
    assert "--codec_" not in plain.text


def test_slices_take_along_what_tuned_codecs_need(tmp_path):
    check_slices(study.read(written(tmp_path)), 8)


def test_more_weights_leave_what_is_done(tmp_path):
    before = stamps.digests(study.graph(study.read(written(tmp_path)), "w"))
    more = study.read(written(tmp_path, records=[{"codec": "png"}, {"codec": "jpeg", "qualities": [20]},
                                                 {"codec": "webp", "qualities": [20]}, LEARNED],
                              regimes=["off_the_shelf", "task_ft", "control_ft", "codec_ft", "joint_ft",
                                       "fixed_decoder"]))
    after = stamps.digests(study.graph(more, "w"))
    assert len(after) > len(before) and all(after[name] == digest for name, digest in before.items())


def test_a_model_from_elsewhere_is_tuned_too(tmp_path):
    for seed, lmbda in enumerate((0.01, 0.003)):
        model = drawn_model("bls2017", seed)
        model_folder.write(tmp_path / "models" / f"at-{lmbda}", "bls2017", 8, 12, lmbda, coder.weights_of(model),
                           model.tables(), {})
    learned = {"codec": "bls2017", "model": str(tmp_path / "models"), "qualities": [0.01, 0.003]}
    plan = study.read(written(tmp_path, codecs=None, records=[{"codec": "png"}, learned],
                              fine_tuning__records=["bls2017-*"], codec_tuning={**TUNING, "records": ["bls2017-*"]}))
    texts = [node.text for node in study.graph(plan, "w") if "--codec_regime joint_ft" in node.text]
    assert [f"--codec_model {tmp_path / 'models'}/at-{lmbda} " in text for text, lmbda in zip(
        texts, (0.01, 0.003), strict=True)] == [True, True]


def test_the_study_as_run_and_its_smoke_scale_can_be_read_again(tmp_path):
    plan = study.read(written(tmp_path))
    for one in (plan, smoke.small(plan)):
        (tmp_path / "again.yaml").write_text(yaml.safe_dump(one.model_dump(mode="json"), sort_keys=False))
        assert study.read(tmp_path / "again.yaml") == one
    assert smoke.small(plan).codecs[0].num_filters == 8


def test_the_demo_answers_what_it_was_made_for():
    """Three rates of each curve, and fine-tuning of detector and codec for equally many steps."""
    plan = study.read(STUDIES / "end_to_end_demo.yaml")
    rows = study.points(plan)
    for regime in ("task_ft", "control_ft", "codec_ft", "joint_ft"):
        assert len([row for row in rows if row.regime == regime]) >= 3
    assert {row.codec for row in rows} == {"png", "jpeg", "webp", "hyperprior"}
    assert plan.fine_tuning.steps == plan.codec_tuning.steps and plan.fine_tuning.set == plan.codec_tuning.set


def test_the_longer_demo_shares_everything_before_fine_tuning():
    """Codecs, record sets and the detector off the shelf are the same, so its runs can take them over."""
    short, long = ({node.name: node.text for node in study.graph(study.read(STUDIES / f"{name}.yaml"), "w")}
                   for name in ("end_to_end_demo", "end_to_end_demo_steps"))
    tuned = [name for name in long if "_ft-" in name]
    assert len(tuned) == 21 and set(long) <= set(short)
    assert {name for name in long if long[name] != short[name]} == {n for n in tuned if n.startswith("config")}
    assert all("'train_config.num_steps: 600'" in long[name] for name in tuned if name.startswith("config"))


@pytest.mark.slow
def test_codecs_and_detectors_are_tuned_in_a_small_study(run_tool, tmp_path):
    """All regimes through the command; each tuned codec's points lie at the rate of its own record set."""
    content = yaml.safe_load((STUDIES / "end_to_end_demo.yaml").read_text())
    content["regimes"] += ["fixed_decoder", "task_decoder"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    run = ["run_study", tmp_path / "study.yaml", "--workdir", tmp_path / "runs", "--scale", "smoke"]
    process = run_tool(*run, timeout=3000)
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((tmp_path / "runs/results.json").read_text())
    assert results["complete"] and not results["problems"]
    tuned = {row["regime"]: row for row in results["points"] if "tuned_from" in row}
    assert set(tuned) == {"codec_ft", "joint_ft", "fixed_decoder", "task_decoder"}
    for row in tuned.values():
        manifest = json.loads((tmp_path / "runs/tfrecords" / row["record_set"] / "manifest.json").read_text())
        metrics = json.loads((tmp_path / "runs" / row["evaluation"] / "metrics.json").read_text())
        assert metrics["bpp"] > 0 and row["psnr_db"] == manifest["psnr_db"] is not None
        assert manifest["codec"] == "bmshj2018"
    before = next(row for row in results["points"] if row["record_set"] == tuned["task_decoder"]["tuned_from"])
    rates = {row["record_set"]: json.loads((tmp_path / "runs" / row["evaluation"] / "metrics.json").read_text())["bpp"]
             for row in (before, *tuned.values())}
    assert rates[tuned["task_decoder"]["record_set"]] == rates[before["record_set"]]  # streams stay as they are
    assert rates[tuned["joint_ft"]["record_set"]] != rates[before["record_set"]]
    assert "joint_ft" in (tmp_path / "runs/results.csv").read_text()
    again = run_tool(*run)
    assert again.returncode == 0 and "python -m tools.model_main_tf2" not in again.stdout
    shutil.rmtree(tmp_path / "runs/models" / tuned["joint_ft"]["model"] / "codec")
    assert "1 of 2 missing" in run_tool(*run, "--dry_run").stdout
