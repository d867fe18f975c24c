"""A study: a grid of points as a graph of commands, each done once.

frames -> record sets -> training -> evaluation -> results.json -> report.html

This is the only part of the kit that knows all stages. A node is one command; it is done when its stamp is there, which
is written after the command ended well, and its results are whole. Running a study again runs only what is missing.
"""

from tfod_compress.study.execution import run
from tfod_compress.study.graph import Node, graph
from tfod_compress.study.points import Point, points
from tfod_compress.study.reading import read
from tfod_compress.study.results import write_results
from tfod_compress.study.schema import Study, with_data, with_seed

__all__ = ["Node", "Point", "Study", "graph", "points", "read", "run", "with_data", "with_seed", "write_results"]
