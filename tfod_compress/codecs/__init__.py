"""The codecs that frames can be compressed with, loaded when they are asked for.

Listing them imports neither TensorFlow nor a codec:

    from tfod_compress import codecs
    codecs.names()                  # ["jpeg", "jpeg-gray", "png", …]
    codec = codecs.get("jpeg")      # or "jpeg-scale0.5": coded at half the width and height, and scaled back
    data = codec.encode(rgb, 20)
    rgb = codec.decode(data)
"""

import importlib
import re
import typing

from tfod_compress.support.errors import InputError


class Entry(typing.NamedTuple):
    """Where a codec is and what it needs.

    Attributes:
      target: "module:Class"; the class is made without arguments, or with those of `get`.
      about: one line for lists.
      package: what to install where importing the module fails.
      learned: whether it needs the folder of a trained model.
    """

    target: str
    about: str
    package: str
    learned: bool = False


_REGISTRY = {}
_SCALED = re.compile(r"(.+)-scale(0?\.\d+)")


def register(name, target, about, package, learned=False):
    """Adds a codec.

    Raises:
      ValueError: the name is taken.
    """
    if name in _REGISTRY:
        raise ValueError(f"codec {name!r} is registered twice: {_REGISTRY[name].target} and {target}")
    _REGISTRY[name] = Entry(target, about, package, learned)


def names():
    """The names of all codecs that need no trained model, sorted."""
    return sorted(name for name, entry in _REGISTRY.items() if not entry.learned)


def learned_names():
    """The names of those that do, sorted."""
    return sorted(name for name, entry in _REGISTRY.items() if entry.learned)


def about(name):
    """The `Entry` of a codec, without importing it.

    Raises:
      InputError: no such codec; the message lists those that are.
    """
    scaled = _SCALED.fullmatch(name)
    if scaled:
        entry = about(scaled[1])
        return entry._replace(about=f"{entry.about}; of frames scaled by {scaled[2]} and back")
    if name not in _REGISTRY:
        raise InputError(f"unknown codec {name!r}; there are {', '.join(names())}, each also with its frames scaled, "
                         f"such as jpeg-scale0.5; and with a model {', '.join(learned_names())} (--codec)")
    return _REGISTRY[name]


def get(name, **options):
    """A codec, ready to use.

    Args:
      name: one of `names()`; with -scale0.5 behind it, the frames are coded at half their width and height.
      **options: what the codec's class takes, such as model="folder" of a learned codec.

    Raises:
      InputError: no such codec, this machine lacks a package it needs, or a model is missing or is not needed.
    """
    scaled = _SCALED.fullmatch(name)
    if scaled:
        from tfod_compress.codecs.scaled import Scaled

        return Scaled(get(scaled[1], **options), float(scaled[2]))
    entry = about(name)
    if entry.learned and options.get("model") is None:
        raise InputError(f"codec {name} needs a trained model; name it with --codec_model: " + (
            "a published one, or a folder of them" if name == "tfci" else
            "its folder; tools.train_codec trains one"))
    if not entry.learned and "model" in options:
        raise InputError(f"codec {name} is not learned and takes no --codec_model; leave it out")
    module, _, cls = entry.target.partition(":")
    try:
        found = getattr(importlib.import_module(module), cls)
    except ImportError as error:
        raise InputError(f"codec {name} needs the package {entry.package}, which this machine lacks "
                         f"({error}); pip install {entry.package}") from error
    return found(**options)


register("jpeg", "tfod_compress.codecs.jpeg:Jpeg", "baseline JPEG, 4:2:0, libjpeg-turbo", "opencv-python-headless")
register("jpeg444", "tfod_compress.codecs.jpeg:Jpeg444", "baseline JPEG, 4:4:4, libjpeg-turbo",
         "opencv-python-headless")
register("jpeg-gray", "tfod_compress.codecs.jpeg:JpegGray", "baseline JPEG of the luma alone, libjpeg-turbo",
         "opencv-python-headless")
register("png", "tfod_compress.codecs.pillow:Png", "PNG: the lossless anchor", "pillow")
register("webp", "tfod_compress.codecs.pillow:WebP", "lossy WebP, 4:2:0, libwebp", "pillow")
register("avif", "tfod_compress.codecs.pillow:Avif", "AVIF (AV1 intra), 4:2:0, libaom", "pillow")
register("avif444", "tfod_compress.codecs.pillow:Avif444", "AVIF (AV1 intra), 4:4:4, libaom", "pillow")
register("avif-gray", "tfod_compress.codecs.pillow:AvifGray", "AVIF of the luma alone, libaom", "pillow")
register("jpeg2000", "tfod_compress.codecs.pillow:Jpeg2000", "JPEG 2000, 9-7 wavelet, OpenJPEG", "pillow")
register("jpeg2000-gray", "tfod_compress.codecs.pillow:Jpeg2000Gray", "JPEG 2000 of the luma alone, OpenJPEG", "pillow")
register("jxl", "tfod_compress.codecs.jxl:Jxl", "JPEG XL, libjxl", "pillow-jxl-plugin")
register("jxl-gray", "tfod_compress.codecs.jxl:JxlGray", "JPEG XL of the luma alone, libjxl", "pillow-jxl-plugin")
register("hevc", "tfod_compress.codecs.hevc:Hevc", "HEVC intra, 4:2:0, x265", "av")
register("hevc444", "tfod_compress.codecs.hevc:Hevc444", "HEVC intra, 4:4:4 (as BPG), x265", "av")
register("hevc-gray", "tfod_compress.codecs.hevc:HevcGray", "HEVC intra of the luma alone, x265", "av")
register("vvc", "tfod_compress.codecs.vvc:Vvc", "VVC intra, 4:2:0, 10 bits, vvenc", "imageio-ffmpeg")
register("vvc-gray", "tfod_compress.codecs.vvc:VvcGray", "VVC intra of the luma, vvenc", "imageio-ffmpeg")
register("h264", "tfod_compress.codecs.h264:H264", "H.264 video over the frames of a sequence, 4:2:0, x264", "av")
register("bls2017", "tfod_compress.codecs.learned:Bls2017", "learned: factorized prior", "tensorflow-compression",
         learned=True)
register("bmshj2018", "tfod_compress.codecs.learned:Bmshj2018", "learned: scale hyperprior", "tensorflow-compression",
         learned=True)
register("mbt2018-mean", "tfod_compress.codecs.learned:Mbt2018Mean", "learned: mean-scale hyperprior",
         "tensorflow-compression", learned=True)
register("tfci", "tfod_compress.codecs.tfci:Tfci", "learned: the models published with tensorflow-compression "
         "(experimental: has not met one yet)", "tensorflow-compression", learned=True)
