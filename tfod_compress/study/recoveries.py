"""How much of what compression costs is won back by training on it, with an interval."""

from tfod_compress.statistics import jackknife
from tfod_compress.study.comparisons import folds_pooled, references
from tfod_compress.study.left_out import Accuracies

WON = ("task_ft", "retrained")


def recoveries(study, workdir, rows):
    """The share of the loss that each retrained point wins back.

    It is (retrained - control) / (best quality off the shelf - the same setting off the shelf); without a control,
    retrained - off the shelf there. All four are computed without the same units (`jackknife.ratio`).

    Args:
      study: schema.Study.
      workdir: the study's folder, a Path.
      rows: the points that were evaluated.

    Returns:
      [dict]: detector, regime, over (regime), record_set, reference (record set), seed, fold (None of folds pooled),
      value, low, high; these are None where the loss is too small to divide by.
    """
    index = {(row["detector"], row["seed"], row["fold"], row["regime"], row["record_set"]): row for row in rows}
    accuracies, first, fours = Accuracies(workdir), references(index), []
    for key, row in index.items():
        run, regime, record_set = key[:3], key[3], key[4]
        if regime not in WON:
            continue
        over = "control_ft" if (*run, "control_ft", record_set) in index else "off_the_shelf"
        for best in dict.fromkeys((study.best.record_set, first.get((run, "off_the_shelf", row["codec"])))):
            four = (key, (*run, over, record_set), (*run, "off_the_shelf", best), (*run, "off_the_shelf", record_set))
            if best != record_set and all(each in index for each in four):
                fours.append(four)
    made = []
    for retrained, over, best, shelf in folds_pooled(fours, index):
        (a, b, c, d), _, _ = accuracies.of((retrained, over, best, shelf))
        row = retrained[0]
        made.append({"detector": row["detector"], "regime": row["regime"], "over": over[0]["regime"],
                     "record_set": row["record_set"], "reference": best[0]["record_set"], "seed": row["seed"],
                     "fold": row["fold"] if len(retrained) == 1 else None, **jackknife.ratio(a - b, c - d)})
    return made
