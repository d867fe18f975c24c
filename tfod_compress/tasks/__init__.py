"""One folder a task: what is labelled, predicted and measured."""

import importlib

from tfod_compress.support import formats
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.base import Metric, Task

__all__ = ["DEFAULT", "TASKS", "Metric", "Task", "get"]

DEFAULT = formats.TASK
TASKS = {
    "detection": "tfod_compress.tasks.detection.task:Detection",
    "classification": "tfod_compress.tasks.classification.task:Classification",
}


def get(name: str) -> Task:
    """The task of a name.

    Raises:
      InputError: no such task; the message lists those that there are.
    """
    if name not in TASKS:
        raise InputError(f"{name!r} is no task; there are {', '.join(TASKS)} (--task)")
    module, _, cls = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), cls)()
