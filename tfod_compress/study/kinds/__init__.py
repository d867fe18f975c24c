"""The models of each task as a study sees them."""

from tfod_compress.study.kinds.base import Job, Kind
from tfod_compress.study.kinds.classification import Classifiers
from tfod_compress.study.kinds.detection import Detectors

__all__ = ["Job", "Kind", "of"]

_KINDS = {"detection": Detectors(), "classification": Classifiers()}


def of(task: str) -> Kind:
    """The Kind of a task's models; where it has none of its own, that of models behind a command."""
    return _KINDS.get(task) or Kind()
