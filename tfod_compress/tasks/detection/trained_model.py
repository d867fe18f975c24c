"""A trained detector on disk: a checkpoint with its config, or an export. Only `load` imports TensorFlow."""

import dataclasses
import pathlib

from tfod_compress.labels import label_map as label_maps
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json
from tfod_compress.tasks.detection.config import pipeline_config


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
            from tfod_compress.tasks.detection.detector import Detector

            detector = Detector(self.config)
            detector.restore(self.weights)
            return detector
        from tfod_compress.tasks.detection.saved_model import SavedModelDetector

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
        for path in (self.folder / "label_map.pbtxt", *self.named_label_maps()):
            if path.is_file():
                return label_maps.read(path)
        return self._of_the_zoo()

    def named_label_maps(self):
        """[Path] of the label maps that its config names, whether they are there or not."""
        if not self.config:
            return []
        config = pipeline_config.read(self.config)
        readers = [config.train_input_reader, *config.eval_input_reader]
        return [pathlib.Path(reader.label_map_path) for reader in readers if reader.label_map_path]

    def num_classes(self):
        """The highest class id that it can give; None where an export has no config."""
        return self._architecture().num_classes if self.config else None

    def nms_iou(self):
        """The IoU threshold of its last non-maximum suppression; None where no config tells it, or it has none."""
        model = self._architecture() if self.config else None
        if model is not None and model.DESCRIPTOR.name == "CenterNet" and not model.HasField("post_processing"):
            return None  # the heat map's peaks are the objects
        for field in ("post_processing", "second_stage_post_processing"):
            if hasattr(model, field):
                return float(f"{getattr(model, field).batch_non_max_suppression.iou_threshold:.7g}")  # a float32
        return None

    def _architecture(self):
        model = pipeline_config.read(self.config).model
        return getattr(model, model.WhichOneof("model"))

    def _of_the_zoo(self):
        """The label map of a converted checkpoint that has none beside it, as older versions left them."""
        from tfod_compress.tasks.detection.zoo import catalogue

        try:
            label_map = catalogue.find((read_json(self.folder / "conversion.json") or {})["name"]).label_map
        except (KeyError, TypeError, InputError):
            return {}
        return label_map if max(label_map) == self.num_classes() else {}


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
