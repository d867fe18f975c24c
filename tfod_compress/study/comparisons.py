"""Paired differences between the points of a study, each on the same frames."""

import hashlib

from tfod_compress.statistics import jackknife
from tfod_compress.study.left_out import Accuracies, digest
from tfod_compress.study.schema import PUBLISHED

METHOD = "jackknife"  # part of what a comparison was made from; earlier ones were resampled
__all__ = ["compare_all", "digest"]


def compare_all(study, workdir, rows, before):
    """Paired differences in weighted mAP.

    Compared are: each point with the off-the-shelf detector at the best quality of the study, and at the highest rate
    of its own codec; what is published with itself there; what was trained on compressed frames with off the shelf at
    that setting; task_ft with control_ft; a tuned codec's with off the shelf, control_ft and task_ft at the codec
    before, whose rate is another.

    Args:
      study: schema.Study.
      workdir: the study's folder, a Path.
      rows: the points that were evaluated.
      before: comparisons of an earlier results.json; those of the same detections are taken over.

    Returns:
      [dict]: metric, detector, a and b (regime, record_set, quality, codec, seed, fold), value, low, high, p_value,
      unit ("image" or "sequence"), units (how many), made_from. Folds are compared one by one, and pooled, with fold
      None.
    """
    index = {_key(row): row for row in rows}
    known = {entry["made_from"]: entry for entry in before if entry.get("made_from")}
    accuracies, made = Accuracies(workdir), []
    for sides in folds_pooled(_pairs(study, index), index):
        made_from = hashlib.sha256("\0".join(
            [part for side in sides for row in side for part in (accuracies.digest(row), row["evaluation"])]
            + [METHOD]).encode()).hexdigest()[:32]
        if made_from not in known:
            (a, b), unit, count = accuracies.of(sides)
            known[made_from] = {"metric": "weighted_map", "detector": sides[0][0]["detector"], **{
                name: _side(side) for name, side in zip("ab", sides, strict=True)},
                **jackknife.difference(a - b), "unit": unit, "units": count, "made_from": made_from}
        made.append(known[made_from])
    return made


def _side(rows):
    """What a comparison says of one side; of pooled folds, `fold` is None."""
    return {**{name: rows[0][name] for name in ("regime", "record_set", "quality", "codec", "seed")},
            "fold": rows[0]["fold"] if len(rows) == 1 else None}


def folds_pooled(pairs, index):
    """Yields the points of each pair of keys (or three, or four): (rows of a, rows of b), and of the folds together.

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


def _key(row):
    return row["detector"], row["seed"], row["fold"], row["regime"], row["record_set"]


def _pairs(study, index):
    """[(key a, key b)] of points that are there, without repetition."""
    first, pairs = references(index), {}
    for key, row in index.items():
        run, (regime, record_set) = key[:3], key[3:]
        base = regime if regime == PUBLISHED else "off_the_shelf"
        against = [(base, study.best.record_set), (base, first.get((run, base, row["codec"])))]
        if regime == "control_ft":
            against = []
        if regime in ("task_ft", "retrained"):
            against.append(("off_the_shelf", record_set))
        if regime == "task_ft":
            against.append(("control_ft", record_set))
        if "tuned_from" in row:
            against += [(other, row["tuned_from"]) for other in ("off_the_shelf", "control_ft", "task_ft")]
        for other in against:
            if (*run, *other) in index and (*run, *other) != key:
                pairs[key, (*run, *other)] = None
    return list(pairs)


def references(index):
    """{(run, regime, codec): record set} of the highest rate, which is listed first, of the regimes compared with."""
    found = {}
    for key, row in index.items():
        if row["regime"] in (PUBLISHED, "off_the_shelf"):
            found.setdefault((key[:3], row["regime"], row["codec"]), row["record_set"])
    return found
