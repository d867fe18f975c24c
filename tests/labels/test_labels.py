"""Label formats, class maps and box rules."""

import json

import numpy as np
import pytest

from tests import records_data
from tfod_compress.labels import (
    ClassMap,
    FrameLabels,
    LabelError,
    LabelledBox,
    json_stream,
    label_map,
    open_labels,
    read_class_map,
)
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.boxes import clean

LMU = label_map.load("lmu")
KITTI = "{} 0.50 1 -1.57 {} {} {} {} 1.5 1.6 3.9 -0.7 1.7 8.0 -1.6\n"
COCO = {"images": [{"id": 7, "file_name": "cam0/a.png", "width": 100, "height": 50},
                   {"id": 8, "file_name": "b.png", "width": 100, "height": 50}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10], "iscrowd": 1,
                         "segmentation": [[1, 2, 3, 4]]}],
        "categories": [{"id": 3, "name": "car"}]}


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def one_box(labels, source_id):
    box, = labels.read(source_id).boxes
    return box


def write_format(folder, name):
    """One car from (10, 5) to (30, 15) px in frame cam0/a of 100x50, in a format; returns its path."""
    if name == "voc":
        records_data.write_voc(folder / "cam0/a.xml", [("car", 10, 5, 30, 15)], 100, 50)
    elif name == "kitti":
        write(folder, "cam0/a.txt", KITTI.format("car", 10, 5, 30, 15) + KITTI.format("DontCare", 1, 1, 2, 2))
    elif name == "yolo":
        write(folder, "cam0/a.txt", "1 0.2 0.2 0.2 0.2\n")
        write(folder, "classes.txt", "bus\ncar\n")
    elif name == "coco":
        write(folder, "instances.json", COCO)
    else:
        write(folder, "labels.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n"
              "cam0/a.png,100,50,car,10,5,30,15\n")
    return folder


@pytest.mark.parametrize("name", ["voc", "kitti", "yolo", "coco", "csv"])
def test_every_format_is_told_by_its_content_and_says_the_same(tmp_path, name):
    labels, found = open_labels(write_format(tmp_path, name), "auto", ["cam0/a", "b"])
    assert found == name and labels.has("cam0/a")
    boxes = clean(labels.read("cam0/a"), 100, 50, ClassMap(LMU, {"car": "PassengerCar"}, ("DontCare",)), 1)
    np.testing.assert_allclose(boxes.edges, [[0.1, 0.1, 0.3, 0.3]], rtol=1e-6)
    assert boxes.class_ids.tolist() == [1]
    assert boxes.ignored == (name == "kitti")
    assert boxes.is_crowd.tolist() == [name == "coco"]
    assert labels.has("b") == (name == "coco")  # COCO lists frames without objects


def test_flags_are_carried_where_the_format_has_them(tmp_path):
    write(tmp_path, "v/a.xml", "<annotation><object><name>x</name><difficult>1</difficult><truncated>1</truncated>"
          "<occluded>0</occluded><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
          "</annotation>")
    box = one_box(open_labels(tmp_path / "v", "auto", ["a"])[0], "a")
    assert (box.difficult, box.truncated, box.occluded) == (True, True, 0)
    write(tmp_path, "k/a.txt", KITTI.format("Car", 1, 1, 5, 5))
    box = one_box(open_labels(tmp_path / "k", "auto", ["a"])[0], "a")
    assert (box.difficult, box.truncated, box.occluded) == (False, True, 1)


def test_labels_are_found_by_name_where_that_is_unique(tmp_path):
    records_data.write_voc(tmp_path / "flat/7.xml", [("car", 1, 1, 9, 9)])
    assert open_labels(tmp_path, "voc", ["cam0/7"])[0].has("cam0/7")
    labels, _ = open_labels(tmp_path, "voc", ["cam0/7", "cam1/7"])
    assert not labels.has("cam0/7") and not labels.has("cam1/7")


def test_yolo_polygons_become_boxes_and_numbers_are_names_without_a_file(tmp_path):
    write(tmp_path, "labels/a.txt", "4 0.1 0.2 0.5 0.9 0.3 0.4\n")
    box = one_box(open_labels(tmp_path / "labels", "auto", ["a"])[0], "a")
    assert (box.name, box.xmin, box.ymin, box.xmax, box.ymax) == ("4", 0.1, 0.2, 0.5, 0.9)
    write(tmp_path, "names.yaml", "names: {4: Bus}")
    assert one_box(open_labels(tmp_path / "labels", "yolo", ["a"], tmp_path / "names.yaml")[0], "a").name == "Bus"


@pytest.mark.parametrize("name, text, told", [
    ("a.xml", "<annotation><object>", "not XML"),
    ("a.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>&a;</annotation>", "entities is refused"),
    ("a.xml", "<annotation><object><name>Car</name></object></annotation>", "without a bndbox"),
    ("a.xml", "<annotation><object><bndbox/></object></annotation>", "without a name"),
    ("a.xml", "<annotation><object><name>Car</name><bndbox><xmin>left</xmin></bndbox></object></annotation>",
     "xmin of 'Car' is 'left', not a number"),
    ("a.txt", "Car 1 2\n", "line 1 has 3 fields"),
    ("a.txt", KITTI.format("Car", 1, 2, "x", 4), "line 1: field 7 is 'x'"),
])
def test_damaged_label_files_are_told_by_file_and_line(tmp_path, name, text, told):
    path = write(tmp_path, name, text)
    labels, _ = open_labels(tmp_path, "voc" if name.endswith("xml") else "kitti", ["a"])
    with pytest.raises(LabelError, match=told) as error:
        labels.read("a")
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change, told", [
    (lambda data: data.pop("categories"), "no 'categories'"),
    (lambda data: data["annotations"][0].pop("bbox"), r"annotations\[0\]: 'bbox' is missing"),
    (lambda data: data["annotations"][0].update(bbox=[1, 2, 3]), "bbox has not four numbers"),
    (lambda data: data["annotations"][0].update(category_id=9), "category_id 9, which no category has"),
    (lambda data: data["annotations"][0].update(image_id=9), "image_id 9, which no image has"),
    (lambda data: data.update(images=3), "'images' is no array"),
])
def test_damaged_coco_files_are_told_by_entry(tmp_path, change, told):
    data = json.loads(json.dumps(COCO))
    change(data)
    write(tmp_path, "a.json", data)
    with pytest.raises(LabelError, match=told):
        open_labels(tmp_path / "a.json", "auto", ["cam0/a"])


def test_json_is_read_in_pieces_of_any_size(monkeypatch, tmp_path):
    path = write(tmp_path, "a.json", {"info": {"x": [1, {"y": 2}]}, "empty": [],
                                      "items": [1, -2.5e3, "a]}", {"b": []}, True]})
    for size in (1, 2, 7, 1000):
        monkeypatch.setattr(json_stream, "CHUNK", size)
        with open(path) as file:
            found = list(json_stream.top_level_items(file, {"items", "empty"}))
        assert found == [("empty", None, None), ("items", None, None), ("items", 0, 1), ("items", 1, -2500.0),
                         ("items", 2, "a]}"), ("items", 3, {"b": []}), ("items", 4, True)]


def test_unclear_labels_are_an_error(tmp_path):
    with pytest.raises(InputError, match="no labels in any of the formats"):
        open_labels(tmp_path, "auto", ["a"])
    write_format(tmp_path, "voc")
    write_format(tmp_path, "coco")
    with pytest.raises(InputError, match="labels of several formats: coco .*, voc"):
        open_labels(tmp_path, "auto", ["a"])


def test_class_maps(tmp_path):
    path = write(tmp_path, "map.yaml", "Car: PassengerCar\nTram: ignore\n0: Bus\n")
    mapping = ClassMap(LMU, read_class_map(path, LMU), ("Misc",))
    assert [mapping.class_id(name) for name in ("Car", "Tram", "0", "Misc", "Truck")] == [1, 0, 4, 0, 2]
    with pytest.raises(InputError, match=r"Zug \(9\), Bahn \(2\)"):
        mapping.check({"Car": 1, "Bahn": 2, "Zug": 9}, "labels")
    for text, told in (("Car: Truk", "the label map has no class 'Truk', is Truck meant"),
                       ("[1, 2", "not YAML"), ("", "must hold lines"),
                       ("a: [b]", "must be a class"), ("- a", "must hold lines")):
        with pytest.raises(InputError, match=told):
            read_class_map(write(tmp_path, "map.yaml", text), LMU)


@pytest.mark.parametrize("corners, reason", [
    ((10, 10, float("nan"), 20), "not finite"), ((10, 10, float("inf"), 20), "not finite"),
    ((10, 10, 10, 20), "zero or negative area"), ((20, 10, 10, 20), "zero or negative area"),
    ((100, 10, 120, 20), "outside the frame"), ((-20, 10, 0, 20), "outside the frame"),
    ((10, 10, 12, 30), "smaller than 3 px"), ((98, 10, 120, 30), "smaller than 3 px"),
])
def test_boxes_are_dropped_with_their_reason(corners, reason):
    labels = FrameLabels([LabelledBox("Bus", *corners), LabelledBox("Van", 0, 0, 9, 9)])
    boxes = clean(labels, 100, 50, ClassMap(LMU), 3)
    assert boxes.class_ids.tolist() == [3] and boxes.clipped == 0
    (name, edges, told), = boxes.dropped
    assert (name, told) == ("Bus", reason) and repr(edges) == repr(corners)


def test_boxes_over_the_edge_are_clipped_and_counted():
    boxes = clean(FrameLabels([LabelledBox("Bus", -5, -5, 50, 200), LabelledBox("Bus", 0, 0, 100, 50)]), 100, 50,
                  ClassMap(LMU), 1)
    assert boxes.edges.tolist() == [[0, 0, 1, 0.5], [0, 0, 1, 1]] and boxes.clipped == 1
    assert boxes.edges.dtype == np.float32 and boxes.truncated is None
