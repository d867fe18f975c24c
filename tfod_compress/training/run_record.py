"""run.json: what it takes to make a run's weights again, without asking git."""

import datetime
import os
import pathlib
import platform
import secrets
import sys

from tfod_compress import __version__
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, read_json, sha256, write_json
from tfod_compress.tasks.detection import odapi

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


def hparams(config, record_set, seed, steps, balance_classes, more):
    """What tells the runs of a study apart, for TensorBoard's HPARAMS tab.

    Args:
      config: TrainEvalPipelineConfig.
      record_set: the RecordSet that it trains on, or None.
      seed: integer.
      steps: number of steps.
      balance_classes: bool.
      more: {name: value} from the command line, which go before what is found here; or None.

    Returns:
      {name: str, int, float or bool}.
    """
    model = getattr(config.model, config.model.WhichOneof("model"))
    manifest = record_set.manifest if record_set else {}
    found = {"detector": getattr(model, "feature_extractor", None) and model.feature_extractor.type or "",
             "codec": manifest.get("codec"), "quality": manifest.get("quality"), "bpp": manifest.get("bpp"),
             "record_set": record_set.name if record_set else None, "seed": seed, "steps": steps,
             "batch_size": config.train_config.batch_size, "balance_classes": balance_classes,
             "fine_tuned": bool(config.train_config.fine_tune_checkpoint), **(more or {})}
    return {name: value for name, value in found.items() if isinstance(value, (str, int, float, bool))}


def write(model_dir, config, config_path, record_set, *, seed, deterministic, start, step, steps, hparams,
          class_shares, codec=None):
    """Adds this start of the program to run.json, and the config as pipeline.config.

    Args:
      model_dir: the run's folder.
      config: TrainEvalPipelineConfig.
      config_path: its file.
      record_set: the RecordSet that it trains on, or None where there is no manifest.
      seed: integer.
      deterministic: bool.
      start: where the weights come from, for a person.
      step: the step that it starts at.
      steps: the step that it ends at.
      hparams: {name: value} as in TensorBoard.
      class_shares: {class name: {"records": share, "sampled": share}}.
      codec: `CodecTuning.described` of a codec in front of the detector, or None.
    """
    import numpy as np
    import tensorflow as tf
    from google.protobuf import text_format

    with atomic_file(pathlib.Path(model_dir) / "pipeline.config", "w") as file:
        file.write(text_format.MessageToString(config))
    starts = _earlier(model_dir).get("starts", [])
    starts.append({"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                   "command": sys.argv, "start": start, "step": step, "steps": steps})
    write_json(pathlib.Path(model_dir) / "run.json", {
        "command": sys.argv, "version": __version__, "tensorflow": tf.__version__,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "tensorflow": tf.__version__,
                     odapi.PACKAGE: odapi.VERSION},
        "config": {"path": str(config_path), "sha256": sha256(config_path)},
        "record_set": _record_set(record_set), "seed": seed, "deterministic": deterministic, "start": start,
        **({"codec": codec} if codec else {}),
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
