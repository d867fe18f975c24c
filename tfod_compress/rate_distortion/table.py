"""rd.csv: one row a picture, codec and quality; and the mean curve of each codec over the pictures."""

import collections
import csv
import dataclasses
import json
import math
import pathlib

from tfod_compress.rate_distortion.measure import COLUMNS
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file

METRICS = ("psnr_rgb", "ms_ssim", "psnr_hvs", "vmaf")
POINTS = "points"  # the folder of single results below the output folder


@dataclasses.dataclass(frozen=True)
class Point:
    """Means over the pictures at one quality; a metric that some picture lacks is None.

    Attributes:
      quality: text as in rd.csv.
      bpp: mean of the pictures' bits per pixel.
      values: {metric: mean of the pictures' values}.
    """

    quality: str
    bpp: float
    values: dict


def part_path(output, codec, source_id):
    """The file of one picture's results with one codec."""
    return pathlib.Path(output) / POINTS / codec / f"{source_id}.json"


def collect(output, source_ids):
    """Rows of every codec measured on the pictures `source_ids` so far, by codec, picture, rate."""
    rows = []
    for folder in sorted((pathlib.Path(output) / POINTS).iterdir()):
        for source_id in source_ids:
            try:
                found = json.loads(part_path(output, folder.name, source_id).read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            rows += sorted(found["rows"].values(), key=lambda row: int(row["bytes"]))
    return rows


def write(output, rows):
    """Writes rd.csv, whole or not at all."""
    with atomic_file(pathlib.Path(output) / "rd.csv", "w") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path):
    """Rows of an rd.csv, as texts.

    Raises:
      InputError: no such file, or columns are missing.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path}: no column {sorted(missing)[0]}; make it with tools.codec bench")
            return list(reader)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; make it with tools.codec bench") from error


def mean_curves(rows):
    """The mean curve of each codec: the means of rate and of each metric over the pictures, quality by quality.

    Means of the pictures' decibels, not decibels of a mean error, as published tables have them. A quality that was
    not measured on all of the codec's pictures has no mean.

    Args:
      rows: of rd.csv.

    Returns:
      {codec: [Point], by rising rate}. Lossless points are left out: their PSNR is infinite.
    """
    grouped, images = {}, {}
    for row in rows:
        grouped.setdefault((row["codec"], row["quality"]), []).append(row)
        images.setdefault(row["codec"], set()).add(row["image"])
    curves = collections.defaultdict(list)
    for (codec, quality), members in grouped.items():
        if len(members) != len(images[codec]) or any(row["psnr_rgb"] == "inf" for row in members):
            continue
        values = {metric: None if any(row[metric] == "" for row in members)
                  else math.fsum(float(row[metric]) for row in members) / len(members) for metric in METRICS}
        bpp = math.fsum(float(row["bpp"]) for row in members) / len(members)
        curves[codec].append(Point(quality, bpp, values))
    return {codec: sorted(points, key=lambda point: point.bpp) for codec, points in sorted(curves.items())}
