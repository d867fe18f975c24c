"""Compare two detections files on the same images: a paired bootstrap of every metric.

Prints A, B, the difference A - B with its 95 % interval, and the two-sided p value. Both are measured on the same
resampled images (whole sequences where the record set was split by sequence), so what is hard about an image cancels.

Example:
  python -m tools.compare runs/a/jpeg-q5/detections.json runs/b/jpeg-q5/detections.json --ground_truth tfrecords/jpeg-q5
"""

import sys

from absl import flags

from tools import command

_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "A record set's folder or a COCO JSON.", required=True)
_SPLIT = flags.DEFINE_enum("split", "val", ["val", "train"], "Which frames of the record set.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.5, "Of F1.", lower_bound=0.0, upper_bound=1.0)
_MARGIN = flags.DEFINE_float("margin", None, "Also test that A is worse than B by less than this (non-inferiority).")
_RESAMPLES = flags.DEFINE_integer("resamples", 1000, "Bootstrap resamples.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the resampling.", lower_bound=0)


def main(files):
    if len(files) != 2:
        raise command.UsageError(f"give two detections files, not {len(files)}")
    if _MARGIN.value is not None and not _MARGIN.value > 0:
        raise command.UsageError(f"--margin must be above 0, not {_MARGIN.value:g}")
    from rich import console, table

    from tfod_compress import metrics

    everything = metrics.load_ground_truth(_GROUND_TRUTH.value, _SPLIT.value)
    truth, detections = metrics.load_together(files, everything)
    if truth is not everything:
        print(f"note: compared on the classes that both cover: {metrics.listed(truth.class_names.values(), 10)}",
              file=sys.stderr)
    for file, found in zip(files, detections, strict=True):
        if found.dropped:
            print(f"note: {file}: {found.dropped} detections of class ids that the ground truth lacks are left out",
                  file=sys.stderr)
        empty = metrics.images_without(found, truth)
        if empty:
            print(f"note: {file} has nothing on {metrics.listed(empty)}", file=sys.stderr)
    result = metrics.compare(truth, *detections, score_threshold=_THRESHOLD.value, resamples=_RESAMPLES.value,
                             seed=_SEED.value, margin=_MARGIN.value)
    shown = table.Table(caption=f"{result['images']} images, {_RESAMPLES.value} resamples by {result['unit']}; "
                        f"F1 at score {_THRESHOLD.value:g}", caption_justify="left")
    columns = ["metric", "A", "B", "A - B", "95 % interval", "p"]
    if _MARGIN.value:
        columns += [f"worse by < {_MARGIN.value:g}", "p"]
    for column in columns:
        shown.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for metric, row in result["metrics"].items():
        not_worse = row.get("not_worse")
        test = ["yes" if not_worse["non_inferior"] else "not shown", f"{not_worse['p_value']:.4f}"] if not_worse else []
        shown.add_row(metric, f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['value']:+.4f}",
                      f"[{row['low']:+.4f}, {row['high']:+.4f}]", f"{row['p_value']:.4f}", *test)
    print(f"A: {files[0]}\nB: {files[1]}")
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=120)).print(shown, markup=False)


if __name__ == "__main__":
    command.run(main, positional=True)
