"""The one error of this package that a user is meant to read."""


class InputError(ValueError):
    """Bad input. The message is one line that names the file (or flag) and the cure.

    Commands print it and exit with 1; everything else that escapes a command is a defect of ours.
    """
