"""The parts of a study file about learned codecs: those that it trains, and how they are tuned through a detector."""

import dataclasses
from typing import Annotated, Literal

import pydantic

from tfod_compress import codecs
from tfod_compress.study.settings import Setting
from tfod_compress.study.strict import Strict, wrong

Lmbda = Annotated[float, pydantic.Field(ge=1e-6, le=10)]  # of tools.train_codec
Weight = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
Channels = Annotated[int, pydantic.Field(ge=1, le=1024)]
STRIDE = 64  # of the transforms: what a crop's side is a multiple of


class TrainedCodec(Strict):
    """A learned codec that the study trains, on the training frames of its lossless record set alone.

    The model of the first lambda is trained from random weights, each other one from that one.

    Attributes:
      name: what records name as their `model`, and what tables list it under.
      codec: its form, as --codec.
      lmbdas: weights of the distortion, the highest first.
      num_filters, num_latents: channels; without them, the paper's.
      steps: of the first model.
      further_steps: of each other one.
      batch_size, crop, learning_rate: as flags of tools.train_codec.
    """

    name: Annotated[str, pydantic.Field(pattern=r"^\w[\w.-]*$")]
    codec: Literal["bls2017", "bmshj2018", "mbt2018-mean"]
    lmbdas: Annotated[list[Lmbda], pydantic.Field(min_length=1)]
    num_filters: Channels | None = None
    num_latents: Channels | None = None
    steps: pydantic.PositiveInt
    further_steps: pydantic.PositiveInt | None = None
    batch_size: pydantic.PositiveInt = 8
    crop: pydantic.PositiveInt = 256
    learning_rate: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] = 1e-4

    @pydantic.model_validator(mode="after")
    def _possible(self):
        if self.name in (*codecs.names(), *codecs.learned_names()):
            raise wrong(f"{self.name} is a codec's name; call this one by another", "name")
        if any(low >= high for high, low in zip(self.lmbdas[:-1], self.lmbdas[1:], strict=True)):
            raise wrong("the highest first, each once", "lmbdas")
        if len(self.lmbdas) > 1 and not self.further_steps:
            raise wrong("no steps for the other lambdas: give further_steps")
        if self.crop % STRIDE:
            raise wrong(f"{self.crop} is no multiple of {STRIDE}", "crop")
        return self


class CodecTuning(Strict):
    """Of codec_ft, joint_ft, fixed_decoder and task_decoder: the loss is the detector's + beta * bpp + lmbda * mse.

    Attributes:
      records: record sets of learned codecs, such as "hyperprior-*": their models are what it starts from.
      betas: one for all of them, one for each, or several for one.
      lmbdas: likewise.
      steps: of each regime and model.
      set: settings of the detector's template, after the detector's own.
    """

    records: Annotated[list[str], pydantic.Field(min_length=1)]
    betas: Annotated[list[Weight], pydantic.Field(min_length=1)]
    lmbdas: Annotated[list[Weight], pydantic.Field(min_length=1)] = [0.0]
    steps: pydantic.PositiveInt
    set: list[str] = []

    def starts(self, settings):
        """[Start] from the Settings of the record sets that `records` names.

        Raises:
          PydanticCustomError: the numbers of betas, lambdas and record sets do not go together.
        """
        count = max(len(settings), len(self.betas), len(self.lmbdas))
        sides = {"betas": self.betas, "lmbdas": self.lmbdas, "records": settings}
        for name, values in sides.items():
            if len(values) not in (1, count):
                raise wrong(f"there are {len(settings)} record sets, {len(self.betas)} betas and {len(self.lmbdas)} "
                            f"lmbdas: give 1 or {count} of each", name)
        return [Start(values[0], *values[1:]) for values in zip(
            *([*values] * (count // len(values)) for values in (settings, self.betas, self.lmbdas)), strict=True)]


@dataclasses.dataclass(frozen=True)
class Start:
    """One model to be tuned.

    Attributes:
      setting: of the record set whose model it is before.
      beta: weight of the bits per pixel.
      lmbda: weight of the distortion.
    """

    setting: Setting
    beta: float
    lmbda: float

    @property
    def weights(self):
        """For names: b0.5, or b0.5-l0.01."""
        return f"b{self.beta:g}" + (f"-l{self.lmbda:g}" if self.lmbda else "")

    @property
    def quality(self):
        """For tables: "0.005, beta 0.5"."""
        return f"{self.setting.number:g}, beta {self.beta:g}" + (f", lmbda {self.lmbda:g}" if self.lmbda else "")
