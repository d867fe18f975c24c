"""Drawn traffic signs: the same flags give the same bytes, tracks hold together, classes can be told apart."""

import collections
import csv
import json
import re
import shutil

import numpy as np
import PIL.Image
import pytest

from tfod_compress import synthetic
from tfod_compress.support.errors import InputError
from tfod_compress.synthetic import SIGN_NAMES
from tfod_compress.synthetic.sign_faces import face

SMALL = ["--task", "classification", "--count", 31, "--size", "32x32", "--sequence_length", 2, "--broken", 3]
PLAIN = synthetic.SignParameters(noise=(0, 0))


@pytest.fixture(scope="module")
def data_set(tmp_path_factory, run_tool):
    folder = tmp_path_factory.mktemp("signs")
    result = run_tool("make_demo_frames", "--output", folder, *SMALL, "--seed", 5, "--workers", 2)
    assert result.returncode == 0, result.stderr
    assert "(34 made now)" in result.stdout
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def make(folder, count=31, width=32, height=32, seed=5, sequence_length=2, broken=3, **changed):
    return synthetic.make_sign_frames(folder, count=count, width=width, height=height, seed=seed, broken=broken,
                                      sequence_length=sequence_length, **{"workers": 1, **changed})


def test_same_seed_same_bytes_for_any_number_of_workers(data_set, tmp_path):
    assert make(tmp_path / "a") == 34
    assert contents(tmp_path / "a") == contents(data_set)
    make(tmp_path / "b", seed=6)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a.keys() == b.keys()
    assert not [name for name in a if name.endswith(".png") and a[name] == b[name] and a[name]]


def test_every_class_has_tracks_of_whole_frames_in_a_folder_of_its_name(data_set):
    paths = sorted((data_set / "frames").rglob("*.png"))
    assert {path.parent.name for path in paths} == set(SIGN_NAMES)
    tracks, broken = collections.Counter(), []
    for path in paths:
        assert re.fullmatch(r"\d{5}_\d{5}", path.stem)
        try:
            with PIL.Image.open(path) as image:
                image.load()
                assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
            tracks[path.parent.name, path.stem[:5]] += 1
        except (OSError, SyntaxError):
            broken.append(path.stat().st_size)
    assert sorted(tracks.values()) == [1] + [2] * 15
    assert len(broken) == 3
    assert broken.count(0) == 1
    assert not (data_set / "labels").exists()


def test_a_killed_run_is_finished_and_other_frames_are_left_alone(data_set, tmp_path, run_tool):
    shutil.copytree(data_set, tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path)
    torn, gone = tmp_path / "frames/stop/00000_00001.png", tmp_path / "frames/yield/00000_00001.png"
    torn.write_bytes(torn.read_bytes()[:-5])
    gone.unlink()
    (gone.parent / ".00000_00001.png.x.tmp").write_bytes(b"half")
    result = run_tool("make_demo_frames", "--output", tmp_path, *SMALL, "--seed", 5, "--workers", 1)
    assert "(2 made now)" in result.stdout, result.stderr
    assert contents(tmp_path) == before
    refused = run_tool("make_demo_frames", "--output", tmp_path, *SMALL, "--seed", 6)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "another seed" in refused.stderr
    with pytest.raises(InputError, match="another signs"):
        make(tmp_path, parameters=PLAIN)
    with pytest.raises(InputError, match="choose another --output"):
        synthetic.make_frames(tmp_path, count=1, width=64, height=64)
    assert contents(tmp_path) == before


def test_more_frames_are_the_same_frames_and_further_ones(tmp_path):
    make(tmp_path / "few", count=15, sequence_length=1, broken=0)
    make(tmp_path / "many", count=25, sequence_length=1, broken=0)
    few, many = contents(tmp_path / "few/frames"), contents(tmp_path / "many/frames")
    assert len(many) - len(few) == 10
    assert few.items() <= many.items()


@pytest.mark.parametrize("arguments", [
    ["--size", "15x32"], ["--size", "32x513"], ["--objects", "3,6"], ["--object_height", "0.1,0.2"],
    ["--class_shares", "1,1"], ["--opacity", "0.5,0.9"], ["--texture", "0.1"], ["--imbalance_factor", "nan"],
    ["--noise", "5,2"], ["--task", "detection", "--imbalance_factor", "2"], ["--task", "segmentation"]], ids=" ".join)
def test_wrong_usage_exits_with_2(arguments, tmp_path, run_tool):
    result = run_tool("make_demo_frames", "--task", "classification", "--output", tmp_path / "data", *arguments)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert arguments[-2].lstrip("-") in result.stderr
    assert not (tmp_path / "data").exists()


def test_too_few_tracks_for_the_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match="--count 71 or more"):
        make(tmp_path / "data", count=70, sequence_length=5)
    assert not (tmp_path / "data").exists()
    assert make(tmp_path / "data", count=71, width=16, height=16, sequence_length=5, broken=0) == 71
    assert len(list((tmp_path / "data/frames").iterdir())) == len(SIGN_NAMES)


def test_shares_fall_by_the_imbalance_factor(tmp_path, run_tool):
    result = run_tool("make_demo_frames", "--task", "classification", "--output", tmp_path, "--count", 60, "--size",
                      "16x16", "--sequence_length", 1, "--broken", 0, "--workers", 1, "--imbalance_factor", 5)
    assert result.returncode == 0, result.stderr
    made = [len(list((tmp_path / "frames" / name).iterdir())) for name in SIGN_NAMES]
    expected = 5 ** -np.linspace(0, 1, len(SIGN_NAMES))
    assert made == sorted(made, reverse=True)
    np.testing.assert_allclose(made, 60 * expected / expected.sum(), atol=1)


def test_a_track_is_one_sign_that_comes_nearer_in_a_scene_of_its_own():
    near = []
    for track in range(8):
        frames = [synthetic.draw_sign("no_entry", track, number).astype(float) for number in (0, 1)]
        other = synthetic.draw_sign("no_entry", track + 1, 0).astype(float)
        near.append(np.abs(frames[0] - frames[1]).mean() < 0.7 * np.abs(frames[0] - other).mean())
        assert np.abs(frames[0] - frames[1]).max() > 0
    assert sum(near) >= 7
    # Size is measured where the sign ends and what is behind it begins, without light, noise and blur.
    sizes = [synthetic.sign_set.SignPainter("no_entry", 64, 64, PLAIN, np.random.default_rng(3)) for _ in range(2)]
    for painter in sizes:
        painter._post = painter._plate = painter._branch = None
    sizes[0]._light = black = type(sizes[0]._light)(np.zeros(3), np.zeros(3), 1.0, 0.0)
    sizes[1]._light = type(black)(np.ones(3) * 9, np.zeros(3), 1.0, 0.0)
    areas = [np.count_nonzero(sizes[1].frame(number, np.random.default_rng(0)).max(axis=2) > 127)
             for number in range(6)]
    assert not sizes[0].frame(0, np.random.default_rng(0)).any()
    assert all(later > earlier for earlier, later in zip(areas, areas[1:], strict=False))
    assert 0.15 < areas[0] / 64**2 < areas[-1] / 64**2 < 0.8


def test_faces_of_all_classes_differ_and_pairs_are_each_others_mirror_images():
    faces = {name: np.dstack(face(name, 64)).astype(int) for name in SIGN_NAMES}
    for name in SIGN_NAMES:
        for other in SIGN_NAMES:
            assert name == other or (np.abs(faces[name] - faces[other]).max(axis=2) > 60).mean() > 0.01, (name, other)
    for left, right in (("turn_left", "turn_right"), ("bend_left", "bend_right")):
        assert np.abs(faces[left] - faces[right][:, ::-1]).mean() < 3 < np.abs(faces[left] - faces[right]).mean()


def test_classes_can_be_told_apart_but_not_by_the_mean_picture_alone():
    """Nearest centroid of normalised pictures, on tracks it has not seen: above chance by far, and below perfect."""
    def drawn(tracks):
        pictures = np.array([[synthetic.draw_sign(name, track, 3) for track in tracks] for name in SIGN_NAMES], float)
        pictures = pictures[..., 4:28, 4:28, :]
        pictures -= pictures.mean(axis=(2, 3), keepdims=True)
        return pictures / pictures.std(axis=(2, 3, 4), keepdims=True)

    centroids = drawn(range(6)).mean(axis=1)
    test = drawn(range(6, 9))
    distances = np.square(test[:, :, None] - centroids).mean(axis=(3, 4, 5))
    accuracy = (distances.argmin(axis=2) == np.arange(len(SIGN_NAMES))[:, None]).mean()
    assert 3 / len(SIGN_NAMES) < accuracy < 0.95, accuracy


@pytest.mark.parametrize("size", [(16, 16), (48, 24), (24, 48), (512, 512)])
def test_any_size_shows_the_sign(size):
    picture = synthetic.draw_sign("no_entry", 2, 2, width=size[0], height=size[1], parameters=PLAIN)
    assert picture.shape == (*size[::-1], 3)
    middle = picture[size[1] * 2 // 5:size[1] * 3 // 5, size[0] * 2 // 5:size[0] * 3 // 5].astype(float)
    assert middle.std() > 5


def test_parameters_out_of_range_are_refused(tmp_path):
    for wrong in ({"noise": (0.5,)}, {"noise": (-1, 2)}, {"imbalance_factor": 0}, {"imbalance_factor": float("nan")}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            synthetic.SignParameters(**wrong)
    for wrong in ({"width": 15}, {"height": 513}, {"count": 0}, {"broken": -1}, {"seed": -1}, {"workers": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            make(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()


def test_signs_become_a_record_set_of_classes(data_set, tmp_path, run_tool):
    result = run_tool("make_tfrecords", "--task", "classification", "--frames", data_set / "frames", "--label_map",
                      "auto", "--quality", 20, "--sequence_by", "^(.+)_", "--max_broken", 0.1, "--workers", 1,
                      "--output", tmp_path)
    assert result.returncode == 0, result.stderr
    record_set = tmp_path / "jpeg-q20"
    manifest = json.loads((record_set / "manifest.json").read_text())
    frames = manifest["frames"]
    assert (frames["train"] + frames["val"], frames["broken"]) == (31, 3)
    assert manifest["images"].keys() == set(SIGN_NAMES)
    rows = list(csv.DictReader((record_set / "images.csv").open(encoding="utf-8")))
    assert len(rows) == 31
    sides = {(row["source_id"].rsplit("_", 1)[0], row["split"]) for row in rows}
    assert len(sides) == len({track for track, _ in sides}) == 16  # a track stays on one side
