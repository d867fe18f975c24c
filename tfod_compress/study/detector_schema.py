"""The parts of a study file about detectors and their training."""

import difflib
import pathlib
from typing import Annotated

import pydantic

from tfod_compress.labels import label_map
from tfod_compress.study.strict import Strict, wrong
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import outside_detector
from tfod_compress.tasks.detection.config import pipeline_config

PUBLISHED = "published"  # the regime in which nothing is trained


class Training(Strict):
    """Steps, and settings of the detector's template that this study changes (as --set of make_pipeline_config)."""

    steps: pydantic.PositiveInt | None = None
    set: list[str] = []


class FineTuning(Training):
    """Of task_ft and control_ft: `records` names the record sets, such as jpeg-q5, "jpeg-*" or `strongest`.

    `strongest` is the last one of each codec.
    """

    records: list[str] = ["*"]


class Retraining(Strict):
    """Of the regime retrained: `records` names the record sets; without it, all but the best."""

    records: list[str] = ["*"]


class Detector(Strict):
    """A template, by its name alone or with what this study changes; or a detector as it is, for `published` alone.

    Attributes:
      template: of pipeline_configs/; without one, nothing is trained.
      name: what points and folders are called by; without it, the template's.
      checkpoint: a name of tools.fetch_checkpoint, a model folder or a checkpoint prefix; without it, random weights.
      steps: of training, in the place of the study's.
      set, batch_size, scale_learning_rate: of the detector in all regimes; `set` comes after the study's training.set
        and before its fine_tuning.set.
      fine_tuning: steps in the place of the study's, and settings after its own, of the fine-tuning regimes.
      records: the record sets that it is trained and tested on, such as "jpeg-q*"; without it, all.
      saved_model: an export that is taken as it is.
      command: of a detector of any framework, such as "python detect.py {frames} {output}".
      label_map, class_map, nms_iou: of what is taken as it is, as --detector_label_map, --class_map and --nms_iou of
        tools.evaluate.
    """

    template: str | None = None
    name: Annotated[str, pydantic.Field(pattern=r"^\w[\w.-]*$")]
    checkpoint: str | None = None
    steps: pydantic.PositiveInt | None = None
    set: list[str] = []
    batch_size: pydantic.PositiveInt | None = None
    scale_learning_rate: bool = False
    fine_tuning: Training | None = None
    records: list[str] = ["*"]
    saved_model: str | None = None
    command: str | None = None
    label_map: str | None = None
    class_map: str | None = None
    nms_iou: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None

    def takes(self, regime):
        """Whether it can take part in a regime."""
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
        if self.command:
            try:
                outside_detector.split(self.command)
            except InputError as error:
                raise wrong(str(error).removeprefix("--detector_command "), "command") from None
        if self.label_map and not pathlib.Path(self.label_map).suffix and self.label_map not in label_map.shipped():
            raise wrong(f"no label map {self.label_map!r}; there are {', '.join(label_map.shipped())}, and files such "
                        "as label_map.pbtxt", "label_map")
        return self
