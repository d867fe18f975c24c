"""Compare two files of predictions on the same images: the paired difference of every metric.

Of detectors they are COCO results, of other tasks predictions.json; the record set says which task it is. Prints A, B,
the difference A - B with its 95 % interval, and the two-sided p value. Each image (each sequence, where the record set
has them) is left out of both in turn, so what is hard about it cancels. With a margin, A is also tested for being worse
than B by less than that: one-sided at 2.5 %, the whole 95 % interval on the right side of the margin, as in reports.
Where the margin is more than a fifth of what B surely reaches, such a test can show nothing, and that is told instead;
so are fewer than 10 units.

Examples:
  python -m tools.compare runs/a/jpeg-q5/detections.json runs/b/jpeg-q5/detections.json --ground_truth tfrecords/jpeg-q5
  python -m tools.compare JPEG5.json JPEG100.json --ground_truth tfrecords/jpeg-q5 --margin 5%
  python -m tools.compare A/predictions.json B/predictions.json --ground_truth tfrecords/signs/jpeg-q5 --metric top1
"""

import sys

from absl import flags

from tools import command

_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "A record set's folder or a COCO JSON.", required=True)
_SPLIT = flags.DEFINE_string("split", "val", "Which frames of the record set: val, train, test, or a fold such as "
                             "fold0.")
_METRIC = flags.DEFINE_multi_string("metric", [], "A metric by its key in metrics.json, such as weighted_map or "
                                    "coco.AP; may be repeated. Without it, all that have intervals.")
_THRESHOLD = flags.DEFINE_float("score_threshold", 0.5, "Of F1.", lower_bound=0.0, upper_bound=1.0)
_MARGIN = flags.DEFINE_string("margin", None, "Also test that A is worse than B by less than this (non-inferiority): "
                              "an accuracy such as 0.02, or a share of B's such as 5%.")
command.without_effect("resamples", "seed")


def main(files):
    if len(files) != 2:
        raise command.UsageError(f"give two files of predictions, not {len(files)}")
    margin = None if _MARGIN.value is None else command.margin("margin", _MARGIN.value)
    from rich import console, table

    from tfod_compress.evaluation.comparison import compare

    found = compare(files, _GROUND_TRUTH.value, split=_SPLIT.value, score_threshold=_THRESHOLD.value, margin=margin,
                    keys=_METRIC.value)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    told = f"; F1 at score {_THRESHOLD.value:g}" if found.task.thresholded else ""
    shown = table.Table(caption=f"{found.images} images; intervals by leaving out each of {found.units} "
                        f"{found.unit}s{told}", caption_justify="left")
    columns = ["metric", "A", "B", "A - B", "95 % interval", "p"]
    if margin:
        columns += [f"worse by < {margin}{' of B' if margin.relative else ''}", "p"]
    for column in columns:
        shown.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    print(f"A: {files[0]}\nB: {files[1]}")
    for metric, row in found.rows:
        shown.add_row(metric.scorer, f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['value']:+.4f}",
                      "–" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]",
                      "–" if row["p_value"] is None else f"{row['p_value']:.4f}",
                      *(_not_worse(found.task, metric, row["not_worse"]) if margin else ()))
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=120)).print(shown, markup=False)


def _not_worse(task, metric, test):
    """The cells of the test against the margin; prints where it can show nothing."""
    from tfod_compress.statistics.jackknife import ENOUGH
    from tfod_compress.statistics.margin import nothing, surely_reached, why_nothing

    if not test["can_show"]:
        better, share, reference = metric.higher_is_better, metric.share, test["reference"]
        reached = surely_reached(reference["low"], reference["high"], better, share)
        print(f"{metric.scorer}: {nothing(**reference, model=task.model, higher_is_better=better)} (B); "
              f"{why_nothing(test['margin'], reached, better, share)}")
        return "nothing", "–"
    if test["units"] < ENOUGH:
        return f"only {test['units']} units", "–"
    return "yes" if test["non_inferior"] else "not shown", f"{test['p_value']:.4f}"


if __name__ == "__main__":
    command.run(main, positional=True)
