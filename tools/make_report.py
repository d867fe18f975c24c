"""Make a study's report: report.html (one page, no network needed), results.csv and figures/*.svg.

Example:
  python -m tools.make_report runs/demo
  python -m tools.make_report runs/demo --margin 0.01 --cars 200 --price_per_tb_month 20
  python -m tools.make_report runs/demo --margin 5%
"""

from absl import flags

from tools import command

_MARGIN = flags.DEFINE_string("margin", "0.02", "Loss of accuracy that does not matter: what a safe compression may "
                              "lose at most, such as 0.02, or 5% of the accuracy at the best quality; of a metric with "
                              "a unit a share alone, by default 5%.")
_CARS = flags.DEFINE_float("cars", 10, "Cars of the fleet whose storage is told.", lower_bound=0)
_HOURS = flags.DEFINE_float("hours_per_day", 8, "Hours a day that each of them records.", 0, 24)
_GB = flags.DEFINE_float("gb_per_minute", 9, "GB a minute that each of them records, uncompressed.", lower_bound=0)
_PRICE = flags.DEFINE_float("price_per_tb_month", None, "Price of keeping a TB for a month, in any currency; without "
                            "it no money is told.", lower_bound=0)


def main(arguments):
    if len(arguments) != 1:
        raise command.UsageError("give one study folder, such as runs/demo")
    margin = command.margin("margin", _MARGIN.value) if _MARGIN.present else None
    from tfod_compress import report

    fleet = report.Fleet(_CARS.value, _HOURS.value, _GB.value, _PRICE.value)
    report.make_report(arguments[0], margin=margin, fleet=fleet)
    print(report.print_table(arguments[0], margin=margin))


if __name__ == "__main__":
    command.run(main, positional=True)
