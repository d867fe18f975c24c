"""The models published with tensorflow-compression, as the codec tfci; see learned/metagraph.py.

Experimental: it was made from the documentation and tested on metagraphs of the same form that the tests export; no
published model was at hand.
"""

import functools
import multiprocessing
import warnings

from tfod_compress.codecs.learned import OfModels, forget_at_exit, set_threads
from tfod_compress.learned import published_models
from tfod_compress.support.errors import InputError


class Tfci(OfModels):
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
        super().__init__({found.number: found for found in published_models.find(model, address)}, model, threads)

    def check_quality(self, quality):
        if quality is None:
            quality = self.default_quality
        if quality in self._models:
            return int(quality)
        asked = "none is named" if quality is None else f"none has the number {quality:g}"
        raise InputError(f"{self._given}: of the models there {asked}; there are "
                         f"{', '.join(map(str, self.qualities))} (--quality)")

    def settings(self):
        return {"models": {found.name: found.sha256 for found in self._models.values()}}

    def record_set_name(self, quality):
        return f"{self.name}-{self._models[quality].sha256[:8]}"

    def _model_of(self, data):
        set_threads(self._threads)  # the stream itself is read with TensorFlow
        from tfod_compress.learned import metagraph

        asked = metagraph.model_of(data)
        return next((found for found in self._models.values() if found.name == asked), None)

    def _coder(self, model):
        return _loaded(model, self._threads)


@functools.lru_cache(maxsize=16)
def _loaded(model, threads):
    set_threads(threads)
    forget_at_exit(_loaded)
    from tfod_compress.learned import metagraph

    return metagraph.PictureCoder(model)
