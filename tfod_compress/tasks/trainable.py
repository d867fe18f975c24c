"""A model that trains, as the training loop sees it; what it is made of is its task's affair."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pathlib

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

    @property
    def step_number(self) -> int:
        return int(self.step.numpy())

    @property
    def parameters(self) -> int:
        """Number of weights that train."""
        return sum(int(np.prod(variable.shape)) for variable in self.model.trainable_variables)

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

    def complete(self) -> None:  # noqa: B027 - most tasks need none
        """Called once the first weights are in place, and before a run's own checkpoint is restored."""

    def evaluated(self) -> contextlib.AbstractContextManager:
        """While it lasts, the model has the weights that are evaluated."""
        return contextlib.nullcontext()

    def publish(self, model_dir: pathlib.Path) -> None:  # noqa: B027
        """Called at the end of training, for what a run leaves beside its checkpoints."""
