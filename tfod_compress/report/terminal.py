"""The answer and the table of results as plain text."""

import io
import pathlib

from tfod_compress.report import about_frames, findings, safe_compression, tables
from tfod_compress.report.study_folder import read_study

_WIDEST = 250  # columns; a table takes what it needs, for a cut-off number would be worse than a wrapped line


def print_table(study_dir, *, margin=None):
    """The study's answer and table of results as text, ending with the report's path.

    Args:
      study_dir: a study's folder, with results.json.
      margin: as for `make_report`.

    Returns:
      Text without colours and without a line end.

    Raises:
      InputError: results.json or a metrics.json is missing or damaged.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    study = read_study(study_dir)
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDEST, color_system=None)
    for series in findings.series_of(study):
        content = tables.results(series)
        # Text objects: a class or detector called "[b]" is a name and no markup.
        table = Table(title=Text(series.name), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, column in enumerate(content.columns):
            table.add_column(_both(column), justify="right" if number else "left", no_wrap=True)
        for row in content.rows:
            table.add_row(*map(_both, row))
        console.print(table)
        console.print(Text(safe_compression.headline(series, margin)), width=110)
        for answer in safe_compression.maximum_safe(series, study.results.comparisons, margin):
            console.print(Text(safe_compression.told(series, answer, safe_compression.Fleet())[0]), width=110)
        console.print()
    for line in about_frames.warnings(study):
        console.print(Text(f"warning: {line}"), width=110)
    console.print(Text(f"report: {pathlib.Path(study_dir) / 'report.html'}"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip().splitlines())


def _both(entry):
    from rich.text import Text

    return Text(f"{entry.text}\n{entry.small}" if entry.small else entry.text)
