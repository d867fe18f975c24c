"""Run a study: frames, record sets, training, evaluation, report. Only what is missing is run.

Examples:
  python -m tools.run_study pipeline_configs/studies/demo.yaml --workdir runs/demo
  python -m tools.run_study pipeline_configs/studies/demo.yaml --workdir runs/demo --dry_run
  python -m tools.run_study pipeline_configs/studies/demo.yaml --workdir runs/demo-1 --seed 1
"""

import pathlib

from absl import flags

from tools import command

_WORKDIR = flags.DEFINE_string("workdir", None, "The study's folder, such as runs/demo.", required=True)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what is done, what is missing and each command; run nothing.")
_SEED = flags.DEFINE_integer("seed", None, "Another seed for synthetic frames and training, instead of the file's.")


def main(arguments):
    if len(arguments) != 1:
        raise command.UsageError("give one study file, such as pipeline_configs/studies/demo.yaml")
    from tfod_compress import report, study

    plan = study.read(arguments[0])
    if _SEED.value is not None:
        plan = study.with_seed(plan, _SEED.value)
    failed = study.run(plan, _WORKDIR.value, dry_run=_DRY_RUN.value, say=lambda line: print(line, flush=True))
    if _DRY_RUN.value:
        return 0
    if (pathlib.Path(_WORKDIR.value) / "results.json").is_file():
        report.make_report(_WORKDIR.value)
        print(report.print_table(_WORKDIR.value))
    for name in failed:
        print(f"not done: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    command.run(main, positional=True)
