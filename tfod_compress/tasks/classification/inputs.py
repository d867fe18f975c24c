"""Pictures as a classifier gets them: tf-models-official's augmentation and resizing, on accurately decoded JPEG."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfod_compress.tasks.classification.experiment import Experiment
from tfod_compress.tasks.pixel_codec import Normalization

IMAGE, LABEL, SOURCE_ID = "image/encoded", "image/class/label", "image/source_id"


def for_training(experiment: Experiment) -> Callable[[tf.Tensor], tuple[dict, tf.Tensor]]:
    """The function of a serialised tf.train.Example, string [], that gives one training picture.

    Returns:
      A function that gives ({"image": float32 [H, W, 3], normalised; "source_id": string []}, int32 [], the class's
      place in the model's output).
    """
    data, offset = experiment.params.task.train_data, experiment.label_offset
    # The stock task hands on all of these but the crop's range, whatever its config says.
    parse = _parser(experiment, data, aug_rand_hflip=data.aug_rand_hflip,
                    crop_area_range=data.crop_area_range).parse_fn(is_training=True)
    features = {IMAGE: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64),
                SOURCE_ID: tf.io.FixedLenFeature([], tf.string)}

    def transform(record):
        example = tf.io.parse_single_example(record, features)
        image, index = parse({IMAGE: decode(example[IMAGE]), LABEL: example[LABEL] - 1 + offset})
        return {"image": image, "source_id": example[SOURCE_ID]}, index

    return transform


def for_prediction(experiment: Experiment) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function of pictures uint8 [B, H, W, 3] that gives float32 [B, h, w, 3], as the model looks at them.

    The crop and the resizing are those of `task.validation_data`.
    """
    parse = _parser(experiment, experiment.params.task.validation_data,
                    center_crop_fraction=experiment.params.task.validation_data.center_crop_fraction
                    ).parse_fn(is_training=False)

    def transform(pictures):
        return tf.map_fn(lambda picture: parse({IMAGE: picture, LABEL: tf.constant(0, tf.int64)})[0], pictures,
                         fn_output_signature=tf.float32)

    return transform


def normalization() -> Normalization:
    """The last of what the transforms above do, which is the same for all experiments: ImageNet's mean and deviation.

    tf-models-official's preprocess_ops has them: (123.675, 116.28, 103.53) and (58.395, 57.12, 57.375).
    """
    from official.vision.ops import preprocess_ops

    black, white = (preprocess_ops.normalize_image(tf.fill([1, 1, 3], level), preprocess_ops.MEAN_RGB,
                                                   preprocess_ops.STDDEV_RGB)[0, 0] for level in (0.0, 255.0))
    return Normalization.of(black, white)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """An encoded JPEG, PNG or bitmap as uint8 [H, W, 3]; JPEG as libjpeg's accurate inverse DCT has it."""
    image = tf.cond(tf.io.is_jpeg(encoded),
                    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
                    lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False))
    image.set_shape([None, None, 3])
    return image


def _parser(experiment, data, **options):
    from official.vision.dataloaders import classification_input

    model = experiment.params.task.model
    return classification_input.Parser(
        output_size=list(model.input_size[:2]), num_classes=model.num_classes, image_field_key=IMAGE,
        label_field_key=LABEL, aug_crop=data.aug_crop, tf_resize_method=data.tf_resize_method, **options)
