"""Pipeline configs: templates parse, what is written fits the record set, mistakes are told."""

import csv
import shutil
import subprocess
import sys

import pytest

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import changes, pipeline_config

STUDY = {  # detector: (batch size, steps, width, height) of the LMU study
    "ssd_inception_v2_300": (128, 15000, 300, 300), "ssd_inception_v2_600": (128, 15000, 600, 600),
    "faster_rcnn_inception_v2": (16, 20000, 1820, 940), "faster_rcnn_resnet101": (4, 20000, 1820, 940),
}


@pytest.mark.parametrize("name", pipeline_config.detectors())
def test_every_template_parses_and_says_where_it_comes_from(name):
    config = pipeline_config.template(name)
    assert config.train_config.num_steps > 0
    header = (pipeline_config.TEMPLATES / f"{name}.config").read_text().split("model {")[0]
    assert "Source:" in header and "What differs" in header.replace("\n# ", " ")
    if not name.endswith("_demo"):
        assert "Expected:" in header
    assert [path for path in changes.paths(config) if changes.unread(config, path)] == []


@pytest.mark.parametrize("name", STUDY)
def test_templates_have_the_studys_batch_steps_and_size(name):
    config = pipeline_config.template(name)
    batch, steps, width, height = STUDY[name]
    assert (config.train_config.batch_size, config.train_config.num_steps) == (batch, steps)
    resizer = getattr(config.model, config.model.WhichOneof("model")).image_resizer.fixed_shape_resizer
    assert (resizer.width, resizer.height) == (width, height)


def test_the_studys_table_says_the_same(shared_data):
    with open(shared_data.parent / "reference" / "lmu_training.csv", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    published = {(row["detector"].split("_300")[0], int(row["batch_size"]), int(row["steps"])) for row in rows}
    assert published == {(name.removesuffix("_300").removesuffix("_600"), *values[:2])
                         for name, values in STUDY.items()}


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
    (["--set", "model.faster_rcnn.first_stage_max_proposals: 1"], "the template's model is ssd"),
    (["--set", "train_config.max_number_of_boxes: 50"], "train_input_reader.max_number_of_boxes"),
    (["--set", "model.ssd.feature_extractor.fpn.min_level: 3"], "does not take fpn"),
    (["--set", "model.ssd.num_classes: 3"], "class ids up to 7"),
    (["--set", "train_input_reader.tf_record_input_reader.input_path: '/nowhere/train-*'"], "/nowhere/train-*"),
    (["--set", "eval_input_reader.label_map_path: '/nowhere/map'"], "/nowhere/map"),
    (["--set", "train_config.fine_tune_checkpoint: '/nowhere/ckpt-1'"], "/nowhere/ckpt-1.index"),
    (["--set", "train_config.optimizer.moving_average_decay: 0.9"], "use_moving_average is false"),
    (["--set", "train_config.optimizer.momentum_optimizer.momentum_optimizer_value: 0.9"], "no learning rate"),
    (["--checkpoint_type", "full"], "--checkpoint"),
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
    assert changes.nested("a.b.c: 1") == "a { b { c: 1 } }"
    assert changes.nested("a.b { c: 1 }") == "a { b { c: 1 } }"
    assert changes.nested("a { b: 1 }") == "a { b: 1 }"
    assert changes.nested("a: 1") == "a: 1"


def test_a_list_replaces_the_templates(demo_records, tmp_path):
    made = pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", tmp_path / "a.config", overrides=(
        "model.ssd.anchor_generator.ssd_anchor_generator.aspect_ratios: [1.0, 4.0]",
        "train_config.data_augmentation_options { ssd_random_crop { } }", "eval_input_reader.num_readers: 3"))
    assert list(made.config.model.ssd.anchor_generator.ssd_anchor_generator.aspect_ratios) == [1.0, 4.0]
    option, = made.config.train_config.data_augmentation_options
    assert option.WhichOneof("preprocessing_step") == "ssd_random_crop"
    reader, = made.config.eval_input_reader
    assert reader.num_readers == 3 and reader.tf_record_input_reader.input_path


def rate(config):
    return getattr(*changes.learning_rates(config)[0])


def test_learning_rate_follows_the_batch_size_on_request(demo_records, tmp_path):
    def made(name="ssd_inception_v2_300", **arguments):
        return pipeline_config.make(name, demo_records / "jpeg-q5", tmp_path / "a.config", **arguments).config

    assert made(batch_size=32).train_config.batch_size == 32
    assert rate(made(batch_size=32)) == rate(made())
    assert rate(made(batch_size=32, scale_learning_rate=True)) == pytest.approx(rate(made()) / 4)
    by_set = made(overrides=["train_config.batch_size: 256"], scale_learning_rate=True)
    assert rate(by_set) == pytest.approx(2 * rate(made()))
    scaled, plain = (changes.learning_rates(made("faster_rcnn_inception_v2", batch_size=4,
                                                        scale_learning_rate=scale)) for scale in (True, False))
    assert len(scaled) == 3
    assert [getattr(*place) for place in scaled] == pytest.approx([getattr(*place) / 4 for place in plain])
    with pytest.raises(InputError, match="choose one"):
        made(scale_learning_rate=True, overrides=[
            "train_config.optimizer.rms_prop_optimizer.learning_rate.constant_learning_rate.learning_rate: 1"])


def test_anchors_and_surprises_are_told(demo_records, tmp_path, run_tool):
    process = run_tool("make_pipeline_config", "--detector", "faster_rcnn_inception_v2", "--records",
                       demo_records / "jpeg-q5", "--output", tmp_path / "a.config")
    assert process.returncode == 0, process.stderr
    assert "of the 52,292 anchors at IoU >= 0.7" in process.stdout
    assert "PassengerCar" in process.stdout and "small" in process.stdout
    assert "batch normalisation frozen" in process.stdout
    process = run_tool("make_pipeline_config", "--detector", "ssd_inception_v2_300", "--records",
                       demo_records / "jpeg-q5", "--output", tmp_path / "a.config")
    assert "a batch of 128 is more than the" in process.stdout
    made = pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", tmp_path / "b.config", overrides=[
        "train_config.num_steps: 5000", "train_input_reader.max_number_of_boxes: 1"])
    assert any("learning rate is 0 after 1800 of the 5000 steps" in note for note in made.notes)
    assert made.config.train_input_reader.max_number_of_boxes > 1
    assert 0.5 < made.anchors.recall <= 1


def test_frames_of_several_sizes_need_a_batch_of_one(demo_records, tmp_path, run_tool):
    process = run_tool("make_demo_frames", "--output", tmp_path / "data", "--count", 6, "--size", "200x200", "--broken",
                       0)
    assert process.returncode == 0, process.stderr
    process = run_tool("make_tfrecords", "--frames", tmp_path / "data/frames", "--labels", tmp_path / "data/labels",
                       "--quality", 5, "--val_fraction", 0.3, "--output", tmp_path / "tfrecords")
    assert process.returncode == 0, process.stderr
    both = tmp_path / "both"
    shutil.copytree(demo_records / "jpeg-q5", both)
    shard = sorted(both.glob("train-*.tfrecord"))[0]
    shard.write_bytes(shard.read_bytes() + sorted((tmp_path / "tfrecords/jpeg-q5").glob("train-*"))[0].read_bytes())
    with pytest.raises(InputError, match="cannot hold"):
        pipeline_config.make("faster_rcnn_resnet50", both, tmp_path / "a.config", batch_size=2)
    pipeline_config.make("faster_rcnn_resnet50", both, tmp_path / "a.config")
    made = pipeline_config.make("faster_rcnn_resnet50", both, tmp_path / "a.config", batch_size=2, overrides=[
        "model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer.pad_to_max_dimension: true"])
    assert made.anchors.recall > 0


def test_checkpoints_of_other_classes_or_detectors(demo_records, tmp_path):
    records = demo_records / "jpeg-q5"
    model = tmp_path / "model"
    model.mkdir()
    (model / "ckpt-3.index").touch()

    def made(**arguments):
        return pipeline_config.make("ssd_inception_v2_demo", records, tmp_path / "a.config", checkpoint=model,
                                    **arguments)

    assert made().config.train_config.fine_tune_checkpoint_type == "full"
    pipeline_config.make("ssd_inception_v2_300", records, model / "pipeline.config")
    assert made().config.train_config.fine_tune_checkpoint_type == "full"
    assert made(checkpoint_type="classification").config.train_config.fine_tune_checkpoint_type == "classification"
    text = (model / "pipeline.config").read_text()
    (model / "pipeline.config").write_text(text.replace("num_classes: 7", "num_classes: 90"))
    found = made()
    assert found.config.train_config.fine_tune_checkpoint_type == "detection"
    assert any("90 classes" in note for note in found.notes)
    with pytest.raises(InputError, match="--checkpoint_type detection"):
        made(checkpoint_type="full")
    (model / "pipeline.config").write_text(text.replace("ssd_inception_v2_keras", "ssd_mobilenet_v2_keras"))
    with pytest.raises(InputError, match="the checkpoint is one of ssd_mobilenet_v2_keras"):
        made()


def test_damaged_classes_are_told(demo_records, tmp_path):
    records = tmp_path / "records"
    shutil.copytree(demo_records / "jpeg-q5", records)
    label_map = records / "label_map.pbtxt"
    text = label_map.read_text()
    label_map.write_text(text.replace("id: 7", "id: 9"))
    with pytest.raises(InputError, match=r"boxes have class ids \[7\] that are not in label_map"):
        pipeline_config.make("ssd_inception_v2_demo", records, tmp_path / "a.config")
    label_map.write_text("item { id: 1 name: 'PassengerCar' }")
    with pytest.raises(InputError, match="class ids up to"):
        pipeline_config.make("ssd_inception_v2_demo", records, tmp_path / "a.config")
    assert not (tmp_path / "a.config").exists()


def test_averaged_weights_are_used_where_an_optimizer_asks_for_them():
    config = pipeline_config.template("ssd_inception_v2_300")
    assert not pipeline_config.uses_moving_average(config)
    config.train_config.optimizer.use_moving_average = True
    assert pipeline_config.uses_moving_average(config)
    config.ClearField("train_config")  # the field's default is true
    assert config.train_config.optimizer.use_moving_average and not pipeline_config.uses_moving_average(config)


def test_no_tensorflow_is_imported():
    code = ("import sys; from tfod_compress.tasks.detection.config import pipeline_config\n"
            "pipeline_config.template('ssd_inception_v2_300'); "
            "sys.exit('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
