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
        curves = {regime: own for regime, own in members.items() if len({rates[row["evaluation"]] for row in own}) > 1}
        made_from = hashlib.sha256("\0".join(
            [str(study.evaluation.resamples)] + [f"{row['evaluation']} {rates[row['evaluation']]} "
                                                 f"{comparisons.digest(workdir, row)}"
                                                 for own in curves.values() for row in own]).encode()).hexdigest()[:32]
        samples = None
        for b, a in itertools.combinations(curves, 2):
            common = common_rates(*([(rates[row["evaluation"]], 0.0) for row in curves[regime]] for regime in (a, b)))
            key = f"{made_from} {a} {b}"
            if common is None:
                continue
            if key not in known:
                samples = samples or _samples(study, workdir, curves)
                known[key] = {
                    "metric": "weighted_map", "detector": detector, "codec": codec, "seed": seed, "fold": fold,
                    "a": a, "b": b, "rates": list(common), "made_from": key,
                    **_difference(*([(rates[row["evaluation"]], samples[row["evaluation"]]) for row in curves[regime]]
                                    for regime in (a, b)))}
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


def _samples(study, workdir, curves):
    """{evaluation: float64 [1 + R]} of weighted mAP: its value, then those of the same resamples for every point."""
    from tfod_compress.records import RecordSet

    rows = [row for own in curves.values() for row in own]
    frames = metrics.record_set_ground_truth(RecordSet(workdir / "tfrecords" / rows[0]["record_set"]), rows[0]["split"])
    detections = [metrics.load_detections(workdir / row["evaluation"] / "detections.json", frames) for row in rows]
    values, samples = metrics.resampled(frames, detections, "weighted_map", study.evaluation.resamples, seed=0)
    samples = samples[:, ~np.isnan(samples).any(axis=0)]  # a resample without objects has no value
    return {row["evaluation"]: np.append(value, own) for row, value, own in zip(rows, values, samples, strict=True)}


def _difference(curve, reference):
    """{"value", "low", "high", "p_value"} of curves [(bpp, float64 [1 + R])]."""
    value, *resampled = (bd_accuracy(*([(bpp, accuracies[number]) for bpp, accuracies in points]
                                       for points in (curve, reference))) for number in range(len(curve[0][1])))
    return {"value": value, **metrics.two_sided(np.array(resampled))}
