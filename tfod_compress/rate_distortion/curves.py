"""Rate-distortion curves of the mean points: rate_distortion.png and rate_distortion.html (interactive, one file)."""

import html
import io
import pathlib

from tfod_compress.rate_distortion.quality.ms_ssim import ms_ssim_db
from tfod_compress.support.files import atomic_file

PANELS = {  # metric: (axis title, value as drawn)
    "psnr_rgb": ("PSNR, RGB (dB)", lambda value: value),
    "ms_ssim": ("MS-SSIM, RGB (dB: -10 log10(1 - MS-SSIM))", ms_ssim_db),
    "psnr_hvs": ("PSNR-HVS (dB)", lambda value: value),
    "vmaf": ("VMAF", lambda value: value),
}
# Okabe and Ito's colour-blind-safe set without yellow, which fades on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = (("-", "solid"), ("--", "dash"), (":", "dot"), ("-.", "dashdot"))
_MARKERS = (("o", "circle"), ("s", "square"), ("^", "triangle-up"), ("D", "diamond"))
_RATE = "bits per pixel (log scale)"


def write(output, curves, pictures):
    """Draws the curves of `table.mean_curves` into the folder `output`; nothing where there is no curve.

    Args:
      output: the folder.
      curves: {codec: [Point]}.
      pictures: how many they are the means of.
    """
    curves = {codec: points for codec, points in curves.items() if points}
    if not curves:
        return
    output = pathlib.Path(output)
    title = f"Mean of {pictures} picture{'s' if pictures != 1 else ''}"
    with atomic_file(output / "rate_distortion.png") as file:
        file.write(_png(curves, title))
    with atomic_file(output / "rate_distortion.html", "w") as file:
        file.write(_html(curves, title))


def _style(index):
    """(colour, dash index): colours first, then dashes, so that many codecs stay apart without colour too."""
    return _COLOURS[index % len(_COLOURS)], (index // len(_COLOURS)) % len(_DASHES)


def _series(points, metric, drawn):
    """(rates, values, qualities) of the points that have the metric."""
    kept = [point for point in points if point.values[metric] is not None]
    return ([point.bpp for point in kept], [drawn(point.values[metric]) for point in kept],
            [point.quality for point in kept])


def _png(curves, title):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2).ravel()
    for panel, (metric, (name, drawn)) in zip(panels, PANELS.items(), strict=True):
        for index, (codec, points) in enumerate(curves.items()):
            colour, dash = _style(index)
            rates, values, _ = _series(points, metric, drawn)
            panel.plot(rates, values, color=colour, linestyle=_DASHES[dash][0], linewidth=1.5, markersize=4,
                       marker=_MARKERS[index % len(_MARKERS)][0], label=codec)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(_RATE)
        panel.set_ylabel(name)
        panel.grid(True, which="both", color="#dfe3e8", linewidth=0.7)
        panel.set_axisbelow(True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(8, len(labels)), frameon=False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def _html(curves, title):
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=2, horizontal_spacing=0.08, vertical_spacing=0.1)
    for place, (metric, (name, drawn)) in enumerate(PANELS.items()):
        row, column = divmod(place, 2)
        for index, (codec, points) in enumerate(curves.items()):
            colour, dash = _style(index)
            rates, values, qualities = _series(points, metric, drawn)
            figure.add_trace(
                Scatter(x=rates, y=values, customdata=qualities, name=codec, legendgroup=codec, showlegend=place == 0,
                        mode="lines+markers", line={"color": colour, "dash": _DASHES[dash][1], "width": 2},
                        marker={"symbol": _MARKERS[index % len(_MARKERS)][1], "size": 6},
                        hovertemplate=f"{html.escape(codec)} %{{customdata}}: %{{x:.3f}} bpp, %{{y:.3f}}"
                                      "<extra></extra>"),
                row=row + 1, col=column + 1)
        figure.update_xaxes(type="log", title_text=_RATE, row=row + 1, col=column + 1)
        figure.update_yaxes(title_text=name, row=row + 1, col=column + 1)
    figure.update_layout(title_text=title, template="plotly_white", height=900, legend={"groupclick": "togglegroup"})
    # The script stands in the page, so that it opens without a network.
    return figure.to_html(full_html=True, include_plotlyjs=True, div_id="rate_distortion",
                          config={"displaylogo": False})
