"""What an evaluation needs of a model, whatever its task and framework. No TensorFlow."""

from __future__ import annotations

import dataclasses
import typing

if typing.TYPE_CHECKING:
    import pathlib

    from tfod_compress.records import RecordSet
    from tfod_compress.tasks.trained_frames import TrainedFrames


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Models that are to be evaluated, as tools.evaluate is asked for them: the attributes are its flags.

    Attributes:
      checkpoint: model folders (their newest checkpoint) or prefixes.
      saved_model: the folder of an export.
      pipeline_config_path: of the checkpoints; None for the one beside the first.
      detector_label_map: a model's label map, by its name or as a file; None for the one that is found with it.
      class_map: YAML file from a model's classes to the record sets'.
      nms_iou: of the suppression where several of a detector's classes become one.
      model_command: instead of the above, a program of any framework (`tasks.outside_model`).
      keep_frames: whether the command's frames stay.
      batch_size: frames run together; changes no number.
    """

    checkpoint: tuple[str | pathlib.Path, ...] = ()
    saved_model: str | None = None
    pipeline_config_path: str | None = None
    detector_label_map: str | None = None
    class_map: str | None = None
    nms_iou: float | None = None
    model_command: str | None = None
    keep_frames: bool = False
    batch_size: int = 8

    def of_the_task(self) -> list[str]:
        """Which of the attributes that a task may lack are given."""
        names = ("checkpoint", "saved_model", "pipeline_config_path", "detector_label_map", "class_map", "nms_iou")
        return [name for name in names if getattr(self, name) not in (None, (), [])]


class ClassMatch(typing.Protocol):
    """Which of a model's classes are which of a record set's.

    Attributes:
      differs: whether the two are not simply the same.
      ids: {the model's class id: the record set's}.
      nms_iou: of a suppression that runs once more, where there is one.
    """

    differs: bool
    ids: dict[int, int]
    nms_iou: float | None

    def restrict(self, truth: typing.Any) -> typing.Any:
        """The truth as far as the model can know it; InputError where nothing is left."""

    def translate(self, predicted: typing.Any) -> typing.Any:
        """Predictions in the record set's classes, as the task has them, from what `Model.predict` gave."""

    def described(self) -> dict:
        """For metrics.json, where the two differ."""


class SameClasses:
    """The `ClassMatch` of a model that uses the record set's own classes."""

    differs, nms_iou = False, None
    ids: typing.ClassVar[dict[int, int]] = {}

    def restrict(self, truth):
        """All of it."""
        return truth

    def translate(self, predicted):
        """As they are."""
        return predicted

    def described(self):
        """Nothing."""
        return {}


class Model(typing.Protocol):
    """A model that is evaluated, on one record set after another; it is loaded at the first that needs it.

    Attributes:
      described: the entries of metrics.json that name it, "checkpoint" among them (None where it is none).
      made_from: {name: JSON value} that tells it from every other one.
    """

    described: dict[str, typing.Any]
    made_from: dict[str, typing.Any]

    def trained_frames(self) -> TrainedFrames:
        """The frames that it was trained on, as far as anybody knows."""

    def match(self, record_set: RecordSet) -> ClassMatch:
        """Its classes and a record set's; InputError where they have nothing in common."""

    def predict(self, record_set: RecordSet, split: str, truth: typing.Any, folder: pathlib.Path) -> typing.Any:
        """What it makes of a split's frames.

        Args:
          record_set: the frames.
          split: which of them.
          truth: of the task, on the images that are wanted.
          folder: that its results will go to; what is left there otherwise is removed.

        Returns:
          What the `ClassMatch` of the record set translates.

        Raises:
          InputError: the model cannot be loaded, or fails.
        """
