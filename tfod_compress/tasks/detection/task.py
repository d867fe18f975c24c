"""Object detection as a task."""

from tfod_compress.tasks.base import Metric, Task
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics.scores import Scorer


class Detection(Task):
    """Boxes of classes; by the OD API's weighted mAP, as the LMU study has it."""

    name = "detection"
    metrics = (
        Metric("weighted_map", "weighted mAP", scorer="weighted_map"),
        Metric("map", "mAP", scorer="map"),
        Metric("coco.AP", "COCO AP", scorer="coco_ap"),
        Metric("coco.AP50", "COCO AP50"),
        Metric("coco.AP75", "COCO AP75"),
        Metric("precision", "precision"),
        Metric("recall", "recall"),
        Metric("f1", "F1", scorer="f1"),
    )
    predictions_file = "detections.json"

    def ground_truth(self, record_set, split):
        return metrics.record_set_ground_truth(record_set, split)

    def write_predictions(self, path, truth, predicted):
        metrics.write_detections(path, truth.image_ids, predicted)

    def read_predictions(self, path, truth):
        return metrics.load_detections(path, truth)

    def scorer(self, truth, predicted, score_threshold=None):
        return Scorer(metrics.Matches(truth, predicted), score_threshold)

    def summarise(self, truth, predicted, score_threshold=None):
        return metrics.summarise(truth, predicted, score_threshold)
