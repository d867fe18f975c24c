"""Pipeline configs: templates parse, what is written fits the record set, mistakes are told."""

import pytest

from tfod_compress import pipeline_config
from tfod_compress.errors import InputError


def test_every_template_parses_and_says_where_it_comes_from():
    assert {"ssd_inception_v2_300", "ssd_inception_v2_600", "ssd_inception_v2_demo"} <= set(pipeline_config.detectors())
    for name in pipeline_config.detectors():
        assert pipeline_config.template(name).train_config.num_steps > 0
        assert "Source:" in (pipeline_config.TEMPLATES / f"{name}.config").read_text().split("model {")[0]


def test_config_names_the_record_set_and_takes_overrides(demo_records, tmp_path, run_tool):
    output = tmp_path / "deep" / "ssd.config"
    process = run_tool("make_pipeline_config", "--detector", "ssd_inception_v2_demo", "--records",
                       demo_records / "jpeg-q5", "--set", "train_config.batch_size: 3",
                       "--set", "train_config { num_steps: 7 }", "--output", output)
    assert process.returncode == 0, process.stderr
    config = pipeline_config.read(output)
    assert config.train_config.batch_size == 3
    assert config.train_config.num_steps == 7
    assert config.model.ssd.num_classes == 7
    paths = config.train_input_reader.tf_record_input_reader.input_path
    assert paths
    assert all("/jpeg-q5/train-" in path for path in paths)
    assert all("/jpeg-q5/val-" in path for path in config.eval_input_reader[0].tf_record_input_reader.input_path)


@pytest.mark.parametrize(("arguments", "told"), [
    (["--detector", "yolo"], "ssd_inception_v2_300"),
    (["--records", "nowhere/jpeg-q1"], "nowhere/jpeg-q1"),
    (["--checkpoint", "nowhere"], "nowhere"),
    (["--set", "train_config.batch_sise: 1"], "batch_sise"),
])
def test_mistakes_are_one_line_and_write_nothing(demo_records, tmp_path, run_tool, arguments, told):
    output = tmp_path / "ssd.config"
    given = {"--detector": "ssd_inception_v2_demo", "--records": demo_records / "jpeg-q5", "--output": output}
    given.update(dict(zip(arguments[::2], arguments[1::2], strict=True)))
    process = run_tool("make_pipeline_config", *[part for pair in given.items() for part in pair])
    assert process.returncode == 1
    assert told in process.stderr
    assert process.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_broken_config_is_told_with_its_line(tmp_path):
    path = tmp_path / "broken.config"
    path.write_text("model {\n  ssd { nonsense: 1 }\n}")
    with pytest.raises(InputError, match="2:9"):
        pipeline_config.read(path)


def test_latest_checkpoint_follows_the_index_and_else_the_number(tmp_path):
    for number in (2, 10):
        (tmp_path / f"ckpt-{number}.index").touch()
    assert pipeline_config.latest_checkpoint(tmp_path).endswith("ckpt-10")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"\n')
    assert pipeline_config.latest_checkpoint(tmp_path).endswith("ckpt-2")
    assert pipeline_config.latest_checkpoint(tmp_path / "ckpt-10").endswith("ckpt-10")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no checkpoint"):
        pipeline_config.latest_checkpoint(tmp_path / "empty")


def test_short_overrides():
    assert pipeline_config.nested("a.b.c: 1") == "a { b { c: 1 } }"
    assert pipeline_config.nested("a { b: 1 }") == "a { b: 1 }"
    assert pipeline_config.nested("a: 1") == "a: 1"
