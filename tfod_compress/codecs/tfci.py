"""The models published with tensorflow-compression, as the codec tfci; see learned/metagraph.py.

Experimental: it was made from the documentation and tested on metagraphs of the same form that the tests export; no
published model was at hand.
"""

import functools
import importlib.metadata
import multiprocessing
import multiprocessing.util
import warnings

import numpy as np

from tfod_compress.codecs.base import Codec
from tfod_compress.codecs.learned import set_threads
from tfod_compress.errors import InputError
from tfod_compress.frames import contiguous
from tfod_compress.learned import published_models


class Tfci(Codec):
    """A family of published models, each of which is a quality: the number at the end of its name.

    The bytes are those of the tool tfci's files. They have no checksum: bytes that are altered but not cut off may
    decode to another picture. The entropy models of most published models are computed in float, so that a stream may
    not decode on another kind of processor.

    Args:
      model: a published model or family ("bmshj2018-hyperprior-msssim-5", "bmshj2018-hyperprior-msssim"), which is
        downloaded once, or a folder of such files, or FOLDER/NAME; see `published_models.find`.
      threads: of TensorFlow, where it is not running yet; None: one for each core. With a number GPUs are left alone.
      address: where the models are published.

    Raises:
      InputError: no such model, or it cannot be downloaded.
    """

    name = "tfci"
    extension = ".tfci"
    scale = "number of the published model"
    parameter = "m"

    def __init__(self, model, threads=None, address=published_models.ADDRESS):
        if multiprocessing.parent_process() is None:
            warnings.warn("codec tfci is experimental: it has only met metagraphs that its own tests exported, no "
                          "published one", stacklevel=3)
        self._models = {found.number: found for found in published_models.find(model, address)}
        self._wanted, self._threads = model, threads
        self.qualities = tuple(self._models)
        self.lowest, self.highest = min(self.qualities), max(self.qualities)
        self.default_quality = self.lowest if len(self.qualities) == 1 else None

    def check_quality(self, quality):
        if quality is None:
            quality = self.default_quality
        if quality in self._models:
            return int(quality)
        asked = "none is named" if quality is None else f"none has the number {quality:g}"
        raise InputError(f"{self._wanted}: of the models there {asked}; there are "
                         f"{', '.join(map(str, self.qualities))} (--quality)")

    def encode(self, rgb, quality):
        return _loaded(self._models[quality], self._threads).encode(contiguous(rgb))

    def decode(self, data):
        # Whatever decodes a stream needs TensorFlow to read it.
        set_threads(self._threads)
        from tfod_compress.learned import metagraph

        try:
            asked = metagraph.model_of(data)
            model = next((found for found in self._models.values() if found.name == asked),
                         next(iter(self._models.values())))
            return _loaded(model, self._threads).decode(data, self.max_pixels)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def prepare(self, quality):
        _warm(_loaded(self._models[quality], self._threads))

    def version(self):
        return f"tensorflow-compression {importlib.metadata.version('tensorflow-compression')}"

    def settings(self):
        return {"models": {found.name: found.sha256 for found in self._models.values()}}

    def record_set_name(self, quality):
        return f"{self.name}-{self._models[quality].sha256[:8]}"


@functools.lru_cache(maxsize=16)
def _loaded(model, threads):
    set_threads(threads)
    # Functions that outlive TensorFlow's modules complain while the interpreter ends, also that of a worker.
    multiprocessing.util.Finalize(None, _forget, exitpriority=1)
    from tfod_compress.learned import metagraph

    return metagraph.PictureCoder(model)


@functools.lru_cache(maxsize=16)
def _warm(picture_coder):
    """Compiles both directions, by a small picture."""
    picture_coder.decode(picture_coder.encode(np.zeros((64, 64, 3), np.uint8)), 64 * 64)


def _forget():
    _warm.cache_clear()
    _loaded.cache_clear()
