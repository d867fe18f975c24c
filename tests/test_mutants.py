"""The tests find small bugs: each of `tests/mutants.py`, made in a copy of the package, fails the tests it names."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.mutants import MUTANTS

COPIED = ("tfod_compress", "tests", "tools", "pipeline_configs", "pyproject.toml")
FAILED = 1  # pytest's exit status where tests ran and failed; where none could be run it is another


@pytest.fixture
def package(tmp_path):
    """A folder with a copy of the package and its tests."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            # Compiled files are told from old ones by second and size, which a bug need not change.
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(package, tests):
    """The finished process of pytest on these tests of a copy."""
    return subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests], cwd=package,
                          env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_list_is_kept_up(name):
    """Quick, so that who changes a line that a mutant is made of hears of it at once."""
    mutant = MUTANTS[name]
    count = (ROOT / mutant.file).read_text().count(mutant.old)
    assert count == 1, f"{mutant.file} holds {count} times what tests/mutants.py looks for: {mutant.old}"
    assert mutant.new != mutant.old


@pytest.mark.slow
def test_the_tests_pass_without_a_bug(package):
    process = run(package, sorted({test for mutant in MUTANTS.values() for test in mutant.tests.split()}))
    assert process.returncode == 0 and "skipped" not in process.stdout, process.stdout + process.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_is_found(name, package):
    mutant = MUTANTS[name]
    text = (package / mutant.file).read_text()
    (package / mutant.file).write_text(text.replace(mutant.old, mutant.new))
    process = run(package, mutant.tests.split())
    assert process.returncode == FAILED, f"survived: {mutant}\n{process.stdout}{process.stderr}"
