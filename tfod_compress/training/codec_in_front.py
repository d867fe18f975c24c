"""A learned codec in front of a detector, so that either can be tuned for the other.

    L. D. Chamain, F. Racapé, J. Bégaint, A. Pushparaja, S. Feltman, "End-to-end optimized image compression for
    machines, a study", DCC 2021

The loss is task loss + beta * bpp + lmbda * mse. The detector sees decoded pictures: latents are rounded on their way
to the synthesis transform, with the gradient of the identity (straight-through), as a fielded decoder would have them;
their rate is that of latents with uniform noise, which has a gradient. Pictures go through the codec at the detector's
input size: where frames are larger, the rate is that of the smaller picture.
"""

import functools
import math

import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.learned import coder, model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.config import changes

# The parts of a codec that a regime changes (see `parts` of a model), and whether it changes the detector.
REGIMES = {
    "task_ft": ((), True),
    "codec_ft": (("encoder", "stream", "decoder"), False),
    "joint_ft": (("encoder", "stream", "decoder"), True),
    "fixed_decoder": (("encoder",), False),
    "task_decoder": (("decoder",), True),
}


def put_in_front(detector, codec, regime, *, beta, lmbda=0.0):
    """Makes a detector look at pictures that went through a codec, and train what a regime says.

    The detector's `predict`, `trainable_variables` and losses change in place; the step and the loop of training take
    it as it is, and checkpoints hold the codec too. Of a detector that is not trained, batch normalisation must be
    frozen when it is built (`freeze` makes its config so).

    Args:
      detector: DetectionModel of the OD API with all its variables.
      codec: a model of tfod_compress.learned.
      regime: a name in `REGIMES`.
      beta: weight of the bits per pixel.
      lmbda: weight of the mean squared error over samples in [0, 255].

    Returns:
      The detector.

    Raises:
      InputError: unknown regime, or weights below 0.
    """
    check(regime, beta, lmbda)
    parts, with_detector = REGIMES[regime]
    detector_variables = list(detector.trainable_variables)
    black, white = (_one_pixel(detector, level) for level in (0.0, 255.0))
    detector.__class__ = type(f"Coded{type(detector).__name__}", (_Coded, type(detector)), {})
    detector.codec = codec
    detector._codec_normalization = (white - black) / 255, black
    detector._codec_weights, detector._codec_losses = (beta, lmbda), {}
    detector._codec_metrics = {}
    tuned = [variable for part in parts for module in codec.parts[part] for variable in module.trainable_variables]
    tuned += detector_variables if with_detector else []
    detector._tuned = lambda: tuned  # a list would be tracked, and change the names in checkpoints
    return detector


def check(regime, beta, lmbda):
    """Raises InputError where the regime is unknown, or a weight is no finite number from 0 on."""
    if regime not in REGIMES:
        raise InputError(f"regime {regime!r}: with a codec there are {', '.join(REGIMES)}")
    if not 0 <= beta < math.inf or not 0 <= lmbda < math.inf:
        raise InputError(f"beta {beta:g}, lmbda {lmbda:g}: weights of the loss must not be negative")


def freeze(config):
    """Makes the config of a detector that is looked through and not trained: its batch normalisation keeps still.

    Args:
      config: TrainEvalPipelineConfig, changed in place.

    Raises:
      InputError: neither SSD nor Faster R-CNN, or one whose box predictors have batch normalisation of their own.
    """
    kind = config.model.WhichOneof("model")
    if kind == "ssd":
        config.model.ssd.freeze_batchnorm = True
    elif kind == "faster_rcnn":
        model = config.model.faster_rcnn
        model.feature_extractor.batch_norm_trainable = False
        predictors = [path for path in changes.paths(model) if "batch_norm" in path.split(".")]
        if predictors:
            raise InputError(f"a Faster R-CNN whose box predictors have batch normalisation ({predictors[0]}) cannot "
                             "be frozen")
    else:
        raise InputError(f"a frozen detector must be an SSD or a Faster R-CNN, not {kind}")


class _Coded:
    """What changes in a detector's class; see `put_in_front`."""

    @property
    def trainable_variables(self):
        """Those of the regime."""
        return list(self._tuned())

    def predict(self, preprocessed_inputs, true_image_shapes, **side_inputs):
        """As the detector's, on decoded pictures."""
        return super().predict(self.through_codec(preprocessed_inputs), true_image_shapes, **side_inputs)

    def codec_losses(self):
        """{name: float32 []} of the last `predict` that was traced: the weighted rate, and the distortion if any."""
        return dict(self._codec_losses)

    def codec_metrics(self):
        """{"bpp", "mse": float32 []}, likewise, without weights: noisy latents' rate, distortion before clipping."""
        return dict(self._codec_metrics)

    def through_codec(self, inputs):
        """What the detector sees of preprocessed pictures, float32 [B, H, W, 3]; notes the losses."""
        scale, offset = self._codec_normalization
        x = (inputs - offset) / scale
        height, width = tf.shape(x)[1], tf.shape(x)[2]
        padded = _padded(x, self.codec.stride)
        # The step is traced without autograph, which GDN needs; a function that outlived its trace would keep its key.
        coded = functools.partial(self.codec, straight_through=True)
        x_hat, bits = coded(padded) if tf.executing_eagerly() else tf.function(coded)(padded)
        x_hat = x_hat[:, :height, :width]
        beta, lmbda = self._codec_weights
        bpp = tf.reduce_sum(bits) / tf.cast(tf.size(x) // 3, tf.float32)
        mse = tf.reduce_mean(tf.math.squared_difference(x, x_hat))
        self._codec_losses = {"rate": beta * bpp} | ({"distortion": lmbda * mse} if lmbda else {})
        self._codec_metrics = {"bpp": bpp, "mse": mse}
        # A decoder clips; the gradient of samples beyond the range is let through where it leads back.
        x_hat = tfc.upper_bound(tfc.lower_bound(x_hat, 0.0), 255.0)
        return tf.ensure_shape(x_hat * scale + offset, inputs.shape)


def publish(folder, codec, base, more):
    """Writes a tuned codec as a model folder like any other.

    What streams are read with is made anew only where it was trained: with fixed_decoder and task_decoder it is the
    base's, number for number, and streams of the one are streams of the other.

    Args:
      folder: receives model.json and weights.npz.
      codec: the tuned model.
      base: `model_folder.Description` of the model that it was before.
      more: {name: JSON value} for model.json.

    Returns:
      `model_folder.Description`.
    """
    weights, (before, tables) = coder.weights_of(codec), model_folder.read_arrays(base)
    if any((weights[name] != before[name]).any() for name in weights if name.startswith("stream/")):
        tables = codec.tables()
    return model_folder.write(folder, base.codec, base.num_filters, base.num_latents, base.lmbda, weights, tables,
                              {"base": base.model_hash, **more})


def _one_pixel(detector, level):
    """float32 [3]: what the detector's preprocessing, which scales and shifts each channel, makes of a level."""
    image, _ = detector.preprocess(tf.fill([1, 64, 64, 3], tf.constant(level)))
    return image[0, 0, 0]


def _padded(x, stride):
    """Rows and columns up to a multiple of `stride`, by repeating the last ones."""
    for axis in (1, 2):
        size = tf.shape(x)[axis]
        x = tf.gather(x, tf.minimum(tf.range(-(-size // stride) * stride), size - 1), axis=axis)
    return x
