"""Record sets of every codec: what is stored is what the codec gives back, and what is counted is what it wrote."""

import csv
import json

import numpy as np
import pytest

from tests import records_data
from tfod_compress import codecs
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError

STILL = [name for name in codecs.names() if name not in ("h264", "png")]


def make(folder, codec, qualities, output="tfrecords", **more):
    more = {"workers_count": 1, "command": "test", "measure": "all", **more}
    return convert(folder / "frames", folder / "labels", folder / output, codec=codec, qualities=qualities, **more)


def examples(path):
    records = RecordSet(path)
    return {example.source_id: example for split in records.splits for example in records.examples(split)}


def kept(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records_data.make(tmp_path_factory.mktemp("data"), count=3, width=33, height=17)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three sequences of six frames."""
    return records_data.make(tmp_path_factory.mktemp("videos"), count=18, sequences=3, width=34, height=33)


@pytest.mark.parametrize("name", STILL)
def test_records_hold_what_the_codec_gives_back(name, data):
    codec = codecs.get(name)
    made, = make(data, name, (None,), keep_bitstreams=data / "coded")
    assert made.path.name == codec.record_set_name(codec.default_quality)
    coded = {}
    for source_id, example in examples(made.path).items():
        bitstream = (data / "coded" / made.path.name / f"{source_id}{codec.extension}").read_bytes()
        assert bitstream == codec.encode(records_data.scene(int(source_id[-6:]), 33, 17), codec.default_quality)
        assert example.compressed_bytes == len(bitstream)
        np.testing.assert_array_equal(example.pixels(), codec.decode(bitstream))
        assert example.format == (codec.stored_as or "png")
        coded[source_id] = len(bitstream)
    with open(made.path / "images.csv", newline="") as file:
        assert {row["source_id"]: int(row["coded_bytes"]) for row in csv.DictReader(file)} == coded
    assert len(coded) == 3 and made.manifest["coded_bytes"] == sum(coded.values())
    assert made.manifest["codec_version"] == codec.version() and made.manifest["psnr_db"] > 10


@pytest.fixture(scope="module")
def video(videos):
    first = make(videos, "h264", (23, 40), keep_bitstreams=videos / "coded", num_shards=2)
    return videos, first


def test_video_is_coded_by_the_sequence(video):
    folder, made = video
    codec = codecs.get("h264")
    assert [item.path.name for item in made] == ["h264-crf23", "h264-crf40"]
    for item, quality in zip(made, (23, 40), strict=True):
        found, sides = examples(item.path), {}
        assert len(found) == 18
        for sequence in range(3):
            numbers = range(sequence, 18, 3)
            units, = codec.encode_sequence([records_data.scene(number, 34, 33) for number in numbers], [quality])
            decoded = list(codec.decode_sequence(unit.data for unit in units))
            sizes = {unit.place: len(unit.data) for unit in units}
            for place, number in enumerate(numbers):
                example = found[f"seq{sequence:03d}/{number:06d}"]
                np.testing.assert_array_equal(example.pixels(), decoded[place])
                assert example.compressed_bytes == sizes[place]
            stream = folder / "coded" / item.path.name / f"seq{sequence:03d}/{sequence:06d}.h264"
            assert stream.read_bytes() == b"".join(unit.data for unit in units)
        assert item.manifest["coded_bytes"] == sum(example.compressed_bytes for example in found.values())
        with open(item.path / "images.csv", newline="") as file:
            for row in csv.DictReader(file):
                sides.setdefault(row["source_id"].split("/")[0], set()).add(row["split"])
        assert len(sides) == 3 and all(len(side) == 1 for side in sides.values())
        assert item.manifest["sequences_by"] == item.manifest["split_by"] == r"^(.+)/"
    assert made[0].manifest["coded_bytes"] > made[1].manifest["coded_bytes"]
    assert made[0].manifest["psnr_db"] > made[1].manifest["psnr_db"]


def test_workers_do_not_change_video(video):
    folder, made = video
    other = make(folder, "h264", (40, 23), "other", workers_count=2, keep_bitstreams=folder / "again", num_shards=2)
    for item in other:
        assert records_data.contents(item.path) == records_data.contents(folder / "tfrecords" / item.path.name)
    assert kept(folder / "again") == kept(folder / "coded")
    assert [item.was_there for item in make(folder, "h264", (23, 40), num_shards=2)] == [True, True]


def test_a_sequence_is_a_group_of_split_by_in_the_order_of_its_numbers(tmp_path):
    for number in (1, 2, 10):
        rgb = records_data.scene(0, 100, 33)[:, number:number + 34]
        path = tmp_path / "frames" / f"night{number}.bmp"
        path.parent.mkdir(exist_ok=True)
        records_data.Image.fromarray(rgb).save(path)
        records_data.write_voc(tmp_path / "labels" / f"night{number}.xml", [("Bus", 1, 2, 30, 30)], 34, 33)
    with pytest.raises(InputError, match="night1: a video codec needs sequences.*--sequence_by"):
        make(tmp_path, "h264", (30,))
    assert not (tmp_path / "tfrecords").exists()
    made, = make(tmp_path, "h264", (30,), split_by="^(night)", val_fraction=0)
    units, = codecs.get("h264").encode_sequence(
        [records_data.scene(0, 100, 33)[:, number:number + 34] for number in (1, 2, 10)], [30])
    sizes = [len(unit.data) for unit in sorted(units)]
    found = examples(made.path)
    assert [found[f"night{number}"].compressed_bytes for number in (1, 2, 10)] == sizes


def test_lists_of_frames_say_where_a_sequence_goes(video, tmp_path):
    folder, _ = video
    for split, sequences in (("train", (0, 2)), ("val", (1,))):
        (tmp_path / f"{split}.txt").write_text("".join(
            f"seq{sequence:03d}/{number:06d}\n" for sequence in sequences for number in range(sequence, 18, 3)))
    made, = make(folder, "h264", (40,), tmp_path / "listed", split_files=tmp_path)
    assert made.manifest["frames"] == {"train": 12, "val": 6, "broken": 0}
    reference = examples(folder / "tfrecords/h264-crf40")
    for source_id, example in examples(made.path).items():
        assert example.encoded == reference[source_id].encoded
        assert example.compressed_bytes == reference[source_id].compressed_bytes


def test_video_needs_one_size_and_a_quality(videos, tmp_path):
    records_data.make(tmp_path, count=4, sequences=2, width=34, height=33)
    records_data.Image.fromarray(records_data.scene(2, 40, 33)).save(tmp_path / "frames/seq000/000002.bmp")
    records_data.write_voc(tmp_path / "labels/seq000/000002.xml", [("Bus", 1, 2, 30, 30)], 40, 33)
    with pytest.raises(InputError, match=r"000002.bmp: 40x33, but .*000000.bmp of the same sequence is 34x33"):
        make(tmp_path, "h264", (30,))
    with pytest.raises(InputError, match="--target_bpp is for codecs of single frames"):
        make(videos, "h264", (None,), target_bpp=[0.5])
    assert not (tmp_path / "tfrecords").exists()


def test_bitstreams_can_be_asked_for_later_and_are_not_mixed(tmp_path):
    records_data.make(tmp_path, count=3, width=33, height=17)
    make(tmp_path, "webp", (50, 20))
    before = {name: (tmp_path / "tfrecords" / name).stat().st_mtime_ns for name in ("webp-q50", "webp-q20")}
    for _ in range(2):
        made = make(tmp_path, "webp", (50, 20), keep_bitstreams=tmp_path / "coded")
        assert all(item.was_there for item in made)
    assert before == {name: (tmp_path / "tfrecords" / name).stat().st_mtime_ns for name in before}
    files = kept(tmp_path / "coded")
    assert len(files) == 2 * (3 + 1) and json.loads(files["webp-q50/plan.json"])["quality"] == 50
    (tmp_path / "coded/webp-q50/seq000/000000.webp").unlink()
    make(tmp_path, "webp", (50,), keep_bitstreams=tmp_path / "coded")
    assert kept(tmp_path / "coded") == files
    with pytest.raises(InputError, match="bitstreams were made from something else"):
        make(tmp_path, "webp", (50,), "other", seed=1, keep_bitstreams=tmp_path / "coded")
    (tmp_path / "mine/webp-q50").mkdir(parents=True)
    (tmp_path / "mine/webp-q50/letter").touch()
    with pytest.raises(InputError, match="holds something else"):
        make(tmp_path, "webp", (50,), "other", keep_bitstreams=tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/webp-q50/letter").exists() and not (tmp_path / "other/webp-q50").exists()
    make(tmp_path, "webp", (50,), "other", seed=1, keep_bitstreams=tmp_path / "coded", overwrite=True)
    assert json.loads(kept(tmp_path / "coded")["webp-q50/plan.json"])["seed"] == 1
