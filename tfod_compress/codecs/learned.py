"""Learned codecs (tfod_compress/learned/) behind the interface of all others.

A model is one rate: the qualities are the lambdas of the models at hand. TensorFlow is imported when the first picture
is coded, not before.
"""

import functools
import importlib.metadata
import multiprocessing.util
import os

import numpy as np

from tfod_compress.codecs.base import Codec
from tfod_compress.errors import InputError
from tfod_compress.frames import contiguous
from tfod_compress.learned import bitstream, model_folder


class Learned(Codec):
    """A learned codec.

    The same pixels give the same bytes, and the same bytes the same pixels, with any number of threads. Between
    processors the bytes may differ, and each is still decoded everywhere; decoded samples may differ by one level.

    Args:
      model: folder of a trained model, or a folder with several of them, each of which is a quality.
      threads: of TensorFlow, where it is not running yet; None: one for each core. With a number GPUs are left alone.

    Raises:
      InputError: no model there, or one of another codec.
    """

    extension = ".tlc"
    scale = "lmbda of the models"
    whole_numbers = False
    parameter = "lmbda"
    stored_as = None

    def __init__(self, model, threads=None):
        self._models = {found.lmbda: found for found in model_folder.find(model, self.name)}
        self._folder, self._threads = model, threads
        self.qualities = tuple(self._models)
        self.lowest, self.highest = min(self.qualities), max(self.qualities)
        self.default_quality = self.lowest if len(self.qualities) == 1 else None

    def check_quality(self, quality):
        if quality is None:
            quality = self.default_quality
        for lmbda in self.qualities:
            if quality is not None and f"{quality:g}" == f"{lmbda:g}":
                return lmbda
        asked = "none is named" if quality is None else f"none has lmbda {quality:g}"
        raise InputError(f"{self._folder}: of the models there {asked}; there are "
                         f"{', '.join(f'{lmbda:g}' for lmbda in self.qualities)} (--quality)")

    def encode(self, rgb, quality):
        return self._coder(self._models[quality]).encode(contiguous(rgb))

    def decode(self, data):
        try:
            asked = bitstream.read_hash(data)
            model = next((found for found in self._models.values() if found.stream_hash.startswith(asked)),
                         next(iter(self._models.values())))
            return self._coder(model).decode(data, self.max_pixels)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def prepare(self, quality):
        _warm(self._coder(self._models[quality]))

    def version(self):
        return f"tensorflow-compression {importlib.metadata.version('tensorflow-compression')}"

    def settings(self):
        return {"models": {f"{lmbda:g}": found.model_hash for lmbda, found in self._models.items()}}

    def record_set_name(self, quality):
        return f"{self.name}-{self._models[quality].model_hash[:8]}"

    def _coder(self, description):
        return _loaded(str(description.folder), description.model_hash, self._threads)


class Bls2017(Learned):
    """Factorized prior; see learned/bls2017.py."""

    name = "bls2017"


class Bmshj2018(Learned):
    """Scale hyperprior; see learned/bmshj2018.py."""

    name = "bmshj2018"


class Mbt2018Mean(Learned):
    """Mean-scale hyperprior; see learned/mbt2018_mean.py."""

    name = "mbt2018-mean"


@functools.lru_cache(maxsize=16)
def _loaded(folder, model_hash, threads):
    set_threads(threads)
    # Compiled functions that outlive TensorFlow's modules complain while the interpreter ends, also that of a worker.
    multiprocessing.util.Finalize(None, _forget, exitpriority=1)
    from tfod_compress.learned import coder

    description = model_folder.read(folder)
    if description.model_hash != model_hash:
        raise InputError(f"{folder}: the model was replaced while it was in use; give the command again")
    return coder.PictureCoder(*coder.load(description), description.stream_hash)


@functools.lru_cache(maxsize=16)
def _warm(picture_coder):
    """Compiles both directions, by a small picture."""
    picture_coder.decode(picture_coder.encode(np.zeros((64, 64, 3), np.uint8)), 64 * 64)


def _forget():
    _warm.cache_clear()
    _loaded.cache_clear()


def set_threads(threads):
    """Sets TensorFlow up for coding, where it is not running yet.

    oneDNN shares the outputs of a convolution out among threads. Without it TensorFlow's own convolutions also cut
    sums into parts by the number of threads, and the last bits depend on it: there one thread has to do.
    """
    import tensorflow as tf

    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        threads = 1
    try:
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        pass  # TensorFlow is at work already, with the threads that its user chose
