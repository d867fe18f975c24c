"""Classes are data: label maps, any names through records, areas of COCO's outlines, what the sources were."""

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests import records_data
from tfod_compress.labels import label_map
from tfod_compress.records import RecordSet, sources
from tfod_compress.records.conversion import convert
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.config import pipeline_config

GAPS = {2: "cat", 7: "dog", 40: "traffic light"}


@given(st.dictionaries(st.integers(1, label_map.MAX_ID), st.text(min_size=1).filter(lambda t: t.isprintable()),
                       min_size=1, max_size=5).filter(lambda m: len(set(m.values())) == len(m)))
def test_any_names_and_ids_come_back(tmp_path_factory, classes):
    path = tmp_path_factory.mktemp("map") / "label_map.pbtxt"
    path.write_text(label_map.text(classes), encoding="utf-8")
    assert label_map.read(path) == dict(sorted(classes.items()))


def test_the_shipped_maps():
    assert label_map.shipped() == ["coco", "kitti", "lmu", "voc"]
    sizes = {name: (len(label_map.load(name)), max(label_map.load(name))) for name in label_map.shipped()}
    assert sizes == {"coco": (80, 90), "kitti": (7, 7), "lmu": (7, 7), "voc": (20, 20)}
    # As the OD API's own mscoco_label_map.pbtxt has them, which TF's published detectors were trained with.
    some = {1: "person", 3: "car", 10: "traffic light", 13: "stop sign", 44: "bottle", 67: "dining table",
            90: "toothbrush"}
    assert some.items() <= label_map.load("coco").items()


def test_a_display_name_is_what_counts(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text('# zoo\nitem { name: "/m/0k4j" id: 3 display_name: "car" }\nitem { name: "van" id: 1 }')
    assert label_map.load(str(path)) == {1: "van", 3: "car"}


@pytest.mark.parametrize("text, told", [
    ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "id 1 comes twice, for 'a' and 'b'"),
    ("item { id: 1 name: 'a' } item { id: 2 name: 'x' display_name: 'a' }", "class 'a' comes twice, with ids 1, 2"),
    ("item { id: 0 name: 'a' }", "has id 0"), ("item { name: 'a' }", "has id 0"), ("item { id: -4 name: 'a' }", "-4"),
    ("item { id: 99999999 name: 'a' }", "ids go from 1 to"), ("item { id: 3 }", "id 3 has no name"),
    ("", "no class"), ("{", "not a label map"), ("item { id: 99999999999999 name: 'a' }", "not a label map")])
def test_what_is_no_label_map_is_told(tmp_path, text, told):
    path = tmp_path / "map.pbtxt"
    path.write_text(text)
    with pytest.raises(InputError, match=f"map.pbtxt: .*{told}") as error:
        label_map.load(str(path))
    assert "\n" not in str(error.value)


def test_an_unknown_label_map_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no label map 'cocoo', is coco meant\?; there are coco, kitti, lmu, voc"):
        label_map.load("cocoo")
    with pytest.raises(InputError, match="missing.pbtxt: No such file"):
        label_map.load(str(tmp_path / "missing.pbtxt"))


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """Frames with Pascal VOC labels: cats, dogs, and one unicorn on the last frame."""
    folder = records_data.make(tmp_path_factory.mktemp("animals"), count=8, sequences=2)
    for index, path in enumerate(sorted((folder / "labels").rglob("*.xml"))):
        names = ["cat", "dog"] if index < 7 else ["cat", "unicorn"]
        records_data.write_voc(path, [(name, 4 + 20 * place, 6, 20 + 20 * place, 30)
                                      for place, name in enumerate(names)])
    return folder


def make(folder, output, **options):
    said = []
    made, = convert(folder / "frames", folder / "labels", output, qualities=(50,), workers_count=1, say=said.append,
                    **options)
    return RecordSet(made.path), said


def test_a_file_with_gaps_a_shipped_map_or_the_names_themselves(animals, tmp_path):
    classes = tmp_path / "gaps.pbtxt"
    classes.write_text(label_map.text(GAPS))
    (tmp_path / "map.yaml").write_text("unicorn: ignore\n")
    (tmp_path / "horses.yaml").write_text("unicorn: horse\n")
    gaps, _ = make(animals, tmp_path / "gaps", label_map=str(classes), class_map=tmp_path / "map.yaml")
    assert gaps.label_map == GAPS and gaps.manifest["boxes"] == {"cat": 8, "dog": 7, "traffic light": 0}
    for split in gaps.splits:
        for example in gaps.examples(split):
            assert example.class_names == [GAPS[number] for number in example.class_ids]
    voc, _ = make(animals, tmp_path / "voc", label_map="voc", class_map=tmp_path / "horses.yaml")
    assert voc.label_map[13] == "horse" and voc.manifest["boxes"]["horse"] == 1 and len(voc.label_map) == 20
    auto, said = make(animals, tmp_path / "auto", label_map="auto")
    assert auto.label_map == {1: "cat", 2: "dog", 3: "unicorn"}
    assert "label map of 3 classes, with their boxes: 1 cat (8), 2 dog (7), 3 unicorn (1)" in said
    mapped, _ = make(animals, tmp_path / "mapped", label_map="auto", class_map=tmp_path / "horses.yaml")
    assert mapped.label_map == {1: "cat", 2: "dog", 3: "horse"}
    # A model for ids with gaps has an output for every id up to the highest.
    config = pipeline_config.make("ssd_inception_v2_demo", gaps.path, tmp_path / "config").config
    assert config.model.ssd.num_classes == 40
    # Other classes are other records.
    with pytest.raises(InputError, match="label_map (was|changed)"):
        make(animals, tmp_path / "auto", label_map="voc", class_map=tmp_path / "horses.yaml")


def test_names_that_do_not_fit_are_told_with_three_ways_on(animals, tmp_path, run_tool):
    done = run_tool("make_tfrecords", *records_data.arguments(animals, "--output", tmp_path, "--label_map", "coco"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    for part in ("unicorn (1)", "--label_map FILE", "--label_map auto", "--class_map FILE"):
        assert part in done.stderr, done.stderr
    (tmp_path / "map.yaml").write_text("unicorn: horses\n")
    done = run_tool("make_tfrecords", *records_data.arguments(animals, "--output", tmp_path, "--label_map", "voc",
                                                              "--class_map", tmp_path / "map.yaml"))
    assert done.returncode == 1 and "no class 'horses', is horse meant?" in done.stderr
    with pytest.raises(InputError, match=r"cat \(8\), dog \(7\); three ways on: --label_map coco;"):
        (tmp_path / "map.yaml").write_text("unicorn: ignore\n")
        make(animals, tmp_path, class_map=tmp_path / "map.yaml")


def test_yolo_takes_the_names_of_a_shipped_map_in_order(tmp_path):
    for index, text in enumerate(("0 .5 .5 .4 .4\n", "79 .5 .5 .4 .4\n11 .3 .3 .2 .2\n")):
        path = tmp_path / "frames" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(records_data.scene(index)).save(path)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{index}.txt").write_text(text)
    records, _ = make(tmp_path, tmp_path / "out", label_map="coco", names_file="coco", val_fraction=0.5)
    boxes = {name: count for name, count in records.manifest["boxes"].items() if count}
    assert boxes == {"person": 1, "toothbrush": 1, "stop sign": 1} and max(records.label_map) == 90


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Frames with COCO labels whose areas are not those of the boxes, as outlines' are not; and detections."""
    folder = tmp_path_factory.mktemp("coco")
    rng = np.random.default_rng(5)
    images, annotations, detections = [], [], []
    for number in range(1, 13):
        path = folder / "frames" / f"{number:06d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(path)
        images.append({"id": number, "file_name": path.name, "width": 320, "height": 240})
        for _ in range(rng.integers(3, 9)):
            width, height = rng.uniform(8, 150, 2)
            box = [float(rng.uniform(0, 320 - width)), float(rng.uniform(0, 240 - height)), width, height]
            category = int(rng.choice([1, 3, 90]))
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box,
                                "iscrowd": int(rng.random() < 0.1), "area": float(width * height * rng.uniform(.3, 1))})
            for _ in range(rng.integers(0, 3)):
                shifted = (np.array(box) + rng.normal(0, 5, 4)).clip(1, 300).tolist()
                detections.append({"image_id": number, "category_id": category, "bbox": shifted,
                                   "score": float(rng.random())})
    (folder / "labels.json").write_text(json.dumps({
        "images": images, "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 90, "name": "toothbrush"}]}))
    (folder / "detections.json").write_text(json.dumps(detections))
    return folder


def test_ap_by_size_is_that_of_pycocotools_on_the_original_json(coco, tmp_path):
    made, = convert(coco / "frames", coco / "labels.json", tmp_path, codec="png", label_map="coco", val_fraction=1.0,
                    workers_count=1)
    truth = metrics.record_set_ground_truth(RecordSet(made.path), "val")
    results = [{**one, "image_id": f"{one['image_id']:06d}"} for one in json.loads(
        (coco / "detections.json").read_text())]
    ours = metrics.summarise(truth, metrics.parse_detections(results, truth), 0.5)["coco"]
    with contextlib.redirect_stdout(io.StringIO()):
        annotations = COCO(coco / "labels.json")
        evaluated = COCOeval(annotations, annotations.loadRes(str(coco / "detections.json")), "bbox")
        evaluated.evaluate()
        evaluated.accumulate()
        evaluated.summarize()
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    found = {name: ours[name]["value"] if name == "AP" else ours[name] for name in names}
    assert found == pytest.approx(dict(zip(names, evaluated.stats[:6].tolist(), strict=True)), abs=1e-9)
    box_areas = metrics.summarise(_by_boxes(truth), metrics.parse_detections(results, truth), 0.5)["coco"]
    assert box_areas["APs"] != pytest.approx(ours["APs"], abs=1e-3)  # or this data set would not tell


def _by_boxes(truth):
    import dataclasses

    return dataclasses.replace(truth, areas=truth.boxes[:, 2] * truth.boxes[:, 3])


def test_record_sets_of_earlier_versions_are_still_recognised(coco, tmp_path, animals):
    options = {"codec": "png", "label_map": "coco", "workers_count": 1}
    made, = convert(coco / "frames", coco / "labels.json", tmp_path, **options)
    manifest = json.loads((made.path / "manifest.json").read_text())
    del manifest["areas"], manifest["plan"]["input_areas_sha256"], manifest["sources"]
    (made.path / "manifest.json").write_text(json.dumps(manifest))
    before, said = records_data.contents(made.path), []
    again, = convert(coco / "frames", coco / "labels.json", tmp_path, say=said.append, **options)
    assert again.was_there and records_data.contents(made.path) == before
    assert any("made before COCO's areas were kept" in line for line in said)
    # The seven classes are the default, which earlier versions did not write down.
    (tmp_path / "map.yaml").write_text("cat: Bus\ndog: Van\nunicorn: ignore\n")
    lmu, _ = make(animals, tmp_path / "lmu", class_map=tmp_path / "map.yaml")
    assert "label_map" not in lmu.manifest["plan"] and lmu.manifest["boxes"]["Bus"] == 8
    assert (lmu.path / "label_map.pbtxt").read_text().startswith("item {\n  id: 1\n  name: 'PassengerCar'\n}\n")


def test_changed_areas_are_other_labels(coco, tmp_path):
    content = json.loads((coco / "labels.json").read_text())
    (tmp_path / "labels.json").write_text(json.dumps(content))
    options = {"codec": "png", "label_map": "coco", "workers_count": 1}
    convert(coco / "frames", tmp_path / "labels.json", tmp_path / "out", **options)
    content["annotations"][0]["area"] += 1
    (tmp_path / "labels.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="input_areas_sha256 changed"):
        convert(coco / "frames", tmp_path / "labels.json", tmp_path / "out", **options)


def test_jpeg_quality_is_estimated_from_the_tables(tmp_path):
    picture = Image.fromarray(records_data.scene(0))
    for quality in range(1, 101):
        picture.save(tmp_path / "frame.jpg", quality=quality)
        assert sources.jpeg_quality(tmp_path / "frame.jpg") == quality
    # Another encoder's table: halfway between two of libjpeg's.
    table = (sources._tables()[49] + sources._tables()[59]) // 2
    assert 50 < sources.nearest_quality(table) < 60


def test_what_the_sources_were_is_kept_and_told(tmp_path, run_tool):
    folder = records_data.make(tmp_path, count=8, sequences=2)
    for index, path in enumerate(sorted((folder / "frames").rglob("*.bmp"))[:6]):
        Image.open(path).save(path.with_suffix(".jpg"), quality=60 + 5 * index)
        path.unlink()
    records, said = make(folder, tmp_path / "out")
    assert records.manifest["sources"] == {
        "formats": {"jpeg": 6, "bmp": 2}, "jpeg_quality": {"lowest": 60, "median": 70, "highest": 85, "frames": 6}}
    told = sources.told(records.manifest["sources"])
    assert f"note: {told}" in said
    assert told.startswith("6 of the 8 source frames are JPEGs of quality 60 to 85, median 70")
    assert told in run_tool("inspect_records", records.path).stdout
    assert "lossless (4 BMP)" in sources.told({"formats": {"bmp": 4}, "jpeg_quality": None})
