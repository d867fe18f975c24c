"""The entry wrapper that every command shares: help, exit codes, one-line errors."""

import inspect
import math
import os
import sys

from absl import flags

from tfod_compress.support.errors import InputError

flags.DEFINE_bool("debug", False, "Show the traceback of an error instead of one line.")


class UsageError(Exception):
    """The command line does not make sense; exit code 2."""


def run(main, positional=False):
    """Parses the flags, calls `main` and exits.

    Args:
      main: called without arguments, or with the list of positional ones.
      positional: whether `main` takes positional arguments.

    Exit codes: 0 done; 1 bad input, told in one line; 2 wrong usage; 130 interrupted. A traceback is
    shown only with --debug.
    """
    sys.exit(exit_code(main, sys.argv, positional))


def numbers(flag, texts):
    """[float] of a flag's comma-separated texts; UsageError where one is not a finite number, or there is none."""
    found = []
    for text in texts:
        try:
            found.append(float(text))
        except ValueError:
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise UsageError(f"--{flag}: {text!r} is not a number")
    if not found:
        raise UsageError(f"--{flag} needs a number")
    return found


def margin(flag, text):
    """statistics.margin.Margin of a flag's text, such as "0.02" or "5%"; UsageError where it is none."""
    from tfod_compress.statistics.margin import Margin

    try:
        return Margin.parse(text)
    except ValueError as error:
        raise UsageError(f"--{flag}: {error}") from None


def without_effect(*names):
    """Defines flags that earlier versions had, so that their commands still run."""
    for name in names:
        flags.DEFINE_integer(name, None, "Has no effect any more: intervals are computed without chance.")


def exit_code(main, argv, positional=False):
    """What `run` exits with; `argv` as in sys.argv."""
    name = _command_name(main)
    try:
        if {"--help", "-h", "-help", "--helpshort", "--helpfull"} & set(argv[1:]):
            print(help_text(main), flush=True)
            return 0
        rest = flags.FLAGS(argv)[1:]
        if rest and not positional:
            raise UsageError(f"unexpected argument {rest[0]!r}")
        result = main(rest) if positional else main()
        sys.stdout.flush()
        return result or 0
    except (UsageError, flags.Error) as error:
        print(f"{name}: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if flags.FLAGS.is_parsed() and flags.FLAGS.debug:
            raise
        if isinstance(error, (InputError, OSError)):
            print(f"{name}: {_one_line(error)}", file=sys.stderr)
        else:
            print(f"{name}: {type(error).__name__}: {_one_line(error)} (--debug shows where)", file=sys.stderr)
        return 1


def help_text(main):
    """The command's docstring and its flags with their defaults."""
    module = inspect.getmodule(main)
    lines = [inspect.cleandoc(module.__doc__ or ""), "", "Flags:"]
    name = _command_name(main)
    own = [*flags.FLAGS.get_key_flags_for_module(name), *flags.FLAGS.get_key_flags_for_module("__main__"),
           *flags.FLAGS.get_key_flags_for_module(sys.argv[0]), flags.FLAGS["debug"]]
    shown = set()
    for flag in own:
        if flag.name in shown:
            continue
        shown.add(flag.name)
        default = "" if flag.default in (None, "", []) else f" (default: {flag.default_as_str})"
        lines.append(f"  --{flag.name}: {' '.join((flag.help or '').split())}{default}")
    return "\n".join(lines)


def _command_name(main):
    name = inspect.getmodule(main).__name__
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if name == "__main__" and spec else name


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
