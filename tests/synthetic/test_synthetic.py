"""Synthetic frames: the same seed gives the same bytes, boxes are those of the pixels, broken frames are broken."""

import collections
import dataclasses
import io

import cv2
import numpy as np
import PIL.Image
import pytest
from defusedxml import ElementTree

from tfod_compress import synthetic
from tfod_compress.labels import label_map
from tfod_compress.support.errors import InputError
from tfod_compress.synthetic import riders, vehicles
from tfod_compress.synthetic.damage import KINDS, damaged
from tfod_compress.synthetic.fisheye import FisheyeCamera
from tfod_compress.synthetic.picture import Painter, canvas_scale
from tfod_compress.synthetic.scene import sample_scene
from tfod_compress.synthetic.solids import Light, paint

LIGHT = Light(np.array([0, 0, 1.0]), np.full(3, 0.6), np.full(3, 0.4), np.full(3, 200.0), 0.0, 0.0)


class RectilinearCamera(FisheyeCamera):
    """A pinhole camera, r = f * tan(theta), with the fisheye's own place and axes, to distort afterwards."""

    @property
    def focal(self):
        return 400.0

    def project_seen(self, seen):
        pixels = self.focal * seen[..., :2] / seen[..., 2:] + (self.width / 2, self.height / 2)
        return pixels, np.linalg.norm(seen, axis=-1)

    def sees(self, middle, radius):
        return True


@pytest.fixture(scope="module")
def data_set(tmp_path_factory, run_tool):
    folder = tmp_path_factory.mktemp("synthetic")
    result = run_tool("make_demo_frames", "--output", folder, "--count", 12, "--size", "160x100", "--broken", 3,
                      "--seed", 5, "--workers", 2)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_classes_drawn_are_those_of_the_label_map():
    assert list(synthetic.CLASS_NAMES) == list(label_map.load(label_map.DEFAULT).values())


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def annotations(folder):
    for path in sorted((folder / "labels").glob("seq*/*.xml")):
        yield path, ElementTree.fromstring(path.read_bytes())


def test_same_seed_same_bytes_for_any_number_of_workers(data_set, tmp_path):
    arguments = {"count": 12, "width": 160, "height": 100, "broken": 3}
    assert synthetic.make_frames(tmp_path / "a", seed=5, workers=1, **arguments) == 15
    assert contents(tmp_path / "a") == contents(data_set)
    synthetic.make_frames(tmp_path / "b", seed=6, workers=1, **arguments)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a.keys() == b.keys()
    assert not [name for name in a if name.endswith(".bmp") and a[name] == b[name] and a[name]]


def test_layout_and_labels(data_set):
    names = [str(path.relative_to(data_set / "frames")) for path in sorted((data_set / "frames").rglob("*.bmp"))]
    assert names[:6] == [f"seq000/00000{i}.bmp" for i in range(5)] + ["seq000/000012.bmp"]
    assert len(names) == 15
    found = 0
    for path, root in annotations(data_set):
        assert root.findtext("folder") == path.parent.name
        assert root.findtext("filename") == f"{path.stem}.bmp"
        assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["160", "100", "3"]
        for thing in root.iter("object"):
            assert thing.findtext("name") in synthetic.CLASS_NAMES
            assert {thing.findtext(flag) for flag in ("truncated", "difficult", "occluded")} <= {"0", "1"}
            sides = ("xmin", "ymin", "xmax", "ymax")
            left, top, right, bottom = (int(thing.findtext(f"bndbox/{side}")) for side in sides)
            assert 0 <= left < right <= 160
            assert 0 <= top < bottom <= 100
            assert bottom - top >= 6
            found += 1
    assert found >= 15


def test_whole_frames_are_bmp_of_24_bits_and_broken_ones_open_nowhere(data_set):
    frames = sorted((data_set / "frames").rglob("*.bmp"), key=lambda path: path.name)
    for path in frames[:12]:
        with PIL.Image.open(path) as image:
            image.load()
            assert (image.format, image.mode, image.size) == ("BMP", "RGB", (160, 100))
    for path in frames[12:]:
        with pytest.raises((OSError, SyntaxError)), PIL.Image.open(path) as image:
            image.load()
        assert (data_set / "labels" / path.parent.name / f"{path.stem}.xml").is_file()
    assert [path.stat().st_size == 0 for path in frames[12:]] == [False, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_final(kind):
    buffer = io.BytesIO()
    PIL.Image.effect_noise((64, 48), 60).convert("RGB").save(buffer, "BMP")
    for seed in range(20):
        broken = damaged(buffer.getvalue(), kind, np.random.default_rng(seed))
        with pytest.raises((OSError, SyntaxError)), PIL.Image.open(io.BytesIO(broken)) as image:
            image.load()


def test_a_killed_run_is_finished_and_other_frames_are_left_alone(data_set, tmp_path, run_tool):
    arguments = ["--output", tmp_path, "--count", 4, "--size", "96x64", "--broken", 1, "--sequence_length", 2]
    assert run_tool("make_demo_frames", *arguments, "--workers", 1).returncode == 0
    before = contents(tmp_path)
    frame, label = tmp_path / "frames/seq000/000001.bmp", tmp_path / "labels/seq001/000002.xml"
    frame.write_bytes(frame.read_bytes()[:100])
    label.unlink()
    (frame.parent / ".000003.bmp.x.tmp").write_bytes(b"half")
    assert "(2 made now)" in run_tool("make_demo_frames", *arguments).stdout
    assert contents(tmp_path) == before
    refused = run_tool("make_demo_frames", *arguments, "--seed", 1)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "another seed" in refused.stderr
    assert contents(tmp_path) == before
    (tmp_path / "foreign/frames").mkdir(parents=True)
    (tmp_path / "foreign/frames/mine.bmp").write_bytes(b"BM")
    with pytest.raises(InputError, match="choose another --output"):
        synthetic.make_frames(tmp_path / "foreign", count=1, width=64, height=64)


@pytest.mark.parametrize("arguments", [["--size", "1820"], ["--size", "0x940"], ["--size", "20x20"], ["--count", "0"],
                                       ["--size", "64x9999"], ["--opacity", "0.9,0.1"], ["--objects", "many,few"],
                                       ["--class_shares", "1,1"], ["stray"]], ids=" ".join)
def test_wrong_usage_exits_with_2(arguments, tmp_path, run_tool):
    result = run_tool("make_demo_frames", "--output", tmp_path / "data", *arguments)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_parameters_out_of_range_are_refused():
    for wrong in ({"opacity": (0.5,)}, {"field_of_view": 190}, {"noise": (-1, 2)}, {"class_shares": (1,) * 6 + (-1,)},
                  {"day": 0, "overcast": 0, "dusk": 0}, {"smallest": float("nan")}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            synthetic.SceneParameters(**wrong)


def test_the_camera_is_equidistant():
    camera = FisheyeCamera(640, 360, 120.0, (1.0, 2.0, 1.5), 0.4, 0.1, 0.05)
    directions = camera.rays()
    pixels, distances = camera.project(np.asarray(camera.position) + 7.0 * directions)
    x, y = np.meshgrid(np.arange(640) + 0.5, np.arange(360) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([x, y], axis=-1), atol=1e-2)
    np.testing.assert_allclose(distances, 7.0, rtol=1e-5)
    right, _, forward = camera.rotation
    for degrees in (0, 20, 40, 60):
        angle = np.radians(degrees)
        pixel, _ = camera.project(np.asarray(camera.position) + np.cos(angle) * forward + np.sin(angle) * right)
        np.testing.assert_allclose(pixel, (320 + 320 * degrees / 60, 180), atol=1e-9)


MODELS = [vehicles.passenger_car, vehicles.truck, vehicles.van, vehicles.bus, riders.pedestrian, riders.bicycle,
          riders.motorbike]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_boxes_are_those_of_the_distorted_pixels(model):
    """Painted without distortion, then distorted as a picture: the same bounds as painted through the fisheye."""
    solid = model(np.random.default_rng(3))
    fisheye = FisheyeCamera(480, 300, 120.0, (0.0, 0.0, 1.4), 0.0, 0.08, 0.02)
    pinhole = RectilinearCamera(2400, 1500, 120.0, (0.0, 0.0, 1.4), 0.0, 0.08, 0.02)
    x, y = np.meshgrid(np.arange(480) + 0.5 - 240, np.arange(300) + 0.5 - 150)
    radius = np.hypot(x, y)
    theta = radius / (240 / np.radians(60))
    stretch = pinhole.focal * np.tan(np.minimum(theta, 1.5)) / np.maximum(radius, 1e-9)
    sources = [(x * stretch + 1199.5).astype(np.float32), (y * stretch + 749.5).astype(np.float32)]
    for place, heading in (((-0.5, 9.0, 0), 0.3), ((4.5, 8.5, 0), 2.0), ((-7.0, 8.0, 0), -1.2)):
        straight = np.zeros((1500, 2400), np.uint8)
        layer = paint(solid, place, heading, pinhole, 1, LIGHT)
        straight[layer.where] = layer.mask
        distorted = cv2.remap(straight, *sources, cv2.INTER_LINEAR) > 127
        rows, columns = np.flatnonzero(distorted.any(axis=1)), np.flatnonzero(distorted.any(axis=0))
        expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        bounds = np.array(paint(solid, place, heading, fisheye, 4, LIGHT).bounds()) / 4
        # Round parts are discs of the radius seen at their middle, in both; the two differ a little off the axis.
        np.testing.assert_allclose(bounds, expected, atol=1.01 if model.__module__.endswith("vehicles") else 2.01)


def test_a_label_is_the_box_of_the_pixels_in_the_picture():
    """With and without an object a picture differs in the labelled box alone, up to its edges."""
    plain = synthetic.SceneParameters(opacity=(1, 1), texture=0.0, noise=(0, 0), blur=(0, 0), objects=(1, 1))
    checked = 0
    for seed in range(8):
        scene = sample_scene(np.random.default_rng(seed), 320, 200, plain)
        pictures, labels = [], []
        for actors in (scene.actors, []):
            painter = Painter(dataclasses.replace(scene, actors=actors), plain, np.random.default_rng(0))
            painter._shadows = lambda actors, camera, time: np.zeros((camera.height, camera.width), np.uint8)
            picture, found = painter.frame(0.0, np.random.default_rng(0))
            pictures.append(picture.astype(int))
            labels.append(found)
        assert labels[1] == []
        changed = np.abs(pictures[0] - pictures[1]).max(axis=2) > 0
        if not labels[0]:
            assert not changed.any()  # never an unlabelled object
            continue
        left, top, right, bottom = labels[0][0].box
        inside = np.zeros_like(changed)
        inside[top:bottom, left:right] = True
        assert not (changed & ~inside).any()
        if not labels[0][0].occluded:
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            np.testing.assert_allclose((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), labels[0][0].box, atol=1)
            checked += 1
    assert checked >= 4


def test_objects_too_small_to_label_are_not_painted():
    scene = sample_scene(np.random.default_rng(1), 160, 100, synthetic.SceneParameters())
    none = synthetic.SceneParameters(smallest=1.0)
    assert scene.actors
    frames = [Painter(dataclasses.replace(scene, actors=actors), none, np.random.default_rng(0)).frame(
        0.0, np.random.default_rng(0)) for actors in (scene.actors, [])]
    assert frames[0][1] == []
    np.testing.assert_array_equal(frames[0][0], frames[1][0])


def test_a_hidden_object_is_left_out():
    scene = sample_scene(np.random.default_rng(1), 160, 100, synthetic.SceneParameters())
    car = next(actor for actor in scene.actors if actor.name == "PassengerCar")
    x, y, _ = scene.camera.position
    behind = tuple(np.array(car.position) + 0.6 * (np.array(car.position) - (x, y, 0)))
    actors = [car, dataclasses.replace(car, position=behind)]
    painter = Painter(dataclasses.replace(scene, actors=actors, backdrop=[]), synthetic.SceneParameters(),
                      np.random.default_rng(0))
    assert len(painter.frame(0.0, np.random.default_rng(0))[1]) == 1


def test_classes_are_as_unequal_as_asked():
    names = collections.Counter(
        actor.name for seed in range(45)
        for actor in sample_scene(np.random.default_rng(seed), 128, 80, synthetic.SceneParameters()).actors)
    total = sum(names.values())
    assert 0.4 < names["PassengerCar"] / total < 0.68
    assert all(0.01 < names[name] / total < 0.2 for name in synthetic.CLASS_NAMES[1:])
    only = synthetic.SceneParameters(class_shares=(0, 0, 0, 0, 1, 0, 0))
    assert {actor.name for seed in range(5)
            for actor in sample_scene(np.random.default_rng(seed), 128, 80, only).actors} == {"Pedestrian"}


def test_a_scene_looks_the_same_at_any_size():
    def small(width, height):
        quiet = synthetic.SceneParameters(noise=(0.0, 0.0))
        picture, labels = synthetic.draw_frame(width, height, seed=3, sequence=2, scene=quiet)
        boxes = np.array([thing.box for thing in labels]) / (width, height, width, height)
        return cv2.resize(picture, (64, 40), interpolation=cv2.INTER_AREA).astype(float), boxes

    picture, boxes = small(256, 160)
    larger, larger_boxes = small(1024, 640)
    assert canvas_scale(256) != canvas_scale(1024)
    assert np.abs(picture - larger).mean() < 6
    np.testing.assert_allclose(boxes, larger_boxes, atol=0.012)


def test_neighbours_in_a_sequence_look_alike():
    frames = [synthetic.draw_frame(160, 100, seed=1, sequence=sequence, time=time)[0].astype(float)
              for sequence, time in ((0, 0.0), (0, 1.0), (1, 0.0))]
    assert np.abs(frames[0] - frames[1]).mean() < 0.7 * np.abs(frames[0] - frames[2]).mean()
