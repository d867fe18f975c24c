"""A study file, validated."""

import pathlib
from typing import Annotated, Literal

import pydantic
import yaml

from tfod_compress import codecs, pipeline_config
from tfod_compress.errors import InputError

Regime = Literal["off_the_shelf", "retrained", "task_ft", "control_ft"]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class MakeFrames(_Strict):
    """Flags of tools.make_demo_frames."""

    count: pydantic.PositiveInt
    size: Annotated[str, pydantic.Field(pattern=r"^\d+x\d+$")]
    broken: pydantic.NonNegativeInt = 0
    seed: int = 0
    flags: dict[str, str | int | float] = {}


class Frames(_Strict):
    """Either frames that exist (`frames`, `labels`) or synthetic ones (`make`)."""

    make: MakeFrames | None = None
    frames: str | None = None
    labels: str | None = None
    label_format: str = "auto"
    class_map: str | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if bool(self.make) == bool(self.frames and self.labels):
            raise ValueError("give either `make`, or both `frames` and `labels`")
        return self


class Records(_Strict):
    codec: str
    qualities: Annotated[list[float | int], pydantic.Field(min_length=1)]
    val_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)]
    split_by: str | None = None
    num_shards: pydantic.PositiveInt | None = None

    @pydantic.model_validator(mode="after")
    def _known_codec(self):
        for quality in self.qualities:
            codecs.get(self.codec).check_quality(quality)
        return self


class Training(_Strict):
    """Steps, and settings of the detector's template that this study changes (as --set of make_pipeline_config)."""

    steps: pydantic.PositiveInt
    set: list[str] = []


class FineTuning(Training):
    qualities: Annotated[list[float | int], pydantic.Field(min_length=1)]


class Evaluation(_Strict):
    score_threshold: Annotated[float, pydantic.Field(ge=0, le=1)]
    resamples: Annotated[int, pydantic.Field(ge=1000)]


class Study(_Strict):
    """A study file, validated."""

    title: str
    data: Frames
    records: Records
    detectors: Annotated[list[str], pydantic.Field(min_length=1)]
    checkpoint: str | None = None
    regimes: Annotated[list[Regime], pydantic.Field(min_length=1)]
    training: Training
    fine_tuning: FineTuning | None = None
    evaluation: Evaluation
    seeds: Annotated[list[int], pydantic.Field(min_length=1)] = [0]

    @property
    def best_quality(self):
        """The first of the qualities: what the off-the-shelf detector is trained on."""
        return self.records.qualities[0]

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if "off_the_shelf" not in self.regimes:
            raise ValueError("regimes: off_the_shelf is what the others are compared with and must be there")
        if {"task_ft", "control_ft"} & set(self.regimes) and not self.fine_tuning:
            raise ValueError("fine_tuning: needed by the regimes task_ft and control_ft")
        if self.fine_tuning and not set(self.fine_tuning.qualities) <= set(self.records.qualities):
            raise ValueError("fine_tuning.qualities: must be among records.qualities")
        unknown = set(self.detectors) - set(pipeline_config.detectors())
        if unknown:
            raise ValueError(f"detectors: no {sorted(unknown)[0]}; there are {', '.join(pipeline_config.detectors())}")
        return self


def read(path):
    """Reads and validates a study file.

    Raises:
      InputError: not YAML, or not a study; the message names file, key and what is allowed.
    """
    try:
        content = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
        return Study.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a study ({' '.join(str(error).split())})") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "study"
        raise InputError(f"{path}: {where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error


def with_seed(study, seed):
    """The same study on another seed: of the synthetic frames and of training."""
    data = study.data
    if data.make:
        data = data.model_copy(update={"make": data.make.model_copy(update={"seed": seed})})
    return study.model_copy(update={"data": data, "seeds": [seed]})
