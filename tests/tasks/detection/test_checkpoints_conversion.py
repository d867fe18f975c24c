"""From the variables of a TF1 detector to a checked TF2 checkpoint: which are taken, which are left, what is refused.

That the names and numbers are TF1's own is shown by odapi/test_conversion.py; here the archives are made from the names
that were proven there.
"""

import json

import numpy as np
import pytest

from tests.support.test_download import Server
from tests.tasks.detection.odapi import detector_cases, tf1_detectors
from tests.training.runs import train_detector
from tfod_compress.labels import label_map
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import trained_model
from tfod_compress.tasks.detection.zoo import catalogue

NAME = "ssd_inception_v2_coco_2018_01_28"
CONFIG = detector_cases.config(NAME, "num_classes: 7", "feature_extractor { depth_multiplier: 0.1 }")
KERNEL = "BoxPredictor_0/ClassPredictor/weights"


@pytest.fixture(scope="module")
def model():
    """A narrow SSD, built once; every conversion fills it anew."""
    from tfod_compress.tasks.detection.zoo import conversion, old_config

    config = old_config.convert(CONFIG, "config", "ssd_inception_v2")
    return conversion.build(config.pipeline.model, "config")


@pytest.fixture(scope="module")
def weights(model):
    """{TF1 variable name: random value} of the narrow SSD."""
    from tfod_compress.tasks.detection.odapi import tf1_names

    rng = np.random.default_rng(0)
    return {name: (rng.uniform(0.5, 1.5, variable.shape) if name.endswith("moving_variance") else
                   rng.normal(0, 0.1, variable.shape)).astype(np.float32)
            for name, variable in tf1_names.detector(model).items()}


@pytest.fixture
def convert(model, tmp_path, monkeypatch):
    """Packs weights as an archive of the zoo and converts it into tmp_path / "out"."""
    from tfod_compress.tasks.detection.zoo import conversion, fetching

    monkeypatch.setattr(conversion, "build", lambda *_: model)

    def run(weights, frozen=None, output="out", **kwargs):
        folder = tmp_path / "packing" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.config").write_text(CONFIG)
        for file in folder.glob("*.ckpt.*"):
            file.unlink()
        if frozen is not None:
            (folder / "frozen_inference_graph.pb").write_bytes(frozen)
        else:
            save(folder / "model.ckpt", weights)
        tf1_detectors.pack(folder, detector_cases.ALL_FILES)
        # These graphs hold weights alone: there is nothing to run.
        return fetching.fetch(kwargs.pop("name", NAME), tmp_path / output,
                              archive=folder.with_name(f"{NAME}.tar.gz"), verify=kwargs.pop("verify", False), **kwargs)

    return run


def save(prefix, weights):
    """A checkpoint as TF1's Saver writes it."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=list(weights), shape_and_slices=[""] * len(weights),
                      tensors=list(weights.values()))


def frozen_graph(weights, rename=lambda name: name):
    """A graph whose constants are called after the weights, and others that are no weights."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    for name, value in {**{rename(name): value for name, value in weights.items()},
                        "Preprocessor/mul/x": np.float32(2 / 255), "weights_of_nothing": np.zeros(3)}.items():
        node = graph.node.add(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return graph.SerializeToString()


def restored(folder, model):
    """{TF1 name: value} of what lies in a converted checkpoint."""
    import tensorflow as tf

    from tfod_compress.tasks.detection.config import pipeline_config
    from tfod_compress.tasks.detection.odapi import tf1_names

    ours = tf1_names.detector(model)
    for variable in ours.values():
        variable.assign(tf.zeros_like(variable))
    tf.train.Checkpoint(model=model).read(pipeline_config.latest_checkpoint(folder)).expect_partial()
    return {name: variable.numpy() for name, variable in ours.items()}


def same(found, expected):
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def test_averages_are_preferred_and_what_is_left_out_is_explained(convert, weights, model, tmp_path):
    """Only the averages have the right values here, as in a checkpoint that was saved in the middle of a training."""
    average, slots = "/ExponentialMovingAverage", ("/RMSProp", "/RMSProp_1", "/Momentum")
    averaged = {name for name in weights if "moving_" not in name}
    stored = {name: value + 1 if name in averaged else value for name, value in weights.items()}
    stored |= {name + average: weights[name] for name in averaged}
    stored |= {name + slot: weights[name] for name in averaged for slot in slots}
    stored |= {"global_step": np.int64(1500), "beta1_power": np.float32(0.9)}
    record = convert(stored)
    assert same(restored(tmp_path / "out", model), weights)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checkpoint", "ckpt-0.data-00000-of-00001", "ckpt-0.index", "conversion.json", "pipeline.config"]
    assert record == json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert {reason: len(names) for reason, names in record["left_over"].items()} == {
        "its moving average is taken in its place": len(averaged), "a slot of the optimizer": 3 * len(averaged),
        "the state of the training": 2}
    pairs = {pair["tf1"]: pair for pair in record["variables"]}
    assert pairs.keys() == {name + average if name in averaged else name for name in weights}
    pair, value = pairs[KERNEL + average], weights[KERNEL]
    assert pair["tf2"].endswith("ClassPredictor/kernel")
    assert pair["shape"] == list(value.shape)
    for key, number in (("mean", value.mean()), ("std", value.std()), ("min", value.min()), ("max", value.max())):
        assert pair[key] == pytest.approx(number)
    assert len(record["archive"]["sha256"]) == 64
    assert record["num_classes"] == 7


def test_the_classes_of_the_archive_are_known(convert, weights, tmp_path, monkeypatch):
    """Written beside the checkpoint, and known without that, too: older versions left no label map."""
    for archive in catalogue.ARCHIVES:
        assert f"num_classes: {max(archive.label_map)}" in archive.model
    assert catalogue.find("faster_rcnn_resnet101_kitti").label_map == {1: "car", 2: "pedestrian"}
    ours = {number: f"class {number}" for number in (1, 2, 5, 7)}
    monkeypatch.setattr(catalogue.Archive, "label_map", property(lambda self: ours))
    convert(weights)
    path = tmp_path / "out" / "label_map.pbtxt"
    model = trained_model.find(tmp_path / "out")
    assert label_map.read(path) == model.class_names() == ours
    path.unlink()
    assert model.class_names() == ours
    assert model.nms_iou() == 0.6
    monkeypatch.setattr(catalogue.Archive, "label_map", property(lambda self: {1: "of another model"}))
    assert model.class_names() == {}


@pytest.mark.parametrize("rename", [str, lambda name: f"{name}/read", lambda name: f"{name}/read/_95__cf__98"],
                         ids=["plain", "read", "folded"])
def test_a_frozen_graph_stands_in_for_a_missing_checkpoint(convert, weights, model, tmp_path, rename):
    record = convert(None, frozen_graph(weights, rename))
    assert record["variables_from"] == "frozen_inference_graph.pb"
    assert record["left_over"] == {}
    assert same(restored(tmp_path / "out", model), weights)


def test_every_mismatch_is_an_error_that_lists_both_sides(convert, weights, tmp_path):
    stored = dict(weights)
    del stored["BoxPredictor_2/BoxEncodingPredictor/biases"]
    stored["BoxPredictor_6/BoxEncodingPredictor/biases"] = np.zeros(3)
    stored["Nothing/weights/Momentum"] = np.zeros(3)  # a slot of no variable
    stored["FeatureExtractor/ExponentialMovingAverage"] = np.zeros(3)
    stored[KERNEL] = stored[KERNEL][..., :-1]
    with pytest.raises(InputError) as error:
        convert(stored)
    message = str(error.value)
    assert "lacks (1): BoxPredictor_2/BoxEncodingPredictor/biases." in message
    ours, theirs = list(weights[KERNEL].shape), list(stored[KERNEL].shape)
    assert f"shape (1): {KERNEL} {theirs} (the model's: {ours})." in message
    assert ("model does not (3): BoxPredictor_6/BoxEncodingPredictor/biases, "
            "FeatureExtractor/ExponentialMovingAverage, Nothing/weights/Momentum.") in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(convert, weights, tmp_path, value):
    stored = {**weights, KERNEL: np.where(np.arange(weights[KERNEL].size).reshape(weights[KERNEL].shape) == 7, value,
                                          weights[KERNEL]).astype(np.float32)}
    with pytest.raises(InputError, match=f"{KERNEL} holds NaN or infinity"):
        convert(stored)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("frozen", "told"), [
    (b"\xff\xff\xff no graph", "not a graph"), (b"", "has no constants"),
    ("twice", "twice, with different values"), ("shapes", "twice, in different shapes")])
def test_frozen_graphs_that_cannot_be_used_are_told(convert, weights, frozen, told):
    if isinstance(frozen, str):
        other = weights[KERNEL][..., :-1] if frozen == "shapes" else weights[KERNEL] + 1
        frozen = frozen_graph(weights) + frozen_graph({f"{KERNEL}/read": other})
    with pytest.raises(InputError, match=told):
        convert(None, frozen)


def test_a_damaged_checkpoint_is_told(convert, weights, tmp_path, monkeypatch):
    from tfod_compress.tasks.detection.zoo import archive

    convert(weights)
    extract = archive.extract

    def damaged(path, folder, generation):
        contents = extract(path, folder, generation)
        data = tmp_path / f"{contents.checkpoint}.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:1000])
        return contents

    monkeypatch.setattr(archive, "extract", damaged)
    with pytest.raises(InputError, match="model.ckpt: .* cannot be read"):
        convert(weights, output="other")


def test_the_output_folder_belongs_to_one_model(convert, weights, model, tmp_path):
    """The same archive may be converted again; another model's checkpoint is never overwritten."""
    convert({name: value + 1 for name, value in weights.items()})
    convert(weights)
    assert same(restored(tmp_path / "out", model), weights)
    with pytest.raises(InputError, match="holds another model"):
        convert(weights, name="ssd_inception_v2_coco_2017_11_17")
    (tmp_path / "out" / "conversion.json").unlink()
    with pytest.raises(InputError, match="holds another model .ckpt-0.index, no conversion.json"):
        convert(weights)
    assert same(restored(tmp_path / "out", model), weights)


def test_a_conversion_that_fails_at_the_end_leaves_nothing(convert, weights, tmp_path, monkeypatch):
    """Where the checkpoint does not read back as it should, there is none."""
    from tfod_compress.tasks.detection.zoo import conversion

    def fail(*_):
        raise AssertionError("came back with other values")

    monkeypatch.setattr(conversion, "_verify", fail)
    with pytest.raises(AssertionError):
        convert(weights)
    assert not (tmp_path / "out").exists()


def test_an_archive_under_another_name_is_refused(convert, weights, tmp_path):
    with pytest.raises(InputError, match="is 'ssd_inception_v2', but this name's is 'faster_rcnn_resnet101'"):
        convert(weights, name="faster_rcnn_resnet101_kitti")
    with pytest.raises(InputError, match="no such archive"):
        from tfod_compress.tasks.detection.zoo import fetching

        fetching.fetch(NAME, tmp_path / "out", archive=tmp_path / "none.tar.gz")


def test_downloads_that_are_no_archive_or_have_changed(convert, weights, model, tmp_path):
    """The first are not kept, the second do not replace what was converted before."""
    from tfod_compress.tasks.detection.zoo import fetching

    convert(weights, output="by hand")
    archive = (tmp_path / "packing" / f"{NAME}.tar.gz").read_bytes()
    server = Server()
    server.file = f"{NAME}.tar.gz"

    def fetch(data):
        server.data = data
        return fetching.fetch(NAME, tmp_path / "out", downloads=tmp_path / "downloads", address=server.address,
                              verify=False)

    try:
        with pytest.raises(InputError, match="not a whole .tar.gz"):
            fetch(b"<html>try later</html>")
        assert list((tmp_path / "downloads").iterdir()) == []
        record = fetch(archive)
        assert record["archive"]["url"] == f"{server.address}/{NAME}.tar.gz"
        convert({name: value + 1 for name, value in weights.items()}, output="changed")
        with pytest.raises(InputError, match="has changed"):
            fetch((tmp_path / "packing" / f"{NAME}.tar.gz").read_bytes())
        assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["sha256.json"]
        assert fetch(archive)["archive"]["sha256"] == record["archive"]["sha256"]
    finally:
        server.close()
    assert same(restored(tmp_path / "out", model), weights)


def test_without_a_graph_to_compare_with_there_is_nothing_to_believe(convert, weights, tmp_path):
    with pytest.raises(InputError, match="--noverify takes it unverified"):
        convert(weights, verify=True)
    assert not (tmp_path / "out").exists()
    assert convert(weights)["verification"] == {"skipped": "--noverify"}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "left"), [("classification", 64), ("detection", 24), ("full", 0)])
def test_training_starts_from_it_at_step_0(convert, weights, demo_records, tmp_path, kind, left):
    """Through the product's own loop: what the type stands for is restored, and one step makes step 1."""
    import tensorflow as tf
    from google.protobuf import text_format

    from tfod_compress.tasks.detection.config import pipeline_config

    convert(weights)
    config = pipeline_config.read(tmp_path / "out" / "pipeline.config")
    text_format.Merge("batch_size: 2 optimizer { momentum_optimizer { learning_rate { constant_learning_rate { "
                      "learning_rate: 1e-6 } } } use_moving_average: false }", config.train_config)
    config.train_config.fine_tune_checkpoint = str(tmp_path / "out")
    config.train_config.fine_tune_checkpoint_type = kind
    config.train_config.fine_tune_checkpoint_version = 1
    reader = config.train_input_reader
    reader.label_map_path = str(demo_records / "jpeg-q5" / "label_map.pbtxt")
    reader.tf_record_input_reader.input_path.append(str(demo_records / "jpeg-q5" / "train-*.tfrecord"))
    (tmp_path / "train.config").write_text(text_format.MessageToString(config))
    train_detector(tmp_path / "train.config", tmp_path / "trained", num_train_steps=1, seed=0)
    reached = json.loads((tmp_path / "trained" / "restored.json").read_text())
    assert reached["step"] == 0
    assert (len(reached["restored"]), len(reached["kept"])) == (410 - left, left)
    last = tf.train.load_checkpoint(str(tmp_path / "trained" / "ckpt-1"))
    assert last.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE") == 1
