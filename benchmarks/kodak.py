"""Our codecs on Kodak's 24 pictures against published rate-distortion points (CompressAI's tables).

Measure first, then compare:
  python -m tools.codec bench KODAK_FOLDER --codecs jpeg,webp,hevc444,hevc,avif444,avif,vvc,jpeg2000 --output runs/kodak
  python -m benchmarks.kodak runs/kodak
  python -m benchmarks.kodak runs/kodak --figure kodak.png      # both curves of every codec that was measured

Printed are JPEG's points beside the published ones at the same qualities (wanted: within 1 % in bits per pixel and
0.15 dB), and each codec's BD-rate by PCHIP over RGB PSNR: ours against our JPEG, the published codec against the
published JPEG, and ours against the published codec itself, where the anchor has no part in it. Means over pictures are
means of each picture's values, as in the published tables.

Where the differences come from (figures were measured; what is inferred says so):
- JPEG, 0.07 to 0.13 dB above the published points at equal rate: those are Pillow 7.1.2's with the Independent JPEG
  Group's libjpeg 9d, which still gives them to every printed digit. libjpeg-turbo decodes the very same files 0.10 to
  0.15 dB better, and without halved chroma (4:4:4) both decode to the same PSNR to 0.001 dB. Inferred from the
  libraries' documentation: the one interpolates halved chroma by a triangle filter, the other in the DCT domain.
- VVC, 7.5 points behind VTM: the preset. On pictures 05 and 20 at QP 22, 32 and 42, against JPEG: vvenc's faster -56.0,
  medium -62.0, slow -62.7 %, at 12 and 29 times the processor time. Inferred: the rest is chroma, as vvenc codes 4:2:0
  only and VTM's points are 4:4:4 (HEVC loses 1.8 points by that). `--codecs vvc:preset=medium` measures it.
- AVIF, 11 points behind AV1: libaom's all-intra mode at speed 6, as libavif runs it, in the place of aomenc's good
  mode at cpu-used 0. On the same two pictures, 4:4:4, tuned for PSNR: all-intra at speed 6 -51.1, at 3 -55.1; good
  mode at 6 -54.8, at 3 -57.6 %; slower ones were not measured. By MS-SSIM, AVIF 4:4:4 is ahead of all the others
  here (bd_rate_ms_ssim.csv).
"""

import io
import pathlib

from absl import flags

from tools import command

_FIGURE = flags.DEFINE_string("figure", None, "A PNG file for the curves: ours, and the published ones, and JPEG's, "
                              "dashed.")

NEAREST = {  # our codec: the published one that it is compared with
    "jpeg2000": "jpeg2000", "webp": "webp", "avif": "av1", "avif444": "av1", "hevc": "hm",
    "hevc444": "bpg_444_x265_ycbcr", "vvc": "vtm", "jxl": None, "jpeg444": None,
    "bls2017": "compressai-bmshj2018-factorized_mse_cpu", "bmshj2018": "compressai-bmshj2018-hyperprior_mse_cpu",
    "mbt2018-mean": "compressai-mbt2018-mean_mse_cpu",
}
PICTURES = 24


def main(arguments):
    if len(arguments) != 1:
        raise command.UsageError("give the folder that tools.codec bench wrote")
    from rich import console

    from tfod_compress.rate_distortion import table
    from tfod_compress.report import published

    rows = table.read(pathlib.Path(arguments[0]) / "rd.csv")
    pictures = len({row["image"] for row in rows})
    if pictures != PICTURES:
        print(f"note: {pictures} pictures were measured; the published means are over {PICTURES}")
    ours = table.mean_curves(rows)
    theirs = {}
    for row in published.load("kodak_rd").rows:
        point = table.Point(row["quality"], float(row["bpp"]), {
            "psnr_rgb": float(row["psnr_rgb"]), "ms_ssim": float(row["ms_ssim_rgb"])})
        theirs.setdefault(row["codec"], []).append(point)
    wide = console.Console()
    wide = wide if wide.is_terminal else console.Console(width=130)
    for shown in (_jpeg(ours, theirs), _bd_rates(ours, theirs)):
        wide.print(shown, markup=False)
    if _FIGURE.value:
        _draw(pathlib.Path(_FIGURE.value), {name: points for name, points in ours.items() if points}, theirs)
    return 0


def _draw(path, ours, theirs):
    """Writes the curves of PSNR and MS-SSIM over the rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from tfod_compress.rate_distortion.quality.ms_ssim import ms_ssim_db
    from tfod_compress.support.files import atomic_file

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    metrics = (("psnr_rgb", "PSNR, RGB (dB)", lambda value: value),
               ("ms_ssim", "MS-SSIM, RGB (dB: -10 log10(1 - MS-SSIM))", ms_ssim_db))
    for panel, (metric, title, drawn) in zip(figure.subplots(1, 2), metrics, strict=True):
        for number, (name, points) in enumerate({"jpeg": [], **ours}.items()):
            other = {"jpeg": "jpeg", **NEAREST}.get(name)
            for curve, label, line, marker in ((points, name, "-", "o"),
                                               (theirs.get(other, []), f"{other} (published)", "--", None)):
                if curve:
                    panel.plot([point.bpp for point in curve], [drawn(point.values[metric]) for point in curve],
                               color=f"C{number}", linestyle=line, marker=marker, markersize=4, label=label)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel("bits per pixel (log scale)")
        panel.set_ylabel(title)
        panel.grid(True, color="#dfe3e8", linewidth=0.7)
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    with atomic_file(path) as file:
        file.write(buffer.getvalue())


def _jpeg(ours, theirs):
    """The points of both at equal quality."""
    shown = _table("JPEG", "quality", "bpp", "published", "difference", "PSNR dB", "published", "difference", "MS-SSIM",
                   "published")
    published_points = {point.quality: point for point in theirs["jpeg"]}
    for point in ours.get("jpeg", []):
        other = published_points.get(point.quality)
        if other is None:
            continue
        psnr, their_psnr = point.values["psnr_rgb"], other.values["psnr_rgb"]
        shown.add_row(point.quality, f"{point.bpp:.4f}", f"{other.bpp:.4f}",
                      f"{100 * (point.bpp / other.bpp - 1):+.2f} %", f"{psnr:.3f}", f"{their_psnr:.3f}",
                      f"{psnr - their_psnr:+.3f}",
                      f"{point.values['ms_ssim']:.5f}", f"{other.values['ms_ssim']:.5f}")
    return shown


def _bd_rates(ours, theirs):
    shown = _table("BD-rate, PCHIP, RGB PSNR", "codec", "against our JPEG", "published codec", "against published JPEG",
                   "difference", "ours against published codec", "overlap")
    for name, other in NEAREST.items():
        if not ours.get(name):
            continue
        own = _percent(ours[name], ours["jpeg"])[0] if ours.get("jpeg") else None
        if other is None:
            shown.add_row(name, _text(own), "", "", "", "", "")
            continue
        their, _ = _percent(theirs[other], theirs["jpeg"])
        direct, overlap = _percent(ours[name], theirs[other])
        difference = None if own is None or their is None else own - their
        shown.add_row(name, _text(own), other, _text(their), _text(difference), _text(direct), f"{100 * overlap:.0f} %")
    return shown


def _percent(curve, reference):
    from tfod_compress.rate_distortion import bd_rate

    points = [[(point.bpp, point.values["psnr_rgb"]) for point in one] for one in (curve, reference)]
    percent, overlap, _, _ = bd_rate.compare(*points, "pchip")
    return percent, overlap


def _text(percent):
    return "" if percent is None else f"{percent:+.1f}"


def _table(title, *columns):
    from rich import table

    shown = table.Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="right" if index else "left", no_wrap=index == 0)
    return shown


if __name__ == "__main__":
    command.run(main, positional=True)
