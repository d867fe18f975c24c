"""Study files for tests: the demo's, changed."""

import pathlib

import yaml

from tfod_compress import study
from tfod_compress.study.graph import chosen

STUDIES = pathlib.Path(__file__).parent.parent / "pipeline_configs" / "studies"
DEMO = STUDIES / "demo.yaml"


def changed(folder, **changes):
    """The demo study, some keys changed ("a__b__0" reaches into lists and mappings), as a file; None removes one."""
    content = yaml.safe_load(DEMO.read_text())
    for name, value in changes.items():
        *path, last = (int(part) if part.isdigit() else part for part in name.split("__"))
        place = content
        for key in path:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def check_slices(plan, count):
    """Asserts that `count` slices of a study evaluate each model once, each with all that it needs."""
    nodes, trained = study.graph(plan, "w"), []
    for index in range(1, count + 1):
        own = chosen(nodes, plan, index, count)
        names = {node.name for node in own}
        for node in own:
            assert set(node.needs) <= names and {item.needs for item in node.items} - {None} <= names
        trained += [node.name for node in own if node.tool == "evaluate"]
    assert sorted(trained) == sorted(node.name for node in nodes if node.tool == "evaluate")
