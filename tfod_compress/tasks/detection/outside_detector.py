"""A detector of any framework, behind a command (`tasks.outside_model`) that writes COCO results.

They are a list of {"image_id", "category_id", "bbox": [x, y, width, height] in pixels, "score"}, with the ids of
images.json.
"""

from tfod_compress.tasks.detection.metrics import classes
from tfod_compress.tasks.detection.metrics.loading import parse_detections, read_json
from tfod_compress.tasks.outside_model import OutsideModel


class OutsideDetector(OutsideModel):
    """The `models.Model` of such a detector.

    Args:
      command: as for `outside_model.split`.
      given: classes.Given; without a label map in it, the command is to use the record sets' own.
      keep_frames: whether the frames stay.

    Raises:
      InputError: as there.
    """

    def __init__(self, command: str, given: classes.Given, keep_frames: bool = False):
        super().__init__(command, parse_detections, "detector_command", keep_frames)
        self._given = given

    def label_map(self, record_set):
        """What was given, else the record set's."""
        return self._given.label_map or record_set.label_map

    def match(self, record_set):
        """By name, or by the class map that was given."""
        return classes.match(self.label_map(record_set), record_set.label_map, self._given, "the detector",
                             record_set.path)

    def read(self, path, truth, record_set, images):
        """metrics.Detections with the ids of `label_map`."""
        source_ids = {image["id"]: image["source_id"] for image in images["images"]}
        return parse_detections(read_json(path), truth, f"{{output}} of the command on {record_set.name}", source_ids,
                                self.label_map(record_set))
