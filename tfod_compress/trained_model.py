"""A trained detector on disk: a checkpoint with its config, or an export. Only `load` imports TensorFlow."""

import dataclasses
import pathlib

from tfod_compress import pipeline_config
from tfod_compress.errors import InputError
from tfod_compress.labels import label_map as label_maps


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A detector on disk.

    Attributes:
      weights: a checkpoint prefix, or the folder with saved_model.pb.
      config: its pipeline.config; None where an export has none.
      is_checkpoint: which of the two it is.
      folder: where a label_map.pbtxt may lie.
    """

    weights: str
    config: pathlib.Path | None
    is_checkpoint: bool
    folder: pathlib.Path

    def load(self):
        """The detector, ready to run: `detector.Detector` or `saved_model.SavedModelDetector`.

        Raises:
          InputError: it cannot be built, restored in full, or loaded.
        """
        if self.is_checkpoint:
            from tfod_compress.detector import Detector

            detector = Detector(self.config)
            detector.restore(self.weights)
            return detector
        from tfod_compress.saved_model import SavedModelDetector

        return SavedModelDetector(self.weights)

    def class_names(self, label_map=None):
        """{class id: name}, empty where no label map is found.

        Args:
          label_map: a shipped label map's name or a label_map.pbtxt; None for the one in the model's folder, else the
            one that its config names.

        Raises:
          InputError: `label_map` cannot be read.
        """
        if label_map:
            return label_maps.load(str(label_map))
        named = []
        if self.config:
            config = pipeline_config.read(self.config)
            readers = [config.train_input_reader, *config.eval_input_reader]
            named = [reader.label_map_path for reader in readers if reader.label_map_path]
        for path in (self.folder / "label_map.pbtxt", *map(pathlib.Path, named)):
            if path.is_file():
                return label_maps.read(path)
        return {}


def find(checkpoint=None, saved_model=None, config=None):
    """Finds a detector's files.

    Args:
      checkpoint: a model folder (its newest checkpoint) or a prefix, or None.
      saved_model: the folder with saved_model.pb or the one above it, where `checkpoint` is None.
      config: the pipeline.config of a checkpoint; None for the one beside it.

    Returns:
      TrainedModel.

    Raises:
      InputError: something is not there.
    """
    if checkpoint is not None:
        prefix = pipeline_config.latest_checkpoint(checkpoint)
        folder = pathlib.Path(prefix).parent
        config = pathlib.Path(config or folder / "pipeline.config")
        if not config.is_file():
            raise InputError(f"{config}: is not there; name the model's pipeline.config with --pipeline_config_path")
        return TrainedModel(prefix, config, True, folder)
    folder = pathlib.Path(saved_model)
    folder = folder if (folder / "saved_model.pb").is_file() else folder / "saved_model"
    if not (folder / "saved_model.pb").is_file():
        raise InputError(f"{saved_model}: holds no saved_model.pb; give the folder that an export wrote")
    beside = folder.resolve().parent / "pipeline.config"
    return TrainedModel(str(folder), beside if beside.is_file() else None, False, folder.resolve().parent)
