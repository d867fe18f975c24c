"""Study files for tests: the demo's, changed."""

import json
import pathlib

import yaml

from tfod_compress import study
from tfod_compress.study import Point
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


def point(**known):
    """A Point of which only some of it matters; the rest is that of a training on JPEG 100."""
    usual = {"codec": "jpeg", "quality": 5, "record_set": "jpeg-q5", "coder": "jpeg", "target_bpp": None, "scale": 1.0,
             "detector": "d", "template": "t", "regime": "off_the_shelf", "seed": 0, "fold": None, "split": "val",
             "trained_on": "jpeg-q100", "steps": 1, "model": "m", "evaluation": "evaluations/m/jpeg-q5"}
    return Point(**usual | known)


def written_points(folder):
    """The [Point] of a made-up study's results.json."""
    return [point(**each) for each in json.loads((folder / "results.json").read_text())["points"]]


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
