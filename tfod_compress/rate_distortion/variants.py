"""Codecs with options, by name: "vvc:preset=slow" is the codec vvc made with preset="slow"."""

import re

from tfod_compress import codecs
from tfod_compress.support.errors import InputError

_OPTION = re.compile(r"([a-z_]+)=([\w.-]+)")


def get(variant, model=None):
    """The codec of a variant such as "jpeg", "hevc444:preset=placebo" or "avif:speed=3".

    Args:
      variant: text.
      model: folder of a trained model, for learned codecs; None for others.

    Raises:
      InputError: as `codecs.get`; or options that cannot be read, or that the codec does not take.
    """
    name, *texts = variant.split(":")
    options = {} if model is None else {"model": model, "threads": 1}
    for text in texts:
        found = _OPTION.fullmatch(text)
        if not found:
            raise InputError(f"codec {variant!r}: {text!r} is no option=value (--codecs)")
        options[found.group(1)] = int(found.group(2)) if found.group(2).isdigit() else found.group(2)
    try:
        return codecs.get(name, **options)
    except TypeError as error:
        raise InputError(f"codec {variant!r}: {error} (--codecs)") from error
