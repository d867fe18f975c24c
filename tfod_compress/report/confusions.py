"""Which classes are taken for which others, and what compression does to that."""

import collections

from tfod_compress.report import words
from tfod_compress.report.tables import Entry, Table

SHOWN = 10


def grown(series) -> Table | None:
    """The mistakes that grow most from the best quality to the strongest compression, in the reference regime.

    Args:
      series: a findings.Series.

    Returns:
      A Table of at most SHOWN rows, counts over all runs; None of boxes, and where nothing grows or is known.
    """
    rows, regime = (series.reference, series.strongest()), series.reference_regime
    cells = [row.cells.get(regime) for row in rows]
    if series.task.boxes or None in cells or rows[0] is rows[1]:
        return None
    before, after = map(_mistakes, cells)
    growth = sorted(((after[pair] - before[pair], pair) for pair in after), key=lambda each: (-each[0], each[1]))
    shown = [(pair, more) for more, pair in growth if more > 0][:SHOWN]
    if not shown:
        return None
    names = [words.setting_name(row.codec, row.quality) for row in rows]
    return Table((Entry("class"), Entry("taken for"), *map(Entry, names)),
                 tuple((Entry(pair[0]), Entry(pair[1]), Entry(str(before[pair])), Entry(str(after[pair])))
                       for pair, _ in shown))


def _mistakes(cell):
    """Counter {(class, the one that it was taken for)} of a findings.Cell."""
    found = collections.Counter()
    for entry in cell.entries:
        confusion = entry.metrics.confusion
        for i, row in enumerate(confusion.matrix if confusion else ()):
            for j, count in enumerate(row):
                if i != j and count:
                    found[confusion.classes[i], confusion.classes[j]] += count
    return found
