"""The rule by which the variables of our Keras detectors are named in TF1's checkpoints.

Shapes and layouts are the same on both sides throughout: convolution kernels [height, width, in, out], the fully
connected layers of Faster R-CNN's second stage [in, out], whose outputs are ordered (class, ymin, xmin, height,
width) in both, and the box heads' channels (anchor, code). Nothing is transposed or reordered.
"""

import re

import tensorflow as tf

# What slim calls the variables of a layer, where Keras calls them differently.
_VARIABLES = {
    "kernel": "weights",
    "bias": "biases",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
}
# The last part of the name of every variable that slim makes.
VARIABLES = (*_VARIABLES.values(), "gamma", "beta", "moving_mean", "moving_variance")
# Keras layers of the OD API whose name is not slim's scope: it has in the name what slim puts into the scope.
_LAYERS = (
    (re.compile(r"^RPNConv$"), "Conv"),
    (re.compile(r"^RPNBatchNorm$"), "Conv/BatchNorm"),
    (re.compile(r"_batchnorm$"), "/BatchNorm"),
    (re.compile(r"_(conv|dense)$"), ""),
)

# TF1's first stage builds all of ResNet and uses it up to block3; the second stage has a block4 of its own.
UNUSED = re.compile(r"FirstStageFeatureExtractor/resnet_v1_\d+/block4/")


def detector(model):
    """All variables of a detector on one of our extractors, by their TF1 names.

    Args:
      model: a DetectionModel of the OD API, after its first prediction.

    Returns:
      {TF1 variable name: tf.Variable}, one entry for every variable of the model.

    Raises:
      ValueError: two variables would get one name, or a variable of the model gets none.
    """
    from object_detection.meta_architectures import ssd_meta_arch

    if isinstance(model, ssd_meta_arch.SSDMetaArch):
        parts = (ssd_feature_extractor(model.feature_extractor), _convolutional_heads(model._box_predictor))
    else:
        predictor = model._mask_rcnn_box_predictor
        parts = (
            faster_rcnn_feature_extractor(model.feature_extractor),
            by_layer(model._first_stage_box_predictor_first_conv),
            _convolutional_heads(model._first_stage_box_predictor, "FirstStageBoxPredictor"),
            by_layer(predictor._box_prediction_head, "SecondStageBoxPredictor"),
            by_layer(predictor._class_prediction_head, "SecondStageBoxPredictor"),
        )
    names = {name: variable for part in parts for name, variable in part.items()}
    named = {variable.ref() for variable in names.values()}
    nameless = [variable.name for variable in model.variables if variable.ref() not in named]
    if nameless or len(names) != sum(map(len, parts)):
        raise ValueError(f"no TF1 name, or one that another variable has: {', '.join(nameless[:5])}")
    return names


def _convolutional_heads(predictor, scope=""):
    """The heads of a Keras ConvolutionalBoxPredictor; TF1 numbers their scopes where there are several."""
    names = {}
    for heads in predictor._prediction_heads.values():
        for number, head in enumerate(heads):
            own = f"BoxPredictor_{number}" if len(heads) > 1 else ""
            names |= by_layer(head, "/".join(filter(None, (scope, own))))
    return names


def ssd_feature_extractor(extractor, scope="FeatureExtractor/InceptionV2"):
    """The variables of an `SSDInceptionV2KerasFeatureExtractor` that was built, by their TF1 names.

    Args:
      extractor: the extractor, after its first call.
      scope: TF1's variable scope of the network.

    Returns:
      {TF1 variable name: tf.Variable}, one entry for every variable; shapes and layouts are the same on both sides.
    """
    return by_layer(extractor, scope)


def faster_rcnn_feature_extractor(extractor):
    """The variables of a built `TwoStageFeatureExtractor`, by their TF1 names; see `ssd_feature_extractor`.

    Of TF1's variables those that match `UNUSED` have no counterpart.
    """
    proposal = extractor.get_proposal_feature_extractor_model()
    box_classifier = extractor.get_box_classifier_feature_extractor_model()
    return {
        **by_layer(proposal, f"FirstStageFeatureExtractor/{extractor.architecture}"),
        **by_layer(box_classifier, f"SecondStageFeatureExtractor/{extractor.architecture}"),
    }


def by_layer(model, scope=""):
    """{`scope`/slim's scope of the layer/slim's name of the variable: tf.Variable} for all of a Keras model.

    Args:
      model: a Keras model or layer whose layers are named after slim's scopes (`slim_layers.ConvUnits`), or as the
        OD API's box predictors and KerasMultiResolutionFeatureMaps do.
      scope: put before every name.

    Raises:
      ValueError: two variables would get one name, or a variable belongs to no layer.
    """
    names = {}
    for layer in _leaves(model):
        path = layer.name
        for pattern, replacement in _LAYERS:
            path = pattern.sub(replacement, path)
        for variable in layer.weights:
            own = variable.name.split("/")[-1].split(":")[0]
            name = "/".join(filter(None, (scope, path, _VARIABLES.get(own, own))))
            if names.setdefault(name, variable) is not variable:
                raise ValueError(f"two variables are called {name}")
    if len(names) != len(model.weights):
        raise ValueError(f"{len(model.weights)} variables, but {len(names)} names")
    return names


def _leaves(model):
    """The layers of a model that hold variables themselves."""
    layers = {id(module): module for module in model.submodules if isinstance(module, tf.keras.layers.Layer)}
    return [layer for layer in layers.values() if layer.weights and not isinstance(layer, tf.keras.Model)]
