"""What a point reaches on the frames of all folds, each tested by the detector that has not seen it."""

from tfod_compress.statistics import jackknife
from tfod_compress.study.left_out import Accuracies
from tfod_compress.study.points import Point


def pooled(accuracies: Accuracies, points: list[Point]) -> list[dict]:
    """Estimates that can tell where those of single folds, of few frames each, cannot.

    Args:
      accuracies: of the study.
      points: those that were evaluated.

    Returns:
      [dict]: metric, detector, regime, record_set, seed, folds (which), value, low, high, unit, units; one for each
      point that several folds have, none without folds. See `Task.pool` for what is assumed.
    """
    members, made, metric = {}, [], accuracies.metric
    for point in points:
        if point.fold is not None:
            members.setdefault((point.detector, point.regime, point.record_set, point.seed), []).append(point)
    for (detector, regime, record_set, seed), folds in members.items():
        if len(folds) > 1:
            (values,), unit, units = accuracies.of([folds])
            made.append({"metric": metric.key, "detector": detector, "regime": regime, "record_set": record_set,
                         "seed": seed, "folds": [point.fold for point in folds],
                         **jackknife.accuracy(values, metric.share), "unit": unit, "units": units})
    return made
