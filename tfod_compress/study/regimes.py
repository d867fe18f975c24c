"""The regimes that a study may have: what is trained, and on what."""

from typing import Literal

PUBLISHED = "published"  # nothing is trained
TUNED = ("task_ft", "control_ft")  # the model that was trained on the best quality, trained further
LEARNED = ("codec_ft", "joint_ft", "fixed_decoder", "task_decoder")  # a learned codec is trained, in front of it

Regime = Literal["published", "off_the_shelf", "retrained", "task_ft", "control_ft", "codec_ft", "joint_ft",
                 "fixed_decoder", "task_decoder"]
