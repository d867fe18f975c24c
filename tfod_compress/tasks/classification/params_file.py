"""YAML as tf-models-official writes and reads it: the fields of an experiment. No TensorFlow."""

import pathlib
import re
from typing import Any

import yaml

from tfod_compress.support.errors import InputError

CONFIGS = pathlib.Path(__file__).resolve().parents[3] / "pipeline_configs" / "classifiers"
NAME = "params.yaml"  # in a model's folder, as the stock program leaves it
OFFSET = "label_offset"  # this kit's own field: class id + label_offset - 1 is the class's place in the model's output


class _Loader(yaml.SafeLoader):
    """Takes 1e-3 for a number, as YAML 1.2 does, and the stock program's tuples for lists."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
                              list("-+0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_yaml_seq)


def find(name: str | pathlib.Path) -> pathlib.Path:
    """The file of a config: `name` itself, or of that name in pipeline_configs/classifiers/.

    Raises:
      InputError: neither is there.
    """
    shipped = CONFIGS / f"{name}.yaml"
    path = shipped if len(pathlib.Path(name).parts) == 1 and shipped.is_file() else pathlib.Path(name)
    if not path.is_file():
        known = sorted(each.stem for each in CONFIGS.glob("*.yaml"))
        raise InputError(f"{name}: no such file, and none of pipeline_configs/classifiers ({', '.join(known)})")
    return path


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """The nested fields of a file.

    Raises:
      InputError: it is missing, or holds no fields.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return parse(text, path)


def parse(text: str, source: str | pathlib.Path) -> dict[str, Any]:
    """The nested fields of a text; `source` is what messages call it.

    Raises:
      InputError: it holds no fields.
    """
    try:
        found = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{source}: no YAML: {' '.join(str(error).split())[:200]}") from error
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise InputError(f"{source}: no fields such as `task: {{model: {{input_size: [32, 32, 3]}}}}`")
    return found
