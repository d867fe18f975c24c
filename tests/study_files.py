"""Study files for tests: the demo's, changed."""

import pathlib

import yaml

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
