"""The kit's classes, and how other names become them."""

import collections
import pathlib

from tfod_compress.errors import InputError

CLASS_NAMES = ("PassengerCar", "Truck", "Van", "Bus", "Pedestrian", "Bicycle", "Motorbike")
LABEL_MAP = dict(enumerate(CLASS_NAMES, 1))
IGNORE = "ignore"
_MAX_BYTES = 1 << 20


class ClassMap:
    """From source names to class ids.

    Args:
      names: {source name: one of CLASS_NAMES or "ignore"}; the kit's own names need no entry.
      ignored: names that a label format ignores by itself unless `names` has them.
    """

    def __init__(self, names=None, ignored=()):
        ids = {name: number for number, name in LABEL_MAP.items()}
        self._ids = {**ids, **dict.fromkeys(ignored, 0)}
        for source, name in (names or {}).items():
            self._ids[source] = ids.get(name, 0)

    def class_id(self, name):
        """1 to 7, or 0 for a name to ignore; KeyError for one that is not mapped."""
        return self._ids[name]

    def check(self, counts, labels):
        """Raises InputError listing every name in `counts` ({name: boxes}) that is not mapped."""
        unknown = collections.Counter({name: count for name, count in counts.items() if name not in self._ids})
        if unknown:
            listed = ", ".join(f"{name} ({count})" for name, count in sorted(
                unknown.items(), key=lambda item: (-item[1], item[0])))
            raise InputError(f"{labels}: class names without a meaning here, with their boxes: {listed}; "
                             f"map each to {', '.join(CLASS_NAMES)} or {IGNORE} in a YAML file (--class_map)")


def read_class_map(path):
    """{source name: class or "ignore"} from a YAML file.

    Raises:
      InputError: missing, not a mapping, or a value that is no class of the kit.
    """
    import yaml

    try:
        text = pathlib.Path(path).read_bytes()
        if len(text) > _MAX_BYTES:
            raise InputError(f"{path}: too large for a class map (--class_map)")
        content = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (--class_map)") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())} (--class_map)") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: must hold lines such as \"Car: {CLASS_NAMES[0]}\" (--class_map)")
    if any(isinstance(name, (dict, list)) for name in content.values()):
        raise InputError(f"{path}: the right side of every line must be a class (--class_map)")
    names = {str(source): str(name) for source, name in content.items()}
    wrong = [f"{source}: {name}" for source, name in names.items() if name not in (*CLASS_NAMES, IGNORE)]
    if wrong:
        raise InputError(f"{path}: {wrong[0]!r}: the right side must be one of {', '.join(CLASS_NAMES)} "
                         f"or {IGNORE} (--class_map)")
    return names
