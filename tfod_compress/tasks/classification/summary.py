"""All metrics of one set of predictions as plain numbers, the content of metrics.json."""

import numpy as np

from tfod_compress.statistics.intervals import intervals
from tfod_compress.statistics.jackknife import CONFIDENCE, units
from tfod_compress.tasks.classification.scores import Scorer
from tfod_compress.tasks.classification.truth import Predictions, Truth

METRICS = ("top1", "top5", "mean_class_accuracy")


def summarise(truth: Truth, predictions: Predictions) -> dict:
    """Every metric.

    Returns:
      A dict that JSON can hold: METRICS as {"value", "low", "high"}, shares of images; "images"; "accuracy_per_class"
      {class name: top-1, None without images}; "confusion" {"classes", "matrix"}: matrix[i][j] counts images of class i
      whose best-scored class is j; "intervals": how they were made; "classes_scored" where the predictions hold too few
      for a top-5.
    """
    scorer, drawn = Scorer(truth, predictions), units(len(truth.image_ids), truth.groups)
    names = [truth.class_names[int(number)] for number in scorer.classes]
    per_class = scorer.per_class(np.ones((1, scorer.images)))[0]
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (scorer.classes.searchsorted(truth.class_ids),
                       scorer.classes.searchsorted(predictions.class_ids[:, 0])), 1)
    kept = predictions.class_ids.shape[1]
    return {
        "images": scorer.images,
        **({"classes_scored": kept} if kept < min(5, len(names)) else {}),
        **intervals(scorer, METRICS, drawn),
        "accuracy_per_class": {name: None if np.isnan(value) else float(value)
                               for name, value in zip(names, per_class, strict=True)},
        "confusion": {"classes": names, "matrix": matrix.tolist()},
        "intervals": {"method": "jackknife", "confidence": CONFIDENCE, "unit": drawn.name, "units": drawn.count},
    }
