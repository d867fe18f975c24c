"""Training with a learned codec in front of a model: what a run needs to know of it, and what it leaves.

    model_main_tf2.py --pipeline_config_path F --model_dir D --codec_model runs/bmshj2018 --codec_regime joint_ft \
        --codec_beta 0.5

D/codec is the tuned codec, a model folder like any other, written whenever training ends well or is asked to stop.
Checkpoints hold the codec's variables below model/codec/, beside the model's, and the config in D is the plain
model's: whoever evaluates or exports D takes the model alone. This module imports TensorFlow when it computes.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from tfod_compress.learned import model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json

if TYPE_CHECKING:
    import tensorflow as tf

    from tfod_compress.training.codec_in_front import CodecInFront

FOLDER = "codec"  # in the run's folder


@dataclasses.dataclass(frozen=True)
class CodecTuning:
    """What is tuned with which weights.

    Attributes:
      base: `model_folder.Description` of the codec that the run starts from.
      regime: a name in `codec_in_front.REGIMES`.
      beta: weight of the bits per pixel in the loss.
      lmbda: weight of the mean squared error over samples in [0, 255].
    """

    base: model_folder.Description
    regime: str
    beta: float
    lmbda: float = 0.0

    @property
    def described(self) -> dict[str, Any]:
        """For run.json: {name: JSON value}."""
        return {"folder": str(self.base.folder), "codec": self.base.codec, "model_hash": self.base.model_hash,
                "regime": self.regime, "beta": self.beta, "lmbda": self.lmbda}

    @property
    def hparams(self) -> dict[str, str | float]:
        """For TensorBoard: {name: str or number}."""
        return {"codec_base": self.base.model_hash[:8], "codec_regime": self.regime, "beta": self.beta,
                "lmbda": self.lmbda}

    @property
    def freezes(self) -> bool:
        """Whether the model behind the codec keeps still."""
        from tfod_compress.training import codec_in_front

        return not codec_in_front.REGIMES[self.regime][1]

    def check(self, path: pathlib.Path, strategy: tf.distribute.Strategy, precision: str, starts_from: str,
              cure: str) -> None:
        """Refuses what cannot work with any task, before anything is built.

        Args:
          path: the run's config, for messages.
          strategy: tf.distribute.Strategy.
          precision: what layers compute in, one of devices.PRECISIONS.
          starts_from: the checkpoint that the run starts from, or "".
          cure: what gives the config one.

        Raises:
          InputError: unknown regime; weights below 0; several devices; another precision than float32; a model that is
            to be frozen and starts from random weights.
        """
        from tfod_compress.training import codec_in_front

        codec_in_front.check(self.regime, self.beta, self.lmbda)
        if strategy.num_replicas_in_sync > 1:
            raise InputError(f"--codec_model: on one device so far, and here are {strategy.num_replicas_in_sync}; set "
                             "CUDA_VISIBLE_DEVICES to one of them")
        if precision != "float32":
            raise InputError(f"--codec_model: in float32 alone, not in {precision} (--mixed_precision)")
        if self.freezes and not starts_from:
            raise InputError(f"{path}: {self.regime} tunes a codec through a frozen model, which must be a trained "
                             f"one; {cure}")

    def in_front(self) -> CodecInFront:
        """The codec with its first weights, for Trainable.put_in_front."""
        from tfod_compress.learned import coder
        from tfod_compress.training import codec_in_front

        codec, _ = coder.load(self.base)
        return codec_in_front.CodecInFront(codec, self.regime, beta=self.beta, lmbda=self.lmbda)

    def publish(self, model_dir: pathlib.Path, codec: tf.Module, step: int) -> str:
        """Writes the tuned codec as MODEL_DIR/codec; returns a line for a person."""
        from tfod_compress.training import codec_in_front

        tuning = {"regime": self.regime, "beta": self.beta, "lmbda": self.lmbda, "steps": step, "command": sys.argv}
        made = codec_in_front.publish(pathlib.Path(model_dir) / FOLDER, codec, self.base, {"end_to_end": tuning})
        return (f"{made.folder}: {made.codec} {made.model_hash[:8]}, made from {self.base.model_hash[:8]} by {step} "
                f"steps of {self.regime}")


def one_model(path: str | pathlib.Path) -> model_folder.Description:
    """`model_folder.Description` of the one model in a folder.

    Raises:
      InputError: none, damaged, or a folder with several, which are listed.
    """
    path = pathlib.Path(path)
    if not (path / model_folder.DESCRIPTION).is_file():
        inside = sorted(child.parent.name for child in path.glob(f"*/{model_folder.DESCRIPTION}"))
        if inside:
            raise InputError(f"{path}: a folder of models; name one of them: {', '.join(inside)} (--codec_model)")
    return model_folder.read(path)


def check_same(model_dir: str | pathlib.Path, tuning: CodecTuning | None) -> None:
    """Refuses to go on with another codec, regime or weights than a run was started with.

    Args:
      model_dir: the run's folder.
      tuning: CodecTuning, or None for a run without a codec.

    Raises:
      InputError: they differ from run.json's.
    """
    record = read_json(pathlib.Path(model_dir) / "run.json")
    if record is None:
        return
    before = record.get("codec")
    now = tuning.described if tuning else None
    if not before and not now:
        return
    if not before or not now:
        had, has = ("a", "none") if before else ("no", "one")
        raise InputError(f"{model_dir}: was started with {had} codec in front of the model, and now there is {has} "
                         "(--codec_model); name another --model_dir")
    names = [name for name in ("model_hash", "regime", "beta", "lmbda") if before.get(name) != now[name]]
    if names:
        told = ", ".join(f"{name} {before.get(name)} then, {now[name]} now" for name in names)
        raise InputError(f"{model_dir}: was started with another codec tuning ({told}); give the same --codec_ flags, "
                         "or name another --model_dir")
