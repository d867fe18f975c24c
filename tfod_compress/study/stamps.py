"""Where it is noted that a node is done."""

import pathlib
import re


def stamp_path(workdir, node):
    return pathlib.Path(workdir) / "done" / (re.sub(r"[^\w.-]+", "-", node.name) + ".json")
