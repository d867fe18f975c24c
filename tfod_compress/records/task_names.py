"""The task whose labels a record set holds, by its name. This room knows no task: tasks/ builds on it."""

import importlib

from tfod_compress.support import formats

DEFAULT = formats.TASK


def find(name=DEFAULT):
    """The `Task` of a name; InputError where there is none.

    It is looked up as a plug-in is, when records are first written or read, so that `RecordSet` and `convert` can be
    used without naming a task object.
    """
    return importlib.import_module("tfod_compress.tasks").get(name)
