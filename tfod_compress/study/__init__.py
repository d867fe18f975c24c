"""A study: a grid of points as a graph of commands, each done once.

frames -> record sets -> training -> evaluation -> results.json -> report.html

This is the only part of the kit that knows all stages. A node is one command; it is done when its stamp is there, which
is written after the command ended well. Running a study again runs only what has no stamp.
"""

from tfod_compress.study.execution import run
from tfod_compress.study.graph import Node, graph, points
from tfod_compress.study.results import write_results
from tfod_compress.study.schema import Study, read, with_seed

__all__ = ["Node", "Study", "graph", "points", "read", "run", "with_seed", "write_results"]
