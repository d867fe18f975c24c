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


def compare_curves(accuracies, points, rates, before):
    """Mean differences in the decisive metric between the regimes of each codec that was tuned.

    Args:
      accuracies: left_out.Accuracies of the study.
      points: [Point]: those that were evaluated.
      rates: {evaluation: bits per pixel}.
      before: what an earlier results.json has; curves of the same predictions are taken over.

    Returns:
      [dict]: metric, detector, codec, seed, fold, a and b (regimes), rates (both reach, bits per pixel), value (a - b),
      low, high, p_value, made_from.
    """
    known = {entry["made_from"]: entry for entry in before if entry.get("made_from")}
    made = []
    for (detector, seed, fold, codec), members in _tuned(points).items():
        curves = {regime: [(rates[point.evaluation], point) for point in group] for regime, group in members.items()}
        curves = {regime: curve for regime, curve in curves.items() if len({rate for rate, _ in curve}) > 1}
        own = [point for curve in curves.values() for _, point in curve]
        made_from = _made_from(accuracies, own, rates)
        samples = {}
        for b, a in itertools.combinations(curves, 2):
            common = common_rates(curves[a], curves[b])
            key = f"{made_from} {a} {b}"
            if common is None:
                continue
            if key not in known:
                samples = samples or _samples(accuracies, own)
                known[key] = {
                    "metric": accuracies.metric.key, "detector": detector, "codec": codec, "seed": seed, "fold": fold,
                    "a": a, "b": b, "rates": list(common), "made_from": key,
                    **jackknife.difference(_differences(curves[a], curves[b], samples),
                                           accuracies.metric.share)}
            made.append(known[key])
    return made


def _tuned(points):
    """{(detector, seed, fold, codec): {regime: [Point]}} of the codecs that some regime tuned."""
    codecs = {point.codec for point in points if point.tuned_from}
    found = {}
    for point in points:
        if point.codec in codecs:
            found.setdefault((*point.run, point.codec), {}).setdefault(point.regime, []).append(point)
    return found


def _made_from(accuracies, points, rates):
    """A digest of what the comparisons of these points depend on."""
    parts = [f"{point.evaluation} {rates[point.evaluation]} {accuracies.digest(point)}" for point in points]
    return hashlib.sha256("\0".join([comparisons.METHOD, *parts]).encode()).hexdigest()[:32]


def _samples(accuracies, points):
    """{evaluation: float64 [1 + n]}: with all units, then without each, the same for every point."""
    values, _, _ = accuracies.of([[point] for point in points])
    return {point.evaluation: own for point, own in zip(points, values, strict=True)}


def _differences(curve, reference, samples):
    """float64 [1 + n]: the mean difference of curves [(bpp, Point)] with what `_samples` gives."""
    def at(number, points):
        return [(rate, samples[point.evaluation][number]) for rate, point in points]

    count = len(next(iter(samples.values())))
    return np.array([bd_accuracy(at(number, curve), at(number, reference)) for number in range(count)])
