"""A detector in TensorFlow: built once from a pipeline.config, given weights strictly, run on encoded images."""

import contextlib
import os

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.support.text import LISTED, listed
from tfod_compress.tasks.checkpoints import UNTOUCHED
from tfod_compress.tasks.detection import moving_average, odapi
from tfod_compress.tasks.detection.config import pipeline_config


class Detector:
    """Builds and traces a model once; `restore` may be called for one checkpoint after another.

    Args:
      pipeline_config_path: a pipeline.config; only its model is used.
      model: the config's DetectionModel where there is one already, or None to build it.

    Attributes:
      image_size: (height, width) that every image is resized to, None where it depends on the image.

    Raises:
      InputError: the config cannot be read, or names a model that cannot be built.
    """

    def __init__(self, pipeline_config_path, model=None):
        odapi.install()
        from object_detection.builders import model_builder
        from object_detection.utils import config_util

        from tfod_compress.tasks.detection.odapi.learning_phase import inference

        self.name = str(pipeline_config_path)
        self._config = pipeline_config.read(pipeline_config_path)
        config = self._config.model
        try:
            self._model = model or model_builder.build(config, is_training=False)
        except ValueError as error:
            raise InputError(f"{self.name}: the model cannot be built: {error}") from error
        size = config_util.get_spatial_image_size(config_util.get_image_resizer_config(config))
        self.image_size = tuple(None if side < 0 else int(side) for side in size)
        nms = getattr(config, config.WhichOneof("model"))
        # Without a change of frame, an SSD's boxes are relative to the padded input and not to the image in it.
        self._boxes_of_padded = (config.WhichOneof("model") == "ssd"
                                 and not nms.post_processing.batch_non_max_suppression.change_coordinate_frame)
        # Without autograph, as in training.step.
        self._detect = tf.function(self._run, autograph=False, input_signature=[
            tf.TensorSpec([None, *self.image_size, 3], tf.float32), tf.TensorSpec([None, 3], tf.int32)])
        # Variables are made beforehand: a function that makes them itself is traced a second time without.
        height, width = (side or 128 for side in self.image_size)
        with inference():
            self._model.predict(*self._model.preprocess(tf.zeros([1, height, width, 3])))
            traced = self._detect.get_concrete_function()
        by_reference = {variable.ref(): variable for variable in (*traced.variables, *self._model.variables)}
        self._variables = [variable for variable in by_reference.values() if variable.dtype.is_floating]

    @property
    def variables(self):
        """[tf.Variable] that a detection depends on."""
        return list(self._variables)

    def restore(self, checkpoint, named=LISTED):
        """Loads weights, averaged ones where the config asks for them; every variable must come from the checkpoint.

        Args:
          checkpoint: a model folder (its newest checkpoint) or a prefix such as model/ckpt-3.
          named: how many variables without a value an error lists.

        Returns:
          The checkpoint's absolute prefix.

        Raises:
          InputError: there is none, it lacks variables of this model (the first are named), they have other
            shapes, or it holds NaN.
        """
        prefix = pipeline_config.latest_checkpoint(checkpoint)
        for variable in self._variables:
            variable.assign(tf.fill(variable.shape, tf.constant(UNTOUCHED, variable.dtype)))
        try:
            status = tf.train.Checkpoint(model=self._model).read(prefix)
        except (ValueError, tf.errors.OpError) as error:
            raise InputError(f"{prefix}: cannot be restored into the model of {self.name}: "
                             f"{_first_line(error)}") from error
        values = [variable.numpy() for variable in self._variables]
        untouched = [variable.name for variable, value in zip(self._variables, values, strict=True)
                     if value.size and (value == np.asarray(UNTOUCHED, value.dtype)).all()]
        if untouched:
            raise InputError(f"{prefix}: lacks {len(untouched)} of the {len(values)} variables of {self.name}: "
                             f"{listed(untouched, named)}; is it a checkpoint of this model?")
        try:
            status.expect_partial().assert_existing_objects_matched()
        except AssertionError as error:
            raise InputError(f"{prefix}: does not match {self.name}: {_first_line(error)}") from error
        broken = [variable.name for variable, value in zip(self._variables, values, strict=True)
                  if not np.isfinite(value).all()]
        if broken:
            raise InputError(f"{prefix}: holds NaN or infinite weights: {listed(broken)}; use an earlier checkpoint")
        if pipeline_config.uses_moving_average(self._config):
            moving_average.load(self._model, self._config, prefix)
        return prefix

    def detect(self, files, batch_size):
        """Runs on the images of TFRecord files; decoding overlaps with computing.

        Args:
          files: TFRecord files of tf.train.Example with image/encoded and image/source_id.
          batch_size: images of one size that are run together.

        Yields:
          (source_id, (height, width), boxes float32 [K, 4], class ids int64 [K] from 1 on, scores float32 [K]):
          boxes normalised (ymin, xmin, ymax, xmax), sorted as the model gives them. Images come in no certain
          order where they differ in size.

        Raises:
          InputError: a file is damaged or holds an image that cannot be decoded.
        """
        with readable(files):
            for batch in self._batches(files, batch_size):
                outputs = self._detect(batch["image"], batch["true_shape"])
                boxes, scores, classes, counts = (output.numpy() for output in outputs)
                for row, count in enumerate(counts):
                    yield (batch["source_id"][row].numpy().decode("utf-8"), tuple(batch["size"][row].numpy().tolist()),
                           boxes[row, :count], classes[row, :count], scores[row, :count])

    def detect_image(self, image):
        """Runs on one image.

        Args:
          image: uint8 RGB [H, W, 3].

        Returns:
          (boxes float32 [K, 4], class ids int64 [K], scores float32 [K]), as `detect` yields them.
        """
        outputs = self._detect(*self._model.preprocess(tf.cast(image, tf.float32)[tf.newaxis]))
        boxes, scores, classes, count = (output.numpy()[0] for output in outputs)
        return boxes[:count], classes[:count], scores[:count]

    def _run(self, images, true_shapes):
        detections = self._model.postprocess(self._model.predict(images, true_shapes), true_shapes)
        boxes = detections["detection_boxes"]
        if self._boxes_of_padded:
            padded = tf.cast(tf.shape(images)[1:3], tf.float32)
            scale = padded / tf.cast(true_shapes[:, :2], tf.float32)
            boxes *= tf.concat([scale, scale], axis=1)[:, tf.newaxis]
        return (boxes, detections["detection_scores"], tf.cast(detections["detection_classes"], tf.int64) + 1,
                tf.cast(detections["num_detections"], tf.int32))

    def _batches(self, files, batch_size):
        def prepare(source_id, image):
            resized, true_shape = self._model.preprocess(tf.cast(image, tf.float32)[tf.newaxis])
            return {"image": resized[0], "true_shape": true_shape[0], "size": tf.shape(image)[:2],
                    "source_id": source_id}

        prepare = tf.autograph.experimental.do_not_convert(prepare)
        dataset = images(files).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        if None in self.image_size:
            def size(example):
                height, width = tf.unstack(tf.cast(tf.shape(example["image"])[:2], tf.int64))
                return height * 1_000_000 + width

            dataset = dataset.group_by_window(size, lambda _, window: window.batch(batch_size), window_size=batch_size)
        else:
            dataset = dataset.batch(batch_size)
        return dataset.prefetch(2)


def images(files):
    """A tf.data.Dataset of (source_id, uint8 [H, W, 3]) of TFRecord files, decoded in parallel."""
    def parse(record):
        features = tf.io.parse_single_example(record, {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/source_id": tf.io.FixedLenFeature([], tf.string)})
        return features["image/source_id"], decode(features["image/encoded"])

    return tf.data.TFRecordDataset([str(file) for file in files]).map(parse, num_parallel_calls=tf.data.AUTOTUNE)


@contextlib.contextmanager
def readable(files):
    """Turns TensorFlow's errors about damaged files or images into an InputError that names their folder."""
    try:
        yield
    except tf.errors.OpError as error:
        raise InputError(f"{os.path.dirname(str(files[0]))}: cannot be read to its end, make the record set "
                         f"again: {_first_line(error)}") from error


def decode(encoded):
    """An encoded JPEG or PNG as uint8 [H, W, 3], the very pixels that libjpeg's accurate decoder (Pillow's) gives.

    TensorFlow's default is the fast inverse DCT, up to 13 levels away.
    """
    image = tf.cond(tf.io.is_jpeg(encoded),
                    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
                    lambda: tf.io.decode_png(encoded, channels=3))
    image.set_shape([None, None, 3])
    return image


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
