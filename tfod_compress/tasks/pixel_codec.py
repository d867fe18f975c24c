"""A codec as a model that trains meets it: a function from pixels to pixels, which costs something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class Decoded(NamedTuple):
    """What a codec shows of pictures, and what that costs.

    Attributes:
      pixels: float32 [B, H, W, 3] in [0, 255], through which gradients pass.
      losses: {name: float32 []}, weighted, to be added to the task's.
      metrics: {name: float32 []}, to be logged.
    """

    pixels: tf.Tensor
    losses: Mapping[str, tf.Tensor]
    metrics: Mapping[str, tf.Tensor]


class PixelCodec(Protocol):
    """A codec in front of a model.

    Attributes:
      model: whose variables checkpoints hold.
      trained_variables: those of them that train.
      trains_task: whether the model behind it trains as well.
    """

    model: tf.Module
    trained_variables: Sequence[tf.Variable]
    trains_task: bool

    def __call__(self, pixels: tf.Tensor) -> Decoded:
        """What the model behind it sees of pictures, float32 [B, H, W, 3] in [0, 255] of any size."""
        ...


class Normalization(NamedTuple):
    """How a model's input comes from pixels in [0, 255]: pixels * scale + offset in each channel.

    Attributes:
      scale: float32 [3].
      offset: float32 [3].
    """

    scale: tf.Tensor
    offset: tf.Tensor

    @classmethod
    def of(cls, black: tf.Tensor, white: tf.Tensor) -> Normalization:
        """That of a preprocessing which makes `black` of 0 and `white` of 255, float32 [3] each."""
        return cls((white - black) / 255, black)

    def undo(self, inputs: tf.Tensor) -> tf.Tensor:
        """The pixels that a model's input [..., 3] came from."""
        return (inputs - self.offset) / self.scale

    def redo(self, pixels: tf.Tensor) -> tf.Tensor:
        """A model's input of pixels [..., 3]."""
        return pixels * self.scale + self.offset
