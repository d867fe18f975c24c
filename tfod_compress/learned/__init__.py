"""Learned codecs on tensorflow-compression: trained by `training.codec`, used through tfod_compress.codecs.

One file a model (bls2017.py, bmshj2018.py, mbt2018_mean.py), with the names of the papers: x the picture, y its
latents, z the latents of the hyperprior, a hat for what was quantised, bpp the rate, lmbda the weight of the
distortion in the loss

    bpp + lmbda * mse        (mse over samples in [0, 255])

    layers.py         the convolutions that transforms are made of
    fixed_point.py    the hyper-synthesis transform in whole numbers, so that every machine reads the same stream
    range_coder.py    symbols to bytes and back, with stored tables
    bitstream.py      header and checksum around those bytes
    model_folder.py   what training leaves: model.json and weights.npz (without TensorFlow)
    coder.py          a folder's model, ready to encode and decode

and, for the models that were published with tensorflow-compression:

    published_models.py   where their files are (without TensorFlow)
    metagraph.py          such a file, ready to encode and decode
    operations.py         what a graph from elsewhere may do

This module imports no TensorFlow.
"""

import importlib

from tfod_compress.support.errors import InputError

MODELS = {
    "bls2017": "tfod_compress.learned.bls2017:Bls2017",
    "bmshj2018": "tfod_compress.learned.bmshj2018:Bmshj2018",
    "mbt2018-mean": "tfod_compress.learned.mbt2018_mean:Mbt2018Mean",
}


def model_class(name):
    """The class of a model; imports TensorFlow.

    Raises:
      InputError: no such model; the message lists those that are.
    """
    if name not in MODELS:
        raise InputError(f"{name!r} is no learned codec; there are {', '.join(sorted(MODELS))} (--codec)")
    module, _, cls = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), cls)
