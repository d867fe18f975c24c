"""Multi-scale structural similarity of RGB pictures.

Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment, Asilomar 2003, section 3.2:
five scales with the weights below; at each the 11x11 Gaussian window of sigma 1.5 of Wang et al. 2004 (K1 0.01,
K2 0.03), kept to where it fits, and 2x2 means between the scales. Channels are measured by themselves and averaged,
as tf.image.ssim_multiscale does, which a test holds this to; published tables of learned codecs use the same.
The window is a product of two, so that each scale costs five separable filters instead of five of 121 taps.
"""

import cv2
import numpy as np

from tfod_compress.frames import contiguous

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1  # the window must fit into the coarsest scale
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim(a, b):
    """MS-SSIM of two uint8 RGB arrays [H, W, 3].

    Returns:
      0 to 1, 1 for equal pictures; None where a side is shorter than SMALLEST_SIDE pixels.

    Raises:
      ValueError: the arrays differ in shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different shapes: {a.shape} and {b.shape}")
    if min(a.shape[:2]) < SMALLEST_SIDE:
        return None
    a, b = (contiguous(pixels).astype(np.float32) for pixels in (a, b))
    product = np.ones(a.shape[2])
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = _halved(a), _halved(b)
        luminance, contrast_structure = _terms(a, b)
        term = contrast_structure
        if scale == len(WEIGHTS) - 1:
            term = luminance * contrast_structure
        # A negative mean, which noise against its inverse can give, counts as no similarity.
        product *= np.maximum(_mean(term), 0) ** weight
    return float(product.mean())


def ms_ssim_db(value):
    """MS-SSIM on a scale that is near linear for codecs: -10 log10(1 - value) dB; inf for 1."""
    return float("inf") if value >= 1 else float(-10 * np.log10(1 - value))


def _terms(a, b):
    mean_a, mean_b = _blurred(a), _blurred(b)
    means, squares = 2 * mean_a * mean_b, mean_a**2 + mean_b**2
    luminance = (means + _C1) / (squares + _C1)
    contrast_structure = (2 * _blurred(a * b) - means + _C2) / (_blurred(a * a + b * b) - squares + _C2)
    return luminance, contrast_structure


def _blurred(pixels):
    edge = WINDOW // 2
    return cv2.GaussianBlur(pixels, (WINDOW, WINDOW), SIGMA)[edge:-edge, edge:-edge]


def _halved(pixels):
    height, width, _ = pixels.shape
    if height % 2 or width % 2:  # the last row or column stands twice
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="symmetric")
    return 0.25 * (pixels[::2, ::2] + pixels[1::2, ::2] + pixels[::2, 1::2] + pixels[1::2, 1::2])


def _mean(term):
    return term.mean(axis=(0, 1), dtype=np.float64)
