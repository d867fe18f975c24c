"""The report's tables as text, the same for page and terminal, and results.csv."""

import csv
import dataclasses

from tfod_compress.report import differences, words

MOST = 20
"""Rows or columns of a table or heat map that are shown; the others are folded away in the page."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A table's cell: what it says, and in small print its interval or reason."""

    text: str
    small: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns are Entry (heading, unit); every row has as many Entry; the first column names the row."""

    columns: tuple[Entry, ...]
    rows: tuple[tuple[Entry, ...], ...]


def results(series):
    """One row a quality: rate, size, accuracy of each regime with its interval, share of the loss recovered."""
    regimes = series.regimes()
    columns = [Entry("quality"), Entry("rate", "bits/pixel"), Entry("size", "validation"),
               Entry("share", f"of {series.reference.name}")]
    pictures = any(_psnr(row) is not None for row in series.rows)
    if pictures:
        columns.append(Entry("PSNR", "dB"))
    columns += [Entry(words.regime_name(regime), words.title(series.metric)) for regime in regimes]
    recovers = any(row.gain is not None or row.recovered is not None for row in series.rows)
    if recovers:
        columns.append(Entry("won back", "share of the loss"))
    rows = []
    for row in series.rows:
        cells = [Entry(row.name), Entry(words.rate(row.bpp)), Entry(words.size(row.coded_bytes)),
                 Entry(words.percent(row.share))]
        if pictures:
            cells.append(Entry("–" if _psnr(row) is None else f"{_psnr(row):.1f}"))
        cells += [_estimate(row.cells.get(regime), series.metric) for regime in regimes]
        rows.append(tuple([*cells, _recovered(row)] if recovers else cells))
    return Table(tuple(columns), tuple(rows))


def all_metrics(series):
    """One row a quality and regime with the other metrics that the task lists; None where it has no others."""
    task, rows = series.task, []
    others = [task.metric(key) for key in task.listed] or [metric for metric in task.metrics if metric != series.metric]
    if not others:
        return None
    for row in series.rows:
        for regime in series.regimes():
            if regime in row.cells:
                cell = row.cells[regime]
                rows.append((Entry(row.name), Entry(words.regime_name(regime)),
                             *(_estimate(cell, metric) for metric in others)))
    return Table((Entry("quality"), Entry(task.model), *(Entry(words.title(metric)) for metric in others)), tuple(rows))


def comparisons(study):
    """The paired comparisons of results.json in its order."""
    names = {e.point.record_set: words.setting_name(e.point.codec, e.point.quality) for e in study.evaluated}
    titles = {metric.key: metric for metric in study.task.metrics}
    several = len({c.detector for c in study.results.comparisons}) > 1
    rows = []
    for comparison in study.results.comparisons:
        sides = [f"{words.regime_name(side.regime)} at {names.get(side.record_set, side.record_set)}"
                 for side in (comparison.a, comparison.b)]
        metric = titles.get(comparison.metric, study.task.decisive)
        difference = differences.Difference((comparison,), metric)
        who = words.title(metric)
        who += f", seed {comparison.a.seed}" + ("" if comparison.a.fold is None else f", fold {comparison.a.fold}")
        who += f", {comparison.detector}" if several else ""
        rows.append((Entry(f"{sides[0]}, minus {sides[1]}", who), Entry(words.signed(comparison.value, metric)),
                     Entry(words.interval(comparison.low, comparison.high, metric)),
                     Entry("–" if comparison.p_value is None else f"{comparison.p_value:.2g}"),
                     Entry("yes" if difference.verdict == differences.SHOWN else "no")))
    columns = (Entry("difference of"), Entry("value"), Entry("95 % interval"), Entry("p"), Entry("shown?"))
    return Table(columns, tuple(rows))


def write_csv(file, study, series_list):
    """Writes one row a point: what was tested, rate and size, every metric with its interval, each class's accuracy.

    Args:
      file: open text file.
      study: a StudyFolder.
      series_list: its series, for the share of the size of the best quality.
    """
    shares = {(s.detector, row.record_set): row.share for s in series_list for row in s.rows}
    classes = class_names(study)
    names = [metric.key for metric in study.task.metrics if "." not in metric.key]
    names += dict.fromkeys(name for entry in study.evaluated for name in entry.metrics.scores if "." in name)
    header = ["study", "detector", "regime", "seed", "fold", "codec", "quality", "record_set", "images", "coded_bytes",
              "bpp", "share_of_best", "psnr_db", "score_threshold"]
    for name in names:
        header += [name, f"{name}.low", f"{name}.high"]
    writer = csv.writer(file, lineterminator="\n")
    kind = study.task.per_class.partition("_")[0]  # ap, accuracy
    writer.writerow(header + [f"{kind}.{name}" for name in classes])
    for entry in study.evaluated:
        point, metrics = entry.point, entry.metrics
        share = shares.get((point.detector, point.record_set))
        row = [study.results.study, point.detector, point.regime, point.seed, _known(point.fold), point.codec,
               _known(point.quality), point.record_set, metrics.images, metrics.coded_bytes, metrics.bpp, _known(share),
               _known(point.psnr_db), _known(metrics.score_threshold)]
        for estimate in (metrics.scores.get(name) for name in names):
            row += ["", "", ""] if estimate is None else [estimate.value, _known(estimate.low), _known(estimate.high)]
        per_class = [metrics.per_class.get(name) for name in classes]
        writer.writerow(row + ["" if estimate is None else estimate.value for estimate in per_class])


def class_names(study):
    """The study's classes in label map order; where results.json has none, those that have an AP."""
    named = study.results.class_names
    return named or list(dict.fromkeys(name for entry in study.evaluated for name in entry.metrics.per_class))


def _psnr(row):
    """Of the record set, in dB; None where it was not measured, or the frames are lossless."""
    return next(iter(row.cells.values())).entries[0].point.psnr_db


def _estimate(cell, metric):
    found = cell.estimate(metric.key) if cell else None
    if found is None:
        return Entry("–")
    return Entry(words.score(found.value, metric), words.interval(found.low, found.high, metric))


def _recovered(row):
    if row.gain is None and row.recovered is None:
        return Entry("")
    over = words.regime_name(row.recovered_over)
    if row.recovered is None:
        return Entry("–", "no loss is shown that is large enough to divide by")
    if row.gain is None:
        return Entry(str(row.recovered), f"over {over}; not tested")
    gain = row.gain
    small = f"{words.signed(gain.value, gain.metric)} {words.interval(gain.low, gain.high, gain.metric)}".rstrip()
    if row.recovered_over != "control_ft":
        small += f" over {over}"
    if row.gain.verdict != differences.SHOWN:
        return Entry("not shown", small)
    return Entry(str(row.recovered), small)


def _known(value):
    return "" if value is None else value
