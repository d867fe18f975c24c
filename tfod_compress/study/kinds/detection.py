"""Detectors in a study: templates of pipeline_configs/ that are trained, and detectors as they are."""

import difflib
import pathlib
from typing import Annotated

import pydantic

from tfod_compress.labels import label_map
from tfod_compress.labels.classes import read_class_map
from tfod_compress.study.kinds.base import Kind, TrainedModel
from tfod_compress.study.nodes import Node
from tfod_compress.study.regimes import PUBLISHED
from tfod_compress.study.strict import wrong
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import trained_model
from tfod_compress.tasks.detection.config import changes as config_changes
from tfod_compress.tasks.detection.config import pipeline_config

CHECKPOINTS = pathlib.Path("checkpoints")  # of the zoo; shared by all studies


class Detector(TrainedModel):
    """A template, by its name alone or with what this study changes; or a detector as it is, for `published` alone.

    Attributes:
      template: of pipeline_configs/; without one, nothing is trained.
      name: without it, the template's.
      checkpoint: a name of tools.fetch_checkpoint, a model folder or a checkpoint prefix; without it, random weights.
      set: as --set of make_pipeline_config.
      batch_size, scale_learning_rate: of the detector in all regimes.
      saved_model: an export that is taken as it is.
      label_map, class_map, nms_iou: of what is taken as it is, as --detector_label_map, --class_map and --nms_iou of
        tools.evaluate.
    """

    template: str | None = None
    scale_learning_rate: bool = False
    saved_model: str | None = None
    label_map: str | None = None
    class_map: str | None = None
    nms_iou: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None

    @property
    def trained_by(self):
        return self.template

    def takes(self, regime):
        if regime == PUBLISHED:
            return bool(self.checkpoint or self.saved_model or self.command)
        return self.template is not None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short(cls, content):
        if isinstance(content, str):
            content = {"template": content}
        if isinstance(content, dict) and "name" not in content and "template" in content:
            content = {**content, "name": content["template"]}
        return content

    @pydantic.field_validator("template")
    @classmethod
    def _known(cls, name):
        known = pipeline_config.detectors()
        if name is not None and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise wrong(f"no detector {name!r}{f', is {near[0]} meant?' if near else ''}; there are "
                        f"{', '.join(known)}")
        return name

    @pydantic.model_validator(mode="after")
    def _one_kind(self):
        sources = [name for name in ("saved_model", "command", "checkpoint") if getattr(self, name)]
        if self.template and sources and sources != ["checkpoint"]:
            raise wrong(f"a template is trained, and a {sources[0]} is taken as it is: give one of them", sources[0])
        if len(sources) > 1:
            raise wrong(f"give either {sources[0]} or {sources[1]}", sources[0])
        if not self.template and not sources:
            raise wrong("give a template, a checkpoint, a saved_model or a command")
        for name in ("steps", "set", "batch_size", "scale_learning_rate", "fine_tuning"):
            if not self.template and getattr(self, name):
                raise wrong("goes with a template: without one, nothing is trained", name)
        for name in ("label_map", "class_map", "nms_iou"):
            if not sources and getattr(self, name) is not None:
                raise wrong("goes with what is published: a checkpoint, a saved_model or a command", name)
        if self.label_map and not pathlib.Path(self.label_map).suffix and self.label_map not in label_map.shipped():
            raise wrong(f"no label map {self.label_map!r}; there are {', '.join(label_map.shipped())}, and files such "
                        "as label_map.pbtxt", "label_map")
        return self


class Detectors(Kind):
    """See Kind."""

    entry, trained, as_it_is = Detector, "template", "a checkpoint, a saved_model or a command"

    def check_entries(self, study, refuse):
        """Every `set` fits its template, and every checkpoint of the zoo its detector."""
        for index, detector in enumerate(study.detectors):
            at = ("detectors", index)
            for regime in study.regimes_of(detector) if detector.template else ():
                config = pipeline_config.template(detector.template)
                _, changes = study.training_of(detector, regime)
                for text in changes:
                    try:
                        config_changes.override(config, text)
                    except InputError as error:
                        refuse(at, text, f"detector {detector.name}: {error}")
            if detector.checkpoint and is_zoo_name(detector.checkpoint):
                self._check_zoo(detector, (*at, "checkpoint"), refuse)

    def _check_zoo(self, detector, at, refuse):
        from tfod_compress.tasks.detection.zoo import catalogue

        try:
            archive = catalogue.find(detector.checkpoint)
        except InputError as error:
            refuse(at, "", f"{error}; or give a path")
        if detector.template:
            model = pipeline_config.template(detector.template).model
            extractor = getattr(model, model.WhichOneof("model")).feature_extractor.type
            if not extractor.startswith(archive.extractor):
                refuse(at, "", f"{detector.checkpoint} is one of {archive.extractor}, the detector "
                               f"{detector.template} has {extractor}")

    def check_there(self, entry):
        if entry.command:
            super().check_there(entry)
        elif entry.saved_model or not is_zoo_name(entry.checkpoint):
            trained_model.find(entry.checkpoint, entry.saved_model)
        if entry.label_map:
            label_map.load(entry.label_map, "label_map")
        if entry.class_map:
            read_class_map(pathlib.Path(entry.class_map))

    def fetching(self, entry):
        if not entry.checkpoint or not is_zoo_name(entry.checkpoint):
            return None
        folder = CHECKPOINTS / entry.checkpoint
        return Node(f"checkpoint {entry.checkpoint}", "fetch_checkpoint", (entry.checkpoint, "--output", folder),
                    result=folder / "conversion.json")

    def train_nodes(self, job):
        detector, model = job.entry, job.row.model
        arguments = ["--detector", detector.template, "--records", job.records]
        arguments += ["--checkpoint", job.start] if job.start else []
        arguments += ["--batch_size", detector.batch_size] if detector.batch_size else []
        arguments += ["--scale_learning_rate"] if detector.scale_learning_rate else []
        arguments += ["--fold", job.row.fold] if job.row.fold is not None else []
        for setting in (f"train_config.num_steps: {job.steps}", *job.changes):
            arguments += ["--set", setting]
        batch = [f"batch {detector.batch_size}"] if detector.batch_size else []
        template = pipeline_config.TEMPLATES / f"{detector.template}.config"
        return [
            Node(f"config {model}", "make_pipeline_config", (*arguments, "--output", job.config), job.needs, job.config,
                 reads=((detector.template, template),)),
            Node(f"train {model}", "model_main_tf2", ("--pipeline_config_path", job.config, *job.loop_flags),
                 (f"config {model}", *(job.codec.needs if job.codec else ())),
                 work=job.work(" ".join([detector.template, *job.changes, *batch])), **job.results)]

    def evaluated(self, job):
        return "--pipeline_config_path", job.model_dir / "pipeline.config", "--checkpoint", job.model_dir

    def evaluated_as_it_is(self, entry, checkpoint):
        given = {"--checkpoint": checkpoint, "--saved_model": entry.saved_model, "--detector_command": entry.command,
                 "--detector_label_map": entry.label_map, "--class_map": entry.class_map, "--nms_iou": entry.nms_iou}
        return tuple(part for flag, value in given.items() if value is not None for part in (flag, value))

    def measured(self, study):
        return "--score_threshold", study.evaluation.score_threshold, "--resamples", study.evaluation.resamples

    def stand_ins(self, entry, regimes, smoke, records):
        """A small detector of the kind that is trained."""
        if PUBLISHED in regimes:
            as_it_is = ("name", "checkpoint", "saved_model", "command", "label_map", "class_map", "nms_iou")
            yield Detector(**{field: getattr(entry, field) for field in as_it_is}, records=records)
        if regimes != [PUBLISHED]:
            small = smoke.detectors[pipeline_config.template(entry.template).model.WhichOneof("model")]
            yield Detector(template=small.template, name=f"{entry.name}-smoke", set=small.set, records=records)


def is_zoo_name(checkpoint: str) -> bool:
    """Whether a checkpoint is named, to be fetched, and not a path."""
    return "/" not in checkpoint and not pathlib.Path(checkpoint).exists()
