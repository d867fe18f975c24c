"""The coded files of a record set, kept beside it on request: one a frame, or one a sequence of video.

They lie in `DIR/<record set's name>/<source_id><extension>`; a sequence has the name of its first frame.
`plan.json` among them says what they were made from, as in a record set's manifest.
"""

import pathlib
import shutil

from tfod_compress.records import folders
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, read_json, write_json

_PLAN = "plan.json"


def path_of(folder, source_id, extension):
    """Where the bitstream of a frame lies."""
    return pathlib.Path(folder) / f"{source_id}{extension}"


def write(folder, source_id, extension, data):
    """Writes one, whole or not at all."""
    with atomic_file(path_of(folder, source_id, extension)) as file:
        file.write(data)


def complete(folder, shard, extension):
    """Whether all bitstreams of a shard are there."""
    starts, at = [], 0
    for count in shard.sequences or [1] * len(shard.frames):
        starts.append(shard.frames[at])
        at += count
    return all(path_of(folder, frame.source_id, extension).is_file() for frame in starts)


def check(folder, plan, overwrite):
    """Raises InputError where `folder` holds something that was not made from `plan` and may not be replaced."""
    if not folder.exists() or folders.same(read_json(folder / _PLAN), plan):
        return
    if read_json(folder / _PLAN) is None and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something else than bitstreams of this program; name another folder with "
                         "--keep_bitstreams")
    if not overwrite:
        raise InputError(f"{folder}: its bitstreams were made from something else; --overwrite makes them anew, "
                         "another --keep_bitstreams keeps both")


def prepare(folder, plan):
    """Makes the folder; bitstreams of another plan go."""
    if folder.exists() and not folders.same(read_json(folder / _PLAN), plan):
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        write_json(folder / _PLAN, plan)
