"""What a user writes over an experiment: what is taken, what is refused by name, what comes back from a folder."""

import io

import numpy as np
import pytest
from PIL import Image

from tests import tiny_classes
from tfod_compress.support.errors import InputError


@pytest.fixture(scope="module")
def experiment():
    from tfod_compress.tasks.classification import experiment

    return experiment


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(tiny_classes.CONFIG)
    return path


@pytest.mark.parametrize(("name", "overrides", "told"), [
    ("resnet_imagenett", "", "is resnet_imagenet meant"), ("retinanet", "", "not one of image classification"),
    ("resnet_imagenet", "task.model.bacbone.type=resnet", "no field task.model.bacbone, is backbone meant"),
    ("resnet_imagenet", "task.model.backbone.type=resnest", "is resnet meant"),
    ("resnet_imagenet", "task.model.backbone.mobilenet.filter_size_scale=0.5", "without effect"),
    ("resnet_imagenet", "task.model.num_classes=many", "num_classes is 'many'"),
    ("resnet_imagenet", "{task: {model: 3}}", "task.model is 3"),
    ("resnet_imagenet", "trainer.checkpoint_interval=3", "_interval is not honoured; use --checkpoint_every_n"),
    ("resnet_imagenet", "task.train_data.shuffle_buffer_size=3", "task.train_data.shuffle_buffer_size is not honoured"),
    ("resnet_imagenet", "trainer.optimizer_config.ema.average_decay=0.9", "ema is not honoured; set it to null"),
    ("resnet_rs_imagenet", "", "task.train_data.aug_type is not honoured; set it to null"),
    ("resnet_imagenet", "label_offset=2", "it is 0 or 1"), ("resnet_imagenet", "nothing", "no fields")])
def test_refuses_by_name(experiment, name, overrides, told):
    with pytest.raises(InputError, match=told):
        experiment.read(name, [], overrides)


@pytest.mark.parametrize("text", ["task: [", "- 1", "task: {model: {input_sise: [1, 1, 3]}}"])
def test_a_broken_file_is_named(experiment, tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"broken\.yaml"):
        experiment.read("resnet_imagenet", [path])


def test_numbers_and_tuples_as_the_stock_program_writes_them(experiment, tmp_path):
    path = tmp_path / "stock.yaml"
    path.write_text("task: {losses: {l2_weight_decay: 4e-5}, train_data: {crop_area_range: !!python/tuple [0.5, 1.0]}}")
    task = experiment.read("resnet_imagenet", [path]).params.task
    assert (task.losses.l2_weight_decay, list(task.train_data.crop_area_range)) == (4e-5, [0.5, 1.0])


def test_overrides_go_over_files_and_both_over_the_experiment(experiment, config):
    found = experiment.read("resnet_imagenet", [config], "trainer.train_steps=9,task.losses.label_smoothing=1e-1")
    params = found.params
    assert params.task.model.backbone.resnet.depth_multiplier == 0.25
    assert (params.trainer.train_steps, params.task.losses.label_smoothing) == (9, 0.1)
    assert params.trainer.optimizer_config.optimizer.sgd.momentum == 0.9  # the experiment's own


def test_overrides_may_choose_another_type_than_the_file(experiment):
    found = experiment.read("resnet_imagenet", ["signs"], "trainer.optimizer_config.optimizer.type=adam")
    assert found.params.trainer.optimizer_config.optimizer.type == "adam"
    with pytest.raises(InputError, match=r"sgd\.momentum is without effect"):
        experiment.read("resnet_imagenet", ["signs"], "trainer.optimizer_config.optimizer.type=adam,"
                        "trainer.optimizer_config.optimizer.sgd.momentum=0.5")


@pytest.mark.parametrize("offset", [0, 1])
def test_a_folder_gives_back_what_was_left_there_and_can_be_given_again(experiment, config, tmp_path, offset):
    made = experiment.read("resnet_imagenet", [config], f"label_offset={offset}").for_classes(tiny_classes.NAMES)
    made.write(tmp_path)
    found = experiment.of_folder(tmp_path)
    assert found.label_offset == offset
    assert found.params.task.model.num_classes == 3 + offset
    fields = [experiment._plain(each.params.as_dict()) for each in (made, found)]
    assert fields[0] == fields[1]
    again = experiment.read("resnet_imagenet", [tmp_path / "params.yaml"]).for_classes(tiny_classes.NAMES)
    assert experiment._plain(again.params.as_dict()) == fields[0]


def test_the_number_of_classes_is_the_label_maps(experiment):
    plain = experiment.read("resnet_imagenet", [])
    assert plain.for_classes({1: "a", 43: "b"}).params.task.model.num_classes == 43  # ids may have gaps
    asked = experiment.read("resnet_imagenet", [], "task.model.num_classes=1001")
    with pytest.raises(InputError, match="num_classes is 1001.*makes 1000.*label_offset"):
        asked.for_classes(dict.fromkeys(range(1, 1001), ""))
    asked = experiment.read("resnet_imagenet", [], "task.model.num_classes=1001,label_offset=1")
    assert asked.for_classes(dict.fromkeys(range(1, 1001), "")).params.task.model.num_classes == 1001


@pytest.mark.parametrize(("offset", "expected"), [(0, 1), (1, 2)])
def test_pictures_are_decoded_as_pillow_does_and_classes_take_their_place(experiment, config, offset, expected):
    from tfod_compress.tasks.classification import inputs

    (source_id, class_id, rgb), = tiny_classes.pictures(2)[1:]
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "JPEG", quality=30)
    np.testing.assert_array_equal(inputs.decode(data.getvalue()), np.asarray(Image.open(data)))
    plain = f"task.train_data.aug_crop=false,task.train_data.aug_rand_hflip=false,label_offset={offset}"
    transform = inputs.for_training(experiment.read("resnet_imagenet", [config], plain))
    features, index = transform(tiny_classes.example(source_id, class_id, "yield", data.getvalue(), rgb.shape))
    assert index == expected
    assert features["source_id"] == source_id.encode()
    normalised = (np.asarray(Image.open(data)) - 255 * np.array([0.485, 0.456, 0.406])) / (
        255 * np.array([0.229, 0.224, 0.225]))
    np.testing.assert_allclose(features["image"], normalised, atol=1e-4)
