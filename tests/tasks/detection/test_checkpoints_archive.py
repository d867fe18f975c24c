"""Zoo archives are not trusted, and their configs are of another time."""

import io
import tarfile

import pytest
from google.protobuf import text_format

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.zoo import archive, catalogue, old_config, published

TOP = "ssd_inception_v2_coco_2018_01_28"
FILES = {"model.ckpt.index": b"index", "model.ckpt.data-00000-of-00001": b"data", "model.ckpt.meta": b"meta",
         "frozen_inference_graph.pb": b"graph", "pipeline.config": b"model { }", "checkpoint": b"ckpt",
         "saved_model/saved_model.pb": b"other", "saved_model/variables/model.ckpt.index": b"other"}


def write(path, files=FILES, members=()):
    """An archive with these files below TOP, and further tarfile.TarInfo members."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in members:
            tar.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
    return path


def without(*names):
    return {name: data for name, data in FILES.items() if name not in names}


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_takes_out_only_what_is_needed(tmp_path, folder):
    found = archive.extract(write(tmp_path / "a.tar.gz"), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        name: FILES[name] for name in ("model.ckpt.index", "model.ckpt.data-00000-of-00001",
                                       "frozen_inference_graph.pb", "pipeline.config")}
    assert found.checkpoint == str(folder / "model.ckpt")
    assert found.frozen_graph.name == "frozen_inference_graph.pb"
    assert found.pipeline_config.name == "pipeline.config"
    assert found.size == (tmp_path / "a.tar.gz").stat().st_size
    assert len(found.sha256) == 64


def test_an_archive_of_2017_without_a_config(tmp_path, folder):
    path = write(tmp_path / "a.tar.gz", without("pipeline.config", "frozen_inference_graph.pb"))
    found = archive.extract(path, folder)
    assert found.checkpoint
    assert found.pipeline_config is found.frozen_graph is None


@pytest.mark.parametrize("files", [
    without("model.ckpt.index"), without("model.ckpt.data-00000-of-00001"),
    {**without("model.ckpt.data-00000-of-00001"), "model.ckpt.data-00001-of-00002": b"half"}],
    ids=["no index", "no data", "half the data"])
def test_half_a_checkpoint_is_none(tmp_path, folder, files):
    assert archive.extract(write(tmp_path / "a.tar.gz", files), folder).checkpoint is None
    (tmp_path / "other").mkdir()
    del files["frozen_inference_graph.pb"]
    with pytest.raises(InputError, match="neither"):
        archive.extract(write(tmp_path / "b.tar.gz", files), tmp_path / "other")


@pytest.mark.parametrize("bad", [
    member("../evil", size=1),
    member("/etc/evil", size=1),
    member(f"{TOP}/link", tarfile.SYMTYPE, "../../../etc/passwd"),
    member(f"{TOP}/link", tarfile.LNKTYPE, "../outside"),
    member(f"{TOP}/device", tarfile.CHRTYPE),
    member(f"{TOP}/x/../pipeline.config", size=1),  # a second file of this name
], ids=["parent", "absolute", "symlink", "hard link", "device", "twice"])
def test_members_that_could_harm_are_refused(tmp_path, folder, bad):
    if bad.name == "/etc/evil":  # tarfile's filter makes such a path relative, which does no harm
        archive.extract(write(tmp_path / "a.tar.gz", members=[bad]), folder)
    else:
        with pytest.raises(InputError, match="a.tar.gz: (is not safe|holds two)"):
            archive.extract(write(tmp_path / "a.tar.gz", members=[bad]), folder)
    assert not [path for path in tmp_path.rglob("*evil*")]


def test_a_link_in_the_place_of_a_wanted_file_is_refused(tmp_path, folder):
    link = member(f"{TOP}/pipeline.config", tarfile.SYMTYPE, "model.ckpt.index")
    with pytest.raises(InputError, match="no plain file"):
        archive.extract(write(tmp_path / "a.tar.gz", without("pipeline.config"), [link]), folder)


@pytest.mark.parametrize(("bound", "told"), [
    ("MAX_BYTES", "more than any"), ("MAX_CONFIG_BYTES", "pipeline.config has"), ("MAX_FILES", "more than 5 files"),
    ("_MAX_READ", "has a header of")])
def test_sizes_are_bounded(tmp_path, folder, monkeypatch, bound, told):
    """Of the files taken out and of the headers, which tarfile reads into memory whole."""
    path = write(tmp_path / "a.tar.gz", {**FILES, "x" * 3000: b""})
    monkeypatch.setattr(archive, bound, 520 if bound == "_MAX_READ" else 5)
    with pytest.raises(InputError, match=told):
        archive.extract(path, folder)


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_damaged_archives_are_told(tmp_path, folder, damage):
    data = write(tmp_path / "a.tar.gz").read_bytes()
    data = {"cut": data[:-40], "flipped": data[:20] + bytes(b ^ 255 for b in data[20:60]) + data[60:],
            "other": b"<html>not found</html>", "empty": b""}[damage]
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(InputError, match="not a whole .tar.gz"):
        archive.extract(tmp_path / "a.tar.gz", folder)


def test_names_of_the_zoo():
    assert catalogue.find("ssd_inception_v2_coco") is catalogue.find("ssd_inception_v2_coco_2018_01_28")
    assert catalogue.find("ssd_inception_v2_coco_2017_11_17").file == "ssd_inception_v2_coco_2017_11_17.tar.gz"
    with pytest.raises(InputError, match="ssd_mobilenet.*there are: ssd_inception_v2_coco_2018_01_28"):
        catalogue.find("ssd_mobilenet_v1_coco")


def test_of_every_archive_of_coco_it_is_known_what_the_zoo_prints_and_of_which_frames():
    for known in catalogue.ARCHIVES:
        found = published.find(known.name)
        assert (found is None) is ("_kitti_" in known.name)
        if found:
            assert 0.1 < found.coco_ap < 0.6 and "minival" in found.frames and found.trained_on_val2017
    assert published.find("faster_rcnn_resnet101_coco").coco_ap == 0.32
    assert published.find("runs/mine/ckpt-3") is None


def test_val2017_is_known_by_all_its_frames_and_no_other():
    first, last = "000000000139", "000000581781"
    between = [f"{number:012d}" for number in range(200, 5198)]
    assert published.is_val2017([f"val2017/{name}" for name in (last, *between, first)])
    for other in (between, [first, *between, "000000500000"], [first, last, *between[1:], "a0000000020x"],
                  [first, last, *between[1:]], [first, last, *between, "000000400000"], []):
        assert not published.is_val2017(other)


@pytest.mark.parametrize("known", catalogue.ARCHIVES, ids=lambda known: known.name)
def test_every_archive_has_a_model_for_when_it_brings_no_config(known):
    config = old_config.convert(f"model {{ {known.model} }}", "sample", known.extractor)
    assert config.dropped == []
    assert config.model.feature_extractor.type == old_config.EXTRACTORS[known.extractor]
    assert config.model.num_classes == (2 if "kitti" in known.name else 90)
    assert not config.pipeline.HasField("train_config")


OLD = """
# a comment with { braces
model { ssd {
  num_classes: 7, from_the_future < deep { x: [ { y: 1 }, { y: 2 } ] z: "}" 'two' } >
  feature_extractor {
    type: 'ssd_' "inception_v2" batch_norm_trainable: true;
    conv_hyperparams { regularizer { l2_regularizer { weight: 4e-05 } } shiny: [1, 2] activation: RELU_6 }
  }
  later: "# no comment" old: FANCY
} }
gone { }
train_config: { batch_size: 24 fine_tune_checkpoint: "PATH/model.ckpt" from_detection_checkpoint: true
  optimizer { momentum_optimizer { } } }
train_input_reader: { label_map_path: "PATH/map.pbtxt" tf_record_input_reader { input_path: "PATH/train" } }
eval_input_reader: [ { label_map_path: "PATH/map.pbtxt" new_reader { } } ]
"""


def test_fields_that_this_od_api_does_not_know_are_dropped_and_named():
    config = old_config.convert(OLD, "pipeline.config", "ssd_inception_v2")
    assert config.dropped == [
        "model.ssd.from_the_future", "model.ssd.feature_extractor.batch_norm_trainable",
        "model.ssd.feature_extractor.conv_hyperparams.shiny", "model.ssd.later", "model.ssd.old", "gone",
        "eval_input_reader.new_reader"]
    features = config.model.feature_extractor
    assert config.model.num_classes == 7
    assert features.type == "ssd_inception_v2_keras"
    assert features.override_base_feature_extractor_hyperparams
    assert features.conv_hyperparams.regularizer.l2_regularizer.weight == pytest.approx(4e-5)
    assert text_format.MessageToString(features.conv_hyperparams).count("activation: RELU_6") == 1
    assert any("override_base" in change for change in config.changed)


def test_paths_and_averages_of_the_old_training_go():
    config = old_config.convert(OLD, "pipeline.config", "ssd_inception_v2")
    assert "PATH" not in text_format.MessageToString(config.pipeline)
    assert config.pipeline.train_config.batch_size == 24
    assert not config.pipeline.train_config.optimizer.use_moving_average
    assert config.pipeline.train_input_reader.WhichOneof("input_reader") == "tf_record_input_reader"
    assert len(config.changed) == 4


@pytest.mark.parametrize(("old", "new", "told"), [
    ('"inception_v2"', '"mobilenet_v1"', "its feature extractor is 'ssd_mobilenet_v1'"),
    ("RELU_6", "RELU_7", "pipeline.config: not a pipeline config: 7:.*RELU_7"),
    ("num_classes: 7", "num_classes: [", "not a pipeline config"),
    ("gone { }", "gone {", "train_config.*is due|is not closed"),
    ("gone { }", "} gone", "'}' where a field name is due"),
    ("gone { }", "model { ", "not closed"),
    ("num_classes: 7", "x { " * 200, "messages inside each other"),
    ("num_classes: 7", "box_predictor { convolutional_box_predictor { apply_sigmoid_to_scores: true } }",
     "apply_sigmoid_to_scores"),
    ("model { ssd", "model { center_net", "neither ssd nor faster_rcnn"),
    ("gone { }", "gone", "not a pipeline config"),
])
def test_configs_that_cannot_be_used_are_told(old, new, told):
    assert old in OLD
    with pytest.raises(InputError, match=told):
        old_config.convert(OLD.replace(old, new), "pipeline.config", "ssd_inception_v2")
