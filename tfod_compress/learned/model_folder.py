"""What training a learned codec leaves: model.json, which a person can read, and weights.npz. No TensorFlow here.

Arrays in weights.npz are named "weights/…" (trained variables) and "stream/…" (integers that streams are read with).
Two hashes stand in model.json and are checked whenever the arrays are read:

    model_hash    of codec, sizes and all arrays: names the model, and its record sets
    stream_hash   of the codec and the "stream/…" arrays: goes into every coded file (bitstream.py)
"""

import dataclasses
import hashlib
import json
import pathlib
import zipfile

import numpy as np

from tfod_compress.learned import MODELS
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, write_json

DESCRIPTION, WEIGHTS, FORMAT = "model.json", "weights.npz", 1
MAX_FILTERS = 1024
_MAX_BYTES = 2**31  # of all arrays: far above the largest model that MAX_FILTERS lets through in practice


@dataclasses.dataclass(frozen=True)
class Description:
    """model.json.

    Attributes:
      folder: where it lies.
      codec: name of the model, such as "bmshj2018".
      num_filters: channels of the transforms.
      num_latents: channels of y.
      lmbda: weight of the distortion that it was trained with.
      model_hash: 64 hexadecimal digits.
      stream_hash: likewise.
      content: all of the file.
    """

    folder: pathlib.Path
    codec: str
    num_filters: int
    num_latents: int
    lmbda: float
    model_hash: str
    stream_hash: str
    content: dict


def find(path, codec):
    """Models in a folder: the folder itself, or the folders in it.

    Args:
      path: of one model's folder, or of one with several of them.
      codec: the name that they must have.

    Returns:
      [Description], by rising lmbda.

    Raises:
      InputError: no model, of another codec, damaged, or two with the same lmbda.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; name a trained model's with --codec_model")
    if (path / DESCRIPTION).is_file():
        return [read(path, codec)]
    folders = sorted(child.parent for child in path.glob(f"*/{DESCRIPTION}"))
    if not folders:
        begun = (path / "training.json").is_file() or any(path.glob("*/training.json"))
        hint = "its training has not ended: give the same tools.train_codec command again" if begun else \
            "train one with tools.train_codec"
        raise InputError(f"{path}: no {DESCRIPTION} in it, so no trained model; {hint} (--codec_model)")
    found = sorted((read(folder, codec) for folder in folders), key=lambda model: model.lmbda)
    for one, other in zip(found[:-1], found[1:], strict=True):
        if one.lmbda == other.lmbda:
            raise InputError(f"{path}: two models with lmbda {one.lmbda:g}: {one.folder.name} and "
                             f"{other.folder.name}; name one of them with --codec_model")
    return found


def read(folder, codec=None):
    """`Description` of one model.

    Raises:
      InputError: missing, damaged, or of another codec than `codec`.
    """
    path = pathlib.Path(folder) / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; train a model with tools.train_codec (--codec_model)") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); train the model again") from error
    try:
        found = Description(path.parent, *(kind(content[name]) for name, kind in (
            ("codec", str), ("num_filters", int), ("num_latents", int), ("lmbda", float), ("model_hash", str),
            ("stream_hash", str))), content)
        bytes.fromhex(found.model_hash + found.stream_hash)
        whole = (content["format"] == FORMAT and len(found.model_hash) == len(found.stream_hash) == 64
                 and 0 < found.num_filters <= MAX_FILTERS and 0 < found.num_latents <= MAX_FILTERS
                 and found.codec in MODELS)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not the description of a trained model ({error!r})") from error
    if not whole:
        raise InputError(f"{path}: not the description of a trained model of format {FORMAT}")
    if codec is not None and found.codec != codec:
        raise InputError(f"{path.parent}: a model of codec {found.codec}, not {codec} (--codec_model)")
    return found


def read_arrays(description):
    """({weight name: float array}, {table name: integer array}) of a model, whose hashes were checked.

    Raises:
      InputError: missing, damaged or altered.
    """
    path = description.folder / WEIGHTS
    cure = "copy the whole folder, or train the model again"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise InputError(f"{path}: larger than any model of {MAX_FILTERS} filters")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); {cure}") from error
    weights = {name[8:]: array for name, array in arrays.items() if name.startswith("weights/")}
    tables = {name[7:]: array for name, array in arrays.items() if name.startswith("stream/")}
    if hashes(description.codec, description.num_filters, description.num_latents, weights, tables) != (
            description.model_hash, description.stream_hash):
        raise InputError(f"{path}: not the weights that {DESCRIPTION} speaks of; {cure}")
    return weights, tables


def write(folder, codec, num_filters, num_latents, lmbda, weights, tables, more):
    """Writes both files, the description last, and returns the `Description`.

    Args:
      folder: of the model.
      codec: its name.
      num_filters: channels of the transforms.
      num_latents: channels of y.
      lmbda: weight of the distortion.
      weights: {name: float array}.
      tables: {name: integer array}.
      more: {name: JSON value} to be kept as well: how it was trained.
    """
    folder = pathlib.Path(folder)
    model_hash, stream_hash = hashes(codec, num_filters, num_latents, weights, tables)
    with atomic_file(folder / WEIGHTS) as file:
        np.savez(file, **{f"weights/{name}": array for name, array in weights.items()},
                 **{f"stream/{name}": array for name, array in tables.items()})
    write_json(folder / DESCRIPTION, {
        "format": FORMAT, "codec": codec, "num_filters": num_filters, "num_latents": num_latents, "lmbda": lmbda,
        "model_hash": model_hash, "stream_hash": stream_hash, **more})
    return read(folder, codec)


def hashes(codec, num_filters, num_latents, weights, tables):
    """(model_hash, stream_hash), hexadecimal SHA-256; the same on every machine."""
    stream = hashlib.sha256(f"{codec}\n".encode())
    _add(stream, tables)
    model = hashlib.sha256(f"{codec} {num_filters} {num_latents} {stream.hexdigest()}\n".encode())
    _add(model, weights)
    return model.hexdigest(), stream.hexdigest()


def _add(digest, arrays):
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
