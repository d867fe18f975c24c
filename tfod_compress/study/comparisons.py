"""Paired differences between the points of a study, each on the same frames."""

import hashlib

from tfod_compress.statistics import jackknife
from tfod_compress.study.regimes import PUBLISHED

METHOD = "jackknife"  # part of what a comparison was made from; earlier ones were resampled


def compare_all(study, accuracies, points, before):
    """Paired differences in the decisive metric.

    Compared are: each point with the off-the-shelf detector at the best quality of the study, and at the highest rate
    of its own codec; what is published with itself there; what was trained on compressed frames with off the shelf at
    that setting; task_ft with control_ft; a tuned codec's with off the shelf, control_ft and task_ft at the codec
    before, whose rate is another.

    Args:
      study: schema.Study.
      accuracies: left_out.Accuracies of the study.
      points: [Point]: those that were evaluated.
      before: comparisons of an earlier results.json; those of the same predictions are taken over.

    Returns:
      [dict]: metric, detector, a and b (regime, record_set, quality, codec, seed, fold), value, low, high, p_value,
      unit ("image" or "sequence"), units (how many), made_from. Folds are compared one by one, and pooled, with fold
      None.
    """
    index, made = {point.key: point for point in points}, []
    known = {entry["made_from"]: entry for entry in before if entry.get("made_from")}
    for sides in folds_pooled(_pairs(study, index), index):
        made_from = hashlib.sha256("\0".join(
            [part for side in sides for point in side for part in (accuracies.digest(point), point.evaluation)]
            + [METHOD]).encode()).hexdigest()[:32]
        if made_from not in known:
            (a, b), unit, count = accuracies.of(sides)
            known[made_from] = {"metric": accuracies.metric.key, "detector": sides[0][0].detector, **{
                name: _side(side) for name, side in zip("ab", sides, strict=True)},
                **jackknife.difference(a - b, accuracies.metric.share),
                "unit": unit, "units": count, "made_from": made_from}
        made.append(known[made_from])
    return made


def _side(points):
    """What a comparison says of one side; of pooled folds, `fold` is None."""
    return {**{name: getattr(points[0], name) for name in ("regime", "record_set", "quality", "codec", "seed")},
            "fold": points[0].fold if len(points) == 1 else None}


def folds_pooled(pairs, index):
    """Yields the points of each pair of keys (or three, or four): (those of a, of b), and of the folds together.

    A fold holds few frames; the frames of all, each tested by the detector that has not seen it, are one sample.
    """
    pooled = {}
    for pair in pairs:
        yield tuple([index[key]] for key in pair)
        if all(key[2] is not None for key in pair):
            pooled.setdefault(tuple((*key[:2], *key[3:]) for key in pair), []).append(pair)
    for members in pooled.values():
        if len(members) > 1:
            yield tuple([index[key] for key in side] for side in zip(*members, strict=True))


def _pairs(study, index):
    """[(key a, key b)] of points that are there, without repetition."""
    first, pairs = references(index), {}
    for key, point in index.items():
        run, regime, record_set = point.run, point.regime, point.record_set
        base = regime if regime == PUBLISHED else "off_the_shelf"
        against = [(base, study.best.record_set), (base, first.get((run, base, point.codec)))]
        if regime == "control_ft":
            against = []
        if regime in ("task_ft", "retrained"):
            against.append(("off_the_shelf", record_set))
        if regime == "task_ft":
            against.append(("control_ft", record_set))
        if point.tuned_from:
            against += [(other, point.tuned_from) for other in ("off_the_shelf", "control_ft", "task_ft")]
        for other in against:
            if (*run, *other) in index and (*run, *other) != key:
                pairs[key, (*run, *other)] = None
    return list(pairs)


def references(index):
    """{(run, regime, codec): record set} of the highest rate, which is listed first, of the regimes compared with."""
    found = {}
    for point in index.values():
        if point.regime in (PUBLISHED, "off_the_shelf"):
            found.setdefault((point.run, point.regime, point.codec), point.record_set)
    return found
