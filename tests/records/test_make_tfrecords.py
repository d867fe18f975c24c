"""make_tfrecords, driven as a user drives it."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory, run_tool):
    folder = records_data.make(tmp_path_factory.mktemp("made"))
    process = run_tool("make_tfrecords", *records_data.arguments(
        folder, "--quality", "90,20", "--measure", "all", "--split_by", r"^(seq\d+)/"))
    assert process.returncode == 0, process.stderr
    return folder


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_each_quality_becomes_a_record_set_of_every_frame(made):
    for quality in (90, 20):
        records = RecordSet(made / "tfrecords" / f"jpeg-q{quality}")
        examples = [example for split in records.splits for example in records.examples(split)]
        assert sorted(example.source_id for example in examples) == sorted(
            f"seq{index % 4:03d}/{index:06d}" for index in range(12))
        for example in examples:
            index = int(example.source_id[-6:])
            source = records_data.scene(index)
            assert example.encoded == codecs.get("jpeg").encode(source, quality)
            assert example.compressed_bytes == len(example.encoded)
            np.testing.assert_allclose(example.boxes, [[6 / 48, 4 / 64, 30 / 48, (20 + index) / 64]], rtol=1e-6)
            assert example.class_ids.tolist() == [1] and example.class_names == ["PassengerCar"]


def test_a_record_set_may_have_a_name_of_its_own(made, tmp_path):
    found, = convert(made / "frames", made / "labels", tmp_path, qualities=[20], record_set="mine.1", workers_count=1)
    assert found.path == tmp_path / "mine.1" and RecordSet(found.path).manifest["quality"] == 20
    for name, qualities, told in (("mine", [20, 5], "give one quality"), ("../up", [20], "letters, digits"),
                                  ("a/b", [20], "letters, digits")):
        with pytest.raises(InputError, match=told):
            convert(made / "frames", made / "labels", tmp_path, qualities=qualities, record_set=name, workers_count=1)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["mine.1"]


def measured(record_set):
    return [int(row["source_id"][-6:]) for row in read_csv(record_set / "images.csv") if row["psnr_db"]]


def test_psnr_is_measured_of_as_many_frames_as_asked_for(made, tmp_path):
    assert len(measured(made / "tfrecords/jpeg-q20")) == 12  # made with --measure all
    none, = convert(made / "frames", made / "labels", tmp_path, qualities=(20,), workers_count=1, measure="none")
    assert measured(none.path) == [] and none.manifest["psnr_db"] is None
    records_data.make(tmp_path, count=8, sequences=1, width=1400, height=1000)
    sample, = convert(tmp_path / "frames", tmp_path / "labels", tmp_path / "large", qualities=(20,), workers_count=1,
                      measure="sample")
    # Five frames hold 7,000,000 pixels. They are the same ones in every version: a run that was cut off goes on.
    assert sorted(measured(sample.path)) == [2, 3, 4, 5, 6]


def test_a_sequence_stays_on_one_side(made):
    sides = {}
    for row in read_csv(made / "tfrecords/jpeg-q20/images.csv"):
        sides.setdefault(row["source_id"].split("/")[0], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"train", "val"}


def test_the_tables_and_the_manifest_tell_the_truth(made):
    folder = made / "tfrecords/jpeg-q20"
    rows, manifest = read_csv(folder / "images.csv"), json.loads((folder / "manifest.json").read_text())
    records = RecordSet(folder)
    sizes = {example.source_id: len(example.encoded) for split in records.splits for example in records.examples(split)}
    for row in rows:
        assert int(row["coded_bytes"]) == sizes[row["source_id"]]
        assert float(row["bpp"]) == pytest.approx(8 * sizes[row["source_id"]] / (64 * 48), abs=1e-6)
        source = records_data.scene(int(row["source_id"][-6:])).astype(float)
        coded = codecs.get("jpeg").decode(codecs.get("jpeg").encode(source.astype(np.uint8), 20))
        assert float(row["psnr_db"]) == pytest.approx(10 * np.log10(255**2 / np.mean((source - coded) ** 2)), abs=1e-3)
    assert manifest["coded_bytes"] == sum(sizes.values()) and manifest["pixels"] == 12 * 64 * 48
    assert manifest["bpp"] == pytest.approx(8 * sum(sizes.values()) / (12 * 64 * 48))
    assert manifest["frames"]["train"] + manifest["frames"]["val"] == 12 and manifest["frames"]["broken"] == 0
    assert manifest["boxes"]["PassengerCar"] == 12 and manifest["quality"] == 20 and manifest["codec"] == "jpeg"
    assert manifest["split_by"] == r"^(seq\d+)/" and "make_tfrecords" in manifest["command"]
    assert {path.name for path in folder.iterdir()} == {*manifest["files"], "manifest.json"}


def test_tensorflow_reads_what_was_written(made):
    tf = pytest.importorskip("tensorflow")
    records = RecordSet(made / "tfrecords/jpeg-q90")
    for split in records.splits:
        ours = {example.source_id: example for example in records.examples(split)}
        for data in tf.data.TFRecordDataset([str(path) for path in records.files(split)]):
            features = tf.train.Example.FromString(data.numpy()).features.feature
            example = ours.pop(features["image/source_id"].bytes_list.value[0].decode())
            pixels = tf.io.decode_image(features["image/encoded"].bytes_list.value[0]).numpy()
            assert pixels.shape == (features["image/height"].int64_list.value[0],
                                    features["image/width"].int64_list.value[0], 3)
            for column, key in enumerate(("ymin", "xmin", "ymax", "xmax")):
                assert list(features[f"image/object/bbox/{key}"].float_list.value) == example.boxes[:, column].tolist()
            assert list(features["image/object/class/label"].int64_list.value) == [1]
            assert list(features["image/object/class/text"].bytes_list.value) == [b"PassengerCar"]
        assert not ours


@pytest.mark.parametrize("codec, name, mode", [("jpeg-gray", "jpeg-gray-q5", "L"), ("png", "png", "RGB")])
def test_other_codecs(tmp_path, run_tool, codec, name, mode):
    records_data.make(tmp_path, count=4)
    quality = ["--quality", 5] if codec != "png" else []
    process = run_tool("make_tfrecords", *records_data.arguments(tmp_path, "--codec", codec, *quality))
    assert process.returncode == 0, process.stderr
    examples = list(RecordSet(tmp_path / "tfrecords" / name).examples("train"))
    (tmp_path / "picture").write_bytes(examples[0].encoded)
    assert Image.open(tmp_path / "picture").mode == mode
    assert examples[0].pixels().shape == (48, 64, 3)
    if codec == "png":
        np.testing.assert_array_equal(examples[0].pixels(), records_data.scene(int(examples[0].source_id[-6:])))


def test_works_without_a_flag_but_quality(tmp_path):
    records_data.make(tmp_path / "data", count=4)
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['x', '--quality', '20']; "
            "import runpy; runpy.run_module('tools.make_tfrecords', run_name='__main__')")
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert RecordSet(tmp_path / "tfrecords/jpeg-q20").splits == ["train", "val"]


def test_tensorflow_is_never_imported(tmp_path):
    records_data.make(tmp_path, count=4)
    code = ("import sys\nfrom tfod_compress.records import convert, RecordSet\n"
            f"convert({str(tmp_path / 'frames')!r}, {str(tmp_path / 'labels')!r}, {str(tmp_path / 'out')!r})\n"
            f"list(RecordSet({str(tmp_path / 'out/jpeg-q100')!r}).examples('train'))[0].pixels()\n"
            "assert 'tensorflow' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_broken_frames_are_listed_and_skipped(tmp_path, run_tool):
    records_data.make(tmp_path, count=21)
    (tmp_path / "frames/seq000/000000.bmp").write_bytes(b"")
    process = run_tool("make_tfrecords", *records_data.arguments(tmp_path))
    assert process.returncode == 0, process.stderr
    assert read_csv(tmp_path / "tfrecords/jpeg-q100/broken_frames.csv") == [
        {"path": "seq000/000000.bmp", "reason": "empty file"}]
    process = run_tool("make_tfrecords", *records_data.arguments(
        tmp_path, "--max_broken", 0.01, "--output", tmp_path / "other"))
    assert process.returncode == 1 and "1 of 21 frames are broken" in process.stderr
    assert not (tmp_path / "other").exists()


def remove_frames(folder):
    for path in (folder / "frames").rglob("*.bmp"):
        path.unlink()


def rename_labels(folder):
    for path in (folder / "labels").rglob("*.xml"):
        path.rename(path.with_name(f"x{path.name}"))


def unknown_classes(folder):
    records_data.write_voc(folder / "labels/seq000/000000.xml", [
        ("Tram", 1, 1, 9, 9), ("Car", 1, 1, 9, 9), ("Car", 2, 2, 9, 9)])


BAD = {  # more arguments, damage to the data, what the message says
    "no frames": ({}, remove_frames, "frames: no frames"),
    "no labels": ({}, rename_labels, "none of the 6 frames has labels"),
    "labels of one frame missing": ({}, lambda folder: (folder / "labels/seq000/000000.xml").unlink(),
                                    "1 of 6 frames have no labels"),
    "unknown class": ({}, unknown_classes, r"Car \(2\), Tram \(1\)"),
    "no such codec": ({"codec": "bpg"}, None, "unknown codec 'bpg'; there are .*jpeg, jpeg-gray"),
    "quality too high": ({"qualities": (20, 101)}, None, "quality 101 is out of range: jpeg takes 1 to 100"),
    "quality in between": ({"qualities": (20.5,)}, None, "whole numbers"),
    "quality of a lossless codec": ({"codec": "png", "qualities": (20,)}, None, "lossless"),
    "no labels folder": ({"labels": "nowhere"}, None, "nowhere: no such file or folder"),
    "no class map": ({"class_map": "nowhere.yaml"}, None, "nowhere.yaml"),
    "bad expression": ({"split_by": "("}, None, "not a regular expression"),
    "expression without a match": ({"split_by": "^cam"}, None, "does not match the frame seq000/000000"),
    "too much validation": ({"val_fraction": 1.5}, None, "val_fraction"),
    "a frame too many that is broken": ({"on_broken": "fail"}, lambda folder: (
        folder / "frames/seq000/000000.bmp").write_bytes(b""), "1 broken frames, the first is .*empty file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(case, tmp_path):
    more, damage, told = BAD[case]
    records_data.make(tmp_path, count=6)
    if damage:
        damage(tmp_path)
    more = {"labels": tmp_path / "labels", "workers_count": 1, **more}
    with pytest.raises(InputError, match=told) as error:
        convert(tmp_path / "frames", output=tmp_path / "tfrecords", **more)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "tfrecords").exists()


@pytest.mark.parametrize("more, code, told", [
    (["--frames", "nowhere"], 1, "nowhere: no such folder"),
    (["--quality", "20,101"], 1, "quality 101 is out of range"),
    (["--quality", "high"], 2, "not a number"),
    (["--qualty", "20"], 2, "qualty"),
])
def test_exit_codes(more, code, told, tmp_path, run_tool):
    records_data.make(tmp_path, count=2)
    process = run_tool("make_tfrecords", *records_data.arguments(tmp_path, *more))
    assert process.returncode == code
    assert told in process.stderr and len(process.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "tfrecords").exists()


def test_frames_without_labels_can_be_left_out_or_kept(tmp_path):
    records_data.make(tmp_path, count=6)
    (tmp_path / "labels/seq000/000000.xml").unlink()
    frames = {}
    for how in ("skip", "negative"):
        made, = convert(tmp_path / "frames", tmp_path / "labels", tmp_path / how, unlabelled=how, workers_count=1)
        frames[how] = made.manifest["frames"]["train"] + made.manifest["frames"]["val"], made.manifest["negatives"]
    assert frames == {"skip": (5, 0), "negative": (6, 1)}


def test_dropped_boxes_are_listed_and_damaged_labels_break_the_frame(tmp_path):
    records_data.make(tmp_path, count=21)
    records_data.write_voc(tmp_path / "labels/seq000/000000.xml", [("Bus", 5, 5, 5, 9), ("Van", 70, 1, 80, 9)])
    (tmp_path / "labels/seq001/000001.xml").write_text("<annotation>")
    made, = convert(tmp_path / "frames", tmp_path / "labels", tmp_path / "out", workers_count=1)
    assert read_csv(made.path / "dropped_boxes.csv") == [
        {"source_id": "seq000/000000", "class": "Bus", "box": "5.0 5.0 5.0 9.0", "reason": "zero or negative area"},
        {"source_id": "seq000/000000", "class": "Van", "box": "70.0 1.0 80.0 9.0", "reason": "outside the frame"}]
    broken, = read_csv(made.path / "broken_frames.csv")
    assert broken["path"] == "seq001/000001.bmp" and "000001.xml: not XML" in broken["reason"]
    assert made.manifest["negatives"] == 1 and made.manifest["dropped_boxes"] == 2


def test_labels_for_a_frame_of_another_size_break_it(tmp_path):
    records_data.make(tmp_path, count=21)
    records_data.write_voc(tmp_path / "labels/seq000/000000.xml", [("Bus", 5, 5, 50, 90)], 128, 96)
    made, = convert(tmp_path / "frames", tmp_path / "labels", tmp_path / "out", workers_count=1)
    broken, = read_csv(made.path / "broken_frames.csv")
    assert broken["reason"] == "its labels are for a frame of 128x96, it is 64x48"
