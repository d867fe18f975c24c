"""Which task a record set was made for."""

from tfod_compress import tasks
from tfod_compress.records import RecordSet
from tfod_compress.support.errors import InputError

TRAINED_BY = {"detection": "tools.model_main_tf2", "classification": "tools.train"}


def require(record_set: RecordSet, task: str) -> None:
    """Raises InputError where a record set was made for another task than the one of this name."""
    made_for = record_set.manifest.get("task", tasks.DEFAULT)
    if made_for != task:
        cure = f"train on it with {TRAINED_BY[made_for]}" if made_for in TRAINED_BY else "take another record set"
        raise InputError(f"{record_set.path}: records of {made_for}, not of {task}; {cure}, or make a record set of "
                         f"these frames with tools.make_tfrecords --task {task}")
