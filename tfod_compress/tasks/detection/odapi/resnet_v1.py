"""ResNet v1 in Keras, equal to slim's graph, and its Faster R-CNN feature extractors.

The network is He et al.'s (https://arxiv.org/abs/1512.03385, table 1) as slim builds it (nets/resnet_v1.py): a block
strides in the 3x3 convolution of its *last* unit, block4 does not stride, and strided convolutions pad both sides
alike. The Object Detection API's own Keras ResNet strides in the 1x1 convolution of a block's first unit, with
kernels of the same shapes: TF1's weights fit into it and give other features.
"""

import tensorflow as tf

from tfod_compress.tasks.detection.odapi.faster_rcnn import TwoStageFeatureExtractor
from tfod_compress.tasks.detection.odapi.slim_layers import ConvUnits

_CHANNEL_MEANS = (123.68, 116.779, 103.939)  # of ImageNet, red, green, blue


def blocks_1_to_3(image, unit_counts, output_stride, units):
    """The root and the first three blocks.

    Args:
      image: Keras tensor, float32 [batch, height, width, 3].
      unit_counts: the number of bottleneck units in block1, block2 and block3.
      output_stride: 8 or 16; where it is reached, dilated kernels take the place of strides.
      units: `ConvUnits`.

    Returns:
      Keras tensor [batch, height / output_stride, width / output_stride, 1024], sizes rounded up.
    """
    x = _same_on_both_sides(image, "conv1", 64, 7, stride=2, rate=1, units=units)
    x = tf.keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    reached, rate = 4, 1
    for number, count in enumerate(unit_counts, start=1):
        for i in range(1, count + 1):
            name = f"block{number}/unit_{i}/bottleneck_v1"
            stride = 2 if i == count else 1
            if reached == output_stride:
                x = _bottleneck(x, name, 64 * 2 ** (number - 1), 1, rate, units)
                rate *= stride
            else:
                x = _bottleneck(x, name, 64 * 2 ** (number - 1), stride, 1, units)
                reached *= stride
    return x


def block_4(x, units):
    """The last block, three units without a stride: float32 [boxes, height, width, 1024] -> [boxes, …, 2048]."""
    for i in range(1, 4):
        x = _bottleneck(x, f"block4/unit_{i}/bottleneck_v1", 512, 1, 1, units)
    return x


def _bottleneck(x, name, depth, stride, rate, units):
    """1x1 to `depth` channels, 3x3, 1x1 to four times as many, added to the input (projected where it is narrower)."""
    if x.shape[-1] != 4 * depth:
        shortcut = units.conv(x, f"{name}/shortcut", 4 * depth, 1, stride, activate=False)
    elif stride > 1:
        shortcut = tf.keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}/shortcut")(x)
    else:
        shortcut = x
    residual = units.conv(x, f"{name}/conv1", depth, 1)
    residual = _same_on_both_sides(residual, f"{name}/conv2", depth, 3, stride, rate, units)
    residual = units.conv(residual, f"{name}/conv3", 4 * depth, 1, activate=False)
    total = tf.keras.layers.Add(name=f"{name}/Add")([shortcut, residual])
    return tf.keras.layers.ReLU(name=f"{name}/Relu")(total)


def _same_on_both_sides(x, name, depth, size, stride, rate, units):
    """Slim's conv2d_same: a stride takes every n-th value of the convolution, whether the size is odd or even."""
    if stride == 1:
        return units.conv(x, name, depth, size, rate=rate)
    x = tf.keras.layers.ZeroPadding2D((size - 1) // 2, name=f"{name}/Pad")(x)
    return units.conv(x, name, depth, size, stride, padding="valid")


class _FasterRCNNResnetSlim(TwoStageFeatureExtractor):
    """Faster R-CNN on slim's ResNet v1: proposals from block3, boxes from block4."""

    unit_counts = None

    def preprocess(self, resized_inputs):
        """Float32 [batch, height, width, 3] in [0, 255], less ImageNet's channel means."""
        return resized_inputs - [[_CHANNEL_MEANS]]

    @property
    def _units(self):
        return ConvUnits.slim_defaults(
            batch_norm_training=self._train_batch_norm, batch_norm_decay=0.997, batch_norm_epsilon=1e-5,
            weight_decay=self._weight_decay, kernel_initializer="he_normal",
        )

    def _proposal_features(self, image):
        return blocks_1_to_3(image, self.unit_counts, self._first_stage_features_stride, self._units)

    def _box_classifier_features(self, features):
        return block_4(features, self._units)


class FasterRCNNResnet50SlimKerasFeatureExtractor(_FasterRCNNResnetSlim):
    """50 layers."""

    architecture = "resnet_v1_50"
    unit_counts = (3, 4, 6)


class FasterRCNNResnet101SlimKerasFeatureExtractor(_FasterRCNNResnetSlim):
    """101 layers."""

    architecture = "resnet_v1_101"
    unit_counts = (3, 4, 23)
