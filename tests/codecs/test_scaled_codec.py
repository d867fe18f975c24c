"""Resolution as a rate: a scaled codec gives frames of the original size from the bytes of smaller ones."""

import numpy as np
import pytest

from tests import records_data
from tfod_compress import codecs
from tfod_compress.codecs import rate_matching
from tfod_compress.rate_distortion.qualities import default_qualities
from tfod_compress.support.errors import InputError


@pytest.mark.parametrize("name", ["jpeg-scale0.5", "png-scale0.25", "jpeg-gray-scale0.75"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 50), (17, 33), (48, 64)])
def test_a_frame_comes_back_in_its_size(name, shape):
    codec, rgb = codecs.get(name), records_data.scene(1, shape[1], shape[0])
    decoded = codec.decode(codec.encode(rgb, codec.check_quality(None)))
    assert decoded.shape == rgb.shape and decoded.dtype == np.uint8


def test_the_bytes_are_those_of_the_small_frame_and_its_size():
    rgb = records_data.scene(4, 96, 64)
    sizes = [len(codecs.get(name).encode(rgb, None)) for name in ("png", "png-scale0.75", "png-scale0.5")]
    assert sizes == sorted(sizes, reverse=True)
    small = codecs.get("png").decode(codecs.get("png-scale0.5").encode(rgb, None)[4:])
    assert small.shape == (32, 48, 3)
    assert abs(small.mean() - rgb.mean()) < 1  # shrunk, not cropped


def test_a_lower_scale_loses_more():
    rgb = records_data.scene(5, 96, 64).astype(float)
    errors = [np.square(codecs.get(f"png-scale{scale}").decode(
        codecs.get(f"png-scale{scale}").encode(rgb.astype(np.uint8), None)) - rgb).mean() for scale in (0.75, 0.5, 0.2)]
    assert errors == sorted(errors) and errors[0] > 0


def test_names_qualities_and_settings_are_true():
    codec = codecs.get("jpeg-scale0.5")
    assert codec.record_set_name(20) == "jpeg-scale0.5-q20"
    assert codecs.get("png-scale0.50").record_set_name(None) == "png-scale0.5"
    assert codec.settings()["scale"] == 0.5 and not codecs.get("png-scale0.5").lossless
    with pytest.raises(InputError, match="1 to 100"):
        codec.check_quality(101)
    with pytest.raises(InputError, match="takes no --quality"):
        codecs.get("png-scale0.5").check_quality(3)


@pytest.mark.parametrize(("name", "told"), [("jpg-scale0.5", "unknown codec 'jpg'"), ("jpeg-scale0.0", "between 0"),
                                            ("h264-scale0.5", "video"), ("jpeg-scale2", "unknown codec")])
def test_what_cannot_be_is_told(name, told):
    with pytest.raises(InputError, match=told):
        codecs.get(name)


def test_damage_is_told():
    codec = codecs.get("jpeg-scale0.5")
    data = codec.encode(records_data.scene(6, 40, 30), 90)
    for damaged in (b"", data[:4], b"\xff\xff\xff\xff" + data[4:], b"\0\x10\0\x10" + data[4:], data[:-20]):
        with pytest.raises(InputError):
            codec.decode(damaged)


def test_a_scaled_lossless_codec_has_one_point_and_no_rates():
    codec = codecs.get("png-scale0.5")
    assert default_qualities(codec) == [None]
    with pytest.raises(InputError, match="no quality"):
        rate_matching.Levels(codec)
