"""Weighted mAP of a point on the frames of all folds, each tested by the detector that has not seen it."""

import pathlib

from tfod_compress.statistics import jackknife
from tfod_compress.study.left_out import Accuracies


def pooled(workdir: pathlib.Path, rows: list[dict]) -> list[dict]:
    """Estimates that can tell where those of single folds, of few frames each, cannot.

    Args:
      workdir: the study's folder.
      rows: the points that were evaluated.

    Returns:
      [dict]: metric, detector, regime, record_set, seed, folds (which), value, low, high, unit, units; one for each
      point that several folds have, none without folds. See `left_out.pool` for what is assumed.
    """
    accuracies, members, made = Accuracies(workdir), {}, []
    for row in rows:
        if row["fold"] is not None:
            key = row["detector"], row["regime"], row["record_set"], row["seed"]
            members.setdefault(key, []).append(row)
    for (detector, regime, record_set, seed), folds in members.items():
        if len(folds) > 1:
            (values,), unit, units = accuracies.of([folds])
            made.append({"metric": "weighted_map", "detector": detector, "regime": regime, "record_set": record_set,
                         "seed": seed, "folds": [row["fold"] for row in folds], **jackknife.accuracy(values),
                         "unit": unit, "units": units})
    return made
