"""Peak signal-to-noise ratio."""

import cv2
import numpy as np

from tfod_compress.frames import contiguous


def psnr_db(a, b):
    """Peak signal-to-noise ratio of two uint8 RGB arrays: 10 log10(255^2 / mean squared error) dB; inf if equal."""
    squares = cv2.norm(contiguous(a), contiguous(b), cv2.NORM_L2SQR)
    return float("inf") if squares == 0 else float(10 * np.log10(255.0**2 * a.size / squares))
