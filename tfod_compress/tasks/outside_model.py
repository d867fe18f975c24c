"""A model of any framework and task, behind a command that is run once for each record set.

    python predict.py {frames} {output}

{frames} is a folder of PNG files with an images.json (`records.export`); {output} is the file that the command writes:
predictions as the task reads them. {images} is the path of images.json. The command sees neither labels nor standard
input.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tfod_compress.records import export
from tfod_compress.support.errors import InputError
from tfod_compress.support.processes import end_with_parent, interrupted_by_signals
from tfod_compress.tasks.models import ClassMatch, SameClasses
from tfod_compress.tasks.trained_frames import TrainedFrames

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfod_compress.records import RecordSet

TAIL_LINES, TAIL_BYTES = 8, 1200  # of a failed command's output
END_SECONDS = 5  # that a command has to end when it is told to
RESULTS = "results.json"  # what {output} is called
_CHUNK = 1 << 16


class OutsideModel:
    """The `models.Model` behind a command, which uses the record set's own classes.

    Args:
      command: as for `split`.
      read: (file, truth) -> predictions, the task's.
      key: what the command is called in metrics.json.
      keep_frames: whether the frames stay.

    Raises:
      InputError: as `split`.
    """

    def __init__(self, command: str, read: Callable[[pathlib.Path, Any], Any], key: str = "model_command",
                 keep_frames: bool = False):
        split(command)
        self._command, self._read, self._key, self._keep_frames = command, read, key, keep_frames
        self.described, self.made_from = {"checkpoint": None, key: command}, {key: command}

    def trained_frames(self) -> TrainedFrames:
        """Nobody knows."""
        return TrainedFrames()

    def match(self, record_set: RecordSet) -> ClassMatch:
        """The record set's classes on both sides."""
        return SameClasses()

    def label_map(self, record_set: RecordSet) -> dict[int, str]:
        """{class id: name} that images.json tells the command."""
        return record_set.label_map

    def read(self, path: pathlib.Path, truth: Any, record_set: RecordSet, images: dict) -> Any:
        """Predictions of the file that the command wrote.

        Args:
          path: the file.
          truth: of the task.
          record_set: whose frames they were.
          images: the content of images.json.

        Raises:
          InputError: it holds no such predictions.
        """
        return self._read(path, truth)

    def predict(self, record_set, split_name, truth, folder):
        """See `models.Model`; the frames lie below `folder` while the command runs."""
        def read(path, images):
            return self.read(path, truth, record_set, images)

        return run_on(self._command, record_set, split_name, self.label_map(record_set), folder / self._key, read,
                      self._keep_frames)


def split(command: str) -> list[str]:
    """The command's words, as a shell would take them apart; no shell runs it.

    Raises:
      InputError: it cannot be taken apart, or lacks {frames} or {output}.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{command!r}: {error}") from error
    for place in ("{frames}", "{output}"):
        if not any(place in word for word in words):
            raise InputError(f"{command!r}: does not say {place}; it must be something like 'python predict.py "
                             "{frames} {output}'")
    return words


def run_on(command: str, record_set: RecordSet, split_name: str, label_map: dict[int, str],
           folder: str | os.PathLike, read: Callable[[pathlib.Path, dict], Any], keep_frames: bool = False) -> Any:
    """Runs a command on a split of a record set.

    Args:
      command: as for `split`.
      record_set: whose frames they are.
      split_name: which of them.
      label_map: {class id: name}, the categories of images.json.
      folder: a working folder; removed at the end, whatever happens, unless its frames are to be kept.
      read: (the file that the command wrote, content of images.json) -> what is returned.
      keep_frames: whether they are; the same frames are not written again.

    Raises:
      InputError: the command cannot be started, fails, or writes nothing; or `read` raises it.
    """
    folder = pathlib.Path(folder).resolve()
    frames, output = folder / "frames", folder / RESULTS
    if not (frames / export.IMAGES).is_file():
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
    output.unlink(missing_ok=True)
    with interrupted_by_signals():
        try:
            content, _ = export.export(record_set, [split_name], frames, label_map=label_map, annotations=False,
                                       replace=True)
            words = split(command)
            for place, path in (("{frames}", frames), ("{output}", output), ("{images}", frames / export.IMAGES)):
                words = [word.replace(place, str(path)) for word in words]
            name = f"the command on {record_set.name}"
            told = run(words, name)
            if not output.is_file():
                raise InputError(f"{name}: {shlex.join(words)} must write its predictions to {{output}}; it ended "
                                 f"well, but wrote no {{output}}{told}")
            try:
                return read(output, content)
            except InputError as error:  # the file is about to go, so its path would lead nowhere
                raise InputError(str(error).replace(str(output), f"{{output}} of {name}, {RESULTS}")) from error
        finally:
            if not keep_frames:
                shutil.rmtree(folder, ignore_errors=True)


def run(words, name):
    """Runs a command to its end, its output shown as it comes where this program's is a terminal.

    The command leads a process group of its own, and Ctrl-C ends all of that.

    Args:
      words: of the command.
      name: what it is called in errors.

    Returns:
      The end of its output, as a clause for an error.

    Raises:
      InputError: it cannot be started, or does not end well.
    """
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=end_with_parent)
    except OSError as error:
        raise InputError(f"{name}: {words[0]!r} cannot be started: {error.strerror}") from error
    tail = b""
    with process.stdout:
        try:
            for chunk in _chunks(process):
                tail = (tail + chunk)[-_CHUNK:]
                if sys.stdout.isatty():
                    sys.stdout.buffer.write(chunk)
                    sys.stdout.flush()
            status = process.wait()
        finally:
            _end(process)
    told = _told(tail)
    if status:
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit code {status}"
        memory = " (out of memory?)" if status == -signal.SIGKILL else ""
        raise InputError(f"{name}: {shlex.join(words)} {how}{memory}{told}")
    return told


def _chunks(process):
    """Yields what a process writes until it has ended, though a child of its own may hold the pipe open."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            if not selector.select(0 if ended else 0.2):
                if ended:
                    return
                continue
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            if not chunk:
                return
            yield chunk


def _end(process):
    """Ends what is left of a process group; the command itself is told first, where it still runs."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _told(data):
    """; its last lines: … | …"""
    lines = [line.strip() for line in data.decode("utf-8", "replace").replace("\r", "\n").splitlines()]
    lines = [line for line in lines if line][-TAIL_LINES:]
    return f"; its last lines: {' | '.join(lines)[-TAIL_BYTES:]}" if lines else "; it said nothing"
