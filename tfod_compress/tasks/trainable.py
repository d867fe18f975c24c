"""A model that trains, as the training loop sees it; what it is made of is its task's affair."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfod_compress.tasks.pixel_codec import Normalization, PixelCodec

if TYPE_CHECKING:
    import tensorflow as tf

TOTAL = "Loss/total_loss"


class Prepared(NamedTuple):
    """What the losses need of a replica's whole batch, where it is worked on in parts.

    Attributes:
      rows: nested tensors [B, …]; each part gets its own rows.
      whole: anything; each part gets all of it.
    """

    rows: Any
    whole: Any


class Trainable(abc.ABC):
    """A model with all its variables and what it takes to train it; built within the strategy's scope.

    Attributes:
      model: has `variables` and `trainable_variables`.
      codec: what pictures go through on their way from the input pipeline to the model, or None.
      optimizer: of Keras.
      step: int64 variable, how many steps are made.
      checkpoint: tf.train.Checkpoint with `step`, `model` and `optimizer`.
      clip_norm: what the gradient's global norm is clipped to; 0 for no clipping.
    """

    model: Any
    optimizer: Any
    step: tf.Variable
    checkpoint: tf.train.Checkpoint
    clip_norm: float = 0.0
    codec: PixelCodec | None = None

    @property
    def step_number(self) -> int:
        return int(self.step.numpy())

    @property
    def trained_variables(self) -> Sequence[tf.Variable]:
        """What the optimizer changes: the model's, or with a codec in front what `put_in_front` chose."""
        return self.model.trainable_variables if self.codec is None else self._trained

    @property
    def model_trains(self) -> bool:
        """False where a codec is tuned through a model that keeps still."""
        return self.codec is None or self.codec.trains_task

    @property
    def parameters(self) -> int:
        """Number of weights that train."""
        return sum(int(np.prod(variable.shape)) for variable in self.trained_variables)

    @abc.abstractmethod
    def learning_rate(self) -> float:
        """That of the present step."""

    @abc.abstractmethod
    def transform(self) -> Callable[[tf.Tensor], tuple[dict, Any]]:
        """The function of a serialised tf.train.Example, string [], that gives one (features, labels).

        It is traced where random ops are functions of the record's place in the run.
        """

    @abc.abstractmethod
    def losses(self, features: dict, labels: Any, prepared: Prepared | None, scale: float) -> dict[str, tf.Tensor]:
        """{name: float32 []}, `TOTAL` among them, of a batch or a part of one.

        Args:
          features: of the batch.
          labels: of the batch.
          prepared: what `prepare` found, or None.
          scale: the batch's share of the global batch, which the losses are multiplied by: over all replicas and parts
            they add up to the global batch's.
        """

    def prepare(self, features: dict, labels: Any, parts: int) -> Prepared | None:
        """Called before the losses of a replica's batch, which is worked on in so many parts."""
        return None

    def normalization(self) -> Normalization:
        """What the end of `transform` does to pixels, after augmentation and resizing."""
        raise NotImplementedError(f"{type(self).__name__}: no codec goes in front of it")

    def put_in_front(self, codec: PixelCodec) -> None:
        """From here on the model sees what a codec shows of its pictures, and what trains is the codec's choice.

        Called when the model's variables exist and have their first values.
        """
        behind = self.model.trainable_variables if codec.trains_task else []
        self._trained = [*codec.trained_variables, *behind]
        self._normalization = self.normalization()
        self.model.codec = codec.model  # for checkpoints, which hold its variables below model/codec/
        self.codec = codec

    def through_codec(self, inputs: tf.Tensor, scale: float) -> tuple[tf.Tensor, dict, dict]:
        """What the model is to see of a batch, and what it costs; without a codec, the batch and nothing.

        Args:
          inputs: float32 [B, H, W, 3], as `transform` gives them.
          scale: as of `losses`.

        Returns:
          (float32 [B, H, W, 3], {name: float32 []} losses, {name: float32 []} metrics that are no part of the total).
        """
        if self.codec is None:
            return inputs, {}, {}
        decoded = self.codec(self._normalization.undo(inputs))
        return (self._normalization.redo(decoded.pixels),
                {f"Loss/codec_{name}": scale * loss for name, loss in decoded.losses.items()},
                {f"codec/{name}": scale * value for name, value in decoded.metrics.items()})

    def evaluated(self) -> contextlib.AbstractContextManager:
        """While it lasts, the model has the weights that are evaluated."""
        return contextlib.nullcontext()
