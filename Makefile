# `make demo` and `make test` are all that a newcomer needs; both set up .venv first.
.PHONY: help setup demo test test-slow lint lock
.DEFAULT_GOAL := help

# The demo study's folder and seed; `make demo RUN=runs/demo-1 SEED=1` makes another.
RUN ?= runs/demo
SEED ?= 0
# Most of what the tests wait for keeps one core busy.
JOBS ?= 2

help:          ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 20

setup: .venv/ready  ## make .venv from Python 3.11 (or 3.10) and the pinned packages

.venv/ready: requirements.lock setup.py tools/bootstrap.sh
	@tools/bootstrap.sh

demo: setup    ## frames, records, training, evaluation, report: the project's question on synthetic frames
	@.venv/bin/python -m tools.run_study pipeline_configs/studies/demo.yaml --workdir $(RUN) --seed $(SEED)

test: setup    ## the tests (a quarter of an hour on 2 cores without a GPU), in JOBS processes
	@.venv/bin/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-slow: setup  ## the slow proofs: full-width parity, kills, fuzzing
	@.venv/bin/python -m pytest -q -m "slow or fuzz or browser"

lint: setup    ## ruff
	@.venv/bin/python -m ruff check .

lock:          ## resolve requirements.in again (needs uv)
	uv pip compile -q --python-version 3.10 requirements.in --override requirements.excluded --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" -o requirements.lock
