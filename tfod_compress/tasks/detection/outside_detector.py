"""A detector of any framework, behind a command that is run once for each record set.

    python detect.py {frames} {output}

{frames} is a folder of PNG files with an images.json (`records.export`); {output} is the file that the command writes:
COCO results, a list of {"image_id", "category_id", "bbox": [x, y, width, height] in pixels, "score"}, with the ids of
images.json. {images} is the path of images.json. The command sees neither labels nor standard input.
"""

import contextlib
import os
import pathlib
import selectors
import shlex
import shutil
import signal
import subprocess
import sys

from tfod_compress.records import export
from tfod_compress.support.errors import InputError
from tfod_compress.support.processes import end_with_parent, interrupted_by_signals
from tfod_compress.tasks.detection.metrics.loading import parse_detections, read_json

TAIL_LINES, TAIL_BYTES = 8, 1200  # of a failed command's output
END_SECONDS = 5  # that a command has to end when it is told to
_CHUNK = 1 << 16


def split(command):
    """The command's words, as a shell would take them apart; no shell runs it.

    Raises:
      InputError: it cannot be taken apart, or lacks {frames} or {output}.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"--detector_command {command!r}: {error}") from error
    for place in ("{frames}", "{output}"):
        if not any(place in word for word in words):
            raise InputError(f"--detector_command {command!r}: does not say {place}; it must be something like "
                             "'python detect.py {frames} {output}'")
    return words


def detect(command, record_set, split_name, truth, label_map, folder, keep_frames=False):
    """Detections of a command on a split of a record set.

    Args:
      command: as for `split`.
      record_set: RecordSet.
      split_name: which of its frames.
      truth: GroundTruth of exactly those.
      label_map: {class id: name}, the ids that the command is to use.
      folder: a working folder; removed at the end, whatever happens, unless its frames are to be kept.
      keep_frames: whether they are; the same frames are not written again.

    Returns:
      metrics.Detections with the ids of `label_map`.

    Raises:
      InputError: the command cannot be started, fails, or writes no such results.
    """
    folder = pathlib.Path(folder).resolve()
    frames, output = folder / "frames", folder / "results.json"
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
            name = f"--detector_command on {record_set.name}"
            told = run(words, name)
            if not output.is_file():
                raise InputError(f"{name}: it ended well, but wrote no {{output}}{told}")
            source_ids = {image["id"]: image["source_id"] for image in content["images"]}
            return parse_detections(read_json(output), truth, f"{{output}} of the command on {record_set.name}",
                                    source_ids, label_map)
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
