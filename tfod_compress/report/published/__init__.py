"""Published results that a report is compared with. Each CSV's first line, a comment, names its source."""

import csv
import dataclasses
import pathlib

_FOLDER = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Published:
    """A published table.

    Attributes:
      name: the file's name without ending.
      source: where the numbers come from and what they are.
      rows: one dict a line, column -> text as printed; "" where the source gives no number.
    """

    name: str
    source: str
    rows: tuple[dict[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A published accuracy against JPEG quality, as a share of its own accuracy at the best quality.

    Attributes:
      label: who and what.
      group: curves of one group share a line style and one label.
      qualities: falling; kept: the share at each, 1.0 at the first.
    """

    label: str
    group: str
    qualities: tuple[float, ...]
    kept: tuple[float, ...]


def names():
    """The tables that there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.csv"))


def load(name):
    """The table of this name, see `names`; KeyError lists them where there is none."""
    path = _FOLDER / f"{name}.csv"
    if not path.is_file():
        raise KeyError(f"no published table {name!r}; there are {', '.join(names())}")
    source, *lines = path.read_text(encoding="utf-8").splitlines()
    return Published(name, source.removeprefix("#").strip(), tuple(csv.DictReader(lines)))


def jpeg_curves(coco_metric="AP50"):
    """Detection accuracy against JPEG quality as published, each relative to its own best quality.

    The accuracies themselves are of other data, metrics and detectors; only their shape can be compared.

    Args:
      coco_metric: what is taken of the nine detectors: "AP50", or "AP", "APs", "APm", "APl".

    Returns:
      A list of Curve: Faster R-CNN of Poyser et al. before and after retraining, and nine detectors on COCO.
    """
    durham = load("durham_detection").rows
    curves = [_curve(f"Poyser et al., {regime}", f"Poyser et al., {regime}",
                     [(float(r["jpeg_quality"]), float(r["map"])) for r in durham if r["regime"] == regime])
              for regime in ("pretrained", "retrained")]
    sweep = load("coco_jpeg_sweep").rows
    for model in dict.fromkeys(row["model"] for row in sweep):
        points = [(float(r["quality"]), float(r[coco_metric])) for r in sweep if r["model"] == model]
        curves.append(_curve(f"COCO, {model}", "COCO, nine detectors off the shelf", points))
    return curves


def _curve(label, group, points):
    points = sorted(points, reverse=True)
    best = points[0][1]
    return Curve(label, group, tuple(q for q, _ in points), tuple(value / best for _, value in points))
