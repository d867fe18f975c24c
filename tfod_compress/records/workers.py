"""A pool of processes that look at frames and write shards; none outlives the run, even one that is killed."""

import concurrent.futures.process
import contextlib
import ctypes
import dataclasses
import multiprocessing
import os
import signal
import sys

from tfod_compress import codecs
from tfod_compress.errors import InputError
from tfod_compress.records.scan import scan_frame
from tfod_compress.records.shards import write_shard

_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker knows.

    Attributes:
      codec: its name.
      labels: what `open_labels` gave.
      class_map: `ClassMap`.
      min_box_px, max_pixels: limits.
    """

    codec: str
    labels: object
    class_map: object
    min_box_px: float
    max_pixels: int


_job, _codec, _counter = None, None, None


@contextlib.contextmanager
def pool(job, workers):
    """Opens `workers` processes.

    Yields:
      (run, progress): `run(function, tasks)` yields the results of `scan_frames` or `make_shard` as they come,
      in no order, as (task index, result); `progress()` is (frames, raw bytes) coded so far.

    Raises:
      InputError: a worker was killed, as the system does where memory runs out.
    """
    # A process with TensorFlow's threads must not be forked.
    method = "fork" if "tensorflow" not in sys.modules and sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    counter = context.Array(ctypes.c_longlong, 2)
    executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(job, counter, os.getpid()))

    def run(function, tasks):
        futures = {executor.submit(function, task): index for index, task in enumerate(tasks)}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures.pop(future), future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise InputError("a worker process was killed (out of memory?); run again with fewer --workers, "
                             "what was finished is kept") from error

    processes = executor._processes
    try:
        yield run, lambda: (counter[0], counter[1])
    except BaseException:
        for process in list(processes.values()):
            process.kill()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def scan_frames(frames):
    """[Scanned] of [FramePath], in a worker."""
    return [scan_frame(frame, _job.labels, _job.max_pixels) for frame in frames]


def make_shard(shard):
    """Writes one `Shard`, in a worker."""
    write_shard(shard, _codec, _job.labels, _job.class_map, _job.min_box_px, _job.max_pixels, _count)


def _count(frames, size):
    with _counter.get_lock():
        _counter[0] += frames
        _counter[1] += size


def _start(job, counter, parent):
    global _job, _codec, _counter
    # Ctrl-C is the parent's to answer; and where the parent is killed, so are its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    import cv2

    cv2.setNumThreads(1)
    _job, _codec, _counter = job, codecs.get(job.codec), counter
