"""What changed between two studies: settings, the versions that made them, and the numbers of the points they share.

Where both have the same frames with the same labels, the difference is paired: the same units are left out of both.
Elsewhere there are two intervals and no test.
"""

import dataclasses
import pathlib

import yaml

from tfod_compress import tasks
from tfod_compress.records import RecordSet
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import left_out
from tfod_compress.support import formats
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json

SHARED = ("detector", "regime", "record_set", "seed", "fold")


@dataclasses.dataclass(frozen=True)
class Studies:
    """Two studies side by side.

    Attributes:
      names: of A and B.
      settings: [(key, value in A, value in B)] that differ; None where one lacks the key.
      versions: likewise, of the software.
      rates: [(record set, bpp in A, bpp in B)] that differ.
      points: [dict]: SHARED (of A), metric, a and b {"value", "low", "high"}, difference {"value", "low", "high",
        "p_value"}, paired on the same frames, or None. Where the studies share no seed, and each has one, points of
        different seeds are compared.
      only: ([key of a point that only A has], [… only B has]).
      seconds: (of A, of B): what the commands took.
    """

    names: tuple
    settings: list
    versions: list
    rates: list
    points: list
    only: tuple
    seconds: tuple

    def as_dict(self):
        """For JSON."""
        return dataclasses.asdict(self)


def compare(folder_a, folder_b, names=()):
    """Compares two studies' folders.

    Args:
      folder_a: with results.json; the predictions and record sets are read where they are still there.
      folder_b: likewise.
      names: keys of metrics of the studies' task that have intervals; by default the decisive one.

    Returns:
      Studies. A positive difference means that B has more of the metric.

    Raises:
      InputError: no such study, studies of two tasks, or an unknown metric.
    """
    folders = [pathlib.Path(folder) for folder in (folder_a, folder_b)]
    results = [_read(folder) for folder in folders]
    of = [result.get("task", tasks.DEFAULT) for result in results]
    if of[0] != of[1]:
        raise InputError(f"{folders[0]} is a study of {of[0]}, {folders[1]} of {of[1]}; give two of one task")
    task = tasks.get(of[0])
    known = {metric.key: metric for metric in task.metrics if metric.scorer}
    unknown = set(names) - set(known)
    if unknown:
        raise InputError(f"no metric {min(unknown)!r}; there are {', '.join(known)}")
    metrics = [known[name] for name in names] or [task.decisive]
    rows = [{_key(row): row for row in result["points"]} for result in results]
    seeds = [{row["seed"] for row in own.values()} for own in rows]
    if len(seeds[0]) == len(seeds[1]) == 1:
        rows[1] = {_key({**row, "seed": min(seeds[0])}): row for row in rows[1].values()}
    shared = [key for key in rows[0] if key in rows[1]]
    settings = [_flat(_settings(folder, result)) for folder, result in zip(folders, results, strict=True)]
    found = {index: {key: read_json(folders[index] / rows[index][key]["evaluation"] / "metrics.json") or {}
                     for key in shared} for index in (0, 1)}
    bpps = [{key[2]: metrics_["bpp"] for key, metrics_ in found[index].items() if metrics_.get("bpp")}
            for index in (0, 1)]
    truths = {}
    points = [_point(task, folders, key, [rows[index][key] for index in (0, 1)],
                     [found[index][key] for index in (0, 1)], metric, truths) for key in shared for metric in metrics]
    versions = [result.get("versions") or {"tfod_compress": result.get("version")} for result in results]
    return Studies(
        tuple(map(str, folders)), _different(*settings), _different(*versions),
        [entry for entry in _different(*bpps) if None not in entry], [point for point in points if point],
        tuple([key for key in own if key not in other] for own, other in (rows, rows[::-1])),
        tuple(sum(entry["seconds"] for entry in result.get("timings", ())) for result in results))


def _read(folder):
    result = read_json(folder / "results.json")
    if result is None or not isinstance(result.get("points"), list):
        raise InputError(f"{folder}: holds no finished study (results.json); make it with python -m tools.run_study")
    formats.check(result, folder / "results.json")
    return result


def _settings(folder, result):
    """The study as run; of one by an older version, its study.yaml."""
    if isinstance(result.get("settings"), dict):
        return result["settings"]
    try:
        found = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(value, prefix=""):
    """{"a.0.b": value} of nested mappings and lists."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        # Codecs and detectors go by their names, so that one more does not shift all that come after it.
        parts = ((part.get("name") or part.get("codec") or index if isinstance(part, dict) else index, part)
                 for index, part in enumerate(value))
    else:
        return {prefix.removesuffix("."): value}
    found = {}
    for name, part in parts:
        key = f"{prefix}{name}."
        while any(taken.startswith(key) for taken in found):  # a codec may come twice
            key = f"{key[:-1]}'."
        found |= _flat(part, key)
    return found


def _different(a, b):
    return [(key, a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]


def _key(row):
    return tuple(row.get(name) for name in SHARED)


def _point(task, folders, key, rows, found, metric, truths):
    """One metric of one point that both have, or None where one of them lacks it."""
    values = [_estimate(numbers, metric) for numbers in found]
    if None in values:
        return None
    point = {**dict(zip(SHARED, key, strict=True)), "metric": metric.key, "a": values[0], "b": values[1],
             "difference": None}
    split = rows[0].get("split") or "val"
    if (key[2], split) not in truths:
        truths[key[2], split] = _same_truth(task, folders, key[2], split)
    truth = truths[key[2], split]
    if truth is not None:
        files = [folder / row["evaluation"] / task.predictions_file for folder, row in zip(folders, rows, strict=True)]
        try:
            missing = task.not_covered(files)
            both = [task.without(truth, task.read_predictions(file, truth), missing) for file in files]
        except InputError:
            return point
        units = jackknife.units(len(truth.image_ids), truth.groups)
        threshold = found[0].get("score_threshold") or 0.5
        a, b = (left_out(task.scorer(*each, threshold), (metric.scorer,), units)[metric.scorer] for each in both)
        point["difference"] = jackknife.difference(b - a, metric.share)
    return point


def _estimate(numbers, metric):
    value = metric.of(numbers)
    if value is None:
        return None
    entry = numbers
    for part in metric.key.split("."):
        entry = entry[part]
    return {"value": value, "low": entry.get("low"), "high": entry.get("high")} if isinstance(entry, dict) else {
        "value": value, "low": None, "high": None}


def _same_truth(task, folders, record_set, split):
    """The ground truth that both studies have in common, or None where it differs or a record set is gone."""
    try:
        a, b = (task.ground_truth(RecordSet(folder / "tfrecords" / record_set), split) for folder in folders)
    except InputError:
        return None
    return a if task.same_truth(a, b) else None
