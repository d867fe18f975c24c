"""Heat maps of the report: which classes and sizes suffer at each quality, and which errors it costs.

Each is a list of Drawings of at most tables.MOST rows and columns; the page shows the first and unfolds the others.
"""

import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tfod_compress.report import tables, theme, words

# TIDE's kinds of error (metrics.errors.KINDS), in words.
ERRORS = {"missed": "missed", "localisation": "badly placed", "classification": "wrong class",
          "both": "wrong class, badly placed", "duplicate": "found twice", "background": "nothing there"}


def per_class(series, class_names):
    """The accuracy of each class (rows) at each quality (columns), the reference regime first, then the others.

    Args:
      series: a findings.Series.
      class_names: in label map order. The rows are those that have an accuracy, that with most objects first.

    Returns:
      [Drawing], empty where no class has one.
    """
    counts, absent, task = _objects(series), set(without_accuracy(series, class_names)), series.task
    names = sorted((name for name in class_names if name not in absent), key=lambda name: -counts.get(name, 0))
    rows = {f"{name} ({counts[name]})" if name in counts else name: lambda cell, name=name: cell.of_class(name)
            for name in names}
    return _heat_map(series, rows, "class_ap" if task.boxes else "class_accuracy",
                     f"{task.per_class_title} of each class at each quality", "classes")


def without_accuracy(series, class_names):
    """The classes that have no accuracy at any quality, as nothing of theirs counts in the evaluated frames."""
    cells = [cell for row in series.rows for cell in row.cells.values()]
    return [name for name in class_names if all(cell.of_class(name) is None for cell in cells)]


def _objects(series):
    """{class name: objects that count in the evaluated frames}, from the rows of the confusion matrices.

    Of several folds it is the sum; of regimes with other classes each class has the count of one that knows it.
    """
    of_part = {}
    for cell in series.reference.cells.values():
        for entry in cell.entries:
            counts = of_part.setdefault(entry.point.split, {})
            confusion = entry.metrics.confusion
            classes = (confusion.classes[:-1] if series.task.boxes else confusion.classes) if confusion else ()
            for name, row in zip(classes, confusion.matrix if confusion else (), strict=False):
                counts[name] = max(sum(row), counts.get(name, 0))
    names = {name: None for counts in of_part.values() for name in counts}
    return {name: sum(counts.get(name, 0) for counts in of_part.values()) for name in names}


def size_ap(series):
    """COCO AP50 of quarters of the objects by their area in the frame, smallest first; [] where it is unknown."""
    strata = _extra(series.reference.cells, "by_size_quantile") or []
    names = [f"{_square(stratum['low'])} to {_square(stratum['high'])} ({stratum['objects']})" for stratum in strata]
    rows = {name: lambda cell, index=index: _mean(cell, lambda found: found["by_size_quantile"][index]["AP50"])
            for index, name in enumerate(names)}
    return _heat_map(series, rows, "size_ap", "average precision at IoU 0.5 by size of the objects", "sizes")


def error_cost(series):
    """AP50 that each kind of error costs (TIDE, Bolya et al. 2020); [] where it is unknown."""
    rows = {text: lambda cell, kind=kind: _mean(cell, lambda found: found["errors"]["cost"][kind])
            for kind, text in ERRORS.items()}
    return _heat_map(series, rows, "error_cost", "AP50 lost to each kind of error at each quality", "kinds of error",
                     to_one=False)


def most_costly_change(series):
    """Which error's cost grows most from the best quality to the strongest compression, in the reference regime.

    Returns:
      (kind in words, cost at the best quality, cost at the strongest compression), or None where it is unknown.
    """
    cells = [row.cells.get(series.reference_regime) for row in (series.reference, series.strongest())]
    if None in cells or series.reference is series.strongest():
        return None
    costs = {text: [_mean(cell, lambda found, kind=kind: found["errors"]["cost"][kind]) for cell in cells]
             for kind, text in ERRORS.items()}
    costs = {text: pair for text, pair in costs.items() if None not in pair}
    if not costs:
        return None
    text = max(costs, key=lambda kind: costs[kind][1] - costs[kind][0])
    return text, *costs[text]


def _heat_map(series, rows, name, summary, of_what, to_one=True):
    """Rows {name: function of a Cell that gives a number or None} at each quality and regime that was evaluated.

    Colours span 0 to 1, or 0 to the largest value where not `to_one`, in all parts alike.
    """
    columns = [(row, regime) for regime in series.regimes() for row in series.rows if regime in row.cells]
    grid = np.array([[_or_nan(value(row.cells[regime])) for row, regime in columns] for value in rows.values()],
                    dtype=float).reshape(len(rows), len(columns))
    if not np.isfinite(grid).any():
        return []
    most, names, parts = 1.0 if to_one else max(np.nanmax(grid), 1e-9), list(rows), []
    with theme.drawing(), matplotlib.rc_context({"axes.grid": False}):
        for i, told_rows in _blocks(len(rows), of_what):
            for j, told_columns in _blocks(len(columns), "columns"):
                part = ", ".join(filter(None, (told_rows, told_columns)))
                parts.append(theme.finish(
                    _draw(series, names[i], columns[j], grid[i, j], most),
                    f"{name}_{series.slug}" + (f"_{len(parts) + 1}" if parts else ""),
                    f"Heat map: {summary}, {series.name}{part and ', '}{part}.", part))
    return parts


def _blocks(count, of_what):
    """[(slice, what it holds in words or "")] of at most tables.MOST each."""
    if count <= tables.MOST:
        return [(slice(0, count), "")]
    return [(slice(start, start + tables.MOST),
             f"{of_what} {start + 1} to {min(start + tables.MOST, count)} of {count}")
            for start in range(0, count, tables.MOST)]


def _draw(series, names, columns, grid, most):
    """The Figure of numbers [R, C], NaN where unknown, in colours from 0 to `most`."""
    # A gap between regimes makes them groups.
    starts = [i for i in range(1, len(columns)) if columns[i][1] != columns[i - 1][1]]
    position = np.arange(len(columns)) + 0.35 * np.searchsorted(starts, np.arange(len(columns)), side="right")
    colours = matplotlib.colormaps["cividis"]
    width = max(1.9, 0.3 + 0.085 * max(map(len, names)))  # inches that the names take
    figure = Figure(figsize=(width + 0.72 * (position[-1] + 1), 0.9 + 0.36 * len(names)), layout="constrained")
    panel = figure.subplots()
    for (i, j), value in np.ndenumerate(grid):
        known = np.isfinite(value)
        share = min(max(value / most, 0.0), 1.0) if known else 0.0
        panel.add_patch(matplotlib.patches.Rectangle(
            (position[j], i), 1, 1, linewidth=1, edgecolor=theme.stand_in("paper"),
            facecolor=colours(share) if known else theme.stand_in("grid")))
        shade = "white" if known and share < 0.55 else "black" if known else theme.stand_in("muted")
        panel.text(position[j] + 0.5, i + 0.5, f"{value:.2f}" if known else "–", ha="center", va="center", fontsize=9,
                   color=shade)
    panel.set_xlim(0, position[-1] + 1)
    panel.set_ylim(len(names), -0.9)
    panel.set_xticks(position + 0.5, [_short_setting(row) for row, _ in columns])
    panel.set_yticks(np.arange(len(names)) + 0.5, names)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    for start in [0, *starts]:
        panel.text(position[start] + 0.05, -0.3, words.regime_name(columns[start][1]), fontsize=9, va="bottom",
                   color=theme.stand_in("ink"))
    panel.set_xlabel(f"{words.codec_name(series.codec)} quality")
    return figure


def _mean(cell, pick):
    """Mean over a cell's seeds of what `pick` finds in metrics.json, or None where a seed lacks it."""
    try:
        found = [pick(entry.metrics.model_extra) for entry in cell.entries]
    except (KeyError, IndexError, TypeError):
        return None
    return None if None in found else sum(found) / len(found)


def _extra(cells, name):
    """An entry of metrics.json that only this module reads, of the first evaluation."""
    return next(iter(cells.values())).entries[0].metrics.model_extra.get(name)


def _square(area):
    """The side of a square of this many pixels."""
    return f"{round(area**0.5)}²"


def _short_setting(row):
    return words.codec_name(row.codec) if row.quality is None else str(row.quality)


def _or_nan(value):
    return math.nan if value is None else value
