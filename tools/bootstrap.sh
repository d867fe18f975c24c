#!/usr/bin/env bash
# Makes .venv from a fitting Python and installs the lock file into it. Called by `make setup`; safe to call again.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

# The uv of those who have none (address and hash from https://pypi.org/project/uv/#files). It is fetched only where no
# Python fits, and keeps all that it needs in .uv.
uv_wheel=https://files.pythonhosted.org/packages/3d/aa/26d64642d808de4a652579ef950d7cd2d37f080a8babf9c67c6b75fc4c3f/uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
uv_sha256=d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19
if ! uv=$(command -v uv); then
  uv=$PWD/.uv/uv
  export UV_PYTHON_INSTALL_DIR="$PWD/.uv/python" UV_PYTHON_INSTALL_BIN=0 UV_CACHE_DIR="$PWD/.uv/cache" UV_SYSTEM_CERTS=1
fi

fits() {  # fits COMMAND MODULE: prints where the command is, if it is a Python 3.11 or 3.10 that has the module
  "$1" -c "import sys, $2; sys.version_info[:2] in ((3, 11), (3, 10)) or sys.exit(1); print(sys.executable)" 2>/dev/null
}

fetch_uv() {  # needs nothing but some Python 3: a wheel is a zip archive, and uv's holds one program
  command -v python3 >/dev/null || return 1
  echo "setup: no fitting Python 3.11 or 3.10 here; fetching uv, and with it Python 3.11, into .uv (about 50 MB)" >&2
  mkdir -p .uv
  python3 - "$uv_wheel" "$uv_sha256" .uv/part <<'PYTHON' && chmod +x .uv/part && mv .uv/part .uv/uv
import hashlib, io, sys, urllib.request, zipfile

url, sha256, path = sys.argv[1:]
try:
    wheel = urllib.request.urlopen(url, timeout=60).read()
except Exception as error:
    sys.exit("setup: cannot fetch uv: %s" % error)
if hashlib.sha256(wheel).hexdigest() != sha256:
    sys.exit("setup: cannot fetch uv: what came from %s has another SHA-256 than expected" % url)
with zipfile.ZipFile(io.BytesIO(wheel)) as archive, open(path, "wb") as program:
    program.write(archive.read(next(name for name in archive.namelist() if name.endswith("/scripts/uv"))))
PYTHON
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" ensurepip && return
    echo "setup: PYTHON=$PYTHON is not a Python 3.11 or 3.10 with venv (on Debian and Ubuntu: python3.11-venv)" >&2
    return 1
  fi
  for candidate in python3.11 python3 python3.10 python; do
    fits "$candidate" ensurepip && return
  done
  if [ -x "$uv" ] || fetch_uv; then
    "$uv" python install 3.11 >&2 && "$uv" python find --system --python-preference only-managed 3.11 && return
  fi
  rm -rf .uv
  cat >&2 <<'TEXT'
No fitting Python was found: TensorFlow 2.14 needs Python 3.11 (or 3.10) with venv, on x86-64 Linux.
Get one with, for example:
  apt-get install python3.11 python3.11-venv    (Debian 12; Ubuntu with the deadsnakes archive)
  uv python install 3.11                        (https://docs.astral.sh/uv, any Linux, no root)
  pyenv install 3.11 && pyenv local 3.11
or name one that is already there: make setup PYTHON=/path/to/python3.11
TEXT
  return 1
}

rm -f .venv/ready
if ! fits .venv/bin/python pip >/dev/null; then
  rm -rf .venv  # before the search: it may be on PATH
  python=$(find_python)
  echo "setup: $("$python" --version) at $python"
  "$python" -m venv .venv
fi
echo "setup: installing $(grep -c '^[a-z].*==' requirements.lock) pinned packages (about 2 GB) into .venv"
if [ -x "$uv" ]; then
  "$uv" pip install -q --python .venv/bin/python --no-deps --require-hashes -r requirements.lock
  "$uv" pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
else
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  .venv/bin/python -m pip install -q --no-deps --require-hashes --progress-bar off -r requirements.lock
  .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
fi
touch .venv/ready
echo "setup: done. \`. .venv/bin/activate\` puts python and model_main_tf2.py on your PATH"
