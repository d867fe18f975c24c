"""What changed between two studies: settings, versions, and the numbers of the points that both have.

Each difference is B - A with its 95 % interval where both tested the same frames: then the same units are left out of
both. Elsewhere the two intervals stand side by side.

Examples:
  python -m tools.compare_studies runs/demo runs/demo-1
  python -m tools.compare_studies runs/lmu runs/lmu-new --metric weighted_map --metric coco.AP --output changes.json
"""

from absl import flags

from tools import command

_METRIC = flags.DEFINE_multi_string("metric", [], "What to compare, as metrics.json calls it, such as map or coco.AP; "
                                    "may be repeated. By default what decides: of detection, weighted_map.")
command.without_effect("resamples")
_OUTPUT = flags.DEFINE_string("output", None, "Also write it all as JSON to this file.")


def main(folders):
    if len(folders) != 2:
        raise command.UsageError(f"give two studies' folders, not {len(folders)}")
    from rich import console

    from tfod_compress.study import compare
    from tfod_compress.support.files import write_json

    found = compare.compare(*folders, names=tuple(dict.fromkeys(_METRIC.value)))
    if _OUTPUT.value:
        write_json(_OUTPUT.value, found.as_dict())
    screen = console.Console()
    _print(found, screen if screen.is_terminal else console.Console(width=160))


def _print(found, screen):
    for title, rows in (("settings", found.settings), ("versions", found.versions), ("bits per pixel", found.rates)):
        if not rows:
            screen.print(f"{title}: the same", markup=False)
            continue
        screen.print(_table(title, ["", "A", "B"], [[name, _text(a), _text(b)] for name, a, b in rows]), markup=False)
    columns = ["detector", "regime", "record set", "seed", "metric", "A", "B", "B - A", "p"]
    if not found.points:
        screen.print("no point in common: the same detector, regime, record set and fold", markup=False)
    else:
        screen.print(_table("points that both have", columns, [_row(point) for point in found.points],
                            "95 % intervals in brackets; B - A only where both tested the same frames, paired"),
                     markup=False)
    for name, keys in zip("AB", found.only, strict=True):
        if keys:
            listed = "; ".join(" ".join(str(part) for part in key if part is not None) for key in keys[:5])
            screen.print(f"only {name} has {len(keys)} points, such as {listed}", markup=False)
    screen.print(f"the commands took {found.seconds[0]:,.0f} s in A and {found.seconds[1]:,.0f} s in B", markup=False)


def _table(title, columns, rows, caption=None):
    from rich import table, text

    shown = table.Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*map(text.Text, row))
    return shown


def _row(point):
    seed = str(point["seed"]) if point["fold"] is None else f"{point['seed']}, fold {point['fold']}"
    row = [point["detector"], point["regime"], point["record_set"], seed, point["metric"],
           _estimate(point["a"]), _estimate(point["b"])]
    if point["difference"] is None:
        return [*row, "other frames", ""]
    return [*row, _estimate(point["difference"], "+"), f"{point['difference']['p_value']:.3f}"]


def _estimate(found, sign=""):
    text = f"{found['value']:{sign}.3f}"
    return text if found["low"] is None else f"{text} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"


def _text(value):
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    command.run(main, positional=True)
