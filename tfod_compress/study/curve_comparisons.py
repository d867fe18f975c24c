"""The regimes of a codec against each other at equal rate.

A tuned codec has rates of its own, so its points cannot be compared with another regime's one by one: whole curves are,
by `rate_distortion.bd_accuracy`, with an interval from leaving the same units out of both sides. The rates are taken as
they are.
"""

import hashlib
import itertools

import numpy as np

from tfod_compress.rate_distortion.bd_accuracy import bd_accuracy, common_rates
from tfod_compress.statistics import jackknife
from tfod_compress.study import comparisons
from tfod_compress.study.left_out import Accuracies


def compare_curves(study, workdir, rows, rates, before):
    """Mean differences in weighted mAP between the regimes of each codec that was tuned.

    Args:
      study: schema.Study.
      workdir: the study's folder, a Path.
      rows: the points that were evaluated.
      rates: {evaluation: bits per pixel}.
      before: what an earlier results.json has; curves of the same detections are taken over.

    Returns:
      [dict]: metric, detector, codec, seed, fold, a and b (regimes), rates (both reach, bits per pixel), value (a - b),
      low, high, p_value, made_from.
    """
    known = {entry["made_from"]: entry for entry in before if entry.get("made_from")}
    made = []
    for (detector, seed, fold, codec), members in _tuned(rows).items():
        curves = {regime: [(rates[row["evaluation"]], row) for row in group] for regime, group in members.items()}
        curves = {regime: curve for regime, curve in curves.items() if len({rate for rate, _ in curve}) > 1}
        own = [row for curve in curves.values() for _, row in curve]
        made_from = _made_from(workdir, own, rates)
        samples = {}
        for b, a in itertools.combinations(curves, 2):
            common = common_rates(curves[a], curves[b])
            key = f"{made_from} {a} {b}"
            if common is None:
                continue
            if key not in known:
                samples = samples or _samples(workdir, own)
                known[key] = {
                    "metric": "weighted_map", "detector": detector, "codec": codec, "seed": seed, "fold": fold,
                    "a": a, "b": b, "rates": list(common), "made_from": key,
                    **_difference(curves[a], curves[b], samples)}
            made.append(known[key])
    return made


def _tuned(rows):
    """{(detector, seed, fold, codec): {regime: [row]}} of the codecs that some regime tuned."""
    codecs = {row["codec"] for row in rows if "tuned_from" in row}
    found = {}
    for row in rows:
        if row["codec"] in codecs:
            run = row["detector"], row["seed"], row["fold"], row["codec"]
            found.setdefault(run, {}).setdefault(row["regime"], []).append(row)
    return found


def _made_from(workdir, rows, rates):
    """A digest of what the comparisons of these points depend on."""
    parts = [f"{row['evaluation']} {rates[row['evaluation']]} {comparisons.digest(workdir, row)}" for row in rows]
    return hashlib.sha256("\0".join([comparisons.METHOD, *parts]).encode()).hexdigest()[:32]


def _samples(workdir, rows):
    """{evaluation: float64 [1 + n]} of weighted mAP: with all units, then without each, the same for every point."""
    values, _, _ = Accuracies(workdir).of([[row] for row in rows])
    return {row["evaluation"]: own for row, own in zip(rows, values, strict=True)}


def _difference(curve, reference, samples):
    """{"value", "low", "high", "p_value"} of curves [(bpp, row)] with the accuracies that `_samples` gives."""
    def at(number, points):
        return [(rate, samples[row["evaluation"]][number]) for rate, row in points]

    count = len(next(iter(samples.values())))
    return jackknife.difference(np.array([bd_accuracy(at(number, curve), at(number, reference))
                                          for number in range(count)]))
