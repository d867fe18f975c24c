"""One progress bar for all long work: live on a terminal, a line now and then in a log file."""

import collections
import time

from rich import console, progress

LOG_SECONDS = 10  # between two lines where the output is not a terminal
WINDOW = 30  # updates at least a second apart that the speed is measured over


class Bar:
    """Shows how far a piece of work is.

    with Bar("training", total=1500, unit="steps") as bar:
        bar.update(10, note="loss 1.2")

    Args:
      title: what is being done.
      total: how many units there are.
      unit: their name, in the plural.
      done: how many are done already.
    """

    def __init__(self, title, total, unit="frames", done=0):
        self.title, self.total, self.unit, self.done = title, total, unit, done
        # Empty until the first update: what comes before it is set-up, such as tracing a graph, and no speed.
        self._updates = collections.deque(maxlen=WINDOW)
        self._logged = time.monotonic()
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
        now = time.monotonic()
        speed = 0.0
        if self._updates:
            then, before = self._updates[0]
            speed = (done - before) / max(now - then, 1e-9)
        if not self._updates or now - self._updates[-1][0] >= 1:
            self._updates.append((now, done))
        text = f"{speed:.1f} {self.unit}/s {note}".rstrip() if speed else note
        if self._live:
            self._live.update(self._task, completed=done, note=text)
        elif now - self._logged > LOG_SECONDS or done >= self.total:
            self._logged = now
            left = f", {(self.total - done) / speed:.0f} s left" if speed and done < self.total else ""
            print(f"{self.title} {done}/{self.total} {text}{left}".rstrip(), flush=True)

    def advance(self, count=1, note=""):
        """Says that `count` more units are done."""
        self.update(self.done + count, note)
