"""Archives of the TF2 zoo's layout: taken whole, proven by their own SavedModel, or refused with a reason.

The zoo's own are not to be had here; these were filled by the OD API's code with random weights (`tf2_archives`).
"""

import json
import shutil
import tarfile

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from tests import tiny_records
from tests.conftest import ROOT
from tests.support.test_download import Server
from tests.tasks.detection import tf2_archives
from tfod_compress.labels import label_map
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import trained_model
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.zoo import catalogue, fetching, old_config, tf2_archive, tf2_catalogue, verification

SSD = "ssd_mobilenet_v2_320x320_coco17_tpu-8"
CENTER_NET = "centernet_mobilenetv2fpn_512x512_coco17_od"
FILES = ["checkpoint", "ckpt-0.data-00000-of-00001", "ckpt-0.index", "conversion.json", "pipeline.config"]


@pytest.fixture(scope="module")
def packed_ssd(tmp_path_factory):
    """A folder with a small archive of an SSD of 7 classes."""
    folder = tmp_path_factory.mktemp("packed")
    tf2_archives.make(SSD, folder, tf2_archives.model(SSD, narrow=True).replace("num_classes: 90", "num_classes: 7"))
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with a small archive of a CenterNet of COCO's classes."""
    folder = tmp_path_factory.mktemp("packed")
    tf2_archives.make(CENTER_NET, folder, tf2_archives.model(CENTER_NET, narrow=True))
    return folder


@pytest.fixture
def in_this_process(monkeypatch):
    """Answers the questions to the process of the models here: its start costs more than all that it does."""
    from tfod_compress.tasks.detection.zoo import verifying

    def ask(request, work):
        verifying.main(*map(str, (write(work / "request.json", json.dumps(request)), work / "answer.json")))
        found = json.loads((work / "answer.json").read_text())
        if "error" in found:
            raise InputError(found["error"])
        return found

    def write(path, text):
        path.write_text(text)
        return path

    monkeypatch.setattr(verification, "_ask", ask)


def repacked(packed, tmp_path, change, name=CENTER_NET):
    """The archive again, after `change` of its unpacked folder."""
    with tarfile.open(packed / f"{name}.tar.gz") as tar:
        tar.extractall(tmp_path / "again", filter="data")
    change(tmp_path / "again" / name)
    tf2_archives.pack(tmp_path / "again" / name)
    return tmp_path / "again" / f"{name}.tar.gz"


def test_an_ssd_by_the_command(packed_ssd, tmp_path, run_tool):
    (tmp_path / "pictures").mkdir()
    Image.fromarray(next(iter(tiny_records.pictures(1).values()))).save(tmp_path / "pictures" / "mine.png")
    done = run_tool("fetch_checkpoint", SSD, "--archive", packed_ssd / f"{SSD}.tar.gz", "--output", tmp_path / "out",
                    "--verify_on", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    assert "on 3 pictures agree with saved_model" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert (record["name"], record["num_classes"], record["published"]["coco_map"]) == (SSD, 7, 20.2)
    assert f"all {len(record['variables'])} variables from checkpoint/ckpt-0, 7 classes" in done.stdout
    seen = record["verification"]
    assert seen["pictures"] == ["drawn 400x300", "drawn 256x384", "mine"] and seen["compared"] >= 30
    assert max(seen["largest_box_difference"], seen["largest_score_difference"]) <= 1e-5
    with tarfile.open(packed_ssd / f"{SSD}.tar.gz") as tar:
        data = tar.extractfile(f"{SSD}/checkpoint/ckpt-0.data-00000-of-00001").read()
    assert (tmp_path / "out" / "ckpt-0.data-00000-of-00001").read_bytes() == data
    config = pipeline_config.read(tmp_path / "out" / "pipeline.config")
    assert [field.name for field, _ in config.ListFields()] == ["model"]
    assert trained_model.find(tmp_path / "out").class_names() == {}, "7 classes are not COCO's"


@pytest.fixture
def center_net(packed, tmp_path, in_this_process):
    """The folder of the fetched CenterNet."""
    fetching.fetch(CENTER_NET, tmp_path / "checkpoints" / CENTER_NET, archive=packed / f"{CENTER_NET}.tar.gz")
    return tmp_path / "checkpoints" / CENTER_NET


def test_a_center_net_is_proven_named_and_found_again(center_net, tmp_path, monkeypatch):
    record = json.loads((center_net / "conversion.json").read_text())
    seen = record["verification"]
    assert seen["compared"] >= 20 and seen["with_that_score"] == seen["compared"]
    assert max(seen["largest_box_difference"], seen["largest_score_difference"]) <= 1e-5
    assert sorted(path.name for path in center_net.iterdir()) == sorted([*FILES, "label_map.pbtxt"])
    names = trained_model.find(center_net).class_names()
    assert names == label_map.load("coco") and len(names) == 80 and max(names) == 90
    assert trained_model.find(center_net).nms_iou() is None
    # What lies there is not fetched again: `fetched` would have to download.
    monkeypatch.chdir(tmp_path)
    assert fetching.fetched(CENTER_NET) == center_net.relative_to(tmp_path)
    shutil.copytree(center_net, tmp_path / "checkpoints" / SSD)
    with pytest.raises(InputError, match="holds another model"):
        fetching.fetched(SSD)
    with pytest.raises(InputError, match="no checkpoint 'ssd_mobilenet'"):
        fetching.fetched("ssd_mobilenet")
    # Training starts from it only where there is such a template.
    tiny_records.write(tmp_path / "records", tiny_records.pictures(2), {})
    with pytest.raises(InputError, match="the checkpoint is one of mobilenet_v2_fpn, the template's detector is ssd_"):
        pipeline_config.make("ssd_inception_v2_demo", tmp_path / "records", tmp_path / "c.config",
                             checkpoint=center_net)


def test_weights_that_give_something_else_are_not_good(packed, tmp_path, in_this_process):
    """The SavedModel is the witness: one bias of the checkpoint differs."""
    def shift(values):
        name = next(name for name in sorted(values) if values[name].shape == (90,))
        values[name] += np.float32(0.5)

    def change(top):
        tf2_archives.change_checkpoint(top / "checkpoint" / "ckpt-0", shift)

    archive = repacked(packed, tmp_path, change)
    with pytest.raises(InputError, match=r"does not compute what it does: .*scores by up to .* nothing was") as told:
        fetching.fetch(CENTER_NET, tmp_path / "out", archive=archive)
    assert "\n" not in str(told.value) and not (tmp_path / "out").exists()
    record = fetching.fetch(CENTER_NET, tmp_path / "out", archive=archive, verify=False)
    assert record["verification"] == {"skipped": "--noverify"} and record["variables"]


@pytest.mark.parametrize(("unlisted", "told"), [
    (False, r"lacks the values of \d+ variables that it lists: .*_prediction_head_dict/box.*/kernel"),
    (True, r"lacks \d+ of the 301 variables of pipeline.config: .*kernel.*bias")])
def test_variables_without_a_value_are_named(packed, tmp_path, in_this_process, unlisted, told):
    archive = repacked(packed, tmp_path, lambda top: tf2_archives.change_checkpoint(
        top / "checkpoint" / "ckpt-0", lambda values: None, ["_prediction_head_dict"], unlisted))
    with pytest.raises(InputError, match=f"^ckpt-0: {told}") as error:
        fetching.fetch(CENTER_NET, tmp_path / "out", archive=archive, verify=False)
    assert "more" not in str(error.value) and not (tmp_path / "out").exists()


def test_archives_of_another_layout_are_told(packed, tmp_path):
    def fetch(change, as_name=CENTER_NET):
        return fetching.fetch(as_name, tmp_path / "out", archive=repacked(packed, tmp_path, change))

    for change, told in (
            (lambda top: (top / "checkpoint" / "ckpt-0.index").unlink(), r"no whole checkpoint/ckpt-0"),
            (lambda top: (top / "pipeline.config").unlink(), "holds no pipeline.config"),
            (lambda top: shutil.rmtree(top / "saved_model"), "--noverify takes it unverified"),
            (lambda top: (top / "saved_model/variables/variables.index").unlink(), "--noverify takes it unverified")):
        with pytest.raises(InputError, match=told):
            fetch(change)
    with pytest.raises(InputError, match="extractor is 'mobilenet_v2_fpn', but this name's is 'hourglass_104'"):
        fetch(lambda top: None, as_name="centernet_hg104_512x512_coco17_tpu-8")
    with pytest.raises(InputError, match="is it an archive of the TF1 detection zoo"):
        fetch(lambda top: None, as_name="ssd_inception_v2_coco")
    assert not (tmp_path / "out").exists()


def test_a_download_that_has_changed_is_refused(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "run", lambda *_, **__: {"variables": [], "verification": {}})
    server = Server()
    server.file, server.data = f"{CENTER_NET}.tar.gz", (packed / f"{CENTER_NET}.tar.gz").read_bytes()

    def fetch():
        return fetching.fetch(CENTER_NET, tmp_path / "out", downloads=tmp_path / "d", address=server.address)

    try:
        assert fetch()["archive"]["url"] == f"{server.address}/tf2/20210210/{CENTER_NET}.tar.gz"
        server.data = repacked(packed, tmp_path, lambda top: (top / "more").write_text("x")).read_bytes()
        with pytest.raises(InputError, match="has changed"):
            fetch()
    finally:
        server.close()


def test_only_the_model_of_a_config_is_read(tmp_path):
    """Unknown fields and extensions outside it are nobody's business; inside it they would change the model."""
    text = f"# model {{ in a comment\nmodel: {{\n{tf2_archives.model(CENTER_NET)}\n}}\n{tf2_archives.TRAINING}"
    path = tmp_path / "pipeline.config"
    path.write_text(text)
    config, classes = tf2_archive.read_model(path, catalogue.find(CENTER_NET))
    assert classes == 90 and config.model.center_net.image_resizer.keep_aspect_ratio_resizer.max_dimension == 512
    assert [field.name for field, _ in config.ListFields()] == ["model"]
    for old, new, told in (
            ("num_classes: 90", "num_classes: 90 shiny: 1", r'none that this OD API knows in full: 4:.*"shiny"'),
            ("center_net {", "context_rcnn_of_tomorrow {", "knows in full"),
            ("eval_config: {", "eval_config: { {", "a bracket is not closed"),
            ("eval_config: {", "} eval_config: {", "closes nothing"),
            ("model: {", "other: {", "has no model at its top"),
            ("eval_config: {", "model { } eval_config: {", "has 2 model at its top"),
            ("eval_config: {", "x { " * 200, "messages inside each other")):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=f"pipeline.config: .*{told}"):
            tf2_archive.read_model(path, catalogue.find(CENTER_NET))


def test_the_field_is_taken_and_not_a_word_like_it():
    assert old_config.only_field('a: model b { model { x: 1 } } model < y: "}" > c: 2', "model", "t").strip() == (
        'model < y: "}" >')


def test_names_and_accuracies_of_the_zoo():
    known = catalogue.find(f"{SSD}.tar.gz")
    assert known is catalogue.find(SSD) and known.path == f"tf2/20200711/{SSD}.tar.gz" and known.published_map == 20.2
    assert {name: catalogue.find(name).published_map for name in (
        "efficientdet_d2_coco17_tpu-32", "centernet_hg104_512x512_coco17_tpu-8",
        "faster_rcnn_resnet152_v1_640x640_coco17_tpu-8", "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8")} == {
        "efficientdet_d2_coco17_tpu-32": 41.8, "centernet_hg104_512x512_coco17_tpu-8": 41.9,
        "faster_rcnn_resnet152_v1_640x640_coco17_tpu-8": 32.4,
        "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8": 39.0}
    assert len(set(catalogue.names())) == len(catalogue.names())
    assert all(15 < archive.published_map < 55 for archive in tf2_catalogue.ARCHIVES)


FULL = ("ssd_mobilenet_v2_320x320_coco17_tpu-8", "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
        "efficientdet_d0_coco17_tpu-32", "efficientdet_d1_coco17_tpu-32", "efficientdet_d2_coco17_tpu-32",
        "centernet_resnet50_v1_fpn_512x512_coco17_tpu-8", "centernet_resnet50_v2_512x512_coco17_tpu-8",
        "centernet_hg104_512x512_coco17_tpu-8", "faster_rcnn_resnet50_v1_640x640_coco17_tpu-8",
        "faster_rcnn_resnet101_v1_640x640_coco17_tpu-8", "faster_rcnn_resnet152_v1_640x640_coco17_tpu-8",
        "faster_rcnn_inception_resnet_v2_640x640_coco17_tpu-8", "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8")


@pytest.mark.parametrize("name", FULL)
def test_each_family_has_its_extractor(name):
    """The table's extractors are the OD API's, and the settings are ones that it can parse."""
    from object_detection.protos import model_pb2

    model = text_format.Parse(tf2_archives.model(name), model_pb2.DetectionModel())
    kind = getattr(model, model.WhichOneof("model")).feature_extractor.type
    assert kind.startswith(catalogue.find(name).extractor)


@pytest.fixture(scope="module")
def coco_records(tmp_path_factory, shared_data, run_tool):
    """Record sets of eight COCO frames at two JPEG qualities."""
    folder = tmp_path_factory.mktemp("coco")
    data = shared_data / "coco_yolo"
    done = run_tool("make_tfrecords", "--frames", data / "images", "--labels", data / "labels", "--label_map", "coco",
                    "--names", "coco", "--max_frames", 8, "--quality", "90,10", "--output", folder)
    assert done.returncode == 0, done.stderr
    return [folder / "jpeg-q90", folder / "jpeg-q10"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_at_full_size_fetched_and_evaluated(name, coco_records, tmp_path, run_tool):
    """Each in processes of its own, one after the other: the largest take several GB."""
    import subprocess
    import sys

    subprocess.run([sys.executable, "-m", "tests.tasks.detection.tf2_archives", name, str(tmp_path)], cwd=ROOT,
                   check=True, timeout=1800)
    done = run_tool("fetch_checkpoint", name, "--archive", tmp_path / f"{name}.tar.gz", "--output", tmp_path / "model",
                    timeout=1800)
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "model" / "conversion.json").read_text())["verification"]
    assert max(seen["largest_box_difference"], seen["largest_score_difference"]) <= 1e-5
    sets = [argument for records in coco_records for argument in ("--records", records)]
    done = run_tool("evaluate", "--checkpoint", tmp_path / "model", *sets, "--output", tmp_path / "results",
                    timeout=1800)
    assert done.returncode == 0, done.stderr
    for records in coco_records:
        assert "coco" in json.loads((tmp_path / "results" / records.name / "metrics.json").read_text())


@pytest.mark.slow
def test_detect_fetches_what_is_not_there(packed, tmp_path, run_tool, monkeypatch):
    """One line to try: the zoo's address is reached through a proxy on this machine."""
    server = Server()
    server.file, server.data = f"{CENTER_NET}.tar.gz", (packed / f"{CENTER_NET}.tar.gz").read_bytes()
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Image.fromarray(next(iter(tiny_records.pictures(1).values()))).save(tmp_path / "picture.jpg")
    try:
        for _ in range(2):
            done = run_tool("detect", "--zoo", CENTER_NET, "picture.jpg", "--score_threshold", 0.1, "--output", "found",
                            cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert len(server.requests) == 1
            shutil.rmtree(tmp_path / "found" / "pictures")
    finally:
        server.close()
    assert (tmp_path / "checkpoints" / CENTER_NET / "conversion.json").is_file()
