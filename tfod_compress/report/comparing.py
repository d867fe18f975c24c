"""Codecs, colour and grey, and detectors against each other, as tables and one figure."""

import itertools
import math

from matplotlib.figure import Figure

from tfod_compress.rate_distortion import bd_rate
from tfod_compress.rate_distortion.bd_accuracy import bd_accuracy
from tfod_compress.report import differences, theme, words
from tfod_compress.report.tables import Entry, Table

_GREY = "-gray"
_MARKERS = ("o", "s", "^", "D", "v", "P")


def codecs_of(series_list):
    """Every codec against the first one of the same detector, by each regime that both have.

    BD-rate is the mean difference in rate at equal accuracy, BD-mAP that in accuracy at equal rate
    (Bjontegaard, VCEG-M33, 2001, with accuracy in the place of PSNR; piecewise cubic interpolation).

    Returns:
      A Table, or None where no detector was tested with two codecs.
    """
    rows = []
    for _, group in itertools.groupby(sorted(series_list, key=lambda s: s.detector), key=lambda s: s.detector):
        anchor, *others = sorted(group, key=lambda s: s.codec != "jpeg")
        for other in others:
            for regime in (r for r in anchor.regimes() if r in other.regimes()):
                rows += _against(anchor, other, regime)
    if not rows:
        return None
    metric, noun = series_list[0].metric, series_list[0].task.model
    columns = (Entry("codec"), Entry(noun), Entry("against"), Entry("BD-rate", f"rate at equal {metric.title}"),
               Entry(f"BD-{words.short(metric)}", "at equal rate"), Entry("overlap", f"of the {metric.title}s"))
    return Table(columns, tuple(rows))


def _against(anchor, other, regime):
    curve, reference = (points(series, regime) for series in (other, anchor))
    if min(len(curve), len(reference)) < 2:
        return []
    metric = anchor.metric
    percent, overlap, _, _ = bd_rate.compare(*([(bpp, metric.sign * value) for bpp, value in each]
                                               for each in (curve, reference)), "pchip")
    return [(Entry(words.codec_name(other.codec)), Entry(words.regime_name(regime), anchor.detector),
             Entry(words.codec_name(anchor.codec)),
             Entry("–", f"no common {metric.title}") if percent is None else Entry(words.percent(percent / 100)),
             Entry(words.signed(bd_accuracy(curve, reference), metric)), Entry(words.percent(overlap)))]


def regimes_of(study):
    """The regimes of each tuned codec against each other at equal rate, from results.json.

    Returns:
      A Table, or None where no codec was tuned.
    """
    groups, metric = {}, study.task.decisive
    for each in study.results.curve_comparisons:
        groups.setdefault((each.detector, each.codec, each.b, each.a), []).append(each)
    rows = []
    for (detector, codec, b, a), found in groups.items():
        difference = differences.Difference(tuple(found), metric)
        low, high = max(each.rates[0] for each in found), min(each.rates[1] for each in found)
        rows.append((Entry(words.codec_name(codec), detector), Entry(words.regime_name(a)), Entry(words.regime_name(b)),
                     Entry(words.signed(difference.value, metric),
                           words.interval(difference.low, difference.high, metric)),
                     Entry(f"{words.rate(low)} to {words.rate(high)}"), Entry(difference.verdict)))
    if not rows:
        return None
    head = (Entry("codec"), Entry("regime"), Entry("against"), Entry(f"BD-{words.short(metric)}", "at equal rate"),
            Entry("rates", "bits/pixel"), Entry("difference"))
    return Table(head, tuple(rows))


def points(series, regime):
    """[(bpp, accuracy)] of a regime; lossless frames are left out, as they are no point of the codec's curve."""
    return [(row.bpp, row.cells[regime].score.value) for row in series.rows
            if regime in row.cells and row.codec == series.codec]


def grey_of(series_list):
    """Grey frames against colour ones at the same quality: bytes and accuracy.

    Returns:
      A Table, or None where no detector was tested with both.
    """
    found = {(s.detector, s.codec): s for s in series_list}
    rows = []
    for (detector, codec), colour in found.items():
        grey = found.get((detector, f"{codec}{_GREY}"))
        if grey is None:
            continue
        of_quality = {row.quality: row for row in grey.rows}
        for row in colour.rows:
            other = of_quality.get(row.quality)
            for regime in colour.regimes() if other else ():
                if regime in row.cells and regime in other.cells:
                    both = [r.cells[regime].score for r in (row, other)]
                    metric = colour.metric
                    rows.append((Entry(row.name, detector), Entry(words.regime_name(regime)),
                                 *(Entry(words.score(e.value, metric), words.interval(e.low, e.high, metric))
                                   for e in both),
                                 Entry(words.signed(both[1].value - both[0].value, metric)),
                                 Entry(words.percent(other.coded_bytes / row.coded_bytes))))
    if not rows:
        return None
    title = words.title(series_list[0].metric)
    return Table((Entry("quality"), Entry(series_list[0].task.model), Entry("colour", title), Entry("grey", title),
                  Entry("difference", "not tested"), Entry("size of grey", "of colour")), tuple(rows))


def normalised(series_list):
    """Accuracy of several detectors, not retrained, against quality, each between its lowest (0) and highest (1).

    The LMU study compares its detectors so (Davletshina and Singla 2020), because their levels differ.

    Returns:
      A Drawing, or None where fewer than two detectors were tested at two qualities of one codec.
    """
    curves = {}
    for series in series_list:
        regime = series.reference_regime
        rows = [row for row in series.rows if regime in row.cells and isinstance(row.quality, (int, float))
                and row.codec == series.codec]
        values = [row.cells[regime].score.value for row in rows]
        if len(values) > 1 and max(values) > min(values):
            low, high = min(values), max(values)
            curves.setdefault(series.codec, []).append(
                (series, [(row.quality, (v - low) / (high - low)) for row, v in zip(rows, values, strict=True)]))
    curves = {codec: group for codec, group in curves.items() if len(group) > 1}
    if not curves:
        return None
    with theme.drawing():
        figure = Figure(figsize=(7.6, 3.2 * len(curves)), layout="constrained")
        panels = figure.subplots(math.ceil(len(curves)), 1, squeeze=False).ravel()
        for panel, (codec, group) in zip(panels, curves.items(), strict=True):
            for order, (series, line) in enumerate(group):
                panel.plot(*zip(*line, strict=True), color=theme.stand_in(f"series-{order % 6}"),
                           marker=_MARKERS[order % 6], label=series.detector)
            panel.set_xlabel(f"{words.codec_name(codec)} quality")
            panel.set_ylabel(f"{series_list[0].metric.title}, lowest to highest")
            panel.legend()
        return theme.finish(figure, "detectors_normalised", f"Line chart: {series_list[0].metric.title} of each "
                            f"{series_list[0].task.model} between its own lowest and highest value, against quality.")


def times_of(study):
    """Training and evaluation time of each model, from the stamps of the study's commands; None where none is known.

    Seconds hold the start of the process and the compilation; images are counted over all record sets.
    """
    seconds = {timing.stage: timing.seconds for timing in study.results.timings}
    images, steps = {}, {name: rows[-1]["step"] for name, rows in study.training_scalars().items()}
    for entry in study.evaluated:
        images[entry.point.model] = images.get(entry.point.model, 0) + entry.metrics.images
    rows = []
    for model, count in images.items():
        train, evaluate = (seconds.get(f"{stage} {model}") for stage in ("train", "evaluate"))
        if train is None and evaluate is None:
            continue
        rows.append((Entry(model), Entry("–" if train is None else words.duration(train)),
                     Entry(f"{steps[model]:,}" if model in steps else "–"),
                     Entry("–" if train is None or not steps.get(model) else f"{train / steps[model]:.2f} s"),
                     Entry("–" if evaluate is None else words.duration(evaluate)),
                     Entry("–" if evaluate is None else f"{1000 * evaluate / count:.0f} ms")))
    if not rows:
        return None
    return Table((Entry("model"), Entry("training"), Entry("steps"), Entry("a step"), Entry("evaluation"),
                  Entry("an image")), tuple(rows))
