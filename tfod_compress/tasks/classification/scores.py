"""The metrics of classification, each a function of image weights: float64 [B, I] -> [B]; all ones give the metric."""

import numpy as np

from tfod_compress.tasks.classification.truth import Predictions, Truth


class Scorer:
    """Computes metrics of predictions on a truth's images for any image weights (`statistics.intervals.Scorer`)."""

    def __init__(self, truth: Truth, predictions: Predictions):
        self.truth = truth
        self.images = self.scored = len(truth.image_ids)
        hits = predictions.class_ids == truth.class_ids[:, None]
        self._first, self._first_five = hits[:, 0].astype(np.float64), hits[:, :5].any(axis=1).astype(np.float64)
        self.classes = np.array(sorted(truth.class_names), np.int64)
        self._of_class = (truth.class_ids[:, None] == self.classes).astype(np.float64)

    def value(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """One of the metrics below by its name."""
        return getattr(self, metric)(weights)

    def top1(self, weights):
        """The share of images whose best-scored class is theirs."""
        return weights @ self._first / weights.sum(axis=1)

    def top5(self, weights):
        """The share of images whose class is among the five that are scored best; 1 where there are at most five."""
        return weights @ self._first_five / weights.sum(axis=1)

    def per_class(self, weights):
        """Top-1 accuracy of the images of each class, float64 [B, C]; NaN for a class without images."""
        images = weights @ self._of_class
        with np.errstate(invalid="ignore"):
            return (weights * self._first) @ self._of_class / np.where(images > 0, images, np.nan)

    def mean_class_accuracy(self, weights):
        """The mean of `per_class` over the classes that have images."""
        found = self.per_class(weights)
        present = ~np.isnan(found)
        return np.where(present, found, 0.0).sum(axis=1) / present.sum(axis=1)
