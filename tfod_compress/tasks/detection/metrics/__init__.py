"""Detection metrics in NumPy: weighted VOC mAP, VOC mAP, COCO AP, precision/recall/F1, intervals.

Ground truth and detections are flat arrays (`GroundTruth`, `Detections`); `Matches` pairs them once and every
metric is computed from it. Nothing here imports TensorFlow.
"""

from tfod_compress.tasks.detection.metrics.boxes import Detections, GroundTruth
from tfod_compress.tasks.detection.metrics.classes import load_together
from tfod_compress.tasks.detection.metrics.intervals import (
    METRICS,
    compare,
    evaluated,
    paired_difference,
    together,
)
from tfod_compress.tasks.detection.metrics.loading import (
    images_without,
    load_detections,
    load_ground_truth,
    parse_detections,
    record_set_ground_truth,
    to_pixels,
    write_detections,
)
from tfod_compress.tasks.detection.metrics.matching import Matches
from tfod_compress.tasks.detection.metrics.summary import summarise

__all__ = [
    "METRICS",
    "Detections",
    "GroundTruth",
    "Matches",
    "compare",
    "evaluated",
    "images_without",
    "load_detections",
    "load_ground_truth",
    "load_together",
    "paired_difference",
    "parse_detections",
    "record_set_ground_truth",
    "summarise",
    "to_pixels",
    "together",
    "write_detections",
]
