"""Which fields of a pipeline.config are read while something runs."""

import contextlib

import pytest


@contextlib.contextmanager
def watched(paths):
    """Notes which fields anything reads, or asks for with HasField, while it is open.

    Args:
      paths: ends of dotted paths of fields, such as "batch_norm.train"; that of a field of TrainEvalPipelineConfig
        itself is its name.

    Yields:
      The set of the paths that were read up to now.

    Raises:
      AssertionError: the protos have no such field.
    """
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        for path in paths:
            places = _places(path)
            assert places, f"{path}: no such field"
            for message, name in places:
                patch.setattr(message, name, _noting(vars(message)[name], path, seen))
                patch.setattr(message, "HasField", _asking(message.HasField, name, path, seen))
        yield seen


def _noting(field, path, seen):
    def read(message):
        seen.add(path)
        return field.__get__(message, type(message))

    return property(read, field.__set__)


def _asking(has_field, name, path, seen):
    def asked(message, other):
        if other == name:
            seen.add(path)
        return has_field(message, other)

    return asked


def _places(path):
    """{(message class, field name)} of all fields whose path ends so."""
    from object_detection.protos import pipeline_pb2

    *parents, name = path.split(".")
    found, met, waiting = set(), set(), [(pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR, [])]
    while waiting:
        message, names = waiting.pop()
        if names[len(names) - len(parents):] == parents and (parents or not names) and name in message.fields_by_name:
            found.add((message._concrete_class, name))
        for field in message.fields:
            place = field.message_type and (field.message_type.full_name, field.name)
            if place and place not in met:
                met.add(place)
                waiting.append((field.message_type, [*names, field.name]))
    return found
