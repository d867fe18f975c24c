"""A trained classifier on disk. Only `load` imports TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING, Any

from tfod_compress.labels import label_map as label_maps
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, sha256
from tfod_compress.tasks.checkpoints import latest_checkpoint
from tfod_compress.tasks.classification import params_file

if TYPE_CHECKING:
    from tfod_compress.tasks.classification.model import Predictor

LABEL_MAP = "label_map.pbtxt"  # in a model's folder


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A classifier on disk.

    Attributes:
      prefix: of the checkpoint.
      folder: that it lies in, with params.yaml.
      class_names: {class id: name}, ids ascending; made-up names where the folder has no label map.
      digest: {name: JSON value} that tells this model from others.
    """

    prefix: str
    folder: pathlib.Path
    class_names: dict[int, str]
    digest: dict[str, Any]

    def load(self) -> Predictor:
        """The model, ready to run.

        Raises:
          InputError: it cannot be built, or restored in full.
        """
        from tfod_compress.tasks.classification import model

        return model.load(self.prefix, self.class_names)


def find(checkpoint: str | pathlib.Path) -> TrainedClassifier:
    """Finds a classifier's files.

    Args:
      checkpoint: a model folder (its newest checkpoint), or a prefix such as model/ckpt-500.

    Raises:
      InputError: something is not there, or the label map does not fit the model.
    """
    prefix = latest_checkpoint(checkpoint)
    folder = pathlib.Path(prefix).parent
    path = folder / params_file.NAME
    if not path.is_file():
        raise InputError(f"{path}: is not there; a classifier's folder has the params.yaml that it was trained with")
    fields = params_file.read(path)
    try:
        model, seen = fields["task"]["model"], fields["task"]["validation_data"]
        offset = fields.get(params_file.OFFSET, 0)
        count = model["num_classes"] - offset
        seen = {name: seen.get(name) for name in ("aug_crop", "center_crop_fraction", "tf_resize_method")}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not the params.yaml of a classifier ({error!r})") from error
    text = json.dumps([model, seen, offset], sort_keys=True)
    # The index holds the checksum of every weight.
    digest = {"checkpoint": sha256(f"{prefix}.index"), "model": hashlib.sha256(text.encode()).hexdigest()}
    return TrainedClassifier(prefix, folder, _class_names(folder, count), digest)


def write_label_map(folder: str | pathlib.Path, names: dict[int, str]) -> None:
    """Leaves a model's classes in its folder."""
    with atomic_file(pathlib.Path(folder) / LABEL_MAP, "w") as file:
        file.write(label_maps.text(names))


def _class_names(folder, count):
    path = folder / LABEL_MAP
    if not path.is_file():
        return {number: f"class {number}" for number in range(1, count + 1)}
    names = label_maps.read(path, "the model's folder")
    if max(names) > count:
        raise InputError(f"{path}: has ids up to {max(names)}, but the model has {count} classes")
    return dict(sorted(names.items()))
