"""What a study has to know of the models of a task: how they are written in a study file, trained and evaluated.

`Kind` itself is of tasks whose models are not trained here: each is a command, for the regime published.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import pydantic

from tfod_compress.study.regimes import PUBLISHED
from tfod_compress.study.strict import Strict, wrong
from tfod_compress.support.errors import InputError
from tfod_compress.tasks import outside_model

if TYPE_CHECKING:
    from tfod_compress.study.codec_nodes import Tuned
    from tfod_compress.study.nodes import Node
    from tfod_compress.study.points import Point


class Training(Strict):
    """Steps, and settings of the model's config that this study changes."""

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


class Model(Strict):
    """A model as it is, for `published` alone; those that are trained add to this.

    Attributes:
      name: what points and folders are called by.
      records: the record sets that it is trained and tested on, such as "jpeg-q*"; without it, all.
      command: of a model of any framework, such as "python predict.py {frames} {output}".
    """

    name: Annotated[str, pydantic.Field(pattern=r"^\w[\w.-]*$")]
    records: list[str] = ["*"]
    command: str | None = None

    @property
    def trained_by(self) -> str | None:
        """What it is trained by, for tables; None where nothing is."""
        return None

    def takes(self, regime: str) -> bool:
        """Whether it can take part in a regime."""
        return regime == PUBLISHED and bool(self.command)

    @pydantic.field_validator("command")
    @classmethod
    def _can_be_run(cls, command):
        if command is not None:
            try:
                outside_model.split(command)
            except InputError as error:
                raise wrong(str(error)) from None
        return command


class TrainedModel(Model):
    """What all models have that are trained here.

    Attributes:
      checkpoint: that training starts from; without it, random weights.
      steps: of training, in the place of the study's.
      set: settings of its config in all regimes; they come after the study's training.set and before its
        fine_tuning.set.
      batch_size: in the place of its config's.
      fine_tuning: steps in the place of the study's, and settings after its own, of the fine-tuning regimes.
    """

    checkpoint: str | None = None
    steps: pydantic.PositiveInt | None = None
    set: list[str] = []
    batch_size: pydantic.PositiveInt | None = None
    fine_tuning: Training | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """One training of a study.

    Attributes:
      entry: the `TrainedModel`.
      row: a Point of the model that it makes.
      records: folder of the record set that it is trained on.
      config, model_dir: where its config and its results belong.
      steps: how many.
      changes: settings of its config, in order.
      start: checkpoint or folder that it starts from, or None.
      needs: names of the nodes that make `records` and `start`.
      balance_classes: whether rare classes are sampled more often.
      codec: a codec in front of it, or None.
    """

    entry: Any
    row: Point
    records: pathlib.Path
    config: pathlib.Path
    model_dir: pathlib.Path
    steps: int
    changes: list[str]
    start: pathlib.Path | str | None
    needs: tuple[str, ...]
    balance_classes: bool
    codec: Tuned | None

    @property
    def loop_flags(self) -> list:
        """What all commands that train are told in the same way, whatever they train."""
        hparams = {"detector": self.row.detector, "regime": self.row.regime, "fold": self.row.fold}
        hparams = ",".join(f"{name}={value}" for name, value in hparams.items() if value is not None)
        return ["--model_dir", self.model_dir, "--seed", self.row.seed, "--hparams", hparams,
                *(["--balance_classes"] if self.balance_classes else []), *(self.codec.flags if self.codec else [])]

    @property
    def results(self) -> dict:
        """{"result" or "items": what is whole when the training node is done}."""
        return {"items": self.codec.results} if self.codec else {"result": self.model_dir / "checkpoint"}

    def work(self, kind: str) -> tuple:
        """Node.work of the training, of a kind of model."""
        return f"train {kind} {self.codec.kind}" if self.codec else f"train {kind}", self.steps, "steps"


class Kind:
    """The models of a task, of which none is trained here; see the module.

    Attributes:
      entry: the part of a study file that says one.
      trained: what an entry has that is trained.
      as_it_is: what it has that is taken as it is.
    """

    entry: type[Model] = Model
    trained: str = "model"
    as_it_is: str = "a command"

    def check_entries(self, study: Any, refuse: Callable[[tuple, str, str], None]) -> None:
        """Checks what an entry alone does not show.

        Args:
          study: schema.Study.
          refuse: raises InputError for (keys of the study, a text there that is wrong or "", message).
        """

    def check_there(self, entry: Any) -> None:
        """Raises InputError where what is taken as it is, and not fetched, is not there."""
        program = outside_model.split(entry.command)[0]
        if not shutil.which(program):
            raise InputError(f"{program!r} is no program here (command)")

    def check_trainings(self, study: Any) -> None:
        """Raises InputError where a training would refuse its settings; called before anything is trained."""

    def fetching(self, entry: Any) -> Node | None:
        """The node that fetches an entry's checkpoint into `Node.result`'s folder; None where none is fetched."""
        return None

    def train_nodes(self, job: Job) -> list[Node]:
        """The nodes of a training, the last of them called "train <model>"."""
        raise NotImplementedError

    def evaluated(self, job: Job) -> tuple:
        """What tools.evaluate is told of a model that was trained."""
        raise NotImplementedError

    def evaluated_as_it_is(self, entry: Any, checkpoint: pathlib.Path | str | None) -> tuple:
        """What tools.evaluate is told of a model that was not; `checkpoint` is where its own lies."""
        return "--model_command", entry.command

    def measured(self, study: Any) -> tuple:
        """What tools.evaluate is told of the metrics."""
        return ()

    def stand_ins(self, entry: Any, regimes: list[str], smoke: Any, records: list[str]) -> Iterator[Model]:
        """What stands for a model in a smoke test: what is taken as it is, itself.

        Args:
          entry: of the study.
          regimes: those that it takes part in.
          smoke: smoke.Smoke.
          records: names of the record sets that it is tested on.
        """
        yield entry.model_copy(update={"records": records})
