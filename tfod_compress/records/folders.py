"""The folder of a record set while it is made: its name, its lock, what it was begun with.

A record set grows in `<name>.unfinished` and takes its name when it is whole, so that a folder with the right
name is always complete. A run that was killed goes on where whole shards end.
"""

import contextlib
import json
import os
import pathlib
import shutil

from tfod_compress.support import formats, locks
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, write_json

PLAN = "plan.json"
RATE = "rate.json"  # the quality that a rate-matched record set was found to need
# Entries of a plan that earlier versions did not write: a record set that is finished without them stays.
_LATER = ("input_areas_sha256",)
_LOCK_SECONDS = 2  # killed workers need a moment to let go of an inherited lock


def unfinished(folder):
    """Where the record set `folder` grows."""
    folder = pathlib.Path(folder)
    return folder.with_name(f"{folder.name}.unfinished")


@contextlib.contextmanager
def locked(folders):
    """Keeps other runs out of the record sets `folders`; the system lifts the locks of a killed run.

    Raises:
      InputError: another run is at work on one of them.
    """
    with contextlib.ExitStack() as stack:
        for folder in sorted(folders):
            lock = stack.enter_context(locks.held(folder.with_name(f".{folder.name}.lock"), _LOCK_SECONDS))
            if lock is None:
                raise InputError(f"{folder}: another run is making this record set; wait for it, or choose another "
                                 "--output")
        yield


def choose(targets, plans, overwrite):
    """Which record sets are still to be made.

    Args:
      targets: {quality: path of the finished record set}.
      plans: {quality: everything that decides its bytes, as JSON values}.
      overwrite: whether what was made from another plan may go.

    Returns:
      [quality].

    Raises:
      InputError: a folder holds a record set, finished or not, made from another plan; the message says what
        differs.
    """
    due = []
    for quality, folder in targets.items():
        made = read_manifest(folder).get("plan") if folder.exists() else None
        if folder.exists() and same(made, plans[quality]):
            continue
        begun = read_json(unfinished(folder) / PLAN) or {}
        if not overwrite and folder.exists():
            raise InputError(_differs(folder, made, plans[quality]))
        if not overwrite and begun and begun != plans[quality]:
            raise InputError(_differs(unfinished(folder), begun, plans[quality]))
        due.append(quality)
    return due


def same(made, plan):
    """Whether a finished record set was made from this plan; `made` may come from an earlier version."""
    return bool(made) and {**{name: plan[name] for name in _LATER if name in plan}, **made} == plan


def prepare(folder, plan):
    """Makes the growing folder of a record set; what grew there from the same plan stays, anything else goes."""
    growing = unfinished(folder)
    if growing.exists():
        if read_json(growing / PLAN) == plan:
            sweep(growing)
            return
        shutil.rmtree(growing)
    growing.mkdir(parents=True)
    write_json(growing / PLAN, plan)


def read_rate(folder, plan):
    """What `write_rate` kept in the growing folder of a record set begun with this plan; {} where there is none."""
    growing = unfinished(folder)
    return (read_json(growing / RATE) or {}) if read_json(growing / PLAN) == plan else {}


def write_rate(folder, found):
    """Keeps {"quality", "rates"} in the growing folder of a record set, so that a resumed run need not search again."""
    write_json(unfinished(folder) / RATE, found)


def sweep(folder):
    """Removes temporary files that a killed process left."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def publish(folder, notes):
    """Gives a grown record set its name; what had the name before goes.

    Args:
      folder: the record set's path.
      notes: names of files in the growing folder that are of no use any more.
    """
    growing = unfinished(folder)
    for path in sorted(growing.iterdir()):
        if path.name not in (*notes, PLAN, RATE):
            _sync(path)
    for name in [*notes, PLAN, RATE]:
        (growing / name).unlink(missing_ok=True)
    _sync(growing)
    old = folder.with_name(f".{folder.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if folder.exists():
        folder.rename(old)
    growing.rename(folder)
    _sync(folder.parent)
    if old.exists():
        shutil.rmtree(old)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _differs(folder, found, plan):
    cure = "--overwrite makes it anew, another --output keeps both"
    if not found:
        return f"{folder}: there is something else than a record set of this program; remove it, or choose " \
               "another --output"
    parts = []
    for name in sorted(set(found) | set(plan)):
        if found.get(name) == plan.get(name):
            continue
        was, now = (json.dumps(value.get(name)) for value in (found, plan))
        parts.append(f"{name} changed" if max(len(was), len(now)) > 60 else f"{name} was {was}, is now {now}")
    return f"{folder}: made from something else: {'; '.join(parts)}; {cure}"


def read_manifest(folder):
    """The content of a finished record set's manifest.json; {} where it cannot be read.

    Raises:
      InputError: it has a format of a later version.
    """
    path = pathlib.Path(folder) / "manifest.json"
    manifest = read_json(path) or {}
    formats.check(manifest, path)
    return manifest
