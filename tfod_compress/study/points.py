"""The points of a study: what is tested, by what, and where the results lie."""

from __future__ import annotations

import dataclasses

from tfod_compress.study.regimes import LEARNED, PUBLISHED
from tfod_compress.study.settings import matches


@dataclasses.dataclass(frozen=True)
class Point:
    """One model on one record set. The order of the fields is that of results.json.

    Attributes:
      codec, quality: for tables.
      record_set: the record set's name; where the codec is tuned, the model's, for it has a codec of its own.
      coder: the codec's name for --codec.
      target_bpp: bits per pixel that the quality is found for, or None.
      scale: what the sides are multiplied by before coding.
      detector: its name in the study.
      template: or experiment that it is trained by; None of what is published.
      regime: of regimes.Regime.
      seed: of training; of what is published, the first alone.
      fold: None without folds.
      split: whose frames of the record set are tested on.
      trained_on: a record set's name; None of what is published.
      steps: of its last training.
      model: its folder in models/.
      evaluation: the path of its results below the study's folder.
      tuned_from: the record set of the codec before, where the codec is tuned; else None.
      beta, lmbda: how it is tuned, see `learned_schema.Start`.
    """

    codec: str
    quality: int | float | str | None
    record_set: str
    coder: str
    target_bpp: float | None
    scale: float
    detector: str
    template: str | None
    regime: str
    seed: int
    fold: int | None
    split: str
    trained_on: str | None
    steps: int
    model: str
    evaluation: str
    tuned_from: str | None = None
    beta: float | None = None
    lmbda: float | None = None

    @property
    def run(self) -> tuple:
        """What points have in common that are compared with each other: (detector, seed, fold)."""
        return self.detector, self.seed, self.fold

    @property
    def key(self) -> tuple:
        """What tells it from the others of a study: (detector, seed, fold, regime, record set)."""
        return *self.run, self.regime, self.record_set

    def as_dict(self) -> dict:
        """For results.json: without what is about tuned codecs where none is tuned."""
        found = dataclasses.asdict(self)
        return found if self.tuned_from else {
            name: value for name, value in found.items() if name not in ("tuned_from", "beta", "lmbda")}


def points(study) -> list[Point]:
    """The grid of a schema.Study."""
    found = []
    for detector in study.detectors:
        for seed in study.seeds:
            for fold in range(study.split.folds) if study.split.folds else (None,):
                for regime in study.regimes_of(detector):
                    run = study, detector, seed, fold, regime
                    if regime == PUBLISHED:
                        found += _published_points(*run) if seed == study.seeds[0] else ()
                    elif regime in LEARNED:
                        found += [_tuned_point(*run, start) for start in study.starts_of(detector)]
                    else:
                        found += [_point(*run, setting) for setting in _settings_of(study, detector, regime)]
    return found


def by_model(study) -> dict[str, list[Point]]:
    """{model: its points}, in the order of the grid."""
    models = {}
    for point in points(study):
        models.setdefault(point.model, []).append(point)
    return models


def model_name(detector, regime: str, trained_on, seed: int, fold: int | None) -> str:
    """The name of what a Detector becomes in a regime on a Setting."""
    return f"{detector.name}-{regime}-{trained_on.record_set}-s{seed}{_fold(fold)}"


def _settings_of(study, detector, regime):
    """The settings that a detector of a regime is tested on."""
    own = study.settings_of(detector)
    if regime == "off_the_shelf":
        return own
    if regime == "retrained":
        # Retrained on the best quality it would be the off-the-shelf detector again.
        return [setting for setting in own if matches(setting, study.retraining.records, own) and setting != study.best]
    return [setting for setting in own if matches(setting, study.fine_tuning.records, own) and setting != study.best]


def _tuned_point(study, detector, seed, fold, regime, start):
    model = model_name(detector, f"{regime}-{start.weights}", start.setting, seed, fold)
    return dataclasses.replace(
        _point(study, detector, seed, fold, regime, start.setting, study.lossless, model), quality=start.quality,
        record_set=model, evaluation=f"evaluations/{model}/{model}", tuned_from=start.setting.record_set,
        beta=start.beta, lmbda=start.lmbda)


def _published_points(study, detector, seed, fold, regime):
    model = f"{detector.name}-{regime}{_fold(fold)}"
    return [dataclasses.replace(_point(study, detector, seed, fold, regime, setting, study.best, model), template=None,
                                trained_on=None) for setting in study.settings_of(detector)]


def _point(study, detector, seed, fold, regime, setting, trained_on=None, model=None):
    trained_on = trained_on or (study.best if regime in ("off_the_shelf", "control_ft") else setting)
    model = model or model_name(detector, regime, trained_on, seed, fold)
    return Point(
        codec=setting.codec, quality=setting.quality, record_set=setting.record_set, coder=setting.coder,
        target_bpp=setting.target_bpp, scale=setting.scale, detector=detector.name, template=detector.trained_by,
        regime=regime, seed=seed, fold=fold, split="val" if fold is None else f"fold{fold}",
        trained_on=trained_on.record_set, steps=study.training_of(detector, regime)[0], model=model,
        evaluation=f"evaluations/{model}/{setting.record_set}")


def _fold(fold):
    return "" if fold is None else f"-f{fold}"
