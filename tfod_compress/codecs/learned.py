"""Learned codecs (tfod_compress/learned/) behind the interface of all others.

A model is one rate: the qualities are the lambdas of the models at hand. TensorFlow is imported when the first picture
is coded, not before.
"""

import abc
import functools
import importlib.metadata
import multiprocessing.util
import os

import numpy as np

from tfod_compress.codecs.base import Codec
from tfod_compress.frames import contiguous
from tfod_compress.learned import bitstream, model_folder
from tfod_compress.support.errors import InputError


class OfModels(Codec):
    """What codecs share whose qualities are models: TensorFlow runs them, and each is loaded and compiled once.

    A subclass says how a quality is asked for (`check_quality`), which model a stream is of (`_model_of`), and how a
    model is loaded (`_coder`).

    Args:
      models: {quality: model}.
      given: what the user named, for messages.
      threads: of TensorFlow, where it is not running yet; None: one for each core. With a number GPUs are left alone.
    """

    def __init__(self, models, given, threads):
        self._models, self._given, self._threads = models, given, threads
        self.qualities = tuple(models)
        self.lowest, self.highest = min(self.qualities), max(self.qualities)
        self.default_quality = self.lowest if len(self.qualities) == 1 else None

    @abc.abstractmethod
    def _model_of(self, data):
        """The model that a stream was made with, or None where it is not here; InputError where it is no stream."""

    @abc.abstractmethod
    def _coder(self, model):
        """The loaded model: `encode(rgb)` and `decode(data, max_pixels)`."""

    def encode(self, rgb, quality):
        return self._coder(self._models[quality]).encode(contiguous(rgb))

    def decode(self, data):
        try:
            # A model that the stream is not of says so.
            model = self._model_of(data) or next(iter(self._models.values()))
            return self._coder(model).decode(data, self.max_pixels)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def prepare(self, quality):
        warm(self._coder(self._models[quality]))

    def version(self):
        return f"tensorflow-compression {importlib.metadata.version('tensorflow-compression')}"


class Learned(OfModels):
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
        super().__init__({found.lmbda: found for found in model_folder.find(model, self.name)}, model, threads)

    def check_quality(self, quality):
        if quality is None:
            quality = self.default_quality
        for lmbda in self.qualities:
            if quality is not None and f"{quality:g}" == f"{lmbda:g}":
                return lmbda
        asked = "none is named" if quality is None else f"none has lmbda {quality:g}"
        raise InputError(f"{self._given}: of the models there {asked}; there are "
                         f"{', '.join(f'{lmbda:g}' for lmbda in self.qualities)} (--quality)")

    def settings(self):
        return {"models": {f"{lmbda:g}": found.model_hash for lmbda, found in self._models.items()}}

    def record_set_name(self, quality):
        return f"{self.name}-{self._models[quality].model_hash[:8]}"

    def _model_of(self, data):
        asked = bitstream.read_hash(data)
        return next((found for found in self._models.values() if found.stream_hash.startswith(asked)), None)

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
    forget_at_exit(_loaded)
    from tfod_compress.learned import coder

    description = model_folder.read(folder)
    if description.model_hash != model_hash:
        raise InputError(f"{folder}: the model was replaced while it was in use; give the command again")
    return coder.PictureCoder(*coder.load(description), description.stream_hash)


@functools.lru_cache(maxsize=16)
def warm(picture_coder):
    """Compiles both directions, by a small picture."""
    picture_coder.decode(picture_coder.encode(np.zeros((64, 64, 3), np.uint8)), 64 * 64)


def forget_at_exit(loaded):
    """Empties a cache of loaded models, and `warm`'s, before the interpreter ends, also that of a worker.

    Compiled functions that outlive TensorFlow's modules complain then.
    """
    multiprocessing.util.Finalize(None, _forget, (loaded,), exitpriority=1)


def _forget(loaded):
    warm.cache_clear()
    loaded.cache_clear()


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
