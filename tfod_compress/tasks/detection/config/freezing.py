"""The config of a detector that is looked through and not trained."""

from __future__ import annotations

from typing import Any

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import changes


def frozen(config: Any) -> Any:
    """A copy of a config, of a detector whose batch normalisation keeps still.

    Args:
      config: TrainEvalPipelineConfig.

    Raises:
      InputError: neither SSD nor Faster R-CNN, or one whose box predictors have batch normalisation of their own.
    """
    found = type(config)()
    found.CopyFrom(config)
    kind = found.model.WhichOneof("model")
    if kind == "ssd":
        found.model.ssd.freeze_batchnorm = True
    elif kind == "faster_rcnn":
        model = found.model.faster_rcnn
        model.feature_extractor.batch_norm_trainable = False
        predictors = [path for path in changes.paths(model) if "batch_norm" in path.split(".")]
        if predictors:
            raise InputError(f"a Faster R-CNN whose box predictors have batch normalisation ({predictors[0]}) cannot "
                             "be frozen")
    else:
        raise InputError(f"a frozen detector must be an SSD or a Faster R-CNN, not {kind}")
    return found
