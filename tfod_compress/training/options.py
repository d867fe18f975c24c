"""How a run is made, whatever it trains: `loop.train`'s options. No TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is made.

    Attributes:
      num_train_steps: steps counted from the start of this model, or None for the config's.
      checkpoint_every_n: steps between checkpoints; the last step is always saved.
      keep_checkpoints: how many of the newest to keep.
      record_summaries: whether training pictures and the model's own summaries go to TensorBoard too; losses
        always do.
      seed: an integer for initial weights, data order and augmentation, or None for the one that the run was
        started with (a new run draws one; run.json has it).
      deterministic: whether every op must give the same bits each time, which costs speed.
      max_hours: stop with a checkpoint after so many hours, or None.
      balance_classes: whether frames of rare classes come more often (`sampling`).
      eval_every: steps between evaluations, or None; the last step is evaluated too.
      eval_records: folders of record sets whose val frames are evaluated.
      best_metric: see evaluations.Evaluations; None for the task's first.
      patience: stop after so many evaluations without a better one, or None.
      hparams: {name: value} added to TensorBoard's HPARAMS, such as {"regime": "task_ft"}.
      mixed_precision: what layers compute in, one of devices.PRECISIONS.
      accumulate: parts of each device's batch that are worked on one after another (step.build).
    """

    num_train_steps: int | None = None
    checkpoint_every_n: int = 1000
    keep_checkpoints: int = 7
    record_summaries: bool = True
    seed: int | None = None
    deterministic: bool = False
    max_hours: float | None = None
    balance_classes: bool = False
    eval_every: int | None = None
    eval_records: Sequence[str | os.PathLike] = ()
    best_metric: str | None = None
    patience: int | None = None
    hparams: Mapping[str, str | float | bool] = dataclasses.field(default_factory=dict)
    mixed_precision: str = "float32"
    accumulate: int = 1
