"""What of a study is done: a node is when its command ended well with these settings and its results are whole."""

import hashlib
import pathlib
import re

from tfod_compress import RESULTS_VERSION, __version__
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, write_json
from tfod_compress.tasks.checkpoints import latest_checkpoint


def stamp_path(workdir, node):
    """The file that says that a node was done, with what and how long it took."""
    return pathlib.Path(workdir) / "done" / f"{_file_name(node)}.json"


def digests(nodes):
    """What decides the results of each node: {node name: {what: its hash}}; "all" is the hash of the others."""
    found = {}
    for node in nodes:
        parts = {"command": node.key, "version of this kit": RESULTS_VERSION,
                 "what it needs": "\0".join(found[name]["all"] for name in node.needs),
                 **{f"template {name}": path.read_text(encoding="utf-8") for name, path in node.reads}}
        hashes = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in parts.items()}
        found[node.name] = {**hashes, "all": hashlib.sha256("\0".join(hashes.values()).encode()).hexdigest()[:16]}
    return found


def read(workdir, node, digest):
    """The stamp of a node as a dict, or None where there is none.

    Raises:
      InputError: it was done with other settings; says which.
    """
    path = stamp_path(workdir, node)
    stamp = read_json(path)
    if stamp is None or not isinstance(stamp.get("digest"), dict):
        return None
    if stamp["digest"].get("all") != digest["all"]:
        changed = [name for name, value in digest.items() if name != "all" and stamp["digest"].get(name) != value]
        raise InputError(f"{path}: {node.name!r} was done with other settings; changed since: {', '.join(changed)} (it "
                         f"was {stamp.get('command')}); use another --workdir, or delete {workdir} to start again")
    return stamp


def write(workdir, node, digest, command, seconds):
    """Notes that a node is done.

    Args:
      workdir: the study's folder.
      node: graph.Node.
      digest: of `digests`.
      command: as it was run.
      seconds: that it took over all its starts; None where one of them was killed and cannot be told.
    """
    before = read_json(stamp_path(workdir, node)) or {}
    if before.get("seconds") is not None and seconds is not None and node.items:
        seconds += before["seconds"]  # further items of one command
    kind, amount, unit = node.work
    write_json(stamp_path(workdir, node), {
        "digest": digest, "version": __version__, "command": command, "seconds": seconds,
        "work": {"kind": kind, "amount": amount, "unit": unit}})


def missing(node):
    """The items of a node whose results are not whole; for a node without items, whether its result is not."""
    if node.items:
        return tuple(item for item in node.items if not is_whole(item.result))
    return not is_whole(node.result)


def is_whole(path):
    """Whether a result is there and no half of one: JSON that can be read, a checkpoint with its files, a folder."""
    path = pathlib.Path(path)
    if path.suffix == ".json":
        return read_json(path) is not None
    if path.name == "checkpoint":
        try:
            latest_checkpoint(path.parent)
        except InputError:
            return False
        return path.is_file()
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


class Attempts:
    """How long the starts of a node took that did not end well, so that the stamp can tell the whole time."""

    def __init__(self, workdir, node):
        self._path = pathlib.Path(workdir) / "done" / f"{_file_name(node)}.started"
        self._before = read_json(self._path) or {"seconds": 0.0, "running": False}

    def begin(self):
        """Says that the node runs; where it is killed, this stays."""
        known = None if self._before["running"] else self._before["seconds"]
        self._before = {"seconds": known, "running": True}
        write_json(self._path, self._before)

    def end(self, seconds, done):
        """Says that it has ended; returns the seconds of all starts, or None where one was killed."""
        known = self._before["seconds"]
        total = None if known is None else round(known + seconds, 1)
        if done:
            self._path.unlink(missing_ok=True)
        else:
            write_json(self._path, {"seconds": total, "running": False})
        return total


def lock_path(workdir, name):
    """The lock of a node or of the study's results. A child inherits it, so that no second one starts beside it."""
    return pathlib.Path(workdir) / "locks" / f"{_safe(name)}.lock"


def log_path(workdir, node):
    """Where the output of a node goes that runs beside others."""
    return pathlib.Path(workdir) / "logs" / f"{_file_name(node)}.log"


def _file_name(node):
    return _safe(node.name)


def _safe(name):
    return re.sub(r"[^\w.-]+", "-", name)
