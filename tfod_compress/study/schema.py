"""A study file: what may stand in it. A mistake is told with its line and the choices, before anything runs."""

import functools
from typing import Annotated

import pydantic
import pydantic_core

from tfod_compress import tasks
from tfod_compress.codecs.base import VideoCodec
from tfod_compress.learned import MODELS
from tfod_compress.study import kinds
from tfod_compress.study.data_schema import Data, Records, Split
from tfod_compress.study.kinds.base import FineTuning, Model, Retraining, Training
from tfod_compress.study.learned_schema import CodecTuning, TrainedCodec
from tfod_compress.study.regimes import LEARNED, PUBLISHED, TUNED, Regime
from tfod_compress.study.settings import STRONGEST, matches
from tfod_compress.study.strict import Strict, wrong
from tfod_compress.support.formats import FORMAT


class Evaluation(Strict):
    """`score_threshold`: of precision, recall and F1, where a task has them."""

    score_threshold: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    resamples: Annotated[int, pydantic.Field(ge=1000)] = 1000  # has no effect any more; studies that have it stay valid


class Study(Strict):
    """A study file, validated; `reading` has checked `format`."""

    format: int = FORMAT
    title: str
    task: str = tasks.DEFAULT
    data: Data = Data()
    split: Split
    codecs: list[TrainedCodec] = []
    records: Annotated[list[Records], pydantic.Field(min_length=1)]
    detectors: Annotated[list[pydantic.SerializeAsAny[Model]], pydantic.Field(min_length=1)]
    regimes: Annotated[list[Regime], pydantic.Field(min_length=1)]
    training: Training = Training()
    retraining: Retraining = Retraining()
    fine_tuning: FineTuning | None = None
    codec_tuning: CodecTuning | None = None
    balance_classes: bool = False
    evaluation: Evaluation = Evaluation()
    seeds: Annotated[list[Annotated[int, pydantic.Field(ge=0, lt=2**31)]], pydantic.Field(min_length=1)] = [0]

    @pydantic.field_validator("task")
    @classmethod
    def _known(cls, name):
        if name not in tasks.TASKS:
            raise wrong(f"{name!r} is no task; there are {', '.join(tasks.TASKS)}")
        return name

    @pydantic.model_serializer(mode="wrap")
    def _without_default_task(self, handler):
        """Studies of detection are written as they were before there were tasks."""
        found = handler(self)
        return {name: value for name, value in found.items() if (name, value) != ("task", tasks.DEFAULT)}

    @property
    def kind(self):
        """The kinds.Kind of its models."""
        return kinds.of(self.task)

    @property
    def settings(self):
        """[Setting] of all record sets; the first is the best quality, what off-the-shelf detectors are trained on."""
        return [setting for entry in self.records for setting in entry.settings]

    @property
    def best(self):
        """The Setting that off-the-shelf detectors are trained on."""
        return self.settings[0]

    @property
    def lossless(self):
        """The Setting of the first lossless record set, which codecs are trained and tuned on; None without one."""
        return next((entry.settings[0] for entry in self.records
                     if not entry.is_trained_here and entry.loaded().lossless), None)

    def starts_of(self, detector):
        """[learned_schema.Start] of the codecs that are tuned through a Detector."""
        learned = self._tunable()
        named = [setting for setting in learned if matches(setting, self.codec_tuning.records, learned)]
        return [start for start in self.codec_tuning.starts(named)
                if matches(start.setting, detector.records, self.settings)]

    def _tunable(self):
        """[Setting] of record sets whose model can be trained further."""
        entries = [entry for entry in self.records if entry.model and entry.codec in MODELS]
        return [setting for entry in entries for setting in entry.settings]

    def settings_of(self, detector):
        """[Setting] that a Detector is tested on."""
        return [setting for setting in self.settings if matches(setting, detector.records, self.settings)]

    def regimes_of(self, detector):
        """The regimes that a Detector takes part in."""
        return [regime for regime in self.regimes if detector.takes(regime)]

    def training_of(self, detector, regime):
        """(steps, [setting of its config]) of a Detector in a regime."""
        if regime == PUBLISHED:
            return 0, []
        if regime in LEARNED:
            return self.codec_tuning.steps, [*detector.set, *self.codec_tuning.set]
        if regime not in TUNED:
            return detector.steps or self.training.steps, [*self.training.set, *detector.set]
        own = detector.fine_tuning or Training()
        return own.steps or self.fine_tuning.steps, [*detector.set, *self.fine_tuning.set, *own.set]

    @pydantic.model_validator(mode="after")
    def _possible(self):
        self._check_task()
        self._check_records()
        self._check_sequences()
        self._check_codecs()
        self._check_regimes()
        noun, names = tasks.get(self.task).model, [detector.name for detector in self.detectors]
        for index, (name, detector) in enumerate(zip(names, self.detectors, strict=True)):
            if name in names[:index]:
                raise wrong(f"two {noun}s are called {name}; give one another name", "detectors", index)
            if not matches(self.best, detector.records, self.settings):
                raise wrong(f"must hold {self.best.record_set}, the best quality", "detectors", index, "records")
            self._check_patterns(detector.records, "detectors", index, "records")
            if not self.regimes_of(detector):
                raise wrong(f"has no {self.kind.trained} to train: give it one, or add published to the regimes"
                            if not detector.trained_by else
                            f"published takes a {noun} as it is: give {self.kind.as_it_is}", "detectors", index)
            for regime in self.regimes_of(detector):
                if regime != PUBLISHED and not self.training_of(detector, regime)[0]:
                    where = "fine_tuning" if regime in TUNED else "training"
                    raise wrong(f"no steps for {regime}: give {where}.steps, or the {noun} its own", "detectors", index)
        if len(set(self.seeds)) < len(self.seeds):
            raise wrong("a seed comes twice", "seeds")
        return self

    def _check_task(self):
        """What the task has a say in."""
        task = tasks.get(self.task)
        if self.data.label_format not in task.label_formats:
            raise wrong(f"no label format {self.data.label_format!r}; for {task.name} there are "
                        f"{', '.join(task.label_formats)}", "data", "label_format")
        if self.data.frames and not self.data.labels and task.labels:
            raise wrong("has frames alone; give both frames and labels", "data")
        if task.thresholded and self.evaluation.score_threshold is None:
            raise wrong("is missing: precision, recall and F1 need one", "evaluation", "score_threshold")

    def _check_records(self):
        for index, entry in enumerate(self.records):
            if entry.best != entry.settings[0]:
                raise wrong(f"the first is the best, which the others are compared with: put {entry.best.label} first",
                            "records", index, "rates" if entry.rates else "qualities")
        names = [setting.record_set for setting in self.settings]
        for index, entry in enumerate(self.records):
            for setting in entry.settings:
                if names.count(setting.record_set) > 1:
                    raise wrong(f"record set {setting.record_set} comes twice", "records", index)

    def _check_sequences(self):
        """One split serves all record sets: video must not be split by folder where single frames are not."""
        video = [not entry.is_trained_here and isinstance(entry.loaded(), VideoCodec) for entry in self.records]
        if any(video) and not all(video) and not (self.data.sequence_by or self.split.split_by):
            raise wrong("codes whole sequences, and other records single frames: say in data.sequence_by what a "
                        "sequence is, such as '^(.+)/' for each folder, so that all have one split", "records",
                        video.index(True), "codec")

    def _check_codecs(self):
        """Codecs that the study trains, and the record sets that are made with them."""
        names = [codec.name for codec in self.codecs]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise wrong(f"two codecs are called {name}", "codecs", index, "name")
            if not any(entry.model == name for entry in self.records):
                raise wrong(f"no record set has model: {name}", "codecs", index)
        if self.codecs and not self.lossless:
            raise wrong("codecs are trained on lossless frames: list {codec: png} among the records", "records")
        if self.codecs and self.split.folds:
            raise wrong("codecs would have to be trained anew for each fold: give val_fraction or split_files", "split",
                        "folds")
        for index, entry in enumerate(self.records):
            if not entry.is_trained_here:
                continue
            if entry.model not in names:
                raise wrong(f"neither a folder nor one of the study's codecs ({', '.join(names) or 'none'})", "records",
                            index, "model")
            codec = self.codecs[names.index(entry.model)]
            if entry.codec != codec.codec:
                raise wrong(f"{codec.name} is {codec.codec}, not {entry.codec}", "records", index, "codec")
            for place, lmbda in enumerate(entry.qualities):
                if lmbda not in codec.lmbdas:
                    raise wrong(f"{codec.name} has no lmbda {lmbda:g}; it has "
                                f"{', '.join(f'{number:g}' for number in codec.lmbdas)}", "records", index, "qualities",
                                place)

    def _check_regimes(self):
        trained = [regime for regime in self.regimes if regime != PUBLISHED]
        if trained and "off_the_shelf" not in trained:
            raise wrong("off_the_shelf is what the others are compared with and must be there (published alone needs "
                        "none)", "regimes")
        for index, regime in enumerate(self.regimes):
            if regime in self.regimes[:index]:
                raise wrong(f"{regime} comes twice", "regimes", index)
            if not any(detector.takes(regime) for detector in self.detectors):
                noun = tasks.get(self.task).model
                raise wrong(f"no {noun} has {self.kind.as_it_is}" if regime == PUBLISHED else
                            f"no {noun} has a {self.kind.trained} to train", "regimes", index)
        if self.split.val_fraction == 1 and (trained or self.codecs):
            raise wrong("leaves no frames to train on", "split", "val_fraction")
        if set(TUNED) & set(self.regimes) and not self.fine_tuning:
            raise wrong("task_ft and control_ft need fine_tuning", "regimes")
        learned = [regime for regime in self.regimes if regime in LEARNED]
        if learned and not self.codec_tuning:
            raise wrong(f"{', '.join(learned)}: what is tuned, and how, has to stand in codec_tuning", "regimes")
        if learned and not self.lossless:
            raise wrong("codecs are tuned on lossless frames: list {codec: png} among the records", "records")
        for name, part in (("fine_tuning", self.fine_tuning), ("retraining", self.retraining)):
            if part:
                self._check_patterns(part.records, name, "records")
        if self.codec_tuning:
            self._check_codec_tuning()

    def _check_codec_tuning(self):
        at = ("codec_tuning", "records")
        learned = self._tunable()
        if not learned:
            raise wrong("no record set has a model that could be tuned", *at)
        self._check_patterns(self.codec_tuning.records, *at, settings=learned)
        for detector in self.detectors:
            try:
                starts = self.starts_of(detector)
            except pydantic_core.PydanticCustomError as error:
                raise wrong(error.message(), "codec_tuning", *error.context["at"]) from None
            if len(set(starts)) < len(starts):
                raise wrong("the same model with the same weights comes twice", "codec_tuning", "betas")

    def _check_patterns(self, patterns, *at, settings=None):
        settings = settings or self.settings
        for index, pattern in enumerate(patterns):
            if pattern != STRONGEST and not any(matches(setting, [pattern]) for setting in settings):
                of_what = "record set" if settings == self.settings else "learned codec's record set"
                raise wrong(f"no {of_what} is called {pattern!r}; there are "
                            f"{', '.join(setting.record_set for setting in settings)}", *at, index)


def with_seed(study, seed):
    """The same study on another seed: of the synthetic frames and of training."""
    data = study.data
    if data.make:
        data = data.model_copy(update={"make": data.make.model_copy(update={"seed": seed})})
    return study.model_copy(update={"data": data, "seeds": [seed]})


def with_data(study, **given):
    """The same study on other frames: `frames`, `labels`, `class_map` and so on of Data; None keeps what there is."""
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return study
    kept = study.data.model_dump(exclude={"make"} if "frames" in given else set())
    return study.model_copy(update={"data": Data.model_validate({**kept, **given})})


@functools.cache
def of_task(task):
    """The Study whose models are those of a task; of an unknown one, Study, which refuses it."""
    entry = kinds.of(task).entry
    return pydantic.create_model("Study", __base__=Study, __module__=__name__, detectors=(
        Annotated[list[entry], pydantic.Field(min_length=1)], ...))
