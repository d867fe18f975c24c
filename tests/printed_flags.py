"""Says what is wrong with printed command lines, by the flags that each command defines itself.

    echo '[["tools.evaluate", ["--records", "SET"], true]]' | python -m tests.printed_flags

reads [[module, arguments, whether they are a whole command]] and writes [problem or None]. It is a process of its own,
because the modules of two commands may define one flag, and a process has one set of flags.
"""

import importlib
import json
import sys

from absl import flags

from tools import command  # noqa: F401  defines --debug, which all commands have

COMMON = set(flags.FLAGS)


def main():
    asked, found = json.load(sys.stdin), {}
    for module in dict.fromkeys(module for module, _, _ in asked):
        try:
            importlib.import_module(module)
        except ImportError as error:
            problems = [f"there is no {module} ({error})"] * sum(name == module for name, _, _ in asked)
        else:
            problems = [problem(module, arguments, whole) for name, arguments, whole in asked if name == module]
        found[module] = iter(problems)
        for name in set(flags.FLAGS) - COMMON:
            delattr(flags.FLAGS, name)
    json.dump([next(found[module]) for module, _, _ in asked], sys.stdout)


def problem(module, arguments, whole):
    """What is wrong with the arguments of a command, or None; of a part of one, with the names of its flags alone."""
    if not whole:
        names = [word.lstrip("-").partition("=")[0] for word in arguments if word.startswith("-")]
        unknown = [name for name in names if name not in flags.FLAGS and name.removeprefix("no") not in flags.FLAGS]
        return f"{module} has no --{unknown[0]}" if unknown else None
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    try:
        flags.FLAGS([module, *arguments])
    except flags.Error as error:
        return f"{module}: {error}"
    return None


if __name__ == "__main__":
    main()
