"""What is trained and on what, before there is a model: a task's side of `loop.train`. No TensorFlow at import."""

from __future__ import annotations

import abc
import pathlib
from typing import TYPE_CHECKING, Any

from tfod_compress.records import RecordSet
from tfod_compress.training.codec_tuning import CodecTuning
from tfod_compress.training.records import Frames

if TYPE_CHECKING:
    from tfod_compress.tasks.trainable import Trainable
    from tfod_compress.training.evaluations import Evaluations
    from tfod_compress.training.options import Options
    from tfod_compress.training.order import Order


class Run(abc.ABC):
    """A task's config with the records that it names.

    Attributes, all but `path` and `codec` from `open` on:
      path: the config's file, for messages and run.json.
      codec: how a learned codec in front of the model is tuned, or None.
      steps: how many are made.
      batch_size: frames a step, over all devices.
      shuffle: whether each epoch has an order of its own.
      frames: that are trained on.
      label_map: {class id: name}.
      record_set: whose frames they are, or None where there is no manifest.
      starts_from: the checkpoint that a new run starts from; "" for random weights.
    """

    path: pathlib.Path
    codec: CodecTuning | None = None
    steps: int
    batch_size: int
    shuffle: bool = True
    frames: Frames
    label_map: dict[int, str]
    record_set: RecordSet | None
    starts_from: str = ""

    @abc.abstractmethod
    def open(self, model_dir: pathlib.Path, options: Options, strategy: Any) -> None:
        """Reads the config and checks it, its records and what is already in the folder.

        Raises:
          InputError: something does not fit.
        """

    @abc.abstractmethod
    def build(self, options: Options) -> Trainable:
        """The model with all its variables; called within the strategy's scope, the seed set."""

    @abc.abstractmethod
    def restore(self, trainable: Trainable) -> dict:
        """Gives a new model the weights of `starts_from`; {reference of a variable that keeps its own: why}.

        Raises:
          InputError: they do not fit.
        """

    def complete(self, trainable: Trainable) -> None:
        """Called once the first weights are in place, and before a run's own checkpoint is restored."""
        if self.codec:
            trainable.put_in_front(self.codec.in_front())

    def publish(self, trainable: Trainable, model_dir: pathlib.Path) -> None:
        """Called at the end of training: leaves the codec as it is now in the run's folder, if there is one."""
        if self.codec:
            print(self.codec.publish(model_dir, trainable.codec.model, trainable.step_number), flush=True)

    @abc.abstractmethod
    def evaluations(self, model_dir: pathlib.Path, options: Options) -> Evaluations:
        """What is done every `options.eval_every` steps."""

    @abc.abstractmethod
    def write_config(self, model_dir: pathlib.Path) -> None:
        """Leaves the config in the run's folder, so that a model can be built from the folder alone."""

    @abc.abstractmethod
    def hparams(self) -> dict[str, Any]:
        """What of the config tells the runs of a study apart, for TensorBoard."""

    def described(self) -> dict[str, Any]:
        """The task's own part of run.json."""
        return {}

    @abc.abstractmethod
    def versions(self) -> dict[str, str]:
        """{package: version} of the libraries that the models come from."""

    @abc.abstractmethod
    def pictures(self, trainable: Trainable, order: Order, step: int) -> list:
        """The first frames of a step as the model gets them, as Log.pictures takes them."""
