"""What a model saw in a picture, for people to look at."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mark:
    """A rectangle in pixels of the whole picture.

    Attributes:
      kind: "found" or "missed" of what is there, "right" or "wrong" of what was predicted.
      x, y, width, height: floats; x and y are those of the left upper corner.
      label: its class, and the score of a prediction.
    """

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """One picture as one model saw it.

    Attributes:
      told: for its caption, such as "3 of 5 found, 1 wrong".
      marks: what is drawn on it.
    """

    told: str
    marks: tuple[Mark, ...] = ()


class Viewer(typing.Protocol):
    """Predictions on a truth's images, image by image.

    Attributes:
      what: what `scores` are, such as "F1 in one frame".
    """

    what: str

    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """(how well each image went, float64 [I]; how much there was to see in it, int64 [I])."""

    def seen(self, index: int) -> Seen:
        """An image, by its index in the truth."""
