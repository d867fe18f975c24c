"""Evaluate a checkpoint or a SavedModel on record sets, or a detections file on a ground truth.

Writes OUTPUT/<record set>/metrics.json and detections.json (COCO results) and prints a table. The model is built and
traced once for all record sets. With several checkpoints, OUTPUT gets a folder for each. Intervals are 95 % bootstrap
intervals by image, or by sequence where the record set was split by sequence. What is done already is not done again.

Examples:
  python -m tools.evaluate --pipeline_config_path runs/best/pipeline.config --checkpoint runs/best \\
      --records tfrecords/jpeg-q100 --records tfrecords/jpeg-q5 --output runs/best/evaluation
  python -m tools.evaluate --metrics_from detections.json --ground_truth instances_val.json --output metrics
"""

import sys

from absl import flags

from tools import command

_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The detector's pipeline.config.")
_CHECKPOINT = flags.DEFINE_multi_string("checkpoint", [], "A model folder (its newest checkpoint) or a prefix such as "
                                        "model/ckpt-3; may be repeated.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "An exported detector, instead of a config and checkpoints.")
_RECORDS = flags.DEFINE_multi_string("records", [], "A record set's folder; may be repeated.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the results.", required=True)
_SPLIT = flags.DEFINE_string("split", "val", "Which frames of the record sets: val, train, test, or a fold such as "
                             "fold0.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.5, "Detections below it take no part in precision, recall and F1.",
                                lower_bound=0.0, upper_bound=1.0)
_RESAMPLES = flags.DEFINE_integer("resamples", 1000, "Bootstrap resamples.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the resampling.", lower_bound=0)
_BATCH = flags.DEFINE_integer("batch_size", 8, "Frames run together; changes no result.", lower_bound=1)
_METRICS_FROM = flags.DEFINE_string("metrics_from", None, "A detections file (COCO results) to measure; no model.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "With --metrics_from: a record set's folder or a COCO JSON.")


def main():
    if _METRICS_FROM.value:
        if not _GROUND_TRUTH.value or _CHECKPOINT.value or _RECORDS.value or _CONFIG.value or _SAVED_MODEL.value:
            raise command.UsageError("--metrics_from goes with --ground_truth and --output alone")
        from tfod_compress import evaluation, metrics

        result = evaluation.metrics_from(
            _METRICS_FROM.value, _GROUND_TRUTH.value, _OUTPUT.value, split=_SPLIT.value,
            score_threshold=_THRESHOLD.value, resamples=_RESAMPLES.value, seed=_SEED.value)
        empty = result["images_without_detections"]
        if empty["count"]:
            print(f"note: {_METRICS_FROM.value} has nothing on {empty['count']} of {result['images']} images, such as "
                  f"{metrics.listed(empty['first'])}; they count as images where nothing was found", file=sys.stderr)
        _table([("", result)])
        return
    if _GROUND_TRUTH.value:
        raise command.UsageError("--ground_truth goes with --metrics_from")
    needed = {"records": _RECORDS.value}
    if _SAVED_MODEL.value is None:
        needed |= {"pipeline_config_path": _CONFIG.value, "checkpoint": _CHECKPOINT.value}
    elif _CONFIG.value or _CHECKPOINT.value:
        raise command.UsageError("--saved_model stands in place of --pipeline_config_path and --checkpoint")
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise command.UsageError(f"--{missing[0]} is missing")
    from tfod_compress import evaluation

    if _SAVED_MODEL.value:
        results = evaluation.evaluate_saved_model(
            _SAVED_MODEL.value, _RECORDS.value, _OUTPUT.value, split=_SPLIT.value, score_threshold=_THRESHOLD.value,
            resamples=_RESAMPLES.value, seed=_SEED.value)
        _table([("", result) for result in results.values()])
        return
    _table(evaluation.evaluate_checkpoints(
        _CONFIG.value, _CHECKPOINT.value, _RECORDS.value, _OUTPUT.value, split=_SPLIT.value,
        score_threshold=_THRESHOLD.value, batch_size=_BATCH.value, resamples=_RESAMPLES.value, seed=_SEED.value))


def _table(results):
    """Prints [(checkpoint name or "", metrics)]."""
    from rich import console, table

    threshold = results[0][1]["score_threshold"]
    shown = table.Table(caption=f"95 % intervals in brackets; P, R, F1 at score {threshold:g}", caption_justify="left")
    named = any(name for name, _ in results)
    columns = ["record set", "bpp", "weighted mAP", "mAP", "COCO AP", "P", "R", "F1"]
    for column in (["checkpoint"] if named else []) + columns:
        shown.add_column(column, justify="left" if column in ("checkpoint", "record set") else "right", no_wrap=True)
    for name, result in results:
        bpp = "" if result["bpp"] is None else f"{result['bpp']:.3f}"
        weighted = result["weighted_map"]
        shown.add_row(*([name] if named else []), result["record_set"], bpp,
                      f"{weighted['value']:.3f} [{weighted['low']:.3f}, {weighted['high']:.3f}]",
                      f"{result['map']['value']:.3f}", f"{result['coco']['AP']['value']:.3f}",
                      f"{result['precision']:.3f}", f"{result['recall']:.3f}", f"{result['f1']['value']:.3f}")
    wide = console.Console()
    if not wide.is_terminal:
        wide = console.Console(width=140)
    wide.print(shown, markup=False)


if __name__ == "__main__":
    command.run(main)
