"""inspect_records finds what is wrong with a record set, and draws what is in it."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tfod_compress.records import RecordSet, convert, example, framing, inspection
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import features
from tfod_compress.tasks.detection.boxes import Boxes
from tfod_compress.tasks.detection.task import Detection


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = records_data.make(tmp_path_factory.mktemp("made"), count=6)
    return convert(folder / "frames", folder / "labels", folder / "out", qualities=(90,), workers_count=1)[0].path


@pytest.fixture
def records(made, tmp_path):
    return shutil.copytree(made, tmp_path / "jpeg-q90")


def rewrite(folder, change):
    """Rewrites the first train record by `change(Boxes) -> (source_id, Boxes)`, manifest and all."""
    path = RecordSet(folder).files("train")[0]
    found = [example.parse(data, Detection()) for data in framing.read_records(path)]
    parts = []
    for index, item in enumerate(found):
        boxes = Boxes(item.boxes, item.class_ids, item.difficult, item.is_crowd, None, None, [], 0, 0)
        source_id = item.source_id
        if index == 0:
            source_id, boxes = change(found, boxes)
        part = example.features_of_frame(source_id, item.filename, item.width, item.height, features.write(
            boxes, item.width, item.height, RecordSet(folder).label_map))
        data = example.build(part, item.encoded, item.format, item.compressed_bytes)
        header, footer = framing.frame(data)
        parts += [header, data, footer]
    path.write_bytes(b"".join(parts))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def with_edges(edges):
    return lambda found, boxes: (found[0].source_id, Boxes(
        np.array([edges], np.float32), boxes.class_ids, boxes.difficult, boxes.is_crowd, None, None, [], 0, 0))


def test_a_good_set_is_called_good_and_drawn(made, tmp_path, run_tool):
    process = run_tool("inspect_records", made, "--gallery", tmp_path / "gallery", "--pictures", 3)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "nothing is odd" in process.stdout and "5 frames" in process.stdout and "5 PassengerCar" in process.stdout
    pictures = sorted((tmp_path / "gallery").glob("*.png"))
    assert len(pictures) == 3
    drawn = np.asarray(Image.open(pictures[0])).astype(int)
    source = records_data.scene(int(pictures[0].stem[-6:])).astype(int)
    index = int(pictures[0].stem[-6:])
    edge = drawn[29, 8:18 + index] - source[29, 8:18 + index]  # the box's lower edge
    assert abs(edge).max(axis=-1).mean() > 40


def test_damage_is_found(records, run_tool):
    path = RecordSet(records).files("train")[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    process = run_tool("inspect_records", records)
    assert process.returncode == 1
    assert "data checksum" in process.stdout
    with pytest.raises(InputError, match="damaged at record"):
        list(RecordSet(records).examples("train"))


@pytest.mark.parametrize("change, told", [
    (with_edges([0.1, 0.1, 1.5, 0.3]), "reaches outside the frame"),
    (with_edges([0.1, 0.1, float("nan"), 0.3]), "reaches outside the frame"),
    (with_edges([0.3, 0.1, 0.3, 0.3]), "has no area"),
    (lambda found, boxes: (found[1].source_id, boxes), "is also in train-"),
])
def test_oddities_are_found(records, change, told):
    rewrite(records, change)
    odd = inspection.inspect(records).odd
    assert len(odd) == 1 and told in odd[0]


def test_ids_outside_the_label_map_are_found(records):
    text = (records / "label_map.pbtxt").read_text().replace("id: 1\n", "id: 11\n")
    (records / "label_map.pbtxt").write_text(text)
    assert any("class id 1 is not in the label map" in line for line in inspection.inspect(records).odd)


def test_missing_and_foreign_files_are_found(records):
    (records / "val-00000-of-00001.tfrecord").unlink()
    (records / "notes.txt").touch()
    odd = inspection.inspect(records).odd
    assert "val-00000-of-00001.tfrecord is missing" in odd and "notes.txt does not belong here" in odd
    assert "val holds 0 frames, the manifest says 1" in odd


@pytest.mark.parametrize("damage, told", [
    (lambda folder: shutil.rmtree(folder), "no such record set"),
    (lambda folder: (folder / "manifest.json").unlink(), "no manifest.json"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "damaged"),
    (lambda folder: (folder / "manifest.json").write_text('{"files": {}, "frames": {"train": 0}}'), "empty"),
    (lambda folder: (folder / "label_map.pbtxt").unlink(), "label_map.pbtxt"),
])
def test_what_is_no_record_set_is_refused(records, damage, told):
    damage(records)
    with pytest.raises(InputError, match=told):
        RecordSet(records)
