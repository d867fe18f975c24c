"""The regimes of a codec against each other at equal rate.

A tuned codec has rates of its own, so its points cannot be compared with another regime's one by one: whole curves are,
by `rate_distortion.bd_accuracy`, with an interval from the same resampled frames on both sides. The rates are taken as
they are; only the accuracies are resampled.
"""

import hashlib
import itertools

import numpy as np

from tfod_compress import metrics
from tfod_compress.rate_distortion.bd_accuracy import bd_accuracy, common_rates
from tfod_compress.study import comparisons


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
        made_from = _made_from(study, workdir, own, rates)
        samples = {}
        for b, a in itertools.combinations(curves, 2):
            common = common_rates(curves[a], curves[b])
            key = f"{made_from} {a} {b}"
            if common is None:
                continue
            if key not in known:
                samples = samples or _samples(study, workdir, own)
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


def _made_from(study, workdir, rows, rates):
    """A digest of what the comparisons of these points depend on."""
    parts = [f"{row['evaluation']} {rates[row['evaluation']]} {comparisons.digest(workdir, row)}" for row in rows]
    return hashlib.sha256("\0".join([str(study.evaluation.resamples), *parts]).encode()).hexdigest()[:32]


def _samples(study, workdir, rows):
    """{evaluation: float64 [1 + R]} of weighted mAP: its value, then those of the same resamples for every point."""
    from tfod_compress.records import RecordSet

    frames = metrics.record_set_ground_truth(RecordSet(workdir / "tfrecords" / rows[0]["record_set"]), rows[0]["split"])
    frames, detections = metrics.load_together(
        [workdir / row["evaluation"] / "detections.json" for row in rows], frames)
    values, samples = metrics.resampled(frames, detections, "weighted_map", study.evaluation.resamples, seed=0)
    samples = samples[:, ~np.isnan(samples).any(axis=0)]  # a resample without objects has no value
    return {row["evaluation"]: np.append(value, own) for row, value, own in zip(rows, values, samples, strict=True)}


def _difference(curve, reference, samples):
    """{"value", "low", "high", "p_value"} of curves [(bpp, row)] with the accuracies that `_samples` gives."""
    def at(number, points):
        return [(rate, samples[row["evaluation"]][number]) for rate, row in points]

    count = len(next(iter(samples.values())))
    value, *resampled = (bd_accuracy(at(number, curve), at(number, reference)) for number in range(count))
    return {"value": value, **metrics.two_sided(np.array(resampled))}
