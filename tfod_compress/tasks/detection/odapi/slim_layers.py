"""Keras layers stacked, named and initialised as slim's arg scopes do it for TF1 detectors."""

import tensorflow as tf
from object_detection.core.freezable_batch_norm import FreezableBatchNorm


class ConvUnits:
    """Makes units of convolution, batch normalisation and activation.

    The layers are named after slim's variable scopes (`Mixed_3b/Branch_0/Conv2d_0a_1x1` and, below it, `BatchNorm`
    and `Activation`), so that one rule maps every TF1 variable: see `tfod_compress.tasks.detection.odapi.tf1_names`.
    """

    def __init__(self, conv_arguments, batch_norm, activation):
        """Remembers what all units share.

        Args:
          conv_arguments: dict of keyword arguments of Keras's convolutions, with at least `kernel_initializer`,
            `kernel_regularizer` and `use_bias`.
          batch_norm: called with a layer name, returns the layer that normalises.
          activation: called with a layer name, returns the layer that activates.
        """
        self._conv_arguments = conv_arguments
        self._batch_norm = batch_norm
        self._activation = activation

    @classmethod
    def from_hyperparams(cls, conv_hyperparams, batch_norm_training):
        """Units as a pipeline config's `conv_hyperparams` describes them.

        Args:
          conv_hyperparams: `hyperparams_builder.KerasLayerHyperparams`.
          batch_norm_training: False freezes the batch-norm statistics, True follows Keras's learning phase.
        """

        def batch_norm(name):
            return conv_hyperparams.build_batch_norm(training=batch_norm_training, name=name)

        # Without batch normalisation `build_batch_norm` drops the name and returns an identity.
        return cls(conv_hyperparams.params(), batch_norm, conv_hyperparams.build_activation_layer)

    @classmethod
    def slim_defaults(cls, batch_norm_training, batch_norm_decay, batch_norm_epsilon, weight_decay=0.0,
                      kernel_initializer="glorot_uniform"):
        """Units as the TF1 Faster R-CNN extractors make them: ReLU, batch norm with scale, no bias.

        Args:
          batch_norm_training: False freezes the batch-norm statistics, True follows Keras's learning phase.
          batch_norm_decay: of the moving averages.
          batch_norm_epsilon: added to the variance.
          weight_decay: w of slim's l2_regularizer(w), w / 2 * |weights|^2.
          kernel_initializer: slim's default is Xavier's uniform one, which Keras calls glorot_uniform.
        """
        regularizer = tf.keras.regularizers.L2(weight_decay / 2) if weight_decay else None
        arguments = {
            "kernel_initializer": kernel_initializer, "kernel_regularizer": regularizer, "use_bias": False
        }

        def batch_norm(name):
            return FreezableBatchNorm(
                training=batch_norm_training, momentum=batch_norm_decay, epsilon=batch_norm_epsilon, name=name
            )

        return cls(arguments, batch_norm, lambda name: tf.keras.layers.ReLU(name=name))

    def conv(self, x, name, depth, size, stride=1, stddev=None, padding="same", rate=1, activate=True):
        """A unit on x: float32 [batch, height, width, channels] -> [batch, ceil(height / stride), …, depth].

        Args:
          x: Keras tensor.
          name: slim's scope of the unit, below the network's own.
          depth: channels out.
          size: kernel height and width.
          stride: down and across.
          stddev: of a truncated normal initialiser that goes before the shared one.
          padding: "same", or "valid" for inputs that were padded before.
          rate: of the dilated (atrous) kernel.
          activate: False leaves the activation out.
        """
        arguments = dict(self._conv_arguments)
        if stddev is not None:
            arguments["kernel_initializer"] = tf.keras.initializers.TruncatedNormal(stddev=stddev)
        conv = tf.keras.layers.Conv2D(
            depth, size, strides=stride, padding=padding, dilation_rate=rate, name=name, **arguments
        )
        return self._finish(conv(x), name, activate)

    def separable_conv(self, x, name, depth, size, channel_multiplier, stride, stddev):
        """A depthwise convolution to `channel_multiplier` maps a channel, a pointwise one to `depth`, then as `conv`.

        As in slim one normalisation follows both, and both kernels are initialised and regularised alike.
        """
        arguments = dict(self._conv_arguments)
        del arguments["kernel_initializer"]
        regularizer = arguments.pop("kernel_regularizer")
        conv = tf.keras.layers.SeparableConv2D(
            depth, size, strides=stride, padding="same", depth_multiplier=channel_multiplier, name=name,
            depthwise_initializer=tf.keras.initializers.TruncatedNormal(stddev=stddev),
            pointwise_initializer=tf.keras.initializers.TruncatedNormal(stddev=stddev),
            depthwise_regularizer=regularizer, pointwise_regularizer=regularizer, **arguments,
        )
        return self._finish(conv(x), name, activate=True)

    def _finish(self, x, name, activate):
        x = self._batch_norm(f"{name}/BatchNorm")(x)
        return self._activation(f"{name}/Activation")(x) if activate else x
