"""One split serves all record sets of a study: otherwise a detector is compared on frames that it has partly seen."""

import pathlib

from tfod_compress.records.folders import read_manifest


def apart(record_sets) -> str | None:
    """Why record sets cannot be compared, or None.

    Args:
      record_sets: folders. One whose manifest does not say what its split was made from counts as fitting.
    """
    found = {}
    for folder in map(pathlib.Path, record_sets):
        digest = read_manifest(folder).get("plan", {}).get("input_splits_sha256")
        if digest:
            found.setdefault(digest, folder)
    if len(found) < 2:
        return None
    first, second = list(found.values())[:2]
    return (f"{first} and {second} hold other frames, or have them on other sides of the split; delete the one that is "
            "out of date, and its file in done/, to make it again")
