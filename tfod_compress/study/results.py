"""What has been evaluated, collected into results.json and TensorBoard's HPARAMS."""

import datetime
import pathlib
import statistics

from tfod_compress import __version__, tasks
from tfod_compress.records import RecordSet
from tfod_compress.study import stamps
from tfod_compress.study.comparisons import compare_all
from tfod_compress.study.curve_comparisons import compare_curves
from tfod_compress.study.hparams import write_hparams
from tfod_compress.study.left_out import Accuracies
from tfod_compress.study.points import points
from tfod_compress.study.pooled import pooled
from tfod_compress.study.recoveries import recoveries
from tfod_compress.support import formats
from tfod_compress.support.files import read_json, write_json


def write_results(study, workdir, nodes, problems=()):
    """Collects what has been evaluated into results.json, which the report reads.

    Args:
      study: schema.Study.
      workdir: the study's folder.
      nodes: all of the study's [graph.Node].
      problems: [line]: what was not done.
    """
    workdir, task = pathlib.Path(workdir), tasks.get(study.task)
    planned, found = points(study), {}
    for point in planned:
        metrics = read_json(workdir / point.evaluation / "metrics.json")
        if metrics is not None:
            found[point.evaluation] = metrics
    done = [point for point in planned if point.evaluation in found]
    if not done:
        return
    finished = {node.name: read_json(stamps.stamp_path(workdir, node)) for node in nodes}
    finished = {name: stamp for name, stamp in finished.items() if stamp}
    label_map = RecordSet(workdir / "tfrecords" / done[0].record_set).label_map
    before = read_json(workdir / "results.json") or {}
    manifests = {name: read_json(workdir / "tfrecords" / name / "manifest.json") or {}
                 for name in {point.record_set for point in done}}
    accuracies = Accuracies(workdir, task)
    tuning = {"codecs": [codec.model_dump() for codec in study.codecs],
              "codec_tuning": study.codec_tuning.model_dump() if study.codec_tuning else None}
    write_json(workdir / "results.json", {
        formats.KEY: formats.FORMAT, "study": workdir.name,
        **({} if study.task == tasks.DEFAULT else {"task": study.task}), "title": study.title, "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "class_names": [label_map[number] for number in sorted(label_map)],
        "commands": [finished[node.name]["command"] for node in nodes if node.name in finished],
        "regime_training": {"training": study.training.model_dump(),
                            "fine_tuning": study.fine_tuning.model_dump() if study.fine_tuning else None,
                            "evaluation": study.evaluation.model_dump(),
                            **{name: part for name, part in tuning.items() if part}},
        "settings": study.model_dump(mode="json", exclude={formats.KEY}),
        "versions": _versions(workdir, done, manifests),
        "complete": len(done) == len(planned), "problems": list(problems),
        "points": [{**point.as_dict(), "psnr_db": manifests[point.record_set].get("psnr_db")} for point in done],
        "summary": _summary(task, done, found),
        "comparisons": compare_all(study, accuracies, done, before.get("comparisons", ())),
        "curve_comparisons": compare_curves(accuracies, done, {name: each["bpp"] for name, each in found.items()},
                                            before.get("curve_comparisons", ())),
        "recoveries": recoveries(study, accuracies, done),
        "pooled": pooled(accuracies, done),
        "timings": [{"stage": name, "seconds": stamp["seconds"]} for name, stamp in finished.items()
                    if stamp["seconds"] is not None],
    })
    write_hparams(workdir, task, done, found)


def _summary(task, points, found):
    """Mean and spread over the seeds and folds of each detector, regime and record set: [dict].

    Of the metrics that have intervals. `sd` is the sample standard deviation, None of one run alone.
    """
    groups = {}
    for point in points:
        groups.setdefault((point.detector, point.regime, point.record_set), []).append(point)
    made = []
    for (detector, regime, record_set), members in groups.items():
        numbers = {}
        for metric in (metric for metric in task.metrics if metric.scorer):
            values = [metric.of(found[point.evaluation]) for point in members]
            if None not in values:
                numbers[metric.key] = {"mean": statistics.fmean(values), "min": min(values), "max": max(values),
                                 "sd": statistics.stdev(values) if len(values) > 1 else None}
        made.append({"detector": detector, "regime": regime, "record_set": record_set, "runs": len(members),
                     "seeds": sorted({point.seed for point in members}),
                     "folds": sorted({point.fold for point in members} - {None}), **numbers})
    return made


def _versions(workdir, points, manifests):
    """Of what made the numbers: {name: version}, several with a bar between them."""
    found = {"tfod_compress": {__version__}}
    for model in {point.model for point in points}:
        run = read_json(workdir / "models" / model / "run.json") or {}
        for name, version in run.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    for manifest in manifests.values():
        if "codec_version" in manifest:
            found.setdefault(f"codec {manifest['codec']}", set()).add(str(manifest["codec_version"]))
    return {name: " | ".join(sorted(versions)) for name, versions in sorted(found.items())}
