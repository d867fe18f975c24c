"""Make a study's report: report.html (one page, no network needed), results.csv and figures/*.svg.

Example:
  python -m tools.make_report runs/demo
"""

from tools import command


def main(arguments):
    if len(arguments) != 1:
        raise command.UsageError("give one study folder, such as runs/demo")
    from tfod_compress import report

    report.make_report(arguments[0])
    print(report.print_table(arguments[0]))


if __name__ == "__main__":
    command.run(main, positional=True)
