"""Frames: find them in a folder and read them, whatever format and however broken they are. No TensorFlow."""

from tfod_compress.frames.reading import (
    MAX_PIXELS,
    BrokenFrame,
    FramePath,
    contiguous,
    find_frames,
    read_frame,
    read_with_kind,
)

__all__ = ["MAX_PIXELS", "BrokenFrame", "FramePath", "contiguous", "find_frames", "read_frame", "read_with_kind"]
