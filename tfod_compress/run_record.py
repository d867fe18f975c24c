"""run.json: what it takes to make a run's weights again, without asking git."""

import datetime
import hashlib
import json
import os
import pathlib
import platform
import secrets
import sys

from tfod_compress import __version__, odapi
from tfod_compress.errors import InputError
from tfod_compress.files import write_json

MAX_SEED = 2**31 - 1


def seed_of(model_dir, seed):
    """The seed of a run: the one asked for, else the one it was started with, else a new one.

    Raises:
      InputError: the run was started with another seed.
    """
    started = _read(model_dir).get("seed")
    if seed is not None and started is not None and seed != started:
        raise InputError(f"{model_dir}: was started with seed {started}, not {seed}; leave --seed out to go on, or "
                         "name another folder")
    if seed is not None:
        return seed
    return started if started is not None else secrets.randbelow(MAX_SEED)


def write(model_dir, config_path, record_set, seed, deterministic, start, step, steps, hparams, details):
    """Adds this start of the program to run.json.

    Args:
      model_dir: the run's folder.
      config_path: the pipeline.config.
      record_set: the RecordSet that it trains on, or None where there is no manifest.
      seed: integer.
      deterministic: bool.
      start: where the weights come from, for a person.
      step: the step that it starts at.
      steps: the step that it ends at.
      hparams: {name: value} as in TensorBoard.
      details: {name: value}, what else belongs to the record.
    """
    import numpy as np
    import tensorflow as tf

    starts = _read(model_dir).get("starts", [])
    starts.append({"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                   "command": sys.argv, "start": start, "step": step, "steps": steps})
    write_json(pathlib.Path(model_dir) / "run.json", {
        "command": sys.argv, "version": __version__, "tensorflow": tf.__version__,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "tensorflow": tf.__version__,
                     odapi.PACKAGE: odapi.VERSION},
        "config": {"path": str(config_path), "sha256": _sha256(config_path)},
        "record_set": _record_set(record_set), "seed": seed, "deterministic": deterministic, "start": start,
        "hparams": hparams, "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"), "cores": os.cpu_count(),
        "gpus": len(tf.config.list_physical_devices("GPU")), **details, "starts": starts})


def _record_set(record_set):
    if record_set is None:
        return None
    manifest = record_set.manifest
    return {"path": str(record_set.path.resolve()), "manifest_sha256": _sha256(record_set.path / "manifest.json"),
            **{name: manifest.get(name) for name in ("codec", "codec_version", "quality", "bpp")}}


def _read(model_dir):
    try:
        found = json.loads((pathlib.Path(model_dir) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
