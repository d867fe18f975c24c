"""Seeded road scenes with exact boxes, and traffic signs: the data that the project brings along.

    from tfod_compress import synthetic
    synthetic.make_frames("data", count=300, width=1820, height=940, broken=4, seed=0)
    synthetic.make_sign_frames("signs", count=600, width=32, height=32, seed=0)

A scene is a small three-dimensional world (street, backdrop, road users), projected by an equidistant fisheye
camera; a label's box is the tightest around the pixels its object was painted on. A sign's frame is a
crop around it, in the folder of its class.
"""

from tfod_compress.synthetic.data_set import draw_frame, make_frames
from tfod_compress.synthetic.parameters import CLASS_NAMES, SceneParameters
from tfod_compress.synthetic.sign_faces import SIGN_NAMES
from tfod_compress.synthetic.sign_set import draw_sign, make_sign_frames
from tfod_compress.synthetic.signs import SignParameters

__all__ = ["CLASS_NAMES", "SIGN_NAMES", "SceneParameters", "SignParameters", "draw_frame", "draw_sign", "make_frames",
           "make_sign_frames"]
