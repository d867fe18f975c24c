"""Object detection as a task."""

from tfod_compress.tasks.base import Metric, Task


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
