"""All metrics of one set of detections as plain numbers, the content of metrics.json."""

import numpy as np

from tfod_compress.statistics.intervals import intervals
from tfod_compress.statistics.jackknife import CONFIDENCE, units
from tfod_compress.tasks.detection.metrics.curves import best_f1
from tfod_compress.tasks.detection.metrics.errors import confusion, tide
from tfod_compress.tasks.detection.metrics.intervals import METRICS
from tfod_compress.tasks.detection.metrics.loading import images_without
from tfod_compress.tasks.detection.metrics.matching import COCO_THRESHOLDS, Matches
from tfod_compress.tasks.detection.metrics.scores import Scorer
from tfod_compress.tasks.detection.metrics.strata import by_distance, by_size, by_size_quantile, mean


def summarise(ground_truth, detections, score_threshold):
    """Every metric of `detections`.

    Args:
      ground_truth: GroundTruth.
      detections: Detections.
      score_threshold: of precision, recall and F1; in [0, 1].

    Returns:
      A dict that JSON can hold: "weighted_map", "map", "f1" and "coco"["AP"] are {"value", "low", "high"};
      "ap_per_class" {class name: VOC AP}; "coco" {"AP", "AP50", "AP75", "APs", "APm", "APl"}; "precision",
      "recall" at "score_threshold"; "best_f1"; "images"; "boxes" (that count under VOC's rules); "intervals" (how they
      were made);
      "by_size", "by_size_quantile" and "by_distance" (COCO AP of strata); "confusion"; "errors" (TIDE's split).
      What is undefined (the AP of a class or size without objects) is None, never 0 or -1.

    Raises:
      InputError: where the detections do not fit the ground truth.
    """
    matches = Matches(ground_truth, detections)
    scorer = Scorer(matches, score_threshold)
    ones = np.ones((1, matches.images))
    drawn = units(matches.images, ground_truth.groups)
    with_intervals = intervals(scorer, METRICS, drawn)
    precision, recall, _ = (number(value[0]) for value in scorer.operating_point(ones))
    names = [ground_truth.class_names[int(class_id)] for class_id in matches.classes]
    table = scorer.coco_table(ones)[0]
    sizes = by_size(matches)
    empty = images_without(detections, ground_truth)
    return {
        "images": matches.images,
        "boxes": int((~ground_truth.difficult).sum()),
        "weighted_map": with_intervals["weighted_map"],
        "map": with_intervals["map"],
        "ap_per_class": dict(zip(names, map(number, scorer.voc_per_class(ones)[0]), strict=True)),
        "coco": {
            "AP": with_intervals["coco_ap"],
            "AP50": mean(table[:, COCO_THRESHOLDS.searchsorted(0.5)]),
            "AP75": mean(table[:, COCO_THRESHOLDS.searchsorted(0.75 - 1e-9)]),
            **{f"AP{size['name'][0]}": size["AP"] for size in sizes},
        },
        "coco_ap_per_class": dict(zip(names, map(mean, table), strict=True)),
        "score_threshold": score_threshold,
        "precision": precision,
        "recall": recall,
        "f1": with_intervals["f1"],
        "best_f1": best_f1(scorer.pooled, float((~ground_truth.difficult).sum())),
        "by_size": sizes,
        "by_size_quantile": by_size_quantile(matches),
        "by_distance": by_distance(matches),
        "confusion": confusion(matches, score_threshold),
        "errors": tide(matches),
        "intervals": {"method": "jackknife", "confidence": CONFIDENCE, "unit": drawn.name, "units": drawn.count},
        "images_without_detections": {"count": len(empty), "first": empty[:20]},
    }


def number(value):
    """A float for JSON; None for NaN."""
    return None if np.isnan(value) else float(value)
