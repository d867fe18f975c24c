"""From a study's points to table rows and to the answer. No sentence claims more than its interval allows.

A *series* is one detector with one codec over its qualities. The loss at a quality is

    loss = accuracy(off the shelf, best quality) - accuracy(off the shelf, this quality)

(for a detector that was not trained here, published instead of off the shelf: the series' reference regime) and the
share of it that retraining wins back beyond the control is

    recovered = (accuracy(retrained, this quality) - accuracy(control, this quality)) / loss

with the task's decisive metric as the accuracy; where lower is better, all signs are turned.
"""

import dataclasses

from tfod_compress.report import words
from tfod_compress.report.differences import (
    NOT_SHOWN,
    NOT_TESTED,
    SHOWN,
    Difference,
    Recovered,
    find_difference,
    find_recovered,
)
from tfod_compress.report.study_folder import Estimate, Evaluated
from tfod_compress.tasks import Metric, Task


@dataclasses.dataclass(frozen=True)
class Cell:
    """One regime's result at one quality, over its runs: seeds and folds.

    Attributes:
      entries: one a run.
      metric: that decides.
      pooled: that metric of the frames of all folds together, one a seed; without folds ().
    """

    regime: str
    entries: tuple[Evaluated, ...]
    metric: Metric
    pooled: tuple[Estimate, ...] = ()

    @property
    def score(self):
        """The `estimate` of the metric that decides; that is in every file."""
        return self.estimate(self.metric.key)

    def estimate(self, name):
        """A metric's mean over the runs; the interval reaches from their lowest low to their highest high.

        Folds are runs of their own, but for the decisive metric where results.json has it of all their frames.

        Args:
          name: the metric's key, such as "map" or "coco.AP".

        Returns:
          An Estimate, or None where a run lacks the metric.
        """
        found = [entry.metrics.scores.get(name) for entry in self.entries]
        if name == self.metric.key and self.pooled:
            found = list(self.pooled)
        if None in found:
            return None
        lows, highs = [e.low for e in found], [e.high for e in found]
        value = sum(e.value for e in found) / len(found)
        if None in lows or None in highs:
            return Estimate(value=value)
        return Estimate(value=value, low=min(lows), high=max(highs))

    def of_class(self, name):
        """AP of a class, mean over the runs, or None where the class has no object."""
        found = [entry.metrics.per_class.get(name) for entry in self.entries]
        return None if None in found else sum(e.value for e in found) / len(found)


@dataclasses.dataclass(frozen=True)
class Row:
    """One quality of a series.

    Attributes:
      codec, quality, record_set, name: what was tested; `name` in words.
      bpp: bits per pixel; coded_bytes: bytes of the evaluated frames; share: of the reference's bits per pixel.
      cells: {regime: Cell}.
      is_reference: whether this is the best quality, which the others are compared with.
      loss: the reference regime here minus the same at the best quality, paired; None where not compared.
      gain: retrained minus control here (minus the reference regime where there is no control), paired; or None.
      recovered: Recovered, or None where nothing is retrained, no loss is shown, or it is too small to divide by.
      recovered_over: the regime that `gain` and `recovered` are measured against.
    """

    codec: str
    quality: int | float | str | None
    record_set: str
    name: str
    bpp: float
    coded_bytes: int
    share: float
    cells: dict[str, Cell]
    is_reference: bool
    loss: Difference | None
    gain: Difference | None
    recovered: Recovered | None
    recovered_over: str | None


@dataclasses.dataclass(frozen=True)
class Series:
    """One detector with one codec: rows from the best quality to the strongest compression.

    Attributes:
      task: whose decisive metric is meant by accuracy.
    """

    detector: str
    codec: str
    rows: tuple[Row, ...]
    task: Task

    @property
    def metric(self):
        """The Metric that decides."""
        return self.task.decisive

    @property
    def reference(self):
        return self.rows[0]

    @property
    def reference_regime(self):
        """What the others are compared with at the best quality: off_the_shelf, or published where nothing is trained.
        """
        return words.reference_regime({regime for row in self.rows for regime in row.cells})

    @property
    def name(self):
        return f"{self.detector}, {words.codec_name(self.codec)}"

    @property
    def slug(self):
        """Its name as a part of a file's."""
        return "_".join("".join(c if c.isalnum() else "-" for c in text).strip("-")
                        for text in (self.detector, self.codec))

    def regimes(self):
        """The regimes that occur, in the order of words.REGIMES, unknown ones last."""
        present = {regime for row in self.rows for regime in row.cells}
        return [r for r in words.REGIMES if r in present] + sorted(present - set(words.REGIMES))

    def strongest(self):
        """The row that the answer is about: the strongest compression, of those retrained for where there are any."""
        tested = [r for r in self.rows[1:] if self.reference_regime in r.cells]
        retrained = [r for r in tested if any(regime in r.cells for regime in words.RETRAINED_REGIMES)]
        return (retrained or tested or [self.reference])[-1]


def series_of(study):
    """The study's series, in the order in which results.json first names them.

    Args:
      study: a StudyFolder.

    Returns:
      A list of Series. The reference of a series is the detector's result on lossless PNG where there is one,
      else the codec's own highest rate.
    """
    grouped = {}
    for entry in study.evaluated:
        grouped.setdefault((entry.point.detector, entry.point.codec), []).append(entry)
    made = []
    for (detector, codec), entries in grouped.items():
        lossless = grouped.get((detector, "png"), [])
        if codec == "png" and any(d == detector and c != "png" for d, c in grouped):
            continue
        own = entries if codec == "png" else [*lossless, *entries]
        made.append(_series(detector, codec, own, study.results, study.task))
    return made


def headline(series):
    """The answer in one sentence."""
    row, best, regime = series.strongest(), series.reference, series.reference_regime
    metric, before, after = series.metric, _value(best, regime), _value(row, regime)
    if row is best or before is None or after is None:
        return (f"{series.name}, {words.regime_name(regime)}: only one quality was evaluated, so there is nothing to "
                "compare yet.")
    text = f"At {row.name} the frames take {words.percent(row.share)} of the bytes of {best.name}; "
    if _verdict(row.loss) == NOT_SHOWN:
        text += f"a loss of accuracy is not shown ({metric.title} {words.score(before, metric)} and "
        text += f"{words.amount(after, metric)})"
    else:
        goes = "goes" if metric.gain(after, before) > 0 else "falls" if metric.higher_is_better else "rises"
        text += f"{metric.title} {goes} from {words.score(before, metric)} to {words.amount(after, metric)}"
    if _verdict(row.loss) == NOT_TESTED:
        text += " (no paired test was made)"
    if row.recovered is not None:
        over = " beyond the control" if row.recovered_over == "control_ft" else ""
        if _verdict(row.gain) == SHOWN and row.gain.gain > 0:
            text += f"; retraining wins back {row.recovered} of the loss{over}"
        elif _verdict(row.gain) == SHOWN:
            text += f"; retraining makes it worse{over and ' than the control'}"
        elif _verdict(row.gain) == NOT_SHOWN:
            text += f"; that retraining wins anything back{over} is not shown"
    elif _verdict(row.gain) == _verdict(row.loss) == SHOWN and not row.loss.can_divide:
        text += "; the loss is too small to tell what share of it retraining wins back"
    return f"{text}."


def answer(series):
    """The paragraph under the headline: each number with its interval, and what the intervals do not cover.

    Returns:
      A list of sentences.
    """
    row, best, regime = series.strongest(), series.reference, series.reference_regime
    if row is best or regime not in row.cells or regime not in best.cells:
        return []
    sentences = [f"{row.name} stores {words.rate(row.bpp)} bits per pixel, {best.name} {words.rate(best.bpp)}."]
    sentences.append(
        f"{words.capital(words.regime_name(regime))} ({words.REGIMES[regime][1]}) {words.title(series.metric)} is "
        f"{_with_interval(best, regime)} at {best.name} and {_with_interval(row, regime)} at {row.name}"
        f"{_paired(row.loss)}."
    )
    sentences += _retraining(row, series.task.model)
    sentences.append(_scope(series, row))
    return sentences


def _retraining(row, noun):
    regime = _retrained_regime(row.cells)
    if regime is None:
        return [f"No {noun} was retrained on compressed frames here, so whether that helps is not known."]
    name = words.regime_name(regime)
    told = f"The {noun} {name} on such frames reaches {_with_interval(row, regime)}"
    if "control_ft" in row.cells:
        told += (f", the control (equally many further steps on best-quality frames) "
                 f"{_with_interval(row, 'control_ft')}{_paired(row.gain)}.")
        return [told]
    told += _paired(row.gain)
    return [f"{told}. There is no control, so this gain cannot be told from that of training longer."]


def _scope(series, row):
    entries = row.cells[series.reference_regime].entries
    seeds = len({e.point.seed for e in entries})
    parts = _parts(entries)
    folds = f", in {len(parts)} folds" if len(parts) > 1 else ""
    if series.regimes() == ["published"]:
        return (f"All on {sum(part.images for part in parts)} validation frames{folds}; the intervals tell how much "
                "the choice of frames matters. Nothing was trained.")
    folds += folds and f", each tested by a {series.task.model} trained on the others"
    text = (f"All on {sum(part.images for part in parts)} validation frames{folds}; the intervals tell how much the "
            "choice of frames matters")
    if len(entries) == 1:
        return f"{text}, not how much another training run would, for there was one seed."
    runs = f"{seeds} training seeds" if len(parts) == 1 else f"{len(entries)} runs over seeds and folds"
    if row.cells[series.reference_regime].pooled:
        return (f"{text}. {words.capital(series.metric.title)} and its differences are of all folds' frames together, "
                f"ranked by the scores of all {series.task.model}s; {runs}, each other number the mean and each "
                "interval reaching over all of them.")
    return f"{text}; {runs}, each number the mean and each interval reaching over all of them."


def _series(detector, codec, entries, results, task):
    by_set = {}
    for entry in entries:
        by_set.setdefault(entry.point.record_set, []).append(entry)
    ordered = sorted(by_set.values(), key=lambda e: (e[0].point.codec == "png", e[0].metrics.bpp), reverse=True)
    regime = words.reference_regime({entry.point.regime for entry in entries})
    of_regime = [e for e in ordered if any(x.point.regime == regime for x in e)]
    best = (of_regime or ordered)[0]
    ordered = [best] + [e for e in ordered if e is not best]
    cells = {id(e): _cells(e, results.pooled, task.decisive) for e in ordered}
    rows = [_row(detector, regime, e, cells[id(e)], best, cells[id(best)], results, task.decisive) for e in ordered]
    return Series(detector, codec, tuple(rows), task)


def _cells(entries, pooled, metric):
    grouped, point = {}, entries[0].point
    for entry in entries:
        grouped.setdefault(entry.point.regime, []).append(entry)
    return {regime: Cell(regime, tuple(found), metric, tuple(
        each for each in pooled if (each.detector, each.regime, each.record_set) == (
            point.detector, regime, point.record_set))) for regime, found in grouped.items()}


def _row(detector, reference, entries, cells, best, best_cells, results, metric):
    comparisons, point, (coded_bytes, bpp) = results.comparisons, entries[0].point, _stored(entries)
    name, best_name = point.record_set, best[0].point.record_set
    is_best = name == best_name
    loss = gain = recovered = over = None
    if not is_best:
        loss = find_difference(comparisons, reference, name, reference, best_name, detector, metric)
    regime = _retrained_regime(cells)
    if regime is not None:
        over = "control_ft" if "control_ft" in cells else reference if reference in cells else None
    if over is not None and not is_best:
        gain = find_difference(comparisons, regime, name, over, name, detector, metric)
        values = [c.score.value for c in (cells[regime], cells[over])]
        both = [c.get(reference) for c in (best_cells, cells)]
        if None not in both:
            lost = metric.gain(both[0].score.value, both[1].score.value)
            if lost > 0 and (loss is None or loss.verdict == SHOWN and loss.can_divide):
                # Older results have no intervals of shares.
                recovered = (Recovered(metric.gain(*values) / lost) if results.recoveries is None else
                             find_recovered(results.recoveries, regime, over, name, best_name, detector))
    return Row(point.codec, point.quality, name, words.setting_name(point.codec, point.quality), bpp, coded_bytes,
               bpp / _stored(best)[1], cells, is_best, loss, gain, recovered, over)


def _parts(entries):
    """The Metrics of each part of the frames once: one without folds, however many seeds and regimes there are."""
    return list({entry.point.split: entry.metrics for entry in reversed(entries)}.values())


def _stored(entries):
    """(coded bytes, bits per pixel) of all frames that were tested on."""
    parts = _parts(entries)
    if len(parts) == 1:
        return parts[0].coded_bytes, parts[0].bpp
    coded_bytes = sum(part.coded_bytes for part in parts)
    return coded_bytes, coded_bytes / sum(part.coded_bytes / part.bpp for part in parts)


def _retrained_regime(cells):
    return next((regime for regime in words.RETRAINED_REGIMES if regime in cells), None)


def _verdict(difference):
    return NOT_TESTED if difference is None else difference.verdict


def _value(row, regime):
    return row.cells[regime].score.value if regime in row.cells else None


def _with_interval(row, regime):
    found, metric = row.cells[regime].score, row.cells[regime].metric
    return f"{words.score(found.value, metric)} {words.interval(found.low, found.high, metric)}".strip()


def _paired(difference):
    if difference is None:
        return " (the paired difference was not computed, so this is not tested)"
    told = f" (paired difference {difference}"
    return f"{told})" if difference.verdict == SHOWN else f"{told}, which contains zero: not shown)"
