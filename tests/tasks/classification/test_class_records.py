"""make_tfrecords --task classification, driven as a user drives it: from folders, a csv or a list to record sets."""

import json
import multiprocessing
import os
import re

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tests.tasks.classification import pictures
from tfod_compress import codecs
from tfod_compress.records import RecordSet, convert, example, framing, splits
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.classification.task import Classification

IDS = {"stop": 1, "turn left": 2, "yield": 3}
TRACK = r"^([^/]+/\d+)_"


@pytest.fixture(scope="module")
def made(tmp_path_factory, run_tool):
    """Pictures, and the record sets jpeg-q90 and jpeg-q20 of them."""
    folder = pictures.make(tmp_path_factory.mktemp("made"))
    process = run_tool("make_tfrecords", *pictures.arguments(folder, "--quality", "90,20", "--split_by", TRACK))
    assert process.returncode == 0, process.stderr
    assert "label map of 3 classes, with their images: 1 stop (8), 2 turn left (6), 3 yield (7)" in process.stdout
    return folder


@pytest.fixture
def folder(tmp_path):
    return pictures.make(tmp_path)


def classes(folder, output="out", **settings):
    """{source_id: class name} of the record set that a conversion makes."""
    made, = convert(folder / "frames", output=folder / output, task="classification", workers_count=1, **settings)
    return {item.source_id: item.class_name for split in RecordSet(made.path).splits
            for item in RecordSet(made.path).examples(split)}


def write_rows(folder, name, of_class=lambda name: name, form="{},{}", head="path,class\n", extra=""):
    """A csv or a list of all pictures."""
    path = folder / name
    rows = [form.format(one, of_class(one.split("/")[0])) for one in pictures.paths(folder)]
    path.write_text(head + "\n".join([*rows, extra]))
    return path


EXPECTED = {f"{name}/{index // 2:02d}_{index:03d}": name for name, count in pictures.CLASSES.items()
            for index in range(count)}


def test_pictures_and_classes_come_back(made):
    for quality in (90, 20):
        records = RecordSet(made / f"tfrecords/jpeg-q{quality}")
        found = {item.source_id: item for split in records.splits for item in records.examples(split)}
        assert {name: item.class_name for name, item in found.items()} == EXPECTED
        assert records.label_map == {number: name for name, number in IDS.items()}
        for item in found.values():
            source = np.asarray(Image.open(made / "frames" / f"{item.source_id}.png"))
            assert item.class_id == IDS[item.class_name]
            assert item.encoded == codecs.get("jpeg").encode(source, quality)
            assert (item.height, item.width, item.compressed_bytes) == (20, 24, len(item.encoded))


def test_features_are_those_that_tensorflow_reads(made):
    tf = pytest.importorskip("tensorflow")
    records = RecordSet(made / "tfrecords/jpeg-q20")
    data = next(iter(framing.read_records(records.files("train")[0])))
    features = tf.train.Example.FromString(data).features.feature
    assert list(features["image/class/label"].int64_list.value) == [
        IDS[features["image/class/text"].bytes_list.value[0].decode()]]
    assert not [key for key in features if key.startswith("image/object")]


def test_the_manifest_names_the_task_and_counts_pictures(made):
    folder = made / "tfrecords/jpeg-q20"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["task"] == manifest["plan"]["task"] == "classification"
    assert manifest["images"] == pictures.CLASSES
    assert not [key for key in manifest if "boxes" in key] and not (folder / "dropped_boxes.csv").exists()


def test_every_split_has_every_class_and_no_track_is_parted(made):
    sides = {}
    for line in (made / "tfrecords/jpeg-q20/images.csv").read_text().splitlines()[1:]:
        source_id, split = line.split(",")[:2]
        sides.setdefault(split, set()).add(source_id)
    assert {split: {name.split("/")[0] for name in names} for split, names in sides.items()} == {
        "train": set(IDS), "val": set(IDS)}
    assert not {name.split("_")[0] for name in sides["train"]} & {name.split("_")[0] for name in sides["val"]}


@pytest.mark.parametrize("seed", range(5))
def test_a_class_with_too_few_groups_does_not_empty_a_split(seed):
    keys = [f"g{index}" for index in range(6)]
    sides = splits.assign_by_class(keys, list("abcdef"), {"val": 0.3}, seed)
    assert {"train", "val"} == set(sides)
    # A group of two classes stays whole.
    sides = splits.assign_by_class(["g"] * 4 + ["h", "i", "j"], list("abababb"), {"val": 0.4}, seed)
    assert len(set(sides[:4])) == 1
    # However large a group of another class is.
    folds = splits.assign_folds([*"123456", *"7777", "8", "9"], 3, seed, ["a"] * 6 + ["b"] * 6)
    assert [folds[:6].count(f"fold{fold}") for fold in range(3)] == [2, 2, 2]


def test_the_bytes_do_not_depend_on_the_workers(made, tmp_path):
    sets = [convert(made / "frames", output=tmp_path / str(count), task="classification", qualities=(20,),
                    workers_count=count, num_shards=3, command="test")[0].path for count in (1, 2)]
    assert records_data.contents(sets[0]) == records_data.contents(sets[1])


def _killed(folder, output):
    """Ends this process as a kill does, once the first shard is written."""
    from tfod_compress.records import writing

    real = writing.workers.make_shard

    def once(shard):
        real(shard)
        os._exit(9)

    writing.workers.make_shard = once
    convert(folder / "frames", output=output, task="classification", qualities=(20,), workers_count=1, num_shards=3,
            command="test")


def test_a_killed_run_goes_on(made, tmp_path):
    whole, = convert(made / "frames", output=tmp_path / "whole", task="classification", qualities=(20,),
                     workers_count=1, num_shards=3, command="test")
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(made, tmp_path / "cut"))
    process.start()
    process.join()
    assert process.exitcode == 9
    written, = (tmp_path / "cut/jpeg-q20.unfinished").glob("*.tfrecord")
    when = written.stat().st_mtime_ns
    again, = convert(made / "frames", output=tmp_path / "cut", task="classification", qualities=(20,), workers_count=1,
                     num_shards=3, command="test")
    assert (again.path / written.name).stat().st_mtime_ns == when
    assert records_data.contents(again.path) == records_data.contents(whole.path)


def test_folders_a_csv_and_a_list_say_the_same(folder):
    write_rows(folder, "a.csv", form="x,{},{}", head="note,path,class\n")
    write_rows(folder, "a.txt", form="{} {}", head="", of_class=lambda name: name.split()[0])
    assert classes(folder) == EXPECTED
    assert classes(folder, "csv", labels=folder / "a.csv") == EXPECTED
    assert classes(folder, "list", labels=folder / "a.txt") == {
        source_id: name.split()[0] for source_id, name in EXPECTED.items()}


def test_numbers_mean_names_of_a_file_from_0_or_ids_of_a_label_map(folder):
    (folder / "names.txt").write_text("stop\nturn left\nyield\n")
    (folder / "map.pbtxt").write_text("".join(
        f"item {{ id: {number} name: '{name}' }}\n" for name, number in IDS.items()))
    write_rows(folder, "from_0.txt", form="{} {}", head="", of_class=lambda name: IDS[name] - 1)
    write_rows(folder, "ids.csv", of_class=IDS.get)
    assert classes(folder, "a", labels=folder / "from_0.txt", names_file=folder / "names.txt") == EXPECTED
    assert classes(folder, "b", labels=folder / "ids.csv", label_map=str(folder / "map.pbtxt")) == EXPECTED
    with pytest.raises(InputError, match="no class has the number 0: the label map has ids 1 to 3; numbers that"):
        classes(folder, "c", labels=folder / "from_0.txt", label_map=str(folder / "map.pbtxt"))


def test_classes_can_be_joined_and_ignored_and_pictures_without_one_left_out(folder):
    (folder / "map.yaml").write_text("turn left: ignore\nyield: give way\n")
    rows = (line for line in write_rows(folder, "all.csv").read_text().splitlines() if "stop/00_" not in line)
    (folder / "some.csv").write_text("\n".join(rows))
    found = classes(folder, labels=folder / "some.csv", class_map=folder / "map.yaml", unlabelled="skip")
    assert found == {source_id: {"yield": "give way"}.get(name, name) for source_id, name in EXPECTED.items()
                     if name != "turn left" and not source_id.startswith("stop/00_")}


def test_other_codecs_rates_broken_pictures_and_bitstreams_work_as_for_boxes(folder):
    (folder / "frames/stop/09_090.png").write_bytes(b"")
    said = []
    made, = convert(folder / "frames", output=folder / "out", task="classification", codec="webp", target_bpp=(6,),
                    workers_count=1, keep_bitstreams=folder / "bits", say=said.append)
    assert made.manifest["bpp"] <= 6 and made.manifest["frames"]["broken"] == 1
    found = {item.source_id: item for split in ("train", "val") for item in RecordSet(made.path).examples(split)}
    assert set(found) == set(EXPECTED)
    for source_id, item in found.items():
        kept = (folder / "bits/webp-bpp6" / f"{source_id}.webp").read_bytes()
        assert len(kept) == item.compressed_bytes and item.format == "png"
        np.testing.assert_array_equal(item.pixels(), codecs.get("webp").decode(kept))


def test_an_inspection_counts_classes_and_shows_pictures_as_they_are(made, tmp_path, run_tool):
    process = run_tool("inspect_records", made / "tfrecords/jpeg-q90", "--gallery", tmp_path, "--pictures", 4)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "classes: 3 of 3: " in process.stdout and "box" not in process.stdout
    shown = sorted(tmp_path.glob("*.png"))
    assert shown
    records = RecordSet(made / "tfrecords/jpeg-q90")
    stored = {item.source_id.replace("/", "__"): item for split in records.splits for item in records.examples(split)}
    for path in shown:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), stored[path.stem].pixels())


def test_a_record_of_boxes_is_none_of_classes(made, tmp_path):
    boxes = records_data.make(tmp_path, count=3)
    other, = convert(boxes / "frames", boxes / "labels", tmp_path / "out", qualities=(20,), workers_count=1)
    data = next(iter(framing.read_records(RecordSet(other.path).files("train")[0])))
    with pytest.raises(ValueError, match="no record of a labelled frame"):
        example.parse(data, Classification())


def test_another_task_is_another_record_set(folder):
    classes(folder, qualities=(20,))
    path = folder / "out/jpeg-q20/manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"task": "origami"}))
    with pytest.raises(InputError, match="manifest.json: 'origami' is no task"):
        list(RecordSet(path.parent).examples("train"))


def _empty(folder):
    (folder / "frames/no entry").mkdir()


def _one_class(folder):
    for name in ("turn left", "yield"):
        for path in (folder / "frames" / name).iterdir():
            path.unlink()
        (folder / "frames" / name).rmdir()


def _flat(folder):
    for path in (folder / "frames").rglob("*.png"):
        path.rename(folder / "frames" / f"{path.parent.name}{path.name}")
    for name in IDS:
        (folder / "frames" / name).rmdir()


BAD = {
    "an empty class folder": (_empty, [], "no entry: a class folder without a picture"),
    "one class": (_one_class, [], "every picture is of class 'stop'; classification needs two"),
    "all but one class ignored": (
        lambda folder: (folder / "map.yaml").write_text("yield: ignore\nturn left: ignore\n"),
        ["--class_map", "map.yaml"], "every picture is of class 'stop'"),
    "pictures without folders": (_flat, [], "its pictures lie in no folder below it, and the folders are the classes"),
    "a class outside the label map": (lambda folder: None, ["--label_map", "coco"],
                                      "class names that the label map lacks, with their images: stop"),
    "a picture named twice": (lambda folder: write_rows(folder, "a.csv", extra="stop/00_000,stop\n"),
                              ["--labels", "a.csv"], "stop/00_000 is named twice, in lines 2 and 23"),
    "a picture that is not there": (lambda folder: write_rows(folder, "a.csv", extra="stop/99.png,stop\n"),
                                    ["--labels", "a.csv"], "a.csv: line 23: stop/99.png is not there"),
    "numbers without names": (
        lambda folder: write_rows(folder, "a.txt", form="{} {}", head="", of_class=IDS.get), ["--labels", "a.txt"],
        "its classes are numbers, such as 1; say what they mean with --names"),
    "a csv without the columns": (lambda folder: write_rows(folder, "a.csv", head="image,kind\n"),
                                  ["--labels", "a.csv"], "its first line must name the columns"),
    "a row without a class": (lambda folder: write_rows(folder, "a.csv", extra="stop/00_000.png\n"),
                              ["--labels", "a.csv"], "line 23: needs a path and a class"),
    "a picture without a class": (lambda folder: (folder / "a.csv").write_text("path,class\nstop/00_000,stop\n"),
                                  ["--labels", "a.csv"], "20 of 21 frames have no labels.*--unlabelled skip"),
    "negatives": (lambda folder: None, ["--unlabelled", "negative"], "no use for a frame without a class"),
    "a folder of labels": (lambda folder: None, ["--labels", "frames"], "--labels names a csv or a list"),
    "a format of boxes": (lambda folder: None, ["--label_format", "voc"], "for classification there are auto, folders"),
    "an unknown task": (lambda folder: None, ["--task", "origami"], "'origami' is no task; there are detection"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(case, folder, run_tool):
    damage, more, told = BAD[case]
    damage(folder)
    more = [folder / part if (folder / part).exists() else part for part in more]
    process = run_tool("make_tfrecords", *pictures.arguments(folder, *more))
    assert process.returncode == 1, process.stdout
    last = process.stderr.strip().splitlines()[-1]
    assert re.search(told, last), process.stderr
    assert "Traceback" not in process.stderr and not (folder / "tfrecords").exists()


def test_traffic_signs(shared_data, tmp_path):
    if not (shared_data / "gtsrb").is_dir():
        pytest.skip("the traffic signs are not here")
    made, = convert(shared_data / "gtsrb/train", output=tmp_path, task="classification", qualities=(20,),
                    max_frames=430, split_by=r"^(\d+/\d+)_", workers_count=1)
    records = RecordSet(made.path)
    assert all(item.class_name == item.source_id.split("/")[0] == records.label_map[item.class_id]
               for split in records.splits for item in records.examples(split))
