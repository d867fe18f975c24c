"""Picture quality metrics: what is known of them, and MS-SSIM against TensorFlow's."""

import cv2
import numpy as np
import pytest

from tests import records_data
from tfod_compress import codecs
from tfod_compress.rate_distortion import quality
from tfod_compress.rate_distortion.quality import libvmaf
from tfod_compress.rate_distortion.quality.ms_ssim import SMALLEST_SIDE, ms_ssim_db


def decoded(rgb, *qualities):
    codec = codecs.get("jpeg")
    return [codec.decode(codec.encode(rgb, wanted)) for wanted in qualities]


def test_psnr_is_that_of_the_mean_squared_error():
    a = records_data.scene(0)
    b = decoded(a, 20)[0]
    assert quality.psnr_db(a, b) == pytest.approx(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)), abs=1e-9)
    assert quality.psnr_db(a, a) == np.inf


@pytest.mark.parametrize("height, width", [(176, 192), (177, 251), (161, 163)])
def test_ms_ssim_is_tensorflows(height, width):
    tf = pytest.importorskip("tensorflow")
    a = records_data.scene(1, width, height)
    noise = np.random.default_rng(0).integers(0, 256, a.shape, dtype=np.uint8)
    for b in (*decoded(a, 90, 5), np.roll(a, 3, axis=1), 255 - a, noise, np.zeros_like(a), a // 8):
        expected = tf.image.ssim_multiscale(*(tf.constant(pixels, tf.float32) for pixels in (a, b)), 255.0).numpy()
        assert quality.ms_ssim(a, b) == pytest.approx(float(expected), abs=1e-5)


def test_ms_ssim_falls_with_quality_and_knows_its_limits():
    a = records_data.scene(2, 200, 170)
    found = [quality.ms_ssim(a, b) for b in (a, *decoded(a, 95, 40, 10, 2))]
    assert found[0] == pytest.approx(1, abs=1e-6)
    assert found == sorted(found, reverse=True) and found[-1] < found[0] - 0.05
    view = a[::-1, :, ::-1].copy()[::-1, :, ::-1]  # laid out as a bitmap's rows
    assert quality.ms_ssim(view, decoded(a, 10)[0]) == pytest.approx(found[3], abs=1e-6)
    small = a[:SMALLEST_SIDE - 1]
    assert quality.ms_ssim(small, small) is None
    with pytest.raises(ValueError, match="different shapes"):
        quality.ms_ssim(a, a[:-1])


def test_ms_ssim_in_decibels():
    assert ms_ssim_db(0.9) == pytest.approx(10) and ms_ssim_db(0.99) == pytest.approx(20) and ms_ssim_db(1.0) == np.inf


@pytest.fixture(scope="module")
def ffmpeg():
    pytest.importorskip("imageio_ffmpeg", reason="PSNR-HVS and VMAF need imageio-ffmpeg")
    return libvmaf.executable()


def test_hvs_and_vmaf_fall_with_quality_together_as_one_by_one(ffmpeg):
    a = records_data.scene(3, 97, 65)
    pictures = decoded(a, 95, 50, 10)
    found = quality.hvs_and_vmaf(a, pictures)
    assert found == [quality.hvs_and_vmaf(a, [picture])[0] for picture in pictures]
    for column in zip(*found, strict=True):
        assert list(column) == sorted(column, reverse=True) and column[0] > column[-1]
    (hvs, vmaf), = quality.hvs_and_vmaf(a, [a])
    assert hvs == np.inf and vmaf > 95
    assert quality.hvs_and_vmaf(a, []) == []
    small = a[:libvmaf.SMALLEST_SIDE - 1]
    assert quality.hvs_and_vmaf(small, [small, small]) == [(None, None)] * 2


def test_the_source_is_the_source(ffmpeg):
    """VMAF is not symmetric: blur loses detail, its inverse gains contrast."""
    sharp = records_data.scene(4, 128, 96)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2)
    (_, lost), (_, gained) = quality.hvs_and_vmaf(sharp, [blurred])[0], quality.hvs_and_vmaf(blurred, [sharp])[0]
    assert lost < gained - 20


def test_psnr_hvs_weighs_errors_as_the_eye_does(ffmpeg):
    """An error that the eye sees less, in fine detail, costs less than one of equal size in coarse detail."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    rows, columns = np.indices((64, 64))
    fine = grey + (8 * ((rows + columns) % 2))[:, :, None].astype(np.uint8)
    coarse = grey + (8 * ((columns // 4) % 2))[:, :, None].astype(np.uint8)
    assert quality.psnr_db(grey, fine) == pytest.approx(quality.psnr_db(grey, coarse))
    (of_fine, _), (of_coarse, _) = quality.hvs_and_vmaf(grey, [fine, coarse])
    assert of_fine > of_coarse + 3
