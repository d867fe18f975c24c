"""One progress bar for all long work: live on a terminal, a line now and then in a log file."""

import time

from rich import console, progress

LOG_SECONDS = 10  # between two lines where the output is not a terminal


class Bar:
    """Shows how far a piece of work is.

    with Bar("training", total=1500, unit="steps") as bar:
        bar.update(10, note="loss 1.2")

    Args:
      title: what is being done.
      total: how many units there are.
      unit: their name, in the plural.
      done: how many are done already; they do not count towards the speed.
    """

    def __init__(self, title, total, unit="frames", done=0):
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self._start_done, self._start, self._logged = done, time.monotonic(), time.monotonic()
        self._live = None
        terminal = console.Console(stderr=True)
        if terminal.is_terminal:
            self._live = progress.Progress(
                progress.TextColumn("{task.description}"), progress.BarColumn(bar_width=24),
                progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[note]}"),
                progress.TimeRemainingColumn(), console=terminal, refresh_per_second=4)

    def __enter__(self):
        if self._live:
            self._live.start()
            self._task = self._live.add_task(self.title, total=self.total, completed=self.done, note="")
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()

    def update(self, done, note=""):
        """Says that `done` units are done by now; `note` is shown behind the count."""
        self.done = done
        speed = (done - self._start_done) / max(time.monotonic() - self._start, 1e-9)
        text = f"{speed:.1f} {self.unit}/s {note}".rstrip()
        if self._live:
            self._live.update(self._task, completed=done, note=text)
        elif time.monotonic() - self._logged > LOG_SECONDS or done >= self.total:
            self._logged = time.monotonic()
            left = (self.total - done) / max(speed, 1e-9)
            print(f"{self.title} {done}/{self.total} {text}, {left:.0f} s left", flush=True)

    def advance(self, count=1, note=""):
        """Says that `count` more units are done."""
        self.update(self.done + count, note)
