"""Seeded road scenes through a fisheye camera, with exact boxes: the data that the project brings along.

    from tfod_compress import synthetic
    synthetic.make_frames("data", count=300, width=1820, height=940, broken=4, seed=0)

A scene is a small three-dimensional world (street, backdrop, road users), projected by an equidistant fisheye
camera; a label's box is the tightest around the pixels its object was painted on.
"""

from tfod_compress.synthetic.data_set import draw_frame, make_frames
from tfod_compress.synthetic.parameters import CLASS_NAMES, SceneParameters

__all__ = ["CLASS_NAMES", "SceneParameters", "draw_frame", "make_frames"]
