"""Paired differences between the points of a study, each on the same frames."""

import hashlib

from tfod_compress import metrics
from tfod_compress.study.schema import PUBLISHED


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
      made_from.
    """
    from tfod_compress.records import RecordSet

    index = {_key(row): row for row in rows}
    known = {entry["made_from"]: entry for entry in before if entry.get("made_from")}
    truth, digests, made = {}, {}, []
    for a, b in _pairs(study, index):
        sides = [index[point] for point in (a, b)]
        for row in sides:
            if row["evaluation"] not in digests:
                digests[row["evaluation"]] = digest(workdir, row)
        record_set, split = sides[0]["record_set"], sides[0]["split"]
        made_from = hashlib.sha256("\0".join(
            [*(digests[row["evaluation"]] for row in sides), *(row["evaluation"] for row in sides),
             str(study.evaluation.resamples)]).encode()).hexdigest()[:32]
        if made_from in known:
            made.append(known[made_from])
            continue
        if (record_set, split) not in truth:
            truth[record_set, split] = metrics.record_set_ground_truth(
                RecordSet(workdir / "tfrecords" / record_set), split)
        frames, detections = metrics.load_together(
            [workdir / row["evaluation"] / "detections.json" for row in sides], truth[record_set, split])
        result = metrics.paired_bootstrap(frames, *detections, metric="weighted_map",
                                          resamples=study.evaluation.resamples, seed=0)
        made.append({"metric": "weighted_map", "detector": a[0], **{
            side: {name: row[name] for name in ("regime", "record_set", "quality", "codec", "seed", "fold")}
            for side, row in zip("ab", sides, strict=True)}, **result, "made_from": made_from})
    return made


def digest(workdir, row):
    """SHA-256 of a point's detections, in hexadecimal."""
    return hashlib.sha256((workdir / row["evaluation"] / "detections.json").read_bytes()).hexdigest()


def _key(row):
    return row["detector"], row["seed"], row["fold"], row["regime"], row["record_set"]


def _pairs(study, index):
    """[(key a, key b)] of points that are there, without repetition."""
    references = _references(index)
    pairs = {}
    for key, row in index.items():
        run, (regime, record_set) = key[:3], key[3:]
        base = regime if regime == PUBLISHED else "off_the_shelf"
        against = [(base, study.best.record_set), (base, references.get((run, base, row["codec"])))]
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


def _references(index):
    """{(run, regime, codec): record set} of the highest rate, which is listed first, of the regimes compared with."""
    found = {}
    for key, row in index.items():
        if row["regime"] in (PUBLISHED, "off_the_shelf"):
            found.setdefault((key[:3], row["regime"], row["codec"]), row["record_set"])
    return found
