"""Bjøntegaard delta rate: the mean difference in rate of two codecs at equal quality, in per cent.

Bjøntegaard, VCEG-M33, 2001: log rate is interpolated over quality in decibels, and the difference of the two curves is
averaged over the decibels that both reach. `cubic` is his polynomial of third degree, `pchip` the piecewise cubic of
the JCT-VC's common test conditions, which does not overshoot with many points. Computed by the package bjontegaard.
"""

import csv
import dataclasses
import pathlib

from tfod_compress.rate_distortion.quality.ms_ssim import ms_ssim_db
from tfod_compress.support.files import atomic_file

COLUMNS = ("codec", "reference", "method", "bd_rate_percent", "overlap", "low_db", "high_db")
METHODS = ("pchip", "cubic")
LITTLE_OVERLAP = 0.5
_FEWEST = {"pchip": 2, "cubic": 4}  # points that the interpolation needs


@dataclasses.dataclass(frozen=True)
class BdRate:
    """A codec against a reference.

    Attributes:
      percent: negative where the codec needs fewer bits; None where it cannot be computed.
      overlap: decibels that both reach, as a share of those that either reaches.
      low_db, high_db: ends of that range.
    """

    codec: str
    reference: str
    method: str
    percent: float | None
    overlap: float
    low_db: float
    high_db: float


def compare(curve, reference, method):
    """(per cent or None, overlap, low dB, high dB) of two curves.

    Args:
      curve: [(bpp, dB)], any order.
      reference: likewise.
      method: "pchip" or "cubic".
    """
    curve, reference = _rising(curve), _rising(reference)
    qualities = [[quality for _, quality in points] for points in (curve, reference)]
    low, high = max(map(min, qualities)), min(map(max, qualities))
    span = max(map(max, qualities)) - min(map(min, qualities))
    overlap = max(0.0, high - low) / span if span else 0.0
    if overlap == 0 or min(len(curve), len(reference)) < _FEWEST[method]:
        return None, overlap, low, high
    import bjontegaard

    (rates, values), (reference_rates, reference_values) = (zip(*points, strict=True) for points in (curve, reference))
    percent = bjontegaard.bd_rate(reference_rates, reference_values, rates, values, method=method,
                                  require_matching_points=False, min_overlap=0)
    return float(percent), overlap, low, high


def against(curves, reference, metric="psnr_rgb"):
    """[BdRate] of each codec's mean curve against the reference's.

    Args:
      curves: from `table.mean_curves`.
      reference: a codec among them.
      metric: "psnr_rgb", or "ms_ssim" which is turned into -10 log10(1 - MS-SSIM) dB.
    """
    points = {codec: _decibels(curve, metric) for codec, curve in curves.items()}
    return [BdRate(codec, reference, method, *compare(points[codec], points[reference], method))
            for codec in points if codec != reference and points[codec] and points.get(reference)
            for method in METHODS]


def warnings(found):
    """Lines about comparisons that say little."""
    lines = []
    for row in found:
        if row.method != METHODS[0]:
            continue
        if row.overlap == 0:
            lines.append(f"{row.codec} and {row.reference} reach no common quality: no BD-rate")
        elif row.percent is None:
            lines.append(f"{row.codec} or {row.reference} has too few points for a BD-rate")
        elif row.overlap < LITTLE_OVERLAP:
            lines.append(f"{row.codec} and {row.reference} overlap in {100 * row.overlap:.0f} % of their decibels "
                         f"({row.low_db:.1f} to {row.high_db:.1f} dB): their BD-rate says little")
    return lines


def write(path, found):
    """Writes [BdRate] as CSV, whole or not at all."""
    with atomic_file(pathlib.Path(path), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in found:
            writer.writerow((row.codec, row.reference, row.method, "" if row.percent is None else f"{row.percent:.2f}",
                             f"{row.overlap:.3f}", f"{row.low_db:.3f}", f"{row.high_db:.3f}"))


def _decibels(curve, metric):
    values = [(point.bpp, point.values[metric]) for point in curve]
    if any(value is None for _, value in values):
        return []
    return [(bpp, ms_ssim_db(value) if metric == "ms_ssim" else value) for bpp, value in values]


def _rising(points):
    """Points by rising rate; one that costs more than another and is no better is dropped: interpolation needs that."""
    kept = []
    for bpp, quality in sorted(points):
        if not kept or (bpp > kept[-1][0] and quality > kept[-1][1]):
            kept.append((bpp, quality))
    return kept
