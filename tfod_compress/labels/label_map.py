"""Label maps: which classes there are, as data. The OD API's own format, read in one place.

    item { id: 3  name: "/m/0k4j"  display_name: "car" }

A class is shown and matched by its display_name where it has one, else by its name. Ids may have gaps (COCO's 80
classes have ids 1 to 90), so a model for a label map has as many classes as its highest id. In memory a label map is
{id: shown name}, ordered by id. No TensorFlow.
"""

import collections
import difflib
import pathlib

from tfod_compress.support.errors import InputError

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "pipeline_configs" / "label_maps"
DEFAULT = "lmu"
MAX_BYTES = 4 << 20
MAX_ID = 100_000  # a model has an output for every id up to the highest


def shipped() -> list[str]:
    """Names of the label maps that come with the kit, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.pbtxt"))


def load(name_or_path: str, cure: str = "--label_map") -> dict[int, str]:
    """A shipped label map by its name, or one from a file.

    Args:
      name_or_path: such as "coco" or label_map.pbtxt.
      cure: what the error tells the user to look at.

    Raises:
      InputError: there is no such name or file, or it is no label map.
    """
    if name_or_path in shipped():
        return read(FOLDER / f"{name_or_path}.pbtxt", cure)
    path = pathlib.Path(name_or_path)
    if not path.exists() and path.suffix == "" and path.name == name_or_path:
        near = nearest(name_or_path, shipped())
        auto = ", auto" if cure == "--label_map" else ""
        raise InputError(f"no label map {name_or_path!r}{near}; there are {', '.join(shipped())}{auto}, and files such "
                         f"as label_map.pbtxt ({cure})")
    return read(path, cure)


def read(path: str | pathlib.Path, cure: str = "--label_map") -> dict[int, str]:
    """{id: shown name} of a label map file, by ascending id.

    Args:
      path: a text file of object_detection.protos.StringIntLabelMap.
      cure: what the error tells the user to look at.

    Raises:
      InputError: it cannot be read, has no class, an id below 1 or too high, a class without a name, or an id or name
        that comes twice.
    """
    from google.protobuf import text_format
    from object_detection.protos import string_int_label_map_pb2

    try:
        data = pathlib.Path(path).read_bytes()
        if len(data) > MAX_BYTES:
            raise InputError(f"{path}: too large for a label map ({cure})")
        items = text_format.Parse(data.decode("utf-8"), string_int_label_map_pb2.StringIntLabelMap()).item
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error} ({cure})") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise InputError(f"{path}: not a label map: {' '.join(str(error).split())} ({cure})") from error
    return checked({}, [(item.id, item.display_name or item.name) for item in items], path, cure)


def checked(found: dict[int, str], items, path, cure: str = "--label_map") -> dict[int, str]:
    """`found` and the (id, name) pairs of `items` as one label map, or InputError where they are none."""
    for number, name in items:
        if not name:
            raise InputError(f"{path}: the class with id {number} has no name ({cure})")
        if not 1 <= number <= MAX_ID:
            raise InputError(f"{path}: class {name!r} has id {number}; ids go from 1 to {MAX_ID} ({cure})")
        if number in found:
            raise InputError(f"{path}: id {number} comes twice, for {found[number]!r} and {name!r} ({cure})")
        found[number] = name
    twice = [name for name, count in collections.Counter(found.values()).items() if count > 1]
    if twice:
        numbers = ", ".join(str(number) for number, name in found.items() if name == twice[0])
        raise InputError(f"{path}: class {twice[0]!r} comes twice, with ids {numbers} ({cure})")
    if not found:
        raise InputError(f"{path}: no class in the label map ({cure})")
    return dict(sorted(found.items()))


def text(label_map: dict[int, str]) -> str:
    """A label map's file, which `read` gives back."""
    return "".join(f"item {{\n  id: {number}\n  name: '{_escaped(name)}'\n}}\n" for number, name in label_map.items())


def of_names(names) -> dict[int, str]:
    """The label map with these names, sorted, at ids 1, 2, …"""
    return dict(enumerate(sorted(set(names)), 1))


def nearest(name: str, names) -> str:
    """", is NAME meant?" for the name that is most like `name`, or "" where none is."""
    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    return f", is {folded[near[0]]} meant?" if near else ""


def _escaped(name):
    from google.protobuf import text_encoding

    return text_encoding.CEscape(name, as_utf8=True)
