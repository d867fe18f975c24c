"""What has been evaluated, collected into results.json and TensorBoard's HPARAMS."""

import datetime
import pathlib
import statistics

from tfod_compress import __version__
from tfod_compress.study import stamps
from tfod_compress.study.comparisons import compare_all
from tfod_compress.study.curve_comparisons import compare_curves
from tfod_compress.study.graph import points
from tfod_compress.study.hparams import write_hparams
from tfod_compress.study.numbers import metric
from tfod_compress.study.pooled import pooled
from tfod_compress.study.recoveries import recoveries
from tfod_compress.support import formats
from tfod_compress.support.files import read_json, write_json

SUMMARISED = ("weighted_map", "map", "f1", "coco.AP")


def write_results(study, workdir, nodes, problems=()):
    """Collects what has been evaluated into results.json, which the report reads.

    Args:
      study: schema.Study.
      workdir: the study's folder.
      nodes: all of the study's [graph.Node].
      problems: [line]: what was not done.
    """
    from tfod_compress.records import RecordSet

    workdir = pathlib.Path(workdir)
    rows, found = [], {}
    for row in points(study):
        metrics = read_json(workdir / row["evaluation"] / "metrics.json")
        if metrics is not None:
            rows.append(row)
            found[row["evaluation"]] = metrics
    if not rows:
        return
    finished = {node.name: read_json(stamps.stamp_path(workdir, node)) for node in nodes}
    finished = {name: stamp for name, stamp in finished.items() if stamp}
    label_map = RecordSet(workdir / "tfrecords" / rows[0]["record_set"]).label_map
    before = read_json(workdir / "results.json") or {}
    manifests = {name: read_json(workdir / "tfrecords" / name / "manifest.json") or {}
                 for name in {row["record_set"] for row in rows}}
    tuning = {"codecs": [codec.model_dump() for codec in study.codecs],
              "codec_tuning": study.codec_tuning.model_dump() if study.codec_tuning else None}
    write_json(workdir / "results.json", {
        formats.KEY: formats.FORMAT, "study": workdir.name, "title": study.title, "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "class_names": [label_map[number] for number in sorted(label_map)],
        "commands": [finished[node.name]["command"] for node in nodes if node.name in finished],
        "regime_training": {"training": study.training.model_dump(),
                            "fine_tuning": study.fine_tuning.model_dump() if study.fine_tuning else None,
                            "evaluation": study.evaluation.model_dump(),
                            **{name: part for name, part in tuning.items() if part}},
        "settings": study.model_dump(mode="json", exclude={formats.KEY}),
        "versions": _versions(workdir, rows, manifests),
        "complete": len(rows) == len(points(study)), "problems": list(problems),
        "points": [{**row, "psnr_db": manifests[row["record_set"]].get("psnr_db")} for row in rows],
        "summary": _summary(rows, found),
        "comparisons": compare_all(study, workdir, rows, before.get("comparisons", ())),
        "curve_comparisons": compare_curves(study, workdir, rows, {name: each["bpp"] for name, each in found.items()},
                                            before.get("curve_comparisons", ())),
        "recoveries": recoveries(study, workdir, rows),
        "pooled": pooled(workdir, rows),
        "timings": [{"stage": name, "seconds": stamp["seconds"]} for name, stamp in finished.items()
                    if stamp["seconds"] is not None],
    })
    write_hparams(workdir, rows, found)


def _summary(rows, found):
    """Mean and spread over the seeds and folds of each detector, regime and record set: [dict].

    `sd` is the sample standard deviation, None of one run alone.
    """
    groups = {}
    for row in rows:
        groups.setdefault((row["detector"], row["regime"], row["record_set"]), []).append(row)
    made = []
    for (detector, regime, record_set), members in groups.items():
        numbers = {}
        for name in SUMMARISED:
            values = [metric(found[row["evaluation"]], name) for row in members]
            if None not in values:
                numbers[name] = {"mean": statistics.fmean(values), "min": min(values), "max": max(values),
                                 "sd": statistics.stdev(values) if len(values) > 1 else None}
        made.append({"detector": detector, "regime": regime, "record_set": record_set, "runs": len(members),
                     "seeds": sorted({row["seed"] for row in members}),
                     "folds": sorted({row["fold"] for row in members} - {None}), **numbers})
    return made


def _versions(workdir, rows, manifests):
    """Of what made the numbers: {name: version}, several with a bar between them."""
    found = {"tfod_compress": {__version__}}
    for model in {row["model"] for row in rows}:
        run = read_json(workdir / "models" / model / "run.json") or {}
        for name, version in run.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    for manifest in manifests.values():
        if "codec_version" in manifest:
            found.setdefault(f"codec {manifest['codec']}", set()).add(str(manifest["codec_version"]))
    return {name: " | ".join(sorted(versions)) for name, versions in sorted(found.items())}
