"""Splits: groups stay together, shares are met, duplicates never stand on two sides."""

import json
import shutil

import numpy as np
import pytest

from tests import records_data
from tfod_compress.frames import FramePath
from tfod_compress.records import RecordSet, convert, duplicates, splits
from tfod_compress.records.scan import Scanned
from tfod_compress.support.errors import InputError


def sides_of(folder, **more):
    """{source_id: split} of a conversion, and its warnings."""
    made, = convert(folder / "frames", folder / "labels", folder / "out", qualities=(20,), workers_count=1,
                    overwrite=True, **more)
    rows = (made.path / "images.csv").read_text().splitlines()[1:]
    return dict(row.split(",")[:2] for row in rows), made.manifest["warnings"]


@pytest.mark.parametrize("count, val, test", [(10, 0.2, 0), (100, 0.2, 0.1), (3, 0.1, 0.1), (2, 0.01, 0), (7, 1.0, 0),
                                              (11, 0.25, 0), (3, 0.9, 0)])
def test_shares_are_met_and_no_split_is_empty(count, val, test):
    for seed in range(20):
        sides = splits.assign([str(index) for index in range(count)], {"val": val, "test": test}, seed)
        for name, share in (("val", val), ("test", test)):
            most = count if share == 1 else count - 1 - (test > 0)
            assert sides.count(name) == (min(max(1, round(share * count)), most) if share else 0)
        assert (sides.count("train") >= 1) == (val + test < 1)


def test_groups_of_any_size_stay_together_near_the_share():
    keys = [f"seq{index}" for index, size in enumerate([50, 3, 7, 12, 1, 30, 22, 9, 9, 17]) for _ in range(size)]
    for seed in range(20):
        sides = splits.assign(keys, {"val": 0.2}, seed)
        by_group = {}
        for key, side in zip(keys, sides, strict=True):
            by_group.setdefault(key, set()).add(side)
        assert all(len(side) == 1 for side in by_group.values())
        assert 0.05 <= sides.count("val") / len(keys) <= 0.35
    assert splits.assign(["big"] * 100 + ["small"] * 2, {"val": 0.2}, 0).count("val") == 2
    assert splits.assign(["only"] * 5, {"val": 0.2}, 0) == ["train"] * 5
    sizes = {"large": 60, "larger": 70, "least": 50}  # each alone is more than the share: the least will do
    keys = [key for key, size in sizes.items() for _ in range(size)]
    assert all(splits.assign(keys, {"val": 0.05}, seed).count("val") == 50 for seed in range(9))


def test_the_assignment_does_not_depend_on_the_order_of_frames():
    keys = [str(index) for index in range(50)]
    forth = dict(zip(keys, splits.assign(keys, {"val": 0.3}, 4), strict=True))
    assert forth == dict(zip(keys[::-1], splits.assign(keys[::-1], {"val": 0.3}, 4), strict=True))
    assert forth != dict(zip(keys, splits.assign(keys, {"val": 0.3}, 5), strict=True))


def test_folds_share_the_frames_and_store_each_once(tmp_path):
    records_data.make(tmp_path, count=12, sequences=6)
    sides, _ = sides_of(tmp_path, folds=3, split_by="^seq...")
    assert sorted(set(sides.values())) == ["fold0", "fold1", "fold2"]
    assert all(list(sides.values()).count(fold) == 4 for fold in ("fold0", "fold1", "fold2"))
    records = RecordSet(tmp_path / "out/jpeg-q20")
    stored = [example.source_id for fold in records.splits for example in records.examples(fold)]
    assert sorted(stored) == sorted(sides)
    with pytest.raises(InputError, match="only 6 groups"):
        sides_of(tmp_path, folds=7, split_by="^seq...")


@pytest.mark.parametrize("sizes", [[6, 5, 4, 3, 2, 1], [3] * 9, [20, 1, 1, 1, 1, 1, 1]])
def test_folds_hold_as_many_frames_as_groups_of_any_size_allow(sizes):
    keys = [f"group{index}" for index, size in enumerate(sizes) for _ in range(size)]
    dealt = set()
    for seed in range(9):
        sides = splits.assign_folds(keys, 3, seed)
        assert len(set(zip(keys, sides, strict=True))) == len(sizes)  # each group is in one fold
        found = sorted(map(sides.count, ("fold0", "fold1", "fold2")))
        assert found == ([3, 3, 20] if 20 in sizes else [sum(sizes) / 3] * 3)
        assert splits.assign_folds(keys[::-1], 3, seed) == sides[::-1]
        dealt.add(tuple(sides))
    if len(set(sizes)) == 1:  # groups of one size are dealt out by the seed
        assert len(dealt) > 5


def test_a_third_split(tmp_path):
    records_data.make(tmp_path, count=20)
    sides, _ = sides_of(tmp_path, test_fraction=0.25)
    assert [list(sides.values()).count(name) for name in ("train", "val", "test")] == [11, 4, 5]
    manifest = json.loads((tmp_path / "out/jpeg-q20/manifest.json").read_text())
    assert manifest["frames"] == {"train": 11, "val": 4, "test": 5, "broken": 0}


def test_split_files(tmp_path):
    records_data.make(tmp_path, count=5, sequences=1)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("seq000/000000\nseq000/000001.bmp\n")
    (lists / "val.txt").write_text("000002\n")
    assert sides_of(tmp_path, split_files=lists)[0] == {
        "seq000/000000": "train", "seq000/000001": "train", "seq000/000002": "val"}
    for text, told in (("nowhere\n", "lists nowhere: no such frame"), ("", "lists no frame"),
                       ("seq000/000000\n", "both in train.txt and in val")):
        (lists / "val.txt").write_text(text)
        with pytest.raises(InputError, match=told):
            sides_of(tmp_path, split_files=lists)


def twins(tmp_path):
    """A data set whose frame seq001/000001 holds the pixels of seq000/000000, as PNG."""
    records_data.make(tmp_path, count=8, sequences=2)
    (tmp_path / "frames/seq001/000001.bmp").unlink()
    with records_data.Image.open(tmp_path / "frames/seq000/000000.bmp") as image:
        image.save(tmp_path / "frames/seq001/000001.png")
    return "seq000/000000", "seq001/000001"


def test_frames_with_identical_pixels_stay_on_one_side(tmp_path):
    first, second = twins(tmp_path)
    for seed in range(6):
        sides, warnings = sides_of(tmp_path, val_fraction=0.5, seed=seed)
        assert sides[first] == sides[second]
        assert any("share their pixels" in line for line in warnings)
    apart = [sides_of(tmp_path, val_fraction=0.5, seed=seed, duplicates="ignore")[0] for seed in range(6)]
    assert any(sides[first] != sides[second] for sides in apart)


def test_identical_pixels_on_two_sides_are_an_error_where_the_user_put_them_there(tmp_path):
    first, second = twins(tmp_path)
    with pytest.raises(InputError, match="hold the same pixels, and --split_by"):
        sides_of(tmp_path, split_by="^seq...", val_fraction=0.5)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text(first)
    (lists / "val.txt").write_text(second)
    with pytest.raises(InputError, match="hold the same pixels, and --split_files"):
        sides_of(tmp_path, split_files=lists)
    sides_of(tmp_path, split_files=lists, duplicates="ignore")


def test_near_duplicates_across_sides_are_told(shared_data, tmp_path):
    folder = shared_data / "kitti_sequence"
    (tmp_path / "map.yaml").write_text("Car: PassengerCar\n")
    made, = convert(folder / "image_2", folder / "label_2", tmp_path / "out", class_map=tmp_path / "map.yaml",
                    workers_count=1, qualities=(5,))
    assert any("look like a frame of another split" in line for line in made.manifest["warnings"])


@pytest.mark.parametrize("bits", [0, duplicates.NEAR_BITS, duplicates.NEAR_BITS + 1])
def test_frames_are_near_up_to_a_number_of_bits(bits):
    look = np.random.default_rng(0).integers(0, 2, 256)
    other = np.where(np.arange(256) < bits, 1 - look, look)
    good = [(FramePath(name, name), Scanned(None, look=np.packbits(one).tobytes()))
            for name, one in (("a", look), ("b", other), ("c", 1 - look))]
    said = duplicates.near_warning(good, ["train", "val", "train"], seed=0)
    assert (said is not None) == (bits <= duplicates.NEAR_BITS)
    assert said is None or said.startswith("1 of 1 frames of val look like") and "b (val) like a" in said


def test_different_scenes_are_no_near_duplicates(tmp_path):
    records_data.make(tmp_path, count=20)
    assert not any("look like" in line for line in sides_of(tmp_path)[1])


def test_odd_sizes_are_told(tmp_path):
    records_data.make(tmp_path, count=4, extension=".jpg")
    records_data.make(tmp_path / "more", count=3, width=32, height=32)
    shutil.copytree(tmp_path / "more/frames", tmp_path / "frames/more")
    shutil.copytree(tmp_path / "more/labels", tmp_path / "labels/more")
    _, warnings = sides_of(tmp_path)
    assert any("frames of 2 sizes" in line for line in warnings)


def test_shares_that_are_everything_leave_nothing_for_training():
    keys = [f"group{index % 7}" for index in range(50)]
    assert set(splits.assign(keys, {"val": 1.0, "test": 0.0}, 0)) == {"val"}
    assert set(splits.assign(keys, {"val": 0.5, "test": 0.5}, 0)) == {"val", "test"}
    assert set(splits.assign(keys, {"val": 0.9, "test": 0.0}, 0)) == {"val", "train"}
