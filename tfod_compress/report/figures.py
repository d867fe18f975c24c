"""The report's figures, as Drawings. Each returns None where the study has nothing to draw."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from tfod_compress.report import theme, words

_LINE_STYLES = ("-", "--", ":", "-.")
MANY = 6  # curves, of which a legend would hide some if it lay among them


def rate_accuracy(series_list):
    """The decisive metric against bits per pixel (log axis): one panel a detector, one line a regime and codec.

    Args:
      series_list: list of findings.Series.

    Returns:
      A Drawing.
    """
    metric, detectors = series_list[0].metric, list(dict.fromkeys(s.detector for s in series_list))
    columns = min(2, len(detectors))
    panel_rows = math.ceil(len(detectors) / columns)
    with theme.drawing():
        width = 7.6 if columns == 1 else 10.5
        figure = Figure(figsize=(width, 0.5 + 3.9 * panel_rows), layout="constrained")
        panels = figure.subplots(panel_rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel in panels[len(detectors):]:
            panel.set_visible(False)
        for panel, detector in zip(panels, detectors, strict=False):
            own = [s for s in series_list if s.detector == detector]
            _rate_accuracy_panel(figure, panel, own)
            if len(detectors) > 1:
                panel.set_title(detector)
            panel.set_xlabel("bits per pixel (log scale)")
            panel.set_ylabel(words.axis(metric))
        # Shifted points do not count for matplotlib's own limits.
        found = [cell.score for s in series_list for row in s.rows for cell in row.cells.values()]
        lowest, highest = min(map(_low, found)), max(map(_high, found))
        if metric.share:
            bottom = math.floor(10 * lowest) / 10 if lowest > highest / 2 else 0
            panels[0].set_ylim(bottom, min(1.05, highest + 0.15 * (highest - bottom) + 0.01))
        else:
            room = 0.15 * (highest - lowest) or 1.0
            panels[0].set_ylim(lowest - room, highest + room)
        return theme.finish(figure, "rate_accuracy",
                            f"Line chart: {metric.title} against bits per pixel, one line per regime; the numbers are "
                            "in the table of results.")


def _rate_accuracy_panel(figure, panel, series_list):
    panel.set_xscale("log")
    handles = []
    # The codec with the most regimes has the plain lines.
    by_regimes = sorted(series_list, key=lambda series: -len(series.regimes()))
    for codec_index, series in enumerate(by_regimes):
        regimes = series.regimes()
        together = [regime for regime in regimes if any(len(row.cells) > 1 for row in _curve(series, regime))]
        for order, regime in enumerate(regimes):
            rows = _curve(series, regime)
            found = [row.cells[regime].score for row in rows]
            colour, marker = theme.regime_style(regime, order)
            label = words.regime_name(regime)
            if len(series_list) > 1:
                label = f"{label}, {words.codec_name(series.codec)}"
            # Points of one rate would hide each other: each such regime stands a little beside the last.
            steps = together.index(regime) - (len(together) - 1) / 2 if regime in together else 0
            aside = ScaledTranslation(steps * 5 / 72, 0, figure.dpi_scale_trans)
            style = {"color": theme.stand_in(colour), "marker": marker, "markersize": 6.5,
                     "linestyle": _LINE_STYLES[codec_index % len(_LINE_STYLES)]}
            panel.errorbar([row.bpp for row in rows], [e.value for e in found],
                           yerr=[[e.value - _low(e) for e in found], [_high(e) - e.value for e in found]], capsize=3,
                           elinewidth=1.3, transform=panel.transData + aside, **style)
            handles.append(Line2D([], [], label=label, **style))
        _mark_qualities(panel, series, below=codec_index % 2)
    handles += _lossless(panel, series_list)
    panel.set_xlim(*_wide_limits([row.bpp for s in series_list for regime in s.regimes() for row in _curve(s, regime)]))
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    if len(handles) > MANY:
        panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    else:
        panel.legend(handles=handles, loc=f"{'lower' if series_list[0].metric.higher_is_better else 'upper'} right")


def _curve(series, regime):
    """The rows of a regime that are the codec's own, or all where there is none."""
    rows = [row for row in series.rows if regime in row.cells]
    return [row for row in rows if row.codec == series.codec] or rows


def _lossless(panel, series_list):
    """Draws what the codecs are measured against, where it is another's: a line, as its rate lies far to the right.

    Returns:
      [its handle of the legend].
    """
    for series in series_list:
        row, regime = series.reference, series.reference_regime
        if row.codec != series.codec and len(series.rows) > 1 and regime in row.cells:
            found = row.cells[regime].score
            style = {"color": theme.stand_in("muted"), "linestyle": "-", "linewidth": 1}
            panel.axhline(found.value, **style)
            return [Line2D([], [], label=f"{row.name}, {words.rate(row.bpp)} bits per pixel", **style)]
    return []


def _wide_limits(rates):
    low, high = min(rates), max(rates)
    return low / 1.35, high * 1.35


def _mark_qualities(panel, series, below):
    """Writes the codec's quality at its points, where they are on the rate axis; a tuned codec's is in the table."""
    for row in series.rows:
        if row.quality is None or series.reference_regime not in row.cells or row.codec != series.codec:
            continue
        found = [cell.score for cell in row.cells.values()]
        panel.annotate(f"q{row.quality}" if isinstance(row.quality, (int, float)) else str(row.quality),
                       (row.bpp, min(map(_low, found)) if below else max(map(_high, found))),
                       xytext=(0, -5 if below else 5), textcoords="offset points", ha="center",
                       va="top" if below else "bottom", fontsize=8.5, color=theme.stand_in("muted"))


def accuracy_kept(series_list, curves, metric=None):
    """Share of the best quality's accuracy that is kept, against JPEG quality, beside published curves as thin lines.

    Args:
      series_list: list of findings.Series; those of other codecs, or of one quality, are passed over.
      curves: list of published.Curve.
      metric: the Metric that is drawn; without one, that which decides.

    Returns:
      A Drawing, or None where no series is left.
    """
    def value(row, regime):
        cell = row.cells.get(regime)
        found = cell and cell.estimate((metric or cell.metric).key)
        return found.value if found else None

    own = [s for s in series_list if s.codec.startswith("jpeg") and s.codec != "jpeg2000" and len(s.rows) > 1
           and all(isinstance(row.quality, (int, float)) for row in s.rows)
           and value(s.reference, s.reference_regime) is not None]
    if not own:
        return None
    with theme.drawing():
        figure = Figure(figsize=(7.6, 4.4), layout="constrained")
        panel = figure.subplots()
        # Colours tell regimes apart; where there is but one, detectors.
        one_regime = len(own) > 1 and len({regime for series in own for regime in series.regimes()}) == 1
        for index, series in enumerate(own):
            best = value(series.reference, series.reference_regime)
            for order, regime in enumerate(series.regimes() if best > 0 else ()):
                rows = [row for row in series.rows if value(row, regime) is not None]
                (colour, marker), line = theme.regime_style(regime, order), index
                if one_regime:
                    colour, marker, line = theme.series_style(index)
                label = words.regime_name(regime)
                panel.plot([row.quality for row in rows], [value(row, regime) / best for row in rows],
                           color=theme.stand_in(colour), marker=marker, linestyle=_LINE_STYLES[line % 4], zorder=3,
                           label=label if len(own) == 1 else f"{label}, {series.name}")
        groups = list(dict.fromkeys(curve.group for curve in curves))
        for curve in curves:
            first = next(c for c in curves if c.group == curve.group) is curve
            panel.plot(curve.qualities, curve.kept, color=theme.stand_in("muted"), linewidth=0.9, alpha=0.8,
                       linestyle=_LINE_STYLES[groups.index(curve.group) % len(_LINE_STYLES)],
                       label=curve.group if first else None)
        panel.set_ylim(0, None)
        panel.set_xlim(0, 102)
        panel.set_xlabel("JPEG quality")
        panel.set_ylabel(f"{metric.title if metric else 'accuracy'}, share of that at best quality")
        panel.legend(loc="lower right", fontsize=9)
        return theme.finish(figure, "accuracy_kept", "Line chart: share of the accuracy at best quality that is kept, "
                            "against JPEG quality; this study's and published ones.")


def _low(estimate):
    return estimate.value if estimate.low is None else min(estimate.low, estimate.value)


def _high(estimate):
    return estimate.value if estimate.high is None else max(estimate.high, estimate.value)


def training_loss(scalars, regime_of_model):
    """Total training loss against step, one line a model: thin as logged, bold the running mean over a tenth.

    Args:
      scalars: {model: [{"step", "loss/total", ...}]}.
      regime_of_model: {model: regime}; gives the line its colour.

    Returns:
      A Drawing, or None where no model has a loss.
    """
    curves = {}
    for model, rows in scalars.items():
        # A resumed training repeats steps: the last word counts.
        points = {row["step"]: loss for row in rows if (loss := _total_loss(row)) is not None}
        if points:
            curves[model] = sorted(points.items())
    if not curves:
        return None
    with theme.drawing():
        figure = Figure(figsize=(7.6, 3.6), layout="constrained")
        panel = figure.subplots()
        for order, (model, points) in enumerate(curves.items()):
            steps, losses = zip(*points, strict=True)
            colour, marker = theme.regime_style(regime_of_model.get(model, ""), order)
            same = [m for m in list(curves)[:order] if regime_of_model.get(m) == regime_of_model.get(model)]
            panel.plot(steps, losses, color=theme.stand_in(colour), linewidth=0.8, alpha=0.3)
            smooth = _running_mean(losses, max(1, len(losses) // 20))
            panel.plot(steps, smooth, color=theme.stand_in(colour), label=model,
                       linestyle=_LINE_STYLES[len(same) % len(_LINE_STYLES)], linewidth=1.6,
                       marker=marker if len(points) < 3 else None)
        everything = [loss for points in curves.values() for _, loss in points]
        if min(everything) > 0 and max(everything) > 20 * min(everything):
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.yaxis.set_minor_formatter(NullFormatter())
        else:
            panel.set_ylim(0, None)
        panel.set_xlabel("training step")
        panel.set_ylabel("total loss")
        if len(curves) <= 10:
            panel.legend()
        return theme.finish(figure, "training_loss", "Line chart: total training loss against step, a line per model.")


def _total_loss(row):
    """The total loss of one line of training scalars, or None where it has none."""
    loss = row.get("Loss/total_loss", row.get("loss/total"))
    return loss if isinstance(loss, (int, float)) and math.isfinite(loss) else None


def _running_mean(values, half_width):
    """Mean over up to 2 * half_width + 1 neighbours, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    low, high = np.maximum(middle - half_width, 0), np.minimum(middle + half_width + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
