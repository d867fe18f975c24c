"""The TensorFlow Object Detection API as this project needs it: repaired, and with our feature extractors."""

import importlib.metadata
import os
import warnings

from tfod_compress.support.errors import InputError

PACKAGE = "tf-models-research-object-detection"
VERSION = "2.8.0.post1"

_installed = False


def install():
    """Repairs the Object Detection API in this process and registers our feature extractors.

    Every entry point that computes with TensorFlow calls it before anything of `object_detection` is imported;
    further calls do nothing. The first one takes as long as importing `object_detection` (some 15 s).

    Raises:
      InputError: the installed Object Detection API is not the one that the repairs were written for.
    """
    global _installed
    if _installed:
        return
    check_version()
    from tfod_compress.tasks.detection.odapi import registry, repairs

    quieten()
    for repair in repairs.ALL:
        repair()
    registry.register()
    _installed = True


def check_version():
    """Raises InputError unless the one version of the Object Detection API that we know is installed."""
    try:
        found = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE}=={VERSION}") from None
    if found != VERSION:
        raise InputError(
            f"{PACKAGE} {found} is installed, but its repairs are known for {VERSION} only: "
            f"pip install --no-deps {PACKAGE}=={VERSION}"
        )


def quieten():
    """Hides what nobody using this project can act on: the OD API's own calls of deprecated names.

    Whoever sets TF_CPP_MIN_LOG_LEVEL to less than 2 sees everything.
    """
    if int(os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0")) < 2:
        return
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    warnings.filterwarnings("ignore", message=".*set_learning_phase.*")
