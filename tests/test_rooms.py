"""The rooms of tfod_compress/ and their order: a module imports its own room and those before it, never in a circle.

Imports are read from the source, so that those inside functions count as well.
"""

import ast
import graphlib
import pathlib

import pytest

from tests.conftest import ROOT

PACKAGE = "tfod_compress"
# evaluation comes before training, which evaluates while it runs.
ROOMS = ("support", "frames", "synthetic", "labels", "learned", "codecs", "rate_distortion", "statistics", "records",
         "tasks", "evaluation", "training", "study", "report")
DOORS = (PACKAGE, f"{PACKAGE}.odapi")  # for programs outside; no room imports them but for the version


def modules(root):
    """{dotted name: source} of the package in a folder."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def imports(sources):
    """{module: the modules of the package that it imports anywhere}."""
    found = {}
    for name, source in sources.items():
        found[name] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name}: a relative import; write it out"
                targets = [f"{node.module}.{each.name}" for each in node.names]
                targets = [target if target in sources else node.module for target in targets]
            elif isinstance(node, ast.Import):
                targets = [each.name for each in node.names]
            else:
                continue
            found[name] |= {target for target in targets if target in sources and target != name}
    return found


def room(name):
    """The place of a module's room in ROOMS; the doors are before all."""
    return -1 if name in DOORS else ROOMS.index(name.split(".")[1])


def backwards(found):
    """[(module, what it imports of a later room)]."""
    return [(name, target) for name, targets in found.items() for target in sorted(targets)
            if name not in DOORS and room(target) > room(name)]


def circle(found):
    """Modules that import each other in a circle, or []."""
    try:
        graphlib.TopologicalSorter(found).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.fixture(scope="module")
def sources():
    return modules(ROOT)


def test_every_module_lies_in_a_room(sources):
    assert {name.split(".")[1] for name in sources if name not in DOORS} == set(ROOMS)


def test_no_room_imports_a_later_one(sources):
    assert backwards(imports(sources)) == []


def test_no_circle_is_closed(sources):
    assert circle(imports(sources)) == []


def test_rooms_do_not_go_through_the_door_for_others(sources):
    door = DOORS[1]
    assert not [name for name, targets in imports(sources).items() if door in targets]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_step_back_and_a_circle_are_seen(sources, lazy):
    bad = "from tfod_compress.study import schema\n"
    bad = f"def later():\n    {bad}" if lazy else bad
    changed = imports(sources | {"tfod_compress.codecs.jpeg": bad})
    assert backwards(changed) == [("tfod_compress.codecs.jpeg", "tfod_compress.study.schema")]
    # Within one room it is no step back, and still a circle.
    back = sources["tfod_compress.study.settings"] + bad
    changed = imports(sources | {"tfod_compress.study.settings": back})
    assert not backwards(changed) and "tfod_compress.study.schema" in circle(changed)


def test_tests_lie_in_folders_by_the_names_of_the_rooms():
    folders = {path.name for path in pathlib.Path(ROOT / "tests").iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(ROOMS)
