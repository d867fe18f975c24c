"""Codecs: what every one promises, and that JPEG is the JPEG everyone else gets."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.codecs.base import VideoCodec
from tfod_compress.support.errors import InputError


@pytest.mark.parametrize("name", codecs.names())
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 50), (17, 33), (48, 64)])
def test_every_codec_gives_a_frame_back(name, shape):
    codec, rgb = codecs.get(name), records_data.scene(1, shape[1], shape[0])
    data = codec.encode(rgb, codec.check_quality(None))
    assert isinstance(data, bytes) and data == codec.encode(rgb, codec.check_quality(None))
    decoded = codec.decode(data)
    assert decoded.shape == rgb.shape and decoded.dtype == np.uint8
    if codec.lossless:
        np.testing.assert_array_equal(decoded, rgb)
    view = rgb[::-1, :, ::-1].copy()[::-1, :, ::-1]  # laid out as a bitmap's rows
    assert codec.encode(view, codec.check_quality(None)) == data
    error = np.abs(decoded.astype(int) - rgb).mean()
    assert error < 16 or "gray" in name  # right way up, in the right colours, cropped on the right side


@pytest.mark.parametrize("name", codecs.names())
def test_a_frame_too_long_to_be_read_again_is_not_coded(name):
    codec, rgb = codecs.get(name), np.tile(records_data.scene(1, 50, 16), (1, 800, 1))
    try:
        data = codec.encode(rgb, codec.check_quality(None))
    except InputError as error:
        assert "40000x16 cannot be coded" in str(error)
    else:
        assert codec.decode(data).shape == rgb.shape


@pytest.mark.parametrize("name", [name for name in codecs.names() if name != "png"])
def test_quality_goes_the_way_it_says(name):
    codec, rgb = codecs.get(name), records_data.scene(2, 96, 72)
    steps = [codec.lowest + (codec.highest - codec.lowest) * share for share in (0.2, 0.5, 0.8)]
    coded = codec.encode_many(rgb, [codec.check_quality(round(step)) for step in steps])
    reference = codec.decode(coded[-1 if codec.higher_is_better else 0])  # of a grey codec, the luma
    errors = [np.square(codec.decode(data) - reference.astype(float)).mean() for data in coded]
    found = [len(data) for data in coded]
    assert sorted(set(found)) == (found if codec.higher_is_better else found[::-1])
    assert sorted(errors) == (errors[::-1] if codec.higher_is_better else errors)


@pytest.mark.parametrize("name, mode", [("jpeg", "RGB"), ("jpeg444", "RGB"), ("jpeg-gray", "L")])
def test_jpeg_is_byte_for_byte_what_pillow_saves(name, mode):
    codec, rgb = codecs.get(name), records_data.scene(3, 83, 61)
    for quality, data in zip(range(1, 101), codec.encode_many(rgb, range(1, 101)), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(rgb).convert(mode).save(buffer, "JPEG", quality=quality,
                                               subsampling={"jpeg": 2, "jpeg444": 0, "jpeg-gray": -1}[name])
        assert data == buffer.getvalue(), quality
        expected = np.asarray(Image.open(buffer).convert("RGB"))
        np.testing.assert_array_equal(codec.decode(data), expected)


def test_qualities_are_checked():
    codec = codecs.get("jpeg")
    assert codec.check_quality(None) == 100 and codec.check_quality(20.0) == 20
    for quality in (0, 101, -1, 20.5):
        with pytest.raises(InputError, match="--quality"):
            codec.check_quality(quality)
    with pytest.raises(InputError, match="lossless"):
        codecs.get("png").check_quality(20)
    assert codec.record_set_name(20) == "jpeg-q20" and codecs.get("png").record_set_name(None) == "png"


def test_the_registry_refuses_doubles_and_lists_what_there_is(monkeypatch):
    monkeypatch.setattr(codecs, "_REGISTRY", dict(codecs._REGISTRY))
    with pytest.raises(ValueError, match="registered twice"):
        codecs.register("jpeg", "a:B", "", "")
    with pytest.raises(InputError, match="there are .*jpeg, jpeg-gray"):
        codecs.get("jpg")
    codecs.register("from-afar", "no_such_module:Codec", "about", "afar-plugin")
    with pytest.raises(InputError, match="pip install afar-plugin"):
        codecs.get("from-afar")


@pytest.mark.parametrize("program, told", [("/no/such/ffmpeg", "lacks.*pip install imageio-ffmpeg"),
                                           (sys.executable, "is without libvvenc")])
def test_a_program_that_cannot_code_is_told_before_work_starts(program, told, tmp_path):
    code = ("from tfod_compress.records import convert\n"
            f"try:\n    convert({str(tmp_path)!r}, codec='vvc')\nexcept ValueError as error:\n    print(error)")
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                             env={**os.environ, "IMAGEIO_FFMPEG_EXE": program})
    assert re.search(told, process.stdout) and len(process.stdout.splitlines()) == 1


def test_the_highest_quality_of_jpeg_xl_is_lossless():
    codec, rgb = codecs.get("jxl"), records_data.scene(6, 70, 50)
    np.testing.assert_array_equal(codec.decode(codec.encode(rgb, 100)), rgb)
    sizes = [len(data) for data in codec.encode_many(rgb, (0, 30, 90, 99, 100))]
    assert sizes == sorted(sizes)


def test_encoders_that_a_library_lacks_are_told():
    libav = pytest.importorskip("tfod_compress.codecs.libav")
    with pytest.raises(InputError, match="without the encoder libnone"):
        libav.require("libnone")


def test_listing_codecs_imports_none():
    code = ("import sys; from tfod_compress import codecs; codecs.names(); "
            "assert not {'cv2', 'PIL', 'numpy', 'tensorflow'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", [name for name in codecs.names() if name.endswith("-gray")])
def test_grey_codecs_keep_the_luma(name):
    codec, rgb = codecs.get(name), records_data.scene(5, 48, 32)
    decoded = codec.decode(codec.encode(rgb, codec.highest if codec.higher_is_better else codec.lowest))
    assert (decoded == decoded[:, :, :1]).all()
    luma = np.asarray(Image.fromarray(rgb).convert("L")).astype(int)
    assert np.abs(decoded[:, :, 0] - luma).mean() < 2


@pytest.mark.parametrize("name", codecs.names())
def test_bytes_that_are_no_picture_of_the_codec_are_refused(name):
    codec, rgb = codecs.get(name), records_data.scene(1, 40, 24)
    data = codec.encode(rgb, codec.check_quality(None))
    family = name.split("-")[0].removesuffix("444")
    foreign = [codecs.get(other).encode(rgb, codecs.get(other).check_quality(None))
               for other in ("png", "jpeg", "webp", "avif", "jpeg2000") if other != family]
    doubled = [data * 2] if family != "jxl" else []  # libjxl stops reading where a codestream ends
    for bad in (b"", b"\0", b"no picture", data[:len(data) // 2], data[:-1], data[:20], *doubled, *foreign):
        with pytest.raises(InputError) as error:
            codec.decode(bad)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", codecs.names())
def test_pictures_that_are_too_large_are_refused(name):
    codec, rgb = codecs.get(name), records_data.scene(1, 40, 24)
    data = codec.encode(rgb, codec.check_quality(None))
    codec.max_pixels = 40 * 24 - 1
    with pytest.raises(InputError):
        codec.decode(data)


@pytest.mark.parametrize("name", codecs.names())
def test_codecs_describe_themselves(name):
    codec = codecs.get(name)
    assert codec.name == name and codec.extension.startswith(".") and codec.scale
    assert any(figure.isdigit() for figure in codec.version()) and "unknown" not in codec.version()
    json.dumps(codec.settings(), allow_nan=False)


def moving(count, width=70, height=50):
    """Frames of a scene that moves by a pixel each."""
    whole = records_data.scene(7, width + count, height)
    return [whole[:, place:place + width] for place in range(count)]


@pytest.mark.parametrize("name", ["h264"])
def test_a_sequence_comes_back_in_order(name):
    codec, frames = codecs.get(name), moving(40)
    assert isinstance(codec, VideoCodec)
    coarse, fine = codec.encode_sequence(iter(frames), [40, 10])
    assert [coarse, fine] == codec.encode_sequence(iter(frames), [40, 10])
    for units in (coarse, fine):
        assert sorted(unit.place for unit in units) == list(range(40))
        decoded = list(codec.decode_sequence(unit.data for unit in units))
        errors = np.array([[np.abs(a.astype(int) - b).mean() for b in decoded] for a in frames])
        assert decoded[0].shape == frames[0].shape and (errors.argmin(axis=1) == range(40)).all()
    sizes = [sum(len(unit.data) for unit in units) for units in (coarse, fine)]
    alone = sum(len(codec.encode(frame, 10)) for frame in frames)
    assert sizes[0] < sizes[1] < alone / 2  # frames are predicted from others
    with pytest.raises(InputError, match="frame 3 .* is 33x17"):
        codec.encode_sequence([*frames[:2], records_data.scene(0, 33, 17)], [23])
    for bad in (fine[:-1], fine[:-1] + [fine[-1]._replace(data=fine[-1].data[:-1])], fine * 2, fine[1:]):
        with pytest.raises(InputError):
            list(codec.decode_sequence(unit.data for unit in bad))


DIGESTS = """
import hashlib, os, sys
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[:1] if sys.argv[1] == "one" else cores)
from tests import records_data
from tfod_compress import codecs
rgb = records_data.scene(8, 300, 270)
for name in codecs.names():
    codec = codecs.get(name)
    data = b"".join(codec.encode_many(rgb, [codec.check_quality(None)]))
    if hasattr(codec, "encode_sequence"):
        data += b"".join(unit.data for unit in codec.encode_sequence([rgb, rgb[::-1], rgb] * 8, [30])[0])
    print(name, hashlib.sha256(data).hexdigest())
"""


def test_the_bytes_do_not_depend_on_the_number_of_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    one, all_of_them = (subprocess.run([sys.executable, "-c", DIGESTS, cores], cwd=ROOT, capture_output=True, text=True,
                                       check=True).stdout for cores in ("one", "all"))
    assert one == all_of_them and len(one.splitlines()) == len(codecs.names())


@pytest.mark.slow
def test_video_of_real_frames_has_the_same_bytes_again(shared_data):
    # With x264's AVX-512 code it had not; small or synthetic frames did not show it.
    paths = sorted((shared_data / "kitti_sequence").rglob("*.png"))
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    first, *others = (codecs.get("h264").encode_sequence(iter(frames), [30]) for _ in range(3))
    assert len(frames) == 16 and all(other == first for other in others)
