"""The layers that the transforms of learned codecs are made of.

Convolutions are SignalConv2D with zeros around the picture, which keep the first sample of input and output aligned.
GDN is the form of the papers, y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2):

    J. Ballé, V. Laparra, E. P. Simoncelli, "Density modeling of images using a generalized normalization
    transformation", ICLR 2016, equation 3
"""

import tensorflow as tf
import tensorflow_compression as tfc

from tfod_compress.learned.fixed_point import LEAKY_SLOPE


def down(filters, support, stride, activation=None):
    """Correlation, then every `stride`-th sample: [B, H, W, C] -> [B, H / stride, W / stride, filters]."""
    return tfc.SignalConv2D(filters, (support, support), corr=True, strides_down=stride, padding="same_zeros",
                            use_bias=True, activation=activation)


def up(filters, support, stride, activation=None):
    """Zeros between samples, then convolution: [B, H, W, C] -> [B, H * stride, W * stride, filters]."""
    return tfc.SignalConv2D(filters, (support, support), corr=False, strides_up=stride, padding="same_zeros",
                            use_bias=True, activation=activation)


def gdn():
    """Generalised divisive normalisation."""
    return tfc.GDN(alpha_parameter=2, epsilon_parameter=0.5)


def igdn():
    """Its approximate inverse: the product in the place of the quotient."""
    return tfc.GDN(inverse=True, alpha_parameter=2, epsilon_parameter=0.5)


def leaky_relu(x):
    """max(x, LEAKY_SLOPE x)."""
    return tf.nn.leaky_relu(x, LEAKY_SLOPE)


def sequence(name, layers, channels):
    """A Keras model of layers one after the other, with its variables; `channels` come in."""
    return tf.keras.Sequential([tf.keras.Input((None, None, channels)), *layers], name=name)


def compiled(transform):
    """A transform for coding: compiled once for all sizes, its parameters computed once and held fixed.

    While they are trained, kernels are stored as their Fourier transforms and GDN's parameters as square roots; to
    turn them back for every picture would take longer than to code a small one.

    Args:
      transform: what `sequence` gave.

    Returns:
      A function of float32 [1, H, W, C].
    """
    steps = [_fixed(layer) for layer in transform.layers]

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, transform.input_shape[-1]], tf.float32)])
    def run(x):
        for step in steps:
            x = step(x)
        return x

    return run


def _fixed(layer):
    if isinstance(layer, tfc.GDN):
        return tfc.GDN(inverse=layer.inverse, alpha_parameter=layer.alpha, beta_parameter=layer.beta,
                       gamma_parameter=layer.gamma, epsilon_parameter=layer.epsilon)
    activation = layer.activation
    return tfc.SignalConv2D(
        layer.filters, layer.kernel_support, corr=layer.corr, strides_down=layer.strides_down,
        strides_up=layer.strides_up, padding=layer.padding, use_bias=layer.use_bias, kernel_parameter=layer.kernel,
        bias_parameter=layer.bias, activation=_fixed(activation) if isinstance(activation, tfc.GDN) else activation)


def picture(x_hat):
    """uint8 of float samples in [0, 255]."""
    return tf.saturate_cast(tf.round(x_hat), tf.uint8)
