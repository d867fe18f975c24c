"""The version of the files that outlive a run: manifest.json, study files, results.json. Their readers check it.

A file without the key is of format 1, as versions before 0.2.0 wrote it.
"""

from tfod_compress.support.errors import InputError

FORMAT = 1
KEY = "format"
TASK = "detection"  # of files that name no task


def check(content: dict, path):
    """Refuses a file of a format that this version does not know.

    Args:
      content: of the file.
      path: of the file, for the message.

    Raises:
      InputError: its format is newer, or no number.
    """
    found = content.get(KEY, FORMAT)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise InputError(f"{path}: {KEY}: {found!r} is no format; the newest is {FORMAT}")
    if found > FORMAT:
        raise InputError(f"{path}: has format {found}, and this version of tfod_compress reads up to {FORMAT}; install "
                         "the version that made it, or a newer one")
