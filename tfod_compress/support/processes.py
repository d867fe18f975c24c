"""Processes that we start end with us."""

import contextlib
import ctypes
import os
import signal
import sys
import threading

ENDING = (signal.SIGTERM, signal.SIGHUP)  # besides Ctrl-C
_PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For a child's `preexec_fn`: it is told to end when this process is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def worker_of(parent: int):
    """Called in a worker of a pool: Ctrl-C is the process `parent`'s to answer, and a worker dies with that at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


@contextlib.contextmanager
def interrupted_by_signals():
    """In this block a signal to end raises KeyboardInterrupt, as Ctrl-C does, so that what must be ended is."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number, frame):
    raise KeyboardInterrupt
