"""Object detection as a task."""

from tfod_compress.tasks.base import Metric, Task


class Detection(Task):
    """Boxes of classes; by the OD API's weighted mAP, as the LMU study has it."""

    name = "detection"
    metrics = (
        Metric("weighted_map", "weighted mAP", scorer="weighted_map", at="IoU 0.5",
               meaning="average precision over all classes' detections pooled, a detection being right at an overlap "
                       "(IoU) of at least 0.5"),
        Metric("map", "mAP", scorer="map"),
        Metric("precision", "precision"),
        Metric("recall", "recall"),
        Metric("f1", "F1", scorer="f1"),
        Metric("coco.AP", "COCO AP", scorer="coco_ap"),
        Metric("coco.AP50", "COCO AP50"),
        Metric("coco.AP75", "COCO AP75"),
    )
    listed = ("map", "coco.AP", "precision", "recall", "f1")
    per_class = "ap_per_class"
    predictions_file = "detections.json"
    model = "detector"
    boxes = True

    def ground_truth(self, record_set, split):
        from tfod_compress.tasks.detection import metrics

        return metrics.record_set_ground_truth(record_set, split)

    def read_predictions(self, path, truth):
        from tfod_compress.tasks.detection import metrics

        return metrics.load_detections(path, truth)

    def scorer(self, truth, predictions, score_threshold=None):
        from tfod_compress.tasks.detection.metrics import Matches, scores

        return scores.Scorer(Matches(truth, predictions), score_threshold)

    def not_covered(self, files):
        from tfod_compress.tasks.detection.metrics import classes

        return classes.not_covered(files)

    def without(self, truth, predictions, classes):
        from tfod_compress.tasks.detection.metrics.classes import without

        return without(truth, predictions, classes)

    def pool(self, parts):
        from tfod_compress.tasks.detection.metrics import folds

        return folds.pool(parts)

    def same_truth(self, a, b):
        from tfod_compress.tasks.detection.metrics import boxes

        return boxes.same(a, b)
