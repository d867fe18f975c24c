"""run.json: what it takes to make a run's weights again, without asking git."""

import datetime
import os
import pathlib
import platform
import secrets
import sys

from tfod_compress import __version__
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, sha256, write_json

MAX_SEED = 2**31 - 1


def seed_of(model_dir, seed):
    """The seed of a run: the one asked for, else the one it was started with, else a new one.

    Raises:
      InputError: the run was started with another seed.
    """
    started = _earlier(model_dir).get("seed")
    if seed is not None and started is not None and seed != started:
        raise InputError(f"{model_dir}: was started with seed {started}, not {seed}; leave --seed out to go on, or "
                         "name another folder")
    if seed is not None:
        return seed
    return started if started is not None else secrets.randbelow(MAX_SEED)


def hparams(run, options, seed):
    """What tells the runs of a study apart, for TensorBoard's HPARAMS tab.

    Args:
      run: run.Run.
      options: options.Options; its `hparams` go before what is found here.
      seed: integer.

    Returns:
      {name: str, int, float or bool}.
    """
    manifest = run.record_set.manifest if run.record_set else {}
    found = {"codec": manifest.get("codec"), "quality": manifest.get("quality"), "bpp": manifest.get("bpp"),
             "record_set": run.record_set.name if run.record_set else None, "seed": seed, "steps": run.steps,
             "batch_size": run.batch_size, "balance_classes": options.balance_classes,
             "fine_tuned": bool(run.starts_from), **run.hparams(), **options.hparams}
    return {name: value for name, value in found.items() if isinstance(value, (str, int, float, bool))}


def write(model_dir, run, *, seed, deterministic, start, step, hparams, class_shares):
    """Adds this start of the program to run.json, and the config beside it.

    Args:
      model_dir: the run's folder.
      run: run.Run.
      seed: integer.
      deterministic: bool.
      start: where the weights come from, for a person.
      step: the step that it starts at.
      hparams: {name: value} as in TensorBoard.
      class_shares: {class name: {"records": share, "sampled": share}}.
    """
    import numpy as np
    import tensorflow as tf

    run.write_config(model_dir)
    starts = _earlier(model_dir).get("starts", [])
    starts.append({"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                   "command": sys.argv, "start": start, "step": step, "steps": run.steps})
    write_json(pathlib.Path(model_dir) / "run.json", {
        "command": sys.argv, "version": __version__, "tensorflow": tf.__version__,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "tensorflow": tf.__version__,
                     **run.versions()},
        "config": {"path": str(run.path), "sha256": sha256(run.path)},
        "record_set": _record_set(run.record_set), "seed": seed, "deterministic": deterministic, "start": start,
        **run.described(),
        "hparams": hparams, "class_shares": class_shares,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"), "cores": os.cpu_count(),
        "gpus": len(tf.config.list_physical_devices("GPU")), "starts": starts})


def _record_set(record_set):
    if record_set is None:
        return None
    manifest = record_set.manifest
    return {"path": str(record_set.path.resolve()), "manifest_sha256": sha256(record_set.path / "manifest.json"),
            **{name: manifest.get(name) for name in ("codec", "codec_version", "quality", "bpp")}}


def _earlier(model_dir):
    return read_json(pathlib.Path(model_dir) / "run.json") or {}
