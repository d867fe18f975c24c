"""How much of what compression costs is won back by training on it, with an interval."""

from tfod_compress.statistics import jackknife
from tfod_compress.study.comparisons import folds_pooled, references

WON = ("task_ft", "retrained")


def recoveries(study, accuracies, points):
    """The share of the loss that each retrained point wins back.

    It is (retrained - control) / (best quality off the shelf - the same setting off the shelf); without a control,
    retrained - off the shelf there. All four are computed without the same units (`jackknife.ratio`). Of a metric of
    which lower is better, both differences are below zero, and the share is the same.

    Args:
      study: schema.Study.
      accuracies: left_out.Accuracies of the study.
      points: [Point]: those that were evaluated.

    Returns:
      [dict]: detector, regime, over (regime), record_set, reference (record set), seed, fold (None of folds pooled),
      value, low, high; these are None where the loss is too small to divide by.
    """
    index = {point.key: point for point in points}
    first, fours = references(index), []
    for key, point in index.items():
        run, regime, record_set = point.run, point.regime, point.record_set
        if regime not in WON:
            continue
        over = "control_ft" if (*run, "control_ft", record_set) in index else "off_the_shelf"
        for best in dict.fromkeys((study.best.record_set, first.get((run, "off_the_shelf", point.codec)))):
            four = (key, (*run, over, record_set), (*run, "off_the_shelf", best), (*run, "off_the_shelf", record_set))
            if best != record_set and all(each in index for each in four):
                fours.append(four)
    made = []
    for retrained, over, best, shelf in folds_pooled(fours, index):
        (a, b, c, d), _, _ = accuracies.of((retrained, over, best, shelf))
        point = retrained[0]
        made.append({"detector": point.detector, "regime": point.regime, "over": over[0].regime,
                     "record_set": point.record_set, "reference": best[0].record_set, "seed": point.seed,
                     "fold": point.fold if len(retrained) == 1 else None,
                     **jackknife.ratio(a - b, c - d, accuracies.metric.share)})
    return made
