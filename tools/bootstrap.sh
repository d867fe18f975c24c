#!/usr/bin/env bash
# Makes .venv from a fitting Python and installs the lock file into it. Called by `make setup`; safe to call again.
set -eu
cd "$(dirname "$0")/.."

fits() {  # a command that is a Python 3.11 or 3.10
  "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 10)))' 2>/dev/null
}

find_python() {
  for candidate in ${PYTHON:-} python3.11 python3 python3.10 python; do
    if fits "$candidate"; then "$candidate" -c 'import sys; print(sys.executable)'; return; fi
  done
  if command -v uv >/dev/null 2>&1; then
    uv python install -q 3.11 >&2 && uv python find 3.11 && return
  fi
  cat >&2 <<'TEXT'
No fitting Python was found: TensorFlow 2.14 needs Python 3.11 (or 3.10), on 64-bit Linux.
Get one with, for example:
  apt-get install python3.11 python3.11-venv    (Debian 12; Ubuntu with the deadsnakes archive)
  uv python install 3.11                        (https://docs.astral.sh/uv, any Linux, no root)
  pyenv install 3.11 && pyenv local 3.11
or name one that is already there: make setup PYTHON=/path/to/python3.11
TEXT
  return 1
}

python=$(find_python)
echo "setup: $("$python" --version) at $python"
rm -f .venv/ready
if ! fits .venv/bin/python; then
  rm -rf .venv
  if ! "$python" -m venv .venv; then
    rm -rf .venv
    echo "setup: $python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
fi
echo "setup: installing $(grep -c '^[a-z].*==' requirements.lock) pinned packages (about 2 GB) into .venv"
if command -v uv >/dev/null 2>&1; then
  uv pip install -q --python .venv/bin/python --no-deps --require-hashes -r requirements.lock
  uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
else
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  .venv/bin/python -m pip install -q --no-deps --require-hashes --progress-bar off -r requirements.lock
  .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
fi
touch .venv/ready
echo "setup: done. \`. .venv/bin/activate\` puts python and model_main_tf2.py on your PATH"
