"""Locks between processes, which the system lifts when their holder ends, however it ends.

They are flock's: a lock belongs to the open file, so a child that inherits the file holds it on when its parent is
killed. That is why this is not the library `filelock`, which keeps its file to itself.
"""

import contextlib
import fcntl
import os
import pathlib
import time

_LOOK_SECONDS = 0.05


def taken(file, wait_seconds: float = 0.0) -> bool:
    """Locks an open file (or its number); False where another process still has it after some seconds."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)


def acquire(path, wait_seconds: float = 0.0) -> int | None:
    """Locks the file `path`, made where it is not there.

    Returns:
      Its number, for the caller to close, or None where another process has it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if taken(handle, wait_seconds):
        return handle
    os.close(handle)
    return None


@contextlib.contextmanager
def held(path, wait_seconds: float = 0.0):
    """As `acquire`, for a block of code at whose end the lock is let go; yields the number or None."""
    handle = acquire(path, wait_seconds)
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)
