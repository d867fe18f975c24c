"""Codecs: what every one promises, and that JPEG is the JPEG everyone else gets."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.errors import InputError


def sizes(codec, rgb):
    return [len(codec.encode(rgb, quality)) for quality in (100, 60, 20, 5)]


@pytest.mark.parametrize("name", codecs.names())
@pytest.mark.parametrize("shape", [(1, 1), (17, 33), (48, 64)])
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
    with pytest.raises(ValueError):
        codec.decode(b"no picture")


@pytest.mark.parametrize("name", ["jpeg", "jpeg444", "jpeg-gray"])
def test_lower_quality_is_smaller(name):
    found = sizes(codecs.get(name), records_data.scene(2, 160, 120))
    assert found == sorted(found, reverse=True) and len(set(found)) == 4


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


def test_listing_codecs_imports_none():
    code = ("import sys; from tfod_compress import codecs; codecs.names(); "
            "assert not {'cv2', 'PIL', 'numpy', 'tensorflow'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
