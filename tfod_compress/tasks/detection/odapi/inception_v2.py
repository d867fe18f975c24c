"""Inception v2 in Keras, equal to slim's graph, and its feature extractors for SSD and Faster R-CNN.

The network is Ioffe and Szegedy's batch-normalised Inception (https://arxiv.org/abs/1502.03167, appendix) as slim
builds it (nets/inception_v2.py): a separable first convolution, 3x3 pairs for 5x5, concatenated branches. From the
same weights it computes the same numbers as TF1's `ssd_inception_v2` and `faster_rcnn_inception_v2`
(tests/tasks/detection/odapi).
"""

import tensorflow as tf
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.models import feature_map_generators
from object_detection.utils import ops, shape_utils

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.odapi.faster_rcnn import TwoStageFeatureExtractor
from tfod_compress.tasks.detection.odapi.slim_layers import ConvUnits

# Channels of an inception module's branches at depth multiplier 1: the 1x1 convolution; the 1x1 before one 3x3 and
# that 3x3; the 1x1 before two 3x3 and those; the pooling and the 1x1 after it.
_MODULES = {
    "Mixed_3b": (64, (64, 64), (64, 96), ("Avg", 32)),
    "Mixed_3c": (64, (64, 96), (64, 96), ("Avg", 64)),
    "Mixed_4b": (224, (64, 96), (96, 128), ("Avg", 128)),
    "Mixed_4c": (192, (96, 128), (96, 128), ("Avg", 128)),
    "Mixed_4d": (160, (128, 160), (128, 160), ("Avg", 96)),
    "Mixed_4e": (96, (128, 192), (160, 192), ("Avg", 96)),
    "Mixed_5b": (352, (192, 320), (160, 224), ("Avg", 128)),
    "Mixed_5c": (352, (192, 320), (192, 224), ("Max", 128)),
}
# The modules that halve the resolution: the 1x1 before a 3x3 of stride 2 and that 3x3; the 1x1 before two 3x3, the
# second of stride 2, and those; a max-pooling beside them.
_REDUCTIONS = {"Mixed_4a": ((128, 160), (64, 96)), "Mixed_5a": ((128, 192), (192, 256))}
_ORDER = (
    "Mixed_3b", "Mixed_3c", "Mixed_4a", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_5a", "Mixed_5b",
    "Mixed_5c",
)
# Standard deviations of slim's initialisers of the 1x1 convolutions before a 3x3, and of those after a pooling.
_BEFORE_3X3, _AFTER_POOLING = 0.09, 0.1


def depth_function(depth_multiplier, min_depth):
    """Slim's width of a layer of `depth` channels: `max(int(depth * depth_multiplier), min_depth)`.

    Raises:
      InputError: the multiplier is not above 0.
    """
    if depth_multiplier <= 0:
        raise InputError(f"depth_multiplier is {depth_multiplier}; it must be above 0")
    return lambda depth: max(int(depth * depth_multiplier), min_depth)


def root(x, depth, units):
    """The layers before the modules: float32 [batch, height, width, 3] -> [batch, height / 8, width / 8, depth(192)].

    Args:
      x: Keras tensor, values in [-1, 1]; sizes are rounded up.
      depth: see `depth_function`.
      units: `ConvUnits`.
    """
    # As many maps a colour channel as keep the pointwise convolution from being over-parameterised.
    per_channel = min(int(depth(64) / 3), 8)
    x = units.separable_conv(x, "Conv2d_1a_7x7", depth(64), 7, per_channel, stride=2, stddev=1.0)
    x = _pool("Max", x, "MaxPool_2a_3x3", stride=2)
    x = units.conv(x, "Conv2d_2b_1x1", depth(64), 1, stddev=0.1)
    x = units.conv(x, "Conv2d_2c_3x3", depth(192), 3)
    return _pool("Max", x, "MaxPool_3a_3x3", stride=2)


def modules(x, first, last, depth, units):
    """The inception modules from `first` to `last`.

    Args:
      x: Keras tensor, float32 [batch, height, width, channels].
      first: name of the first module, "Mixed_3b" … "Mixed_5c".
      last: name of the last one.
      depth: see `depth_function`.
      units: `ConvUnits`.

    Returns:
      {module name: its output}, in order. `Mixed_4a` and `Mixed_5a` halve the resolution, rounding up.
    """
    outputs = {}
    for name in _ORDER[_ORDER.index(first) : _ORDER.index(last) + 1]:
        x = _reduction(x, name, depth, units) if name in _REDUCTIONS else _module(x, name, depth, units)
        outputs[name] = x
    return outputs


def _module(x, name, depth, units):
    one, (before_one, single), (before_two, double), (pooling, projection) = _MODULES[name]
    branch_0 = units.conv(x, f"{name}/Branch_0/Conv2d_0a_1x1", depth(one), 1)
    branch_1 = units.conv(x, f"{name}/Branch_1/Conv2d_0a_1x1", depth(before_one), 1, stddev=_BEFORE_3X3)
    branch_1 = units.conv(branch_1, f"{name}/Branch_1/Conv2d_0b_3x3", depth(single), 3)
    branch_2 = units.conv(x, f"{name}/Branch_2/Conv2d_0a_1x1", depth(before_two), 1, stddev=_BEFORE_3X3)
    branch_2 = units.conv(branch_2, f"{name}/Branch_2/Conv2d_0b_3x3", depth(double), 3)
    branch_2 = units.conv(branch_2, f"{name}/Branch_2/Conv2d_0c_3x3", depth(double), 3)
    branch_3 = _pool(pooling, x, f"{name}/Branch_3/{pooling}Pool_0a_3x3", stride=1)
    branch_3 = units.conv(
        branch_3, f"{name}/Branch_3/Conv2d_0b_1x1", depth(projection), 1, stddev=_AFTER_POOLING
    )
    return tf.keras.layers.Concatenate(name=name)([branch_0, branch_1, branch_2, branch_3])


def _reduction(x, name, depth, units):
    (before_one, single), (before_two, double) = _REDUCTIONS[name]
    branch_0 = units.conv(x, f"{name}/Branch_0/Conv2d_0a_1x1", depth(before_one), 1, stddev=_BEFORE_3X3)
    branch_0 = units.conv(branch_0, f"{name}/Branch_0/Conv2d_1a_3x3", depth(single), 3, stride=2)
    branch_1 = units.conv(x, f"{name}/Branch_1/Conv2d_0a_1x1", depth(before_two), 1, stddev=_BEFORE_3X3)
    branch_1 = units.conv(branch_1, f"{name}/Branch_1/Conv2d_0b_3x3", depth(double), 3)
    branch_1 = units.conv(branch_1, f"{name}/Branch_1/Conv2d_1a_3x3", depth(double), 3, stride=2)
    branch_2 = _pool("Max", x, f"{name}/Branch_2/MaxPool_1a_3x3", stride=2)
    return tf.keras.layers.Concatenate(name=name)([branch_0, branch_1, branch_2])


def _pool(kind, x, name, stride):
    layer = {"Avg": tf.keras.layers.AveragePooling2D, "Max": tf.keras.layers.MaxPooling2D}[kind]
    return layer(3, strides=stride, padding="same", name=name)(x)


class SSDInceptionV2KerasFeatureExtractor(ssd_meta_arch.SSDKerasFeatureExtractor):
    """SSD's feature maps from Inception v2: `Mixed_4c`, `Mixed_5c` and four smaller ones.

    Takes the arguments of every Keras SSD extractor (`meta_architectures/ssd_meta_arch.py`) with TF1's meanings.
    """

    def __init__(self, is_training, depth_multiplier, min_depth, pad_to_multiple, conv_hyperparams, freeze_batchnorm,
                 inplace_batchnorm_update, use_explicit_padding=False, use_depthwise=False, num_layers=6,
                 override_base_feature_extractor_hyperparams=False, name=None):
        """See the class.

        Raises:
          InputError: `override_base_feature_extractor_hyperparams` is not set. The base network has no settings of
            its own that `conv_hyperparams` could leave alone; TF1 insists on it likewise.
        """
        super().__init__(
            is_training=is_training, depth_multiplier=depth_multiplier, min_depth=min_depth,
            pad_to_multiple=pad_to_multiple, conv_hyperparams=conv_hyperparams, freeze_batchnorm=freeze_batchnorm,
            inplace_batchnorm_update=inplace_batchnorm_update, use_explicit_padding=use_explicit_padding,
            use_depthwise=use_depthwise, num_layers=num_layers,
            override_base_feature_extractor_hyperparams=override_base_feature_extractor_hyperparams, name=name,
        )
        if not override_base_feature_extractor_hyperparams:
            raise InputError(
                "feature_extractor ssd_inception_v2_keras: set `override_base_feature_extractor_hyperparams: true`"
            )
        self.classification_backbone = None
        self.feature_map_generator = None

    def build(self, input_shape):
        """Makes the two parts: `classification_backbone` (to `Mixed_5c`) and the maps that SSD adds."""
        batch_norm_training = self._is_training and not self._freeze_batchnorm
        units = ConvUnits.from_hyperparams(self._conv_hyperparams, batch_norm_training)
        depth = depth_function(self._depth_multiplier, self._min_depth)
        image = tf.keras.Input([None, None, 3])
        outputs = modules(root(image, depth, units), "Mixed_3b", "Mixed_5c", depth, units)
        self.classification_backbone = tf.keras.Model(
            image, [outputs["Mixed_4c"], outputs["Mixed_5c"]], name="InceptionV2"
        )
        self.feature_map_generator = feature_map_generators.KerasMultiResolutionFeatureMaps(
            feature_map_layout={
                "from_layer": ["Mixed_4c", "Mixed_5c", "", "", "", ""][: self._num_layers],
                "layer_depth": [-1, -1, 512, 256, 256, 128][: self._num_layers],
                "use_explicit_padding": self._use_explicit_padding,
                "use_depthwise": self._use_depthwise,
            },
            depth_multiplier=self._depth_multiplier,
            min_depth=self._min_depth,
            insert_1x1_conv=True,
            is_training=self._is_training,
            conv_hyperparams=self._conv_hyperparams,
            freeze_batchnorm=self._freeze_batchnorm,
            name="FeatureMaps",
        )
        self.built = True

    def preprocess(self, resized_inputs):
        """Float32 [batch, height, width, 3] from [0, 255] to [-1, 1]."""
        return (2.0 / 255.0) * resized_inputs - 1.0

    def _extract_features(self, preprocessed_inputs):
        """The feature maps, largest first.

        Args:
          preprocessed_inputs: float32 [batch, height, width, 3], values in [-1, 1], height and width at least 33.

        Returns:
          A list of `num_layers` float32 tensors [batch, height_i, width_i, depth_i], at strides 16, 32, 64, ….
        """
        image = shape_utils.check_min_image_dim(33, preprocessed_inputs)
        image = ops.pad_to_multiple(image, self._pad_to_multiple)
        mixed_4c, mixed_5c = self.classification_backbone(image)
        return list(self.feature_map_generator({"Mixed_4c": mixed_4c, "Mixed_5c": mixed_5c}).values())


class FasterRCNNInceptionV2KerasFeatureExtractor(TwoStageFeatureExtractor):
    """Faster R-CNN on Inception v2: proposals from `Mixed_4e` (stride 16), boxes from `Mixed_5a` to `Mixed_5c`."""

    architecture = "InceptionV2"

    def __init__(self, *args, depth_multiplier=1.0, min_depth=16, **kwargs):
        """See `TwoStageFeatureExtractor`; a config cannot set the width, as in TF1.

        Args:
          *args: handed on.
          depth_multiplier: see `depth_function`.
          min_depth: see `depth_function`.
          **kwargs: handed on.
        """
        super().__init__(*args, **kwargs)
        self._depth = depth_function(depth_multiplier, min_depth)
        self._units = ConvUnits.slim_defaults(
            batch_norm_training=self._train_batch_norm, batch_norm_decay=0.9997, batch_norm_epsilon=0.001
        )  # TF1's extractor takes a weight decay and does not use it

    def preprocess(self, resized_inputs):
        """Float32 [batch, height, width, 3] from [0, 255] to [-1, 1]."""
        return (2.0 / 255.0) * resized_inputs - 1.0

    def _proposal_features(self, image):
        x = root(image, self._depth, self._units)
        return modules(x, "Mixed_3b", "Mixed_4e", self._depth, self._units)["Mixed_4e"]

    def _box_classifier_features(self, features):
        return modules(features, "Mixed_5a", "Mixed_5c", self._depth, self._units)["Mixed_5c"]


class FasterRCNNNarrowInceptionV2KerasFeatureExtractor(FasterRCNNInceptionV2KerasFeatureExtractor):
    """The same at a quarter of the width: for runs that only have to go through every stage.

    A type of its own, because a config's `faster_rcnn.feature_extractor` has no field for the width.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, depth_multiplier=0.25, **kwargs)
