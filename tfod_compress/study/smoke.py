"""A study made small: the same stages, regimes and codecs, with tiny detectors, few steps and few frames."""

import pathlib
from typing import Annotated

import pydantic

from tfod_compress.learned import MODELS
from tfod_compress.study.data_schema import Data, MakeFrames, Records, Split
from tfod_compress.study.learned_schema import CodecTuning, TrainedCodec
from tfod_compress.study.reading import parse
from tfod_compress.study.settings import matches
from tfod_compress.study.strict import Strict

PATH = pathlib.Path(__file__).resolve().parents[2] / "pipeline_configs" / "smoke.yaml"


class Small(Strict):
    """A detector that stands for all of its kind."""

    template: str
    set: list[str] = []


class SmallClassifier(Strict):
    """A classifier that stands for all others."""

    experiment: str
    config_file: str
    set: list[str] = []


class Pictures(Strict):
    """Frames of another task than detection."""

    make: MakeFrames
    max_frames: pydantic.PositiveInt
    made_split_by: str


class Narrow(Strict):
    """What a learned codec is trained with."""

    num_filters: pydantic.PositiveInt
    num_latents: pydantic.PositiveInt
    batch_size: pydantic.PositiveInt
    crop: pydantic.PositiveInt


class Smoke(Strict):
    """pipeline_configs/smoke.yaml."""

    make: MakeFrames
    max_frames: pydantic.PositiveInt
    split: Split
    made_split_by: str
    qualities: Annotated[int, pydantic.Field(ge=2)]
    rates: Annotated[list[pydantic.PositiveFloat], pydantic.Field(min_length=1)]
    trained_on: pydantic.PositiveInt
    detectors: dict[str, Small]
    classification: Pictures
    classifier: SmallClassifier
    codecs: Narrow
    steps: pydantic.PositiveInt


def small(study, path=PATH):
    """The study at smoke scale.

    Args:
      study: schema.Study.
      path: what is put in the place of its own.

    Returns:
      schema.Study.

    Raises:
      InputError: the file is no such list.
    """
    smoke = parse(Smoke, pathlib.Path(path))
    frames = getattr(smoke, study.task, smoke)
    records = [_records(entry, smoke) for entry in study.records]
    settings = [setting for entry in records for setting in entry.settings]
    content = {
        "title": f"Smoke test, whose numbers mean nothing: {study.title}", "task": study.task,
        "data": _data(study.data, frames), "split": _split(study, smoke, frames), "records": records,
        "detectors": [one for detector in study.detectors for one in _stand_ins(study, detector, smoke, settings)],
        "regimes": study.regimes, "training": {"steps": smoke.steps}, "balance_classes": study.balance_classes,
        "evaluation": study.evaluation.model_dump(exclude={"resamples"}),
        "seeds": study.seeds[:2],
        "retraining": {"records": _last(records, study.retraining.records, smoke)},
    }
    if study.fine_tuning:
        content["fine_tuning"] = {"steps": smoke.steps, "records": _last(records, study.fine_tuning.records, smoke)}
    content["codecs"] = [_codec(codec, records, smoke) for codec in study.codecs]
    if study.codec_tuning:
        content["codec_tuning"] = _codec_tuning(study.codec_tuning, records, smoke)
    return type(study).model_validate(content)


def _data(data, frames):
    if data.frames:
        return data.model_copy(update={"max_frames": frames.max_frames})
    return Data(make=frames.make)


def _split(study, smoke, frames):
    """The study's own kind of split where its frames are named; of made ones, by sequence."""
    own = study.split
    if own.folds:
        return Split(folds=2, split_by=frames.made_split_by if not study.data.frames else own.split_by, num_shards=1)
    if not study.data.frames:
        return smoke.split.model_copy(update={"split_by": frames.made_split_by})
    # A small share of few frames would be none.
    share = own.val_fraction and max(own.val_fraction, smoke.split.val_fraction)
    return own.model_copy(update={"num_shards": 1, "val_fraction": share})


def _records(entry, smoke):
    changes = {}
    if entry.qualities:
        changes["qualities"] = [*entry.qualities[:smoke.qualities - 1], entry.qualities[-1]]
        changes["qualities"] = list(dict.fromkeys(changes["qualities"]))
    if entry.rates:
        changes["rates"] = smoke.rates[:len(entry.rates)]
    return Records.model_validate({**entry.model_dump(), **changes})


def _codec(codec, records, smoke):
    """Narrow, with the lambdas that are left in the records."""
    used = {lmbda for entry in records if entry.model == codec.name for lmbda in entry.qualities}
    return TrainedCodec(**{**codec.model_dump(), **smoke.codecs.model_dump(), "steps": smoke.steps,
                           "further_steps": smoke.steps, "lmbdas": [lmbda for lmbda in codec.lmbdas if lmbda in used]})


def _codec_tuning(tuning, records, smoke):
    """From one model, the last, with its weights."""
    learned = [setting for entry in records if entry.model and entry.codec in MODELS for setting in entry.settings]
    last = [setting.record_set for setting in learned if matches(setting, tuning.records, learned)] or [
        learned[-1].record_set]
    return CodecTuning(records=last[-1:], betas=tuning.betas[-1:], lmbdas=tuning.lmbdas[-1:], steps=smoke.steps)


def _stand_ins(study, entry, smoke, settings):
    """What stands for a model: a small one that is trained, and where it is taken as it is, itself."""
    kept = [pattern for pattern in entry.records
            if any(matches(setting, [pattern], settings) for setting in settings)] or ["*"]
    yield from study.kind.stand_ins(entry, study.regimes_of(entry), smoke, kept)


def _last(records, patterns, smoke):
    """Names of the last record sets that are trained on, of the codec that comes first among them."""
    best = records[0].settings[0]
    others = [[setting for setting in entry.settings if setting != best] for entry in records]
    named = [[setting for setting in group if matches(setting, patterns, group)] for group in others]
    found = next(group for group in [*named, *others, [best]] if group)  # other rates here, other names
    return [setting.record_set for setting in found[-smoke.trained_on:]]
