"""Untrusted input: whatever the bytes, parsers return or raise our own error; nothing hangs or grows.

The default suite draws a few hundred inputs. The long run, ten minutes for each parser:

  FUZZ_SECONDS=600 python -m pytest -m fuzz tests/records/test_fuzz_input.py
"""

import io
import os
import resource
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from tests import records_data
from tfod_compress import frames
from tfod_compress.frames import bmp
from tfod_compress.labels import coco, kitti, table, voc, yolo
from tfod_compress.labels import label_map as label_maps
from tfod_compress.labels.classes import ClassMap, read_class_map
from tfod_compress.records import example, framing, wire
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.boxes import clean
from tfod_compress.tasks.detection.task import Detection

LMU = label_maps.load("lmu")
SLOWEST = 2.0  # seconds for one small input
GROWTH = 400 << 10  # KiB that the process may grow by
KITTI = b"Car 0.00 0 -1.84 662.20 185.85 690.21 205.03 1.48 1.36 3.51 5.35 2.56 58.84 -1.75\n"
COCO = (b'{"images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}], '
        b'"annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3.5, 4e0], "iscrowd": 0}], '
        b'"categories": [{"id": 2, "name": "x"}]}')


def picture(kind, mode="RGB"):
    buffer = io.BytesIO()
    Image.fromarray(records_data.scene(0, 16, 12)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def run_lengths():
    rows = b"\3\7\0\0\0\4\1\2\3\4\0\0\0\2\1\1\2\5\0\1"
    head = bytearray(picture("BMP", "P"))
    offset = int.from_bytes(head[10:14], "little")
    head[30] = 1  # RLE8
    return bytes(head[:offset]) + rows


def bit_masks():
    head = bytearray(picture("BMP", "RGBA"))
    head[30] = 3
    return bytes(head)


def record():
    labels = Detection().to_features(voc.Voc("", []).parse(XML), 64, 48, ClassMap(LMU), 1).data
    return example.build(example.features_of_frame("a/b", "b.bmp", 64, 48, labels), b"picture", "jpeg", 7)


XML = records_data.VOC.format(width=64, height=48, objects=records_data.VOC_OBJECT.format("Bus", 1, 2, 30, 40)).encode()


@st.composite
def damaged(draw, originals):
    """One of some valid inputs, with a few bytes changed, cut, doubled or put in; now and then bytes from nowhere."""
    if draw(st.integers(0, 30)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        change = draw(st.sampled_from(("byte", "byte", "word", "cut", "double", "insert", "remove")))
        if change == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif change == "word":
            value = draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 256)))
            data[at:at + 4] = value.to_bytes(4, draw(st.sampled_from(("little", "big"))))
        elif change == "cut":
            del data[at:]
        elif change == "double":
            data[at:at] = data[max(0, at - draw(st.integers(1, 64))):at]
        elif change == "insert":
            data[at:at] = draw(st.sampled_from((
                b"\xff\xff", b"\0", b"nan", b"-1", b"1e999", b"[[[[", b"{", b'"', b"<", b"&a;", b",", b"\n", b"9" * 30,
                b"\xf0\x9f\x9a\x97")))
        else:
            del data[at:at + draw(st.integers(1, 8))]
    return bytes(data)


def read_picture(data, folder):
    path = folder / "picture"
    path.write_bytes(data)
    rgb = frames.read_frame(path, max_pixels=1_000_000)
    assert rgb.dtype == "uint8" and rgb.ndim == 3 and rgb.shape[2] == 3 and 0 < rgb.size <= 3_000_000
    rgb.sum()  # mapped pixels are really there


def read_bmp_header(data, folder):
    try:
        header = bmp.read_header(data)
    except bmp.BmpError:
        return
    assert header.width > 0 and header.height > 0


def parse_folder(cls):
    def check(data, folder):
        try:
            labels = cls(folder / "none", []).parse(data)
        except ValueError as error:
            assert "\n" not in str(error)
            return
        names = ClassMap(LMU, {box.name: "Bus" for box in labels.boxes})
        boxes = clean(labels, 64, 48, names, 1)
        assert ((boxes.edges >= 0) & (boxes.edges <= 1)).all()

    return check


def parse_file(read):
    def check(data, folder):
        (folder / "file").write_bytes(data)
        read(folder / "file")

    return check


def parse_record(data, folder):
    try:
        wire.parse(data)
        example.parse(data, Detection())
    except ValueError:
        pass


PICTURES = {"bmp": [*(picture("BMP", mode) for mode in ("RGB", "P", "1", "L")), run_lengths(), bit_masks()],
            "png": [picture("PNG"), picture("PNG", "P"), picture("PNG", "RGBA"), picture("PNG", "1")],
            "jpeg": [picture("JPEG"), picture("JPEG", "L"), picture("JPEG", "CMYK")]}
TARGETS = {
    **{kind: (read_picture, originals) for kind, originals in PICTURES.items()},
    "bmp header": (read_bmp_header, [data[:160] for data in PICTURES["bmp"]]),
    "voc": (parse_folder(voc.Voc), [XML]),
    "kitti": (parse_folder(kitti.Kitti), [KITTI * 2]),
    "yolo": (parse_folder(yolo.Yolo), [b"1 0.5 0.5 0.2 0.2\n0 0.1 0.2 0.5 0.9 0.3 0.4\n"]),
    "coco": (parse_file(lambda path: coco.read_coco(path, ["a"])), [COCO]),
    "csv": (parse_file(lambda path: table.read_csv(path, ["a"])), [
        b"filename,width,height,class,xmin,ymin,xmax,ymax\na.png,9,9,x,1,2,3,4\nb.png,9,9,y,1,2,3,4\n"]),
    "class map": (parse_file(read_class_map), [b"Car: PassengerCar\nTram: ignore\n"]),
    "names": (parse_file(lambda path: yolo.read_names(path)), [b"bus\ncar\n"]),
    "label map": (parse_file(label_maps.read), [b"item {\n  id: 1\n  name: 'x'\n}\n"]),
    "tfrecord": (parse_file(lambda path: list(framing.read_records(path))), [
        b"".join([framing.frame(b"abc")[0], b"abc", framing.frame(b"abc")[1]])]),
    "example": (parse_record, [record()]),
}


def fuzz(target, folder, examples, number):
    check, originals = TARGETS[target]

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(originals))
    def one(data):
        started = time.process_time()
        try:
            check(data, folder)
        except InputError as error:
            assert "\n" not in str(error)
        assert time.process_time() - started < SLOWEST

    one()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_input_gives_our_own_error(target, tmp_path):
    fuzz(target, tmp_path, 100, 0)


@pytest.mark.fuzz
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_input_for_long(target, tmp_path):
    end, number = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", 600)), 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() < end:
        fuzz(target, tmp_path, 2_000, number)
        number += 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH
