"""A study file's text into a Study; every mistake is told with its line."""

import pathlib

import pydantic
import yaml

from tfod_compress import tasks
from tfod_compress.study.schema import Study, of_task
from tfod_compress.support import formats
from tfod_compress.support.errors import InputError

MAX_BYTES = 1 << 20
MODELS = "models"  # what the key `detectors` may be called
SHOWN = 3  # problems


def read(path):
    """Reads and validates a study file.

    Args:
      path: YAML.

    Returns:
      Study.

    Raises:
      InputError: not YAML, or not a study; the message names file, line, key and what is allowed.
    """
    return parse(Study, path, _of_its_task)


def parse(model, path, choose=None):
    """As `read`, for any model of schema.Strict; `choose` takes (model, content) and gives those to validate."""
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise InputError(f"{path}: too large for a study")
        text = data.decode("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_twice(tree, path)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a study ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a study: lines such as \"title: …\" are missing")
    formats.check(content, path)
    try:
        model, content = choose(model, content) if choose else (model, content)
        found = model.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError(_told(path, tree, error)) from None
    if isinstance(found, Study):
        def refuse(at, text, message):
            line = text and _line_of_text(tree, text) or _line(tree, _as_written(tree, at))
            raise InputError(f"{path}:{line}: {message}")

        found.kind.check_entries(found, refuse)
    return found


def _of_its_task(_, content):
    """(Study of the file's task, content with the name `detectors` for its models)."""
    if MODELS in content and "detectors" not in content:
        content = {"detectors" if name == MODELS else name: value for name, value in content.items()}
    task = content.get("task", tasks.DEFAULT)
    return of_task(task if isinstance(task, str) else tasks.DEFAULT), content


def _told(path, tree, error):
    """One line: the first problems of a file, by their place in it; what is missing comes after what is wrong."""
    problems = []
    for problem in error.errors():
        at = _as_written(tree, (*problem["loc"], *problem.get("ctx", {}).get("at", ())))
        message = problem["msg"].removeprefix("Value error, ")
        missing = problem["type"] == "missing"
        problems.append((missing, _line(tree, at), ".".join(map(str, at)) or "study",
                         "is missing" if missing else message))
    (_, line, where, message), *others = sorted(problems)
    told = "".join(f"; line {line}: {where}: {message}" for _, line, where, message in others[:SHOWN - 1])
    more = f" ({len(problems) - SHOWN} more problems)" if len(problems) > SHOWN else ""
    return f"{path}:{line}: {where}: {message}{told}{more}"


def _as_written(tree, at):
    """The path with the name that the file has for its models."""
    keys = {key.value for key, _ in tree.value} if isinstance(tree, yaml.MappingNode) else ()
    return (MODELS, *at[1:]) if at[:1] == ("detectors",) and MODELS in keys and "detectors" not in keys else at


def _line(tree, at):
    """The line, from 1, of the deepest part of the path `at` that the file has."""
    node, line = tree, tree.start_mark.line
    for part in at:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found:
                line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


def _refuse_twice(node, path):
    """A key that comes twice: YAML would take the last without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # a list as a key: the loader refuses it
            if key.value in seen:
                raise InputError(f"{path}:{key.start_mark.line + 1}: {key.value}: comes twice, first in line "
                                 f"{seen[key.value]}")
            seen[key.value] = key.start_mark.line + 1
            _refuse_twice(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, path)


def _line_of_text(node, text):
    if isinstance(node, yaml.ScalarNode):
        return node.start_mark.line + 1 if node.value == text else None
    parts = node.value if isinstance(node, yaml.SequenceNode) else [value for _, value in node.value]
    return next((line for part in parts if (line := _line_of_text(part, text))), None)
