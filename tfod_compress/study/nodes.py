"""A node of a study's graph: one command, what it needs, and the files that are whole when it is done."""

import dataclasses
import pathlib
import shlex
import sys


@dataclasses.dataclass(frozen=True)
class Item:
    """One of several things that a node's command makes in one go.

    Attributes:
      value: what the command line says for it.
      result: the file that is whole when it is made.
      needs: the name of the node that it needs, or None; without that one, the command leaves the item out.
    """

    value: str
    result: pathlib.Path
    needs: str | None = None


@dataclasses.dataclass(frozen=True)
class Node:
    """One command of the graph.

    Attributes:
      name: of the node.
      tool: `python -m tools.<tool>`.
      arguments: of the command, without its items.
      needs: names of the nodes without which it cannot run.
      result: the file that is whole when it is done; None where the items have theirs.
      flag: of the items: repeated for each, or once with commas between them (`joined`).
      items: (Item, …)
      work: (kind, amount, unit): what it costs, and with what else that can be compared; amount None if unknown.
      reads: ((name, path), …): the templates that it reads, whose content decides its results too.
    """

    name: str
    tool: str
    arguments: tuple
    needs: tuple = ()
    result: pathlib.Path | None = None
    flag: str = ""
    joined: bool = False
    items: tuple = ()
    work: tuple = ("", None, "")
    reads: tuple = ()

    @property
    def command(self):
        """[part] of the whole command."""
        return [sys.executable, *self._parts(self.items)]

    @property
    def text(self):
        """The whole command as one would type it."""
        return self.text_of(self.items)

    def command_of(self, items):
        """The command for some of the items."""
        return [sys.executable, *self._parts(items)]

    def text_of(self, items):
        """The command for some of the items, as one would type it."""
        return shlex.join(["python", *self._parts(items)])

    @property
    def key(self):
        """What decides its results besides what it needs: more items do not make those that are there wrong."""
        return self.text_of(())

    def _parts(self, items):
        values = [item.value for item in items]
        values = [",".join(values)] if self.joined and values else values
        listed = [part for value in values for part in (self.flag, value)] if self.flag else []
        return ["-m", f"tools.{self.tool}", *map(str, self.arguments), *listed]
