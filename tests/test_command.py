"""Every command: help without heavy imports, one-line errors, exit codes."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ("__init__", "codec_flags", "command", "training_flags")  # no commands, but what several of them import
TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py") if path.stem not in SHARED)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_shows_an_example_and_imports_nothing_heavy(tool):
    """What costs the seconds are these imports; counting them does not depend on how busy the machine is."""
    script = (f"import sys, runpy; sys.argv = ['tools.{tool}', '--help']\n"
              f"try: runpy.run_module('tools.{tool}', run_name='__main__', alter_sys=True)\n"
              "except SystemExit as end: assert end.code == 0, end.code\n"
              "heavy = {'tensorflow', 'object_detection', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)\n"
              "assert not heavy, heavy")
    process = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    assert "Example" in process.stdout
    assert f"python -m tools.{tool}" in process.stdout
    assert "\n  --" in process.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_an_unknown_flag_is_wrong_usage(tool, run_tool):
    process = run_tool(tool, "--no_such_flag_here")
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1


def run_main(body, *arguments):
    """Runs a command whose main() is `body`."""
    script = ("import sys; from tools import command\nfrom tfod_compress.support.errors import InputError\n"
              f"def main():\n    {body}\ncommand.run(main)")
    return subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize(("body", "code", "told"), [
    ("print('done')", 0, ""),
    ("return 1", 1, ""),
    ("raise InputError('a.bmp: is\\nno BMP; take another')", 1, "a.bmp: is no BMP; take another"),
    ("open('/nowhere/at/all')", 1, "/nowhere/at/all"),
    ("1 / 0", 1, "ZeroDivisionError"),
    ("raise command.UsageError('--a goes with --b')", 2, "--a goes with --b"),
    ("raise KeyboardInterrupt", 130, "interrupted"),
])
def test_exit_codes_and_one_line(body, code, told):
    process = run_main(body)
    assert process.returncode == code
    assert told in process.stderr
    assert process.stderr.count("\n") == (code != 0 and told != "")


def test_debug_shows_where():
    process = run_main("1 / 0", "--debug")
    assert process.returncode == 1
    assert "Traceback" in process.stderr


def test_help_into_a_closed_pipe_is_no_traceback():
    process = subprocess.Popen([sys.executable, "-m", "tools.make_tfrecords", "--help"], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait()
