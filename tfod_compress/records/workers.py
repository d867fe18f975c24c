"""A pool of processes that look at frames and write shards; none outlives the run, even one that is killed."""

import collections
import concurrent.futures.process
import ctypes
import dataclasses
import itertools
import multiprocessing
import os
import sys
import time

from tfod_compress import codecs
from tfod_compress.records import coded_frames
from tfod_compress.records.scan import scan_frame
from tfod_compress.records.shards import write_shard
from tfod_compress.support.errors import InputError
from tfod_compress.support.processes import worker_of

TICK_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker knows.

    Attributes:
      codec: its name.
      options: see `codecs.get`.
      task: the `Task`.
      labels: what its `open_labels` gave.
      min_box_px, max_pixels: limits.
    """

    codec: str
    options: dict
    task: object
    labels: object
    min_box_px: float
    max_pixels: int


_job = _codec = _counter = _count = None  # set in each worker


def pool(job, count):
    """Opens `count` processes, or for one the process itself: a context manager with `run`, `coded` and `stop`."""
    return _Pool(job, count) if count > 1 else _Inline(job)


class _Inline:
    """Work in this process: for one worker."""

    def __init__(self, job):
        self._job, self._began, self._tick, self._last = job, 0.0, None, 0.0

    def __enter__(self):
        import cv2

        self._threads = cv2.getNumThreads()
        _know(self._job, [0, 0], self._count)
        return self

    def __exit__(self, *_):
        import cv2

        cv2.setNumThreads(self._threads)

    def run(self, function, tasks, tick=lambda: None):
        """As `_Pool.run`."""
        self._began, self._tick = time.monotonic(), tick
        for index, task in enumerate(tasks):
            result = function(task)
            tick()
            yield index, result

    def coded(self):
        """As `_Pool.coded`."""
        return _coded(_counter, self._began)

    def stop(self):
        """Nothing to stop: an error has ended the work."""

    def _count(self, frames, size):
        _counter[0] += frames
        _counter[1] += size
        if time.monotonic() - self._last > TICK_SECONDS:
            self._last = time.monotonic()
            self._tick()


class _Pool:
    """Processes that work on tasks; leaving the block ends them, and an error kills them."""

    def __init__(self, job, count):
        # A process with TensorFlow's threads must not be forked.
        forks = "tensorflow" not in sys.modules and sys.platform == "linux"
        context = multiprocessing.get_context("fork" if forks else "spawn")
        self._counter, self._count = context.Array(ctypes.c_longlong, 2), count
        self._executor = concurrent.futures.ProcessPoolExecutor(
            count, mp_context=context, initializer=_start, initargs=(job, self._counter, os.getpid()))
        self._began = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def run(self, function, tasks, tick=lambda: None):
        """Yields (task index, result) of one of the functions below as they come, in no order.

        Args:
          function: one of the functions below.
          tasks: its arguments.
          tick: called several times a second.

        Raises:
          InputError: a worker was killed, as the system does where memory runs out; or what the function raises.
        """
        self._began = time.monotonic()
        waiting, ahead = {}, enumerate(tasks)
        try:
            while True:
                for index, task in itertools.islice(ahead, 3 * self._count - len(waiting)):
                    waiting[self._executor.submit(function, task)] = index
                if not waiting:
                    return
                done, _ = concurrent.futures.wait(waiting, TICK_SECONDS, concurrent.futures.FIRST_COMPLETED)
                tick()
                for future in done:
                    yield waiting.pop(future), future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise InputError("a worker process was killed (out of memory?); give the same command again, perhaps with "
                             "fewer --workers: what was finished is kept") from error

    def coded(self):
        """(frames coded so far, "123 MB/s" of raw pixels)."""
        return _coded(self._counter, self._began)

    def stop(self):
        """Kills the processes."""
        for process in list((self._executor._processes or {}).values()):
            process.kill()
            process.join()


def _coded(counter, began):
    return int(counter[0]), f"{counter[1] / 1e6 / max(time.monotonic() - began, 1e-9):.0f} MB/s"


def scan_frames(frames):
    """([Scanned], {class name: objects}) of [FramePath], in a worker."""
    names = collections.Counter()
    return [scan_frame(frame, _job.labels, _job.max_pixels, names) for frame in frames], names


def stored_sizes(task):
    """Bytes that a record of a frame takes at each quality, in a worker; `task` is (FramePath, qualities)."""
    frame, qualities = task
    return coded_frames.stored_sizes(frame, _codec, qualities, _job.max_pixels)


def coded_sizes(task):
    """[bytes of some frames together, at each quality], in a worker; `task` is ([FramePath], qualities)."""
    frames, qualities = task
    return coded_frames.coded_sizes(frames, _codec, qualities, _job.max_pixels)


def make_shard(shard):
    """Writes one `Shard`, in a worker."""
    write_shard(shard, _codec, _job.task, _job.labels, _job.min_box_px, _job.max_pixels, _count)


def _start(job, counter, parent):
    worker_of(parent)

    def count(frames, size):
        with counter.get_lock():
            counter[0] += frames
            counter[1] += size

    _know(job, counter, count)


def _know(job, counter, count):
    global _job, _codec, _counter, _count
    import cv2

    cv2.setNumThreads(1)
    _job, _codec, _counter, _count = job, codecs.get(job.codec, **job.options), counter, count
    _codec.max_pixels = max(_codec.max_pixels, job.max_pixels)
