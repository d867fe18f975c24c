"""A detector exported as a SavedModel, run like a `Detector`."""

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.detector import images, readable

OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


class SavedModelDetector:
    """Loads what the OD API's exporter_main_v2 writes; it needs neither a pipeline.config nor the OD API.

    Args:
      folder: the one with saved_model.pb.

    Raises:
      InputError: it cannot be loaded, or is no detector.
    """

    def __init__(self, folder):
        try:
            self._loaded = tf.saved_model.load(str(folder))  # kept, or its variables go
            self._signature = self._loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise InputError(f"{folder}: cannot be loaded as a SavedModel with a serving signature: {error}") from error
        inputs = self._signature.structured_input_signature[1]
        missing = [name for name in OUTPUTS if name not in self._signature.structured_outputs]
        if len(inputs) != 1 or missing:
            raise InputError(f"{folder}: not a detector with one input (inputs {sorted(inputs)}, missing outputs "
                             f"{missing})")
        (self._input, self._spec), = inputs.items()

    def detect(self, files, batch_size=1):
        """As Detector.detect, one image at a time: exports are made for a batch of one or for images of one size.

        Args:
          files: TFRecord files.
          batch_size: 1.

        Yields:
          (source_id, (height, width), boxes float32 [K, 4], class ids int64 [K], scores float32 [K]).
        """
        if batch_size != 1:
            raise ValueError("a SavedModel takes one image at a time")
        with readable(files):
            for source_id, image in images(files).prefetch(2):
                yield (source_id.numpy().decode("utf-8"), tuple(image.shape[:2]), *self.detect_image(image))

    def detect_image(self, image):
        """Runs on one image.

        Args:
          image: uint8 RGB [H, W, 3].

        Returns:
          (boxes float32 [K, 4], class ids int64 [K], scores float32 [K]), as `detect` yields them.
        """
        # Where it takes encoded files, PNG hands the pixels on unchanged.
        given = tf.io.encode_png(image) if self._spec.dtype == tf.string else tf.cast(image, self._spec.dtype)
        outputs = self._signature(**{self._input: given[tf.newaxis]})
        boxes, scores, classes, count = (outputs[name].numpy()[0] for name in OUTPUTS)
        count = int(count)
        return boxes[:count], np.rint(classes[:count]).astype(np.int64), scores[:count]
