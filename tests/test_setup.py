"""`make setup` on machines with the Pythons that systems bring: 3.11, only a later one, one without venv, none."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = pathlib.Path(sys.base_prefix) / "bin" / VERSION  # 3.11 or 3.10, and not that of a virtual environment
COMMANDS = ("bash", "cat", "chmod", "cp", "dirname", "grep", "make", "mkdir", "mv", "rm", "sh", "touch")
PROJECT = """
import pathlib, zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "tfod_compress-0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        info = "tfod_compress-0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tfod_compress\\nVersion: 0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""
UV = """#!/usr/bin/env bash
# Hands out $FOUND as the Python it installed, unless the network is down for it.
echo "$@" >> "$LOG"
case "$1 $2" in
  "python install") mkdir -p "$UV_PYTHON_INSTALL_DIR"; echo Installed; [ "$DOWN" != python ] ;;
  "python find") echo "$FOUND" ;;
  "pip install") [ "$DOWN" != packages ] ;;
  *) exit 2 ;;
esac
"""


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


class Machine:
    """A checkout that has only what setting up needs, in a folder with a space, and a PATH of its own.

    Its Pythons are scripts around this one that make their environments by copying one, which takes no time.
    """

    def __init__(self, folder, environment):
        self.environment = environment
        self.home, self.bin, self.checkout = folder / "home", folder / "bin", folder / "a checkout"
        self.wheel, self.log = folder / "uv-0-py3-none-any.whl", folder / "uv.log"
        for path in (self.home, self.bin, self.checkout / "tools"):
            path.mkdir(parents=True)
        for command in COMMANDS:
            (self.bin / command).symlink_to(shutil.which(command))
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("uv/__init__.py", "")
            wheel.writestr("uv-0.data/scripts/uv", UV)
            wheel.writestr("uv-0.data/scripts/uvx", "")
        shutil.copy(ROOT / "Makefile", self.checkout)
        script = (ROOT / "tools/bootstrap.sh").read_text()
        for name, value in (("uv_wheel", self.wheel.as_uri()), ("uv_sha256", sha256(self.wheel))):
            script, replaced = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", script)
            assert replaced == 1
        write_program(self.checkout / "tools/bootstrap.sh", script)
        (self.checkout / "requirements.lock").write_text("")
        (self.checkout / "setup.py").write_text("")
        (self.checkout / "backend.py").write_text(PROJECT)
        (self.checkout / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
        self.fetched_python = self.add_python(folder / "fetched")

    def add_python(self, path, *statements):
        """A Python at `path`, or on PATH under that name, about which statements make other things true."""
        path = self.bin / path
        before = "; ".join(["import sys", f"sys.executable = '{path}'", *statements])
        write_program(path, f"""#!/usr/bin/env bash
case "$1 $2" in
  "-m venv") exec cp -R '{self.environment}' "$3" ;;
  "-c "*) exec '{PYTHON}' -c "{before}; $2" ;;
  *) exec '{PYTHON}' "$@" ;;
esac
""")
        return path

    def setup(self, *arguments, **variables):
        """`make setup`; with DOWN="python" or "packages" uv cannot have these."""
        return self.run(["make", "setup", *arguments], self.checkout, variables)

    def run(self, command, folder, variables):
        environment = {"PATH": str(self.bin), "HOME": str(self.home), "LOG": str(self.log), "DOWN": "",
                       "FOUND": str(self.fetched_python), **variables}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    def uv_calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def has_venv(self):
        venv = self.checkout / ".venv"
        process = subprocess.run([venv / "bin/python", "-m", "pip", "--version"], capture_output=True, text=True)
        return process.returncode == 0 and str(venv) in process.stdout and (venv / "ready").exists()

    def left(self):
        """What setting up left in the checkout and at home."""
        return sorted({".uv", ".venv"} & set(os.listdir(self.checkout))) + os.listdir(self.home)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


LATER = "sys.version_info = (3, 13, 0, 'final', 0)"
WITHOUT_VENV = "sys.modules['ensurepip'] = None"  # as Debian has it until python3-venv is installed


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    if not (PYTHON.exists() and shutil.which("make")):
        pytest.skip(f"needs make and {PYTHON}")
    folder = tmp_path_factory.mktemp("venv") / ".venv"
    subprocess.run([PYTHON, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def machine(tmp_path, environment):
    return Machine(tmp_path, environment)


def assert_refused(process, *told):
    assert process.returncode == 2  # make's own; the script's is told in its last line
    assert "Error 1" in process.stderr
    for text in told:
        assert text in process.stderr
    assert "Traceback" not in process.stderr


def test_a_python_that_fits_is_taken_and_uv_is_not_asked_for(machine):
    machine.add_python("python3", LATER)
    (machine.bin / VERSION).symlink_to(PYTHON)  # the real one, which makes a real environment
    process = machine.setup()
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()
    assert "uv" not in process.stdout + process.stderr
    assert machine.left()[0] == ".venv"
    installed = subprocess.run([machine.checkout / ".venv/bin/python", "-c", "import importlib.metadata as m; "
                                "print(m.version('tfod_compress'))"], capture_output=True, text=True)
    assert installed.stdout == "0\n"

    ready = (machine.checkout / ".venv/ready").stat().st_mtime_ns
    again = machine.setup()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout
    assert (machine.checkout / ".venv/ready").stat().st_mtime_ns == ready


def test_what_an_earlier_try_left_is_used_if_it_is_whole(machine):
    machine.add_python("python3")
    write_program(machine.bin / "uv", UV)  # installs quicker
    venv = machine.checkout / ".venv"
    assert machine.run([machine.checkout / "tools/bootstrap.sh"], machine.home, {}).returncode == 0
    assert machine.has_venv()
    (venv / "here before").touch()
    (machine.checkout / "requirements.lock").write_text("# other packages\n")
    assert machine.setup(DOWN="packages").returncode == 2
    assert not (venv / "ready").exists()
    assert machine.setup().returncode == 0
    assert (venv / "here before").exists()

    (venv / "ready").unlink()
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/pip")))  # as where the making was stopped
    path = f"{venv}/bin:{machine.bin}"  # as in a shell where it is activated
    process = machine.setup(PATH=path)
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()
    assert not (venv / "here before").exists()


@pytest.mark.parametrize("pythons", [{"python3": [LATER]}, {"python3": [WITHOUT_VENV], VERSION: [WITHOUT_VENV]}])
def test_uv_is_fetched_where_no_python_fits(machine, pythons):
    for name, statements in pythons.items():
        machine.add_python(name, *statements)
    process = machine.setup()
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()
    assert [call.split()[:2] for call in machine.uv_calls()] == [
        ["python", "install"], ["python", "find"], ["pip", "install"], ["pip", "install"]]
    assert machine.left() == [".uv", ".venv"]
    assert sorted(os.listdir(machine.checkout / ".uv")) == ["python", "uv"]

    machine.wheel.unlink()  # it is there now, and is not fetched again
    shutil.rmtree(machine.checkout / ".venv")
    process = machine.setup()
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()


def test_a_uv_on_path_is_used_as_it_is(machine):
    machine.add_python("python3", LATER)
    write_program(machine.bin / "uv", UV)
    process = machine.setup(UV_PYTHON_INSTALL_DIR=str(machine.home / "pythons"))
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()
    assert machine.left() == [".venv", "pythons"]


def test_without_network_the_message_says_what_to_do_and_the_next_try_works(machine):
    machine.add_python("python3", LATER)
    wheel = machine.wheel.read_bytes()
    message = ("No fitting Python was found", "apt-get install python3.11 python3.11-venv", "make setup PYTHON=")

    machine.wheel.unlink()
    assert_refused(machine.setup(), "cannot fetch uv", *message)
    assert machine.left() == []

    machine.wheel.write_bytes(wheel[:-1])
    assert_refused(machine.setup(), "another SHA-256", *message)
    assert machine.left() == []

    machine.wheel.write_bytes(wheel)
    assert_refused(machine.setup(DOWN="python"), *message)
    assert machine.left() == []

    (machine.checkout / ".uv").mkdir()
    (machine.checkout / ".uv/part").write_bytes(wheel[:9])  # as when stopped while it was written
    assert machine.setup().returncode == 0
    assert machine.has_venv()


def test_without_any_python_the_message_says_what_to_do(machine):
    process = machine.setup()
    assert_refused(process, "No fitting Python was found")
    assert "not found" not in process.stderr
    assert machine.left() == []


def test_the_python_that_is_named_is_taken_or_refused(machine, tmp_path):
    machine.add_python("python3", LATER)
    assert_refused(machine.setup("PYTHON=python3"), "PYTHON=python3 is not a Python 3.11 or 3.10")
    assert_refused(machine.setup(f"PYTHON={tmp_path}/no such"), f"PYTHON={tmp_path}/no such is not a Python 3.11")
    assert machine.left() == []

    process = machine.setup(f"PYTHON={machine.add_python(tmp_path / 'my python')}")
    assert process.returncode == 0, process.stderr
    assert machine.has_venv()
    assert machine.uv_calls() == []
