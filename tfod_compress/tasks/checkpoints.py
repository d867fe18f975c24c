"""Checkpoints on disk. No TensorFlow."""

import pathlib

from tfod_compress.support.errors import InputError

UNTOUCHED = -12345.678  # no weight has this value; where it is left after a restore, nothing was restored


def latest_checkpoint(path) -> str:
    """The prefix of a checkpoint.

    Args:
      path: a folder with a `checkpoint` index as tf.train.CheckpointManager writes it, or a prefix
        such as `runs/model/ckpt-3`.

    Returns:
      The absolute prefix.

    Raises:
      InputError: no checkpoint is there.
    """
    path = pathlib.Path(path)
    if path.name and path.with_name(path.name + ".index").is_file():
        return str(path.resolve())
    if not path.is_dir():
        raise InputError(f"{path}: no such checkpoint; give a model folder or a prefix such as model/ckpt-3")
    state = path / "checkpoint"
    prefixes = sorted(path.glob("ckpt-*.index"), key=_number)
    if state.is_file():
        line = next((line for line in state.read_text(encoding="utf-8").splitlines()
                     if line.startswith("model_checkpoint_path:")), "")
        named = path / pathlib.Path(line.partition(":")[2].strip().strip('"')).name
        if named.with_name(named.name + ".index").is_file():
            return str(named.resolve())
    if not prefixes:
        raise InputError(f"{path}: holds no checkpoint (ckpt-*.index); train first, or name another folder")
    return str(prefixes[-1].with_suffix("").resolve())


def _number(index):
    digits = index.name[len("ckpt-"):-len(".index")]
    return int(digits) if digits.isdigit() else -1
