"""The rate-accuracy curves for plotly.js: what is drawn, as data; the page's script draws it in the page's colours."""

import json

from tfod_compress.report import theme, words

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}


def rate_accuracy(series_list):
    """The curves of all detectors, codecs and regimes.

    Args:
      series_list: list of findings.Series.

    Returns:
      A list of dicts that JSON can hold: "label", "colour" (a CSS variable's name), "symbol", "dash", "bpp",
      "score", "low", "high" (distances of the 95 % interval's ends) and "hover", one entry a quality.
    """
    curves = []
    detectors = list(dict.fromkeys(series.detector for series in series_list))
    codecs = list(dict.fromkeys(series.codec for series in series_list))
    for series in series_list:
        metric = series.metric
        for order, regime in enumerate(series.regimes()):
            rows = [row for row in series.rows if regime in row.cells]
            found = [row.cells[regime].score for row in rows]
            colour, marker = theme.regime_style(regime, order)
            parts = [words.regime_name(regime)]
            if len(codecs) > 1:
                # The codec is what differs most then, and takes the colour.
                colour = f"series-{codecs.index(series.codec) % 6}"
                parts.insert(0, words.codec_name(series.codec))
            if len(detectors) > 1:
                parts.insert(0, series.detector)
            dash = order if len(codecs) > 1 else detectors.index(series.detector)
            curves.append({
                "label": ", ".join(parts), "colour": colour, "symbol": _SYMBOLS[marker],
                "dash": _DASHES[dash % len(_DASHES)],
                "bpp": [row.bpp for row in rows], "score": [e.value for e in found],
                "low": [0.0 if e.low is None else max(0.0, e.value - e.low) for e in found],
                "high": [0.0 if e.high is None else max(0.0, e.high - e.value) for e in found],
                "hover": [f"{row.name}: {words.rate(row.bpp)} bits per pixel, {words.size(row.coded_bytes)}<br>"
                          f"{metric.title} {words.amount(e.value, metric)} {words.interval(e.low, e.high, metric)}"
                          for row, e in zip(rows, found, strict=True)]})
    return curves


def as_json(curves):
    """The curves as JSON that may stand inside a <script> element."""
    return json.dumps(curves, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")


def library():
    """plotly.js, whole, for one <script> element; it loads nothing by itself."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
