"""The graph of work as text: what exists, what is missing, what each node costs by what past runs took."""

import pathlib
import statistics

from tfod_compress.study import stamps
from tfod_compress.support.files import read_json

RAW_BYTES = 3  # of a pixel


def describe(study, workdir, nodes, digests):
    """Lines for a person: each node with its command, whether it is done and what it costs, and the sum.

    Args:
      study: schema.Study.
      workdir: the study's folder.
      nodes: [graph.Node].
      digests: of stamps.digests.

    Returns:
      [line].

    Raises:
      InputError: the folder holds results of a study with other settings.
    """
    workdir = pathlib.Path(workdir)
    speeds, lines, left, seconds, unknown, steps = _speeds(workdir), [], 0, 0.0, 0, 0
    for node in nodes:
        stamp = stamps.read(workdir, node, digests[node.name])
        missing = stamps.missing(node)
        done = stamp is not None and not missing
        state = "done" if done else "missing"
        if stamp and missing and node.items and len(missing) < len(node.items):
            state = f"{len(missing)} of {len(node.items)} missing"
        lines.append(f"{state:<8} {node.name}{_cost(study, workdir, node, stamp if done else None, speeds)}")
        lines.append(f"         {node.text}")
        if not done:
            left += 1
            kind, amount, unit = node.work
            steps += amount if unit == "steps" else 0
            estimate = _estimate(node, speeds)
            if estimate is None:
                unknown += bool(kind)
            else:
                seconds += estimate
    evaluations = [node for node in nodes if node.tool == "evaluate"]
    lines.append(f"{sum(len(node.items) for node in evaluations)} points of {len(evaluations)} models; {left} of "
                 f"{len(nodes)} commands are left to run, with {steps:,} training steps")
    if seconds:
        lines.append(f"about {_hours(seconds)} by what past runs took" + (
            f", besides {unknown} commands of kinds that none has run" if unknown else ""))
    elif left:
        lines.append("no past run beside this one tells how long that takes")
    return lines


def _cost(study, workdir, node, stamp, speeds):
    """"; 1,800 steps, 0.2 h" of a node."""
    parts = []
    kind, amount, unit = node.work
    if amount and unit != "pixels":
        parts.append(f"{amount:,} {unit}")
    if unit == "pixels" and study.data.make:
        parts.append(f"{study.data.make.count:,} frames")
    size = _bytes(workdir, node)
    if size:
        parts.append(size)
    if stamp is not None and stamp.get("seconds") is not None:
        parts.append(f"took {_hours(stamp['seconds'])}")
    elif stamp is None and (estimate := _estimate(node, speeds)) is not None:
        parts.append(f"about {_hours(estimate)}")
    return f"   ({', '.join(parts)})" if parts else ""


def _bytes(workdir, node):
    """What a node writes: as it is written, or the raw pixels that it will not exceed by much."""
    if node.tool not in ("make_tfrecords", "make_demo_frames"):
        return ""
    found = [item.result for item in node.items if stamps.is_whole(item.result)]
    if found and len(found) == len(node.items):
        total = sum((read_json(path) or {}).get("coded_bytes", 0) for path in found)
        return f"{total / 1e6:,.1f} MB coded"
    kind, amount, unit = node.work
    if not amount:
        return ""
    pixels = amount
    if unit == "frames":
        width, height = kind.split()[-1].split("x")
        pixels = amount * int(width) * int(height)
    return f"at most {RAW_BYTES * pixels / 1e6:,.0f} MB"


def _estimate(node, speeds):
    kind, amount, _ = node.work
    return amount * speeds[kind] if amount and kind in speeds else None


def _speeds(workdir):
    """{kind of work: seconds for one unit of it}: the median over the stamps of this folder and those beside it."""
    found = {}
    for path in sorted([*workdir.glob("done/*.json"), *workdir.parent.glob("*/done/*.json")]):
        try:
            stamp = read_json(path)
            seconds = stamp["seconds"] / stamp["work"]["amount"]  # None of a command that was killed on the way
            found.setdefault(stamp["work"]["kind"], []).append(seconds)
        except (KeyError, TypeError, ZeroDivisionError):
            continue
    return {kind: statistics.median(values) for kind, values in found.items() if kind}


def _hours(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
