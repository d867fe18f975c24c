"""The rule by which the variables of our Keras detectors are named in TF1's checkpoints."""

import re

import tensorflow as tf

# What slim calls the variables of a layer, where Keras calls them differently.
_VARIABLES = {
    "kernel": "weights",
    "bias": "biases",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
}
# The layers of the OD API's own KerasMultiResolutionFeatureMaps put into the name what slim puts into the scope.
_LAYERS = ((re.compile(r"_batchnorm$"), "/BatchNorm"), (re.compile(r"_conv$"), ""))

# TF1's first stage builds all of ResNet and uses it up to block3; the second stage has a block4 of its own.
UNUSED = re.compile(r"FirstStageFeatureExtractor/resnet_v1_\d+/block4/")


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


def by_layer(model, scope):
    """{`scope`/slim's scope of the layer/slim's name of the variable: tf.Variable} for all of a Keras model.

    Args:
      model: a Keras model whose layers are named after slim's scopes (`slim_layers.ConvUnits`), or as the OD API's
        KerasMultiResolutionFeatureMaps does.
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
            name = f"{scope}/{path}/{_VARIABLES.get(own, own)}"
            if names.setdefault(name, variable) is not variable:
                raise ValueError(f"two variables are called {name}")
    if len(names) != len(model.weights):
        raise ValueError(f"{len(model.weights)} variables, but {len(names)} names")
    return names


def _leaves(model):
    """The layers of a model that hold variables themselves."""
    layers = {id(module): module for module in model.submodules if isinstance(module, tf.keras.layers.Layer)}
    return [layer for layer in layers.values() if layer.weights and not isinstance(layer, tf.keras.Model)]
