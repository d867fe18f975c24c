"""What has been evaluated, collected into results.json."""

import datetime
import json
import pathlib

from tfod_compress import __version__
from tfod_compress.files import write_json
from tfod_compress.study.graph import points
from tfod_compress.study.stamps import stamp_path


def write_results(study, workdir, nodes):
    """Collects what has been evaluated into results.json (design: the report reads this file)."""
    from tfod_compress.records import RecordSet

    workdir = pathlib.Path(workdir)
    rows = [row for row in points(study) if (workdir / row["evaluation"] / "metrics.json").is_file()]
    if not rows:
        return
    stamps = {node.name: json.loads(stamp_path(workdir, node).read_text()) for node in nodes
              if stamp_path(workdir, node).is_file()}
    label_map = RecordSet(workdir / "tfrecords" / rows[0]["record_set"]).label_map
    write_json(workdir / "results.json", {
        "study": workdir.name, "title": study.title, "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "class_names": [label_map[number] for number in sorted(label_map)],
        "commands": [stamps[node.name]["command"] for node in nodes if node.name in stamps],
        "regime_training": {"training": study.training.model_dump(),
                            "fine_tuning": study.fine_tuning.model_dump() if study.fine_tuning else None,
                            "evaluation": study.evaluation.model_dump()},
        "points": rows,
        "comparisons": _comparisons(study, workdir, rows),
        "timings": [{"stage": name, "seconds": stamp["seconds"]} for name, stamp in stamps.items()],
    })


def _comparisons(study, workdir, rows):
    """Paired differences in weighted mAP: compressed against best, task_ft against control_ft and off the shelf."""
    from tfod_compress import metrics
    from tfod_compress.records import RecordSet

    index = {(row["detector"], row["seed"], row["regime"], row["quality"]): row for row in rows}
    pairs = []
    for detector, seed, regime, quality in index:
        key = (detector, seed)
        if quality != study.best_quality and regime != "control_ft":
            pairs.append(((*key, regime, quality), (*key, "off_the_shelf", study.best_quality)))
        if regime in ("task_ft", "retrained"):
            pairs.append(((*key, regime, quality), (*key, "off_the_shelf", quality)))
        if regime == "task_ft":
            pairs.append(((*key, regime, quality), (*key, "control_ft", quality)))
    truth = {}
    comparisons = []
    for a, b in pairs:
        if a not in index or b not in index:
            continue
        name = index[a]["record_set"]
        if name not in truth:
            truth[name] = metrics.record_set_ground_truth(RecordSet(workdir / "tfrecords" / name), "val")
        detections = [metrics.load_detections(workdir / index[point]["evaluation"] / "detections.json", truth[name])
                      for point in (a, b)]
        result = metrics.paired_bootstrap(truth[name], *detections, metric="weighted_map",
                                          resamples=study.evaluation.resamples, seed=0)
        comparisons.append({"metric": "weighted_map", "detector": a[0], **{
            side: {name: index[point][name] for name in ("regime", "record_set", "quality", "seed")}
            for side, point in (("a", a), ("b", b))}, **result})
    return comparisons
