"""The parts of a study file about frames, their split, and the record sets that are made of them."""

import pathlib
import re
from typing import Annotated, Literal

import pydantic

from tfod_compress import codecs
from tfod_compress.study.settings import Setting
from tfod_compress.study.strict import Strict, wrong

Rate = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]  # bits per pixel
Fraction = Annotated[float, pydantic.Field(gt=0, le=1)]


def _compiles(text):
    try:
        re.compile(text)
    except re.error as error:
        raise wrong(f"{text!r} is no regular expression: {error}") from None
    return text


Expression = Annotated[str, pydantic.AfterValidator(_compiles)]


class MakeFrames(Strict):
    """Flags of tools.make_demo_frames."""

    count: pydantic.PositiveInt
    size: Annotated[str, pydantic.Field(pattern=r"^\d+x\d+$")]
    broken: pydantic.NonNegativeInt = 0
    seed: int = 0
    flags: dict[str, str | int | float] = {}


class Data(Strict):
    """Frames that exist (`frames`, `labels`), synthetic ones (`make`), or neither: then the command line names them."""

    make: MakeFrames | None = None
    frames: str | None = None
    labels: str | None = None
    label_format: str = "auto"
    label_map: str | None = None
    class_map: str | None = None
    names: str | None = None
    unlabelled: Literal["fail", "skip", "negative"] = "fail"
    max_frames: pydantic.PositiveInt | None = None
    sequence_by: Expression | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if self.labels and not self.frames:
            raise wrong("has labels alone; give both frames and labels")
        if self.make and self.frames:
            raise wrong("give either make, or both frames and labels", "make")
        return self


class Split(Strict):
    """Which frames are for what, as in tools.make_tfrecords: a share, a folder of lists, or folds."""

    val_fraction: Fraction | None = None
    split_by: Expression | None = None
    split_files: str | None = None
    folds: Annotated[int, pydantic.Field(ge=2)] | None = None
    seed: pydantic.NonNegativeInt = 0
    num_shards: pydantic.PositiveInt | None = None

    @pydantic.model_validator(mode="after")
    def _one_way(self):
        if sum(value is not None for value in (self.val_fraction, self.split_files, self.folds)) != 1:
            raise wrong("give one of val_fraction, split_files and folds")
        if self.split_files and self.split_by:
            raise wrong("split_files says which frame goes where; what a sequence is says data.sequence_by; leave out "
                        "split_by", "split_by")
        return self


class Records(Strict):
    """One codec at several qualities or rates (bits per pixel), best first; neither for a lossless one.

    With `scale` below 1 the frames are coded that much smaller and scaled back. `model`: a learned codec's folder, or
    the name of one of the study's `codecs`; its qualities are lambdas.
    """

    codec: str
    qualities: Annotated[list[int | pydantic.FiniteFloat], pydantic.Field(min_length=1)] | None = None
    rates: Annotated[list[Rate], pydantic.Field(min_length=1)] | None = None
    rate_per_frame: bool = False
    scale: Annotated[float, pydantic.Field(gt=0, le=1)] = 1.0
    model: str | None = None

    @property
    def coder(self):
        """The codec's name for --codec."""
        return self.codec if self.scale == 1 else f"{self.codec}-scale{self.scale:g}"

    @property
    def is_trained_here(self):
        """Whether `model` is the name of a codec that the study trains, and no path."""
        return bool(self.model) and "/" not in self.model and not pathlib.Path(self.model).exists()

    def loaded(self):
        """The codec itself; not of one that is trained here."""
        return codecs.get(self.coder, **({"model": self.model} if self.model else {}))

    @pydantic.model_validator(mode="after")
    def _possible(self):
        if self.model and not getattr(codecs.about(self.codec), "learned", False):
            raise wrong(f"codec {self.codec} is not learned: it has no model", "model")
        if self.is_trained_here:
            if not self.qualities or self.rates or self.scale != 1:
                raise wrong("a codec that the study trains has qualities, its lmbdas, and neither rates nor scale")
            return self
        try:
            coder = self.loaded()
        except ValueError as error:
            raise wrong(str(error), "codec") from None
        if self.qualities and self.rates:
            raise wrong("give qualities or rates, not both", "rates")
        if coder.lowest is None and (self.qualities or self.rates):
            raise wrong(f"codec {self.codec} is lossless: leave them out", "qualities" if self.qualities else "rates")
        if coder.lowest is not None and not (self.qualities or self.rates):
            raise wrong(f"codec {self.codec} needs qualities ({coder.lowest:g} to {coder.highest:g}) or rates")
        if self.rate_per_frame and not self.rates:
            raise wrong("goes with rates", "rate_per_frame")
        for index, quality in enumerate(self.qualities or ()):
            try:
                coder.check_quality(quality)
            except ValueError as error:
                raise wrong(str(error), "qualities", index) from None
        return self

    @property
    def settings(self):
        """[Setting], as listed."""
        if self.is_trained_here:
            return [Setting.of_model(self, lmbda) for lmbda in self.qualities]
        coder = self.loaded()
        if self.rates:
            return [Setting.at_rate(self, coder, rate) for rate in self.rates]
        return [Setting.at_quality(self, coder, quality) for quality in self.qualities or [None]]

    @property
    def best(self):
        """The best of `settings`, whatever their order."""
        if self.rates:
            return max(self.settings, key=lambda setting: setting.target_bpp)
        sign = 1 if self.is_trained_here or self.loaded().higher_is_better else -1
        return max(self.settings, key=lambda setting: sign * (setting.number or 0))
