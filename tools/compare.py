"""Compare two detections files on the same images: the paired difference of every metric.

Prints A, B, the difference A - B with its 95 % interval, and the two-sided p value. Each image (each sequence, where
the record set has them) is left out of both in turn, so what is hard about it cancels. With a margin, A is also
tested for being worse than B by less than that: one-sided at 2.5 %, the whole 95 % interval above -margin, as in
reports. Where the margin is more than a fifth of the lower 95 % bound of B, such a test can show nothing, and that is
told instead; so are fewer than 10 units.

Examples:
  python -m tools.compare runs/a/jpeg-q5/detections.json runs/b/jpeg-q5/detections.json --ground_truth tfrecords/jpeg-q5
  python -m tools.compare JPEG5.json JPEG100.json --ground_truth tfrecords/jpeg-q5 --margin 5%
"""

import sys

from absl import flags

from tools import command

_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "A record set's folder or a COCO JSON.", required=True)
_SPLIT = flags.DEFINE_enum("split", "val", ["val", "train"], "Which frames of the record set.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.5, "Of F1.", lower_bound=0.0, upper_bound=1.0)
_MARGIN = flags.DEFINE_string("margin", None, "Also test that A is worse than B by less than this (non-inferiority): "
                              "an accuracy such as 0.02, or a share of B's such as 5%.")
command.without_effect("resamples", "seed")


def main(files):
    if len(files) != 2:
        raise command.UsageError(f"give two detections files, not {len(files)}")
    margin = None if _MARGIN.value is None else command.margin("margin", _MARGIN.value)
    from rich import console, table

    from tfod_compress.support import text
    from tfod_compress.tasks.detection import metrics

    everything = metrics.load_ground_truth(_GROUND_TRUTH.value, _SPLIT.value)
    truth, detections = metrics.load_together(files, everything)
    if truth is not everything:
        print(f"note: compared on the classes that both cover: {text.listed(truth.class_names.values(), 10)}",
              file=sys.stderr)
    for file, found in zip(files, detections, strict=True):
        if found.dropped:
            print(f"note: {file}: {found.dropped} detections of class ids that the ground truth lacks are left out",
                  file=sys.stderr)
        empty = metrics.images_without(found, truth)
        if empty:
            print(f"note: {file} has nothing on {text.listed(empty)}", file=sys.stderr)
    result = metrics.compare(truth, *detections, score_threshold=_THRESHOLD.value, margin=margin)
    shown = table.Table(caption=f"{result['images']} images; intervals by leaving out each of {result['units']} "
                        f"{result['unit']}s; F1 at score {_THRESHOLD.value:g}", caption_justify="left")
    columns = ["metric", "A", "B", "A - B", "95 % interval", "p"]
    if margin:
        columns += [f"worse by < {margin}{' of B' if margin.relative else ''}", "p"]
    for column in columns:
        shown.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    print(f"A: {files[0]}\nB: {files[1]}")
    for metric, row in result["metrics"].items():
        shown.add_row(metric, f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['value']:+.4f}",
                      "–" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]",
                      "–" if row["p_value"] is None else f"{row['p_value']:.4f}",
                      *(_not_worse(metric, row["not_worse"]) if margin else ()))
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=120)).print(shown, markup=False)


def _not_worse(metric, test):
    """The cells of the test against the margin; prints where it can show nothing."""
    from tfod_compress.statistics.jackknife import ENOUGH
    from tfod_compress.statistics.margin import nothing, why_nothing

    if not test["can_show"]:
        print(f"{metric}: {nothing(**test['reference'])} (B); {why_nothing(test['margin'], test['reference']['low'])}")
        return "nothing", "–"
    if test["units"] < ENOUGH:
        return f"only {test['units']} units", "–"
    return "yes" if test["non_inferior"] else "not shown", f"{test['p_value']:.4f}"


if __name__ == "__main__":
    command.run(main, positional=True)
