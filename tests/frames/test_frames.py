"""Frames: every kind that is read, every damage that is told."""

import io
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tfod_compress.frames import BrokenFrame, contiguous, find_frames, read_frame
from tfod_compress.support.errors import InputError


@pytest.fixture(scope="module")
def scene():
    return records_data.scene(3, 37, 23)  # rows that need padding


def bitmap(bits, rows, palette=b"", compression=0, masks=b"", width=4, height=2):
    offset = 14 + 40 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + masks + palette + rows


@pytest.mark.parametrize("extension", [".bmp", ".png"])
def test_lossless_formats_give_the_pixels_back(tmp_path, scene, extension):
    Image.fromarray(scene).save(tmp_path / f"a{extension}")
    rgb = read_frame(tmp_path / f"a{extension}")
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, scene)
    np.testing.assert_array_equal(contiguous(rgb), scene)
    assert contiguous(rgb).flags.c_contiguous


def test_camera_bitmaps_are_not_copied(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.bmp")
    rgb = read_frame(tmp_path / "a.bmp")
    assert not rgb.flags.owndata and rgb.strides[0] < 0 and rgb.strides[2] == -1


def test_top_down_bitmaps(tmp_path, scene):
    rows = np.zeros((23, 112), np.uint8)
    rows[:, :111] = scene[:, :, ::-1].reshape(23, -1)
    (tmp_path / "a.bmp").write_bytes(bitmap(24, rows.tobytes(), width=37, height=-23))
    np.testing.assert_array_equal(read_frame(tmp_path / "a.bmp"), scene)


def test_bitmaps_of_few_bits(tmp_path):
    palette = bytes([0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0])  # red, green, blue as BGR0
    for bits, row in ((2, b"\x18\0\0\0"), (4, b"\x01\x20\0\0"), (8, b"\0\1\2\0")):
        (tmp_path / "a.bmp").write_bytes(bitmap(bits, 2 * row, palette=palette))
        np.testing.assert_array_equal(read_frame(tmp_path / "a.bmp")[0], [
            [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 0]], err_msg=f"{bits} bits")
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    row = struct.pack("<4H", 0xF800, 0x07E0, 0x001F, 0xFFFF)
    (tmp_path / "a.bmp").write_bytes(bitmap(16, 2 * row, compression=3, masks=masks))
    assert read_frame(tmp_path / "a.bmp")[1].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


def test_png_variants_become_rgb_by_the_stated_rules(tmp_path, scene):
    path = tmp_path / "a.png"
    alpha = np.dstack([scene, np.zeros(scene.shape[:2], np.uint8)])
    Image.fromarray(alpha).save(path)
    np.testing.assert_array_equal(read_frame(path), scene)  # alpha is dropped, colours stay
    Image.fromarray(scene[:, :, 0].astype(np.uint16) * 256 + 77).save(path)
    np.testing.assert_array_equal(read_frame(path), np.repeat(scene[:, :, :1], 3, axis=2))  # high byte
    paletted = Image.fromarray(scene).quantize(16)
    paletted.save(path)
    np.testing.assert_array_equal(read_frame(path), np.asarray(paletted.convert("RGB")))
    Image.fromarray(scene[:, :, 0]).save(path)
    np.testing.assert_array_equal(read_frame(path), np.repeat(scene[:, :, :1], 3, axis=2))


def test_jpeg_orientation_is_applied_and_cmyk_converted(tmp_path, scene):
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(scene).save(path, quality=95, exif=exif)
    plain = io.BytesIO()
    Image.fromarray(scene).save(plain, "JPEG", quality=95)
    np.testing.assert_array_equal(read_frame(path), np.rot90(np.asarray(Image.open(plain)), -1))
    Image.fromarray(scene).convert("CMYK").save(path, quality=95)
    assert read_frame(path).shape == scene.shape


def test_content_decides_and_not_the_extension(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.bmp", format="PNG")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.bmp"), scene)


@pytest.mark.parametrize("extension", [".bmp", ".png", ".jpg"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_cut_off_files_are_broken(tmp_path, scene, extension, share):
    path = tmp_path / f"a{extension}"
    Image.fromarray(scene).save(path)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(BrokenFrame):
        read_frame(path)


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    (tmp_path / "a.bmp").write_bytes(bitmap(24, b"", width=2**31 - 1, height=2**31 - 1))
    with pytest.raises(BrokenFrame, match="more than 64000000 pixels"):
        read_frame(tmp_path / "a.bmp")
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    with pytest.raises(BrokenFrame, match="200x100 is more than 19999 pixels"):
        read_frame(tmp_path / "a.png", max_pixels=19_999)


def test_frames_are_found_at_any_depth_and_named_by_their_path(tmp_path):
    for name in ("b/cam0/2.BMP", "b/1.png", "a/1.jpg", "a/notes.txt", ".hidden/1.bmp", "a/._1.bmp", "a/x.png",
                 "a/x.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [frame.source_id for frame in find_frames(tmp_path)] == [
        "a/1", "a/x.bmp", "a/x.png", "b/1", "b/cam0/2"]
    (tmp_path / "a/loop").symlink_to(tmp_path)
    assert len(find_frames(tmp_path)) == 5


def test_a_folder_without_frames_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="no frames .* 1 other files"):
        find_frames(tmp_path)


# What the names of the files promise; everything else there may be read or be broken.
_READABLE = ("pillow/bmp/g/", "pillow/bmp/q/", "pillow/hopper.bmp", "made/good", "made/png_content", "made/jpg_content",
             "made/bmp_content", "pillow/hopper_rle8.bmp", "pillow/rgb32bf")
_BROKEN = ("made/zero", "made/trunc", "made/bad_", "made/text", "made/height", "pillow/truncated_image",
           "pillow/truncated_jpeg", "pillow/bmp/b/reallybig", "pillow/bmp/b/shortfile", "pillow/broken.png")


def test_every_damaged_file_is_read_or_broken_with_a_reason(shared_data):
    folder = shared_data / "broken"
    outcomes = {}
    for frame in find_frames(folder):
        name = pathlib.Path(frame.path).relative_to(folder).as_posix()
        try:
            outcomes[name] = read_frame(frame.path).shape
        except BrokenFrame as error:
            outcomes[name] = str(error)
            assert 5 < len(str(error)) < 120 and "Error" not in str(error)
    assert len(outcomes) > 120
    for name, outcome in outcomes.items():
        if name.startswith(_READABLE):
            assert isinstance(outcome, tuple), (name, outcome)
        if name.startswith(_BROKEN):
            assert isinstance(outcome, str), (name, outcome)


def test_bitmaps_look_like_the_suites_own_pictures(shared_data):
    folder = shared_data / "broken/pillow/bmp"
    names = {"pal1": ["pal1"], "pal4": ["pal4", "pal4rle"], "pal8": ["pal8", "pal8rle", "pal8topdown", "pal8v5"],
             "rgb24": ["rgb24", "rgb32", "rgb32bf"], "rgb16": ["rgb16"], "rgb16-565": ["rgb16-565"]}
    for picture, bitmaps in names.items():
        expected = np.asarray(Image.open(folder / f"html/{picture}.png").convert("RGB")).astype(int)
        for name in bitmaps:
            found = read_frame(folder / f"g/{name}.bmp").astype(int)
            assert abs(found - expected).max() <= 1, name


def test_damaged_files_end_in_records_or_the_list_within_little_memory(shared_data, tmp_path):
    # RUSAGE_SELF would count what this process held when it started the other; VmHWM starts anew with a program.
    code = (f"import pathlib, re, resource; resource.setrlimit(resource.RLIMIT_AS, ({4 << 30}, {4 << 30}))\n"
            "from tfod_compress.records import convert\n"
            f"made, = convert({str(shared_data / 'broken')!r}, {str(tmp_path)!r}, {str(tmp_path / 'out')!r},\n"
            "  label_format='voc', unlabelled='negative', max_broken=1, qualities=(20,), workers_count=1)\n"
            "own = int(re.search(r'VmHWM:\\s+(\\d+) kB', pathlib.Path('/proc/self/status').read_text())[1])\n"
            "print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120, stdout=subprocess.PIPE)
    rows = (tmp_path / "out/jpeg-q20/broken_frames.csv").read_text().splitlines()[1:]
    images = (tmp_path / "out/jpeg-q20/images.csv").read_text().splitlines()[1:]
    assert len(rows) + len(images) == len(find_frames(shared_data / "broken"))
    assert int(done.stdout.split()[-1]) < 1 << 20  # KiB, at its highest
