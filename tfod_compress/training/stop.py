"""Ending a run before its last step without losing what it has learned."""

import signal
import threading
import time


class Stop:
    """Notices that the time is up, or that someone asked the program to end; a context manager.

    A signal is noticed between two steps, so that the checkpoint is of a whole step; a second one ends at once.

    Args:
      max_hours: from the start of the program's training, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, max_hours=None):
        self._end = None if max_hours is None else time.monotonic() + 3600 * max_hours
        self._hours, self._signal, self._before = max_hours, None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        self._signal = number
        signal.signal(number, self._before[number])

    @property
    def interrupted(self):
        """Whether a signal came."""
        return self._signal is not None

    def reason(self):
        """Why to stop now, as a text, or None."""
        if self._signal is not None:
            return signal.Signals(self._signal).name
        if self._end is not None and time.monotonic() > self._end:
            return f"--max_hours {self._hours:g} are over"
        return None
