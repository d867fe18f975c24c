"""Which frames a classifier was trained on, by the params.yaml in its folder. No TensorFlow."""

import pathlib

from tfod_compress.tasks.classification import params_file
from tfod_compress.tasks.trained_frames import TrainedFrames, of_chain


def of_classifier(folder: str | pathlib.Path) -> TrainedFrames:
    """As `of_checkpoint`, for the folder of a classifier; a published one's frames nobody has.

    Raises:
      InputError: a params.yaml on the way cannot be read.
    """
    path = pathlib.Path(folder) / params_file.NAME
    return of_params(params_file.read(path)) if path.is_file() else TrainedFrames()


def of_params(params: dict) -> TrainedFrames:
    """As `of_config`, for the fields of a params.yaml."""
    def patterns(params):
        found = params.get("task", {}).get("train_data", {}).get("input_path") or []
        return [found] if isinstance(found, str) else found

    return of_chain(params, patterns, lambda params: params.get("task", {}).get("init_checkpoint"), params_file.NAME,
                    params_file.read)
