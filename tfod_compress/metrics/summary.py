"""All metrics of one set of detections as plain numbers, the content of metrics.json."""

import numpy as np

from tfod_compress.metrics.curves import best_f1
from tfod_compress.metrics.loading import images_without
from tfod_compress.metrics.matching import COCO_THRESHOLDS, Matches, coco_match
from tfod_compress.metrics.resampling import METRICS, image_weights, intervals
from tfod_compress.metrics.scores import Scorer, coco_curves, coco_table, count_objects

COCO_SIZES = {"APs": (0.0, 32.0**2), "APm": (32.0**2, 96.0**2), "APl": (96.0**2, 1e10)}  # square pixels, both ends in


def summarise(ground_truth, detections, score_threshold, resamples=1000, seed=0):
    """Every metric of `detections`.

    Args:
      ground_truth: GroundTruth.
      detections: Detections.
      score_threshold: of precision, recall and F1; in [0, 1].
      resamples: bootstrap resamples, at least 1.
      seed: of the resampling.

    Returns:
      A dict that JSON can hold: "weighted_map", "map", "f1" and "coco"["AP"] are {"value", "low", "high"};
      "ap_per_class" {class name: VOC AP}; "coco" {"AP", "AP50", "AP75", "APs", "APm", "APl"}; "precision",
      "recall" at "score_threshold"; "best_f1"; "images"; "boxes" (that count under VOC's rules); "bootstrap".
      What is undefined (the AP of a class or size without objects) is None, never 0 or -1.

    Raises:
      InputError: where the detections do not fit the ground truth.
    """
    matches = Matches(ground_truth, detections)
    scorer = Scorer(matches, score_threshold)
    ones = np.ones((1, matches.images))
    with_intervals = intervals(scorer, METRICS, resamples, seed)
    _, unit, units = image_weights(matches.images, ground_truth.groups, 1, seed)
    precision, recall, _ = (number(value[0]) for value in scorer.operating_point(ones))
    names = [ground_truth.class_names[int(class_id)] for class_id in matches.classes]
    table = scorer.coco_table(ones)[0]
    empty = images_without(detections, ground_truth)
    return {
        "images": matches.images,
        "boxes": int((~ground_truth.difficult).sum()),
        "weighted_map": with_intervals["weighted_map"],
        "map": with_intervals["map"],
        "ap_per_class": dict(zip(names, map(number, scorer.voc_per_class(ones)[0]), strict=True)),
        "coco": {
            "AP": with_intervals["coco_ap"],
            "AP50": number(mean(table[:, COCO_THRESHOLDS.searchsorted(0.5)])),
            "AP75": number(mean(table[:, COCO_THRESHOLDS.searchsorted(0.75 - 1e-9)])),
            **{key: number(mean(area_table(matches, *bounds))) for key, bounds in COCO_SIZES.items()},
        },
        "coco_ap_per_class": dict(zip(names, (number(mean(row)) for row in table), strict=True)),
        "score_threshold": score_threshold,
        "precision": precision,
        "recall": recall,
        "f1": with_intervals["f1"],
        "best_f1": best_f1(scorer.pooled, float((~ground_truth.difficult).sum())),
        "bootstrap": {"resamples": resamples, "seed": seed, "confidence": 0.95, "unit": unit, "units": units},
        "images_without_detections": {"count": len(empty), "first": empty[:20]},
    }


def area_table(matches, low, high):
    """COCO AP, float64 [C, T], of the objects with an area in [low, high] square pixels."""
    return stratum_table(matches, (matches.g_area >= low) & (matches.g_area <= high),
                         (matches.d_area >= low) & (matches.d_area <= high))


def stratum_table(matches, g_inside, d_inside):
    """COCO AP, float64 [C, T], of some objects: others are ignored, and so are false detections outside.

    Args:
      matches: Matches.
      g_inside: bool [N].
      d_inside: bool [D].
    """
    match = coco_match(matches, g_inside, d_inside)
    objects = count_objects(matches, match.counted)
    return coco_table(coco_curves(matches, match), objects, np.ones((1, matches.images)))[0]


def mean(values):
    """The mean without NaNs; NaN where nothing is left."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def number(value):
    """A float for JSON; None for NaN."""
    return None if np.isnan(value) else float(value)
