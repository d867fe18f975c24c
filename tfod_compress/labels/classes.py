"""From the names in label files to the classes of a label map."""

import collections
import pathlib

from tfod_compress.labels import label_map as label_maps
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import CLASSES, listed

IGNORE = "ignore"
AUTO = "auto"  # instead of a label map: the names that the labels have
_MAX_BYTES = 1 << 20


class ClassMap:
    """From source names to class ids.

    Args:
      label_map: {class id: name}.
      names: {source name: a name of the label map, or "ignore"}; the label map's own names need no entry.
      ignored: names that a label format ignores by itself, unless the label map or `names` has them.

    Attributes:
      label_map: as given.
    """

    def __init__(self, label_map, names=None, ignored=()):
        self.label_map = label_map
        ids = {name: number for number, name in label_map.items()}
        self._ids = {**dict.fromkeys(ignored, 0), **ids}
        for source, name in (names or {}).items():
            self._ids[source] = ids.get(name, 0)

    def class_id(self, name):
        """The id of a name's class, or 0 for a name to ignore; KeyError for one that is not mapped."""
        return self._ids[name]

    def check(self, counts, labels, counted="boxes"):
        """Raises InputError listing every name in `counts` ({name: boxes, or what `counted` says}) that is not mapped.
        """
        unknown = collections.Counter({name: count for name, count in counts.items() if name not in self._ids})
        if not unknown:
            return
        told = listed([f"{name} ({count})" for name, count in sorted(
            unknown.items(), key=lambda item: (-item[1], item[0]))], len(unknown))
        fits = [name for name in label_maps.shipped()
                if set(unknown) <= set(label_maps.load(name).values()) | {n for n, i in self._ids.items() if not i}]
        maps = f"--label_map {fits[0]}" if fits else "--label_map FILE with a label map that has them"
        numbers = " (numbers: YOLO's own names may be missing, --names brings them)" if all(
            name.isdigit() for name in unknown) else ""
        raise InputError(
            f"{labels}: class names that the label map lacks, with their {counted}: {told}{numbers}; three ways on: "
            f"{maps}; --label_map auto, which takes the names as they are; or --class_map FILE with a line for each "
            f"that says {listed(self.label_map.values(), CLASSES)} or {IGNORE}")


def found_label_map(counts, names, ignored):
    """The label map of --label_map auto: the names that labels have, after a class map, sorted.

    Args:
      counts: {source name: boxes}.
      names: a class map, {source name: name or "ignore"}.
      ignored: names that the label format ignores by itself.

    Returns:
      ({class id: name}, {name: boxes}).

    Raises:
      InputError: no name is left.
    """
    boxes = collections.Counter()
    for source, count in counts.items():
        name = names.get(source, IGNORE if source in ignored else source)
        if name != IGNORE:
            boxes[name] += count
    if not boxes:
        raise InputError("--label_map auto: the labels name no class that is not ignored; name a label map")
    return label_maps.of_names(boxes), dict(boxes)


def read_class_map(path, label_map=None):
    """{source name: class or "ignore"} from a YAML file.

    Args:
      path: the file.
      label_map: {class id: name} that the right sides must come from; None where any name may stand there.

    Raises:
      InputError: missing, not a mapping, or a right side that is no class of the label map.
    """
    import yaml

    classes = list(label_map.values()) if label_map else []
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
        raise InputError(f"{path}: must hold lines such as \"Car: {(classes or ['vehicle'])[0]}\" (--class_map)")
    if any(isinstance(name, (dict, list)) or name is None or name == "" for name in content.values()):
        raise InputError(f"{path}: the right side of every line must be a class (--class_map)")
    names = {str(source): str(name) for source, name in content.items()}
    for source, name in names.items():
        if classes and name not in (*classes, IGNORE):
            raise InputError(f"{path}: \"{source}: {name}\": the label map has no class {name!r}"
                             f"{label_maps.nearest(name, classes)}; it has {listed(classes, CLASSES)}, or say {IGNORE} "
                             "(--class_map)")
    return names
