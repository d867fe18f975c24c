"""TF1's own graphs as the oracle: random weights, random inputs, and what slim computes from them.

Runs as a process of its own, because it aliases modules:
`python -m tests.tasks.detection.odapi.tf1_oracle CASES.json FOLDER` reads a list of cases and writes FOLDER/<case
name>.npz each, with `variables/<TF1 name>`, `inputs/<i>` and `outputs/<i>/<name>`. The same seed gives the same file.
Cases of whole detectors are those of `tf1_detectors`.
"""

import importlib
import json
import os
import pathlib
import sys

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its convolutions round differently

import numpy as np
import tensorflow as tf

from tests.tasks.detection.odapi import tf1_detectors
from tfod_compress.tasks.detection.odapi import repairs

HYPERPARAMS = """
  activation: {activation}
  regularizer {{ l2_regularizer {{ weight: 0.00004 }} }}
  initializer {{ truncated_normal_initializer {{ mean: 0.0 stddev: 0.03 }} }}
  batch_norm {{ train: true scale: true center: true decay: 0.9997 epsilon: 0.001 }}
"""


def alias_moved_modules():
    """Lets the TF1 code of this wheel be imported: it looks for `nets` and for Keras's v1 layers where they were."""
    moved = {
        "keras.legacy_tf_layers": "keras.src.legacy_tf_layers",
        **{f"keras.legacy_tf_layers.{name}": f"keras.src.legacy_tf_layers.{name}"
           for name in ("base", "convolutional", "core", "normalization", "pooling")},
        "nets": "object_detection.nets",
        **{f"nets.{name}": f"object_detection.nets.{name}"
           for name in ("inception_utils", "inception_v2", "resnet_utils", "resnet_v1")},
    }
    for old, new in moved.items():
        sys.modules[old] = importlib.import_module(new)


def ssd_inception_v2(case, image):
    """The six feature maps of TF1's SSD extractor, by number."""
    from google.protobuf import text_format
    from object_detection.builders import hyperparams_builder
    from object_detection.models.ssd_inception_v2_feature_extractor import SSDInceptionV2FeatureExtractor
    from object_detection.protos import hyperparams_pb2

    text = HYPERPARAMS.format(activation=case["activation"])
    hyperparams = text_format.Parse(text, hyperparams_pb2.Hyperparams())
    extractor = SSDInceptionV2FeatureExtractor(
        is_training=False, depth_multiplier=case["depth_multiplier"], min_depth=case["min_depth"],
        pad_to_multiple=case["pad_to_multiple"], conv_hyperparams_fn=hyperparams_builder.build(hyperparams, False),
        use_explicit_padding=case["use_explicit_padding"], use_depthwise=case["use_depthwise"],
        num_layers=case["num_layers"], override_base_feature_extractor_hyperparams=True,
    )
    with tf.compat.v1.variable_scope("FeatureExtractor"):
        maps = extractor.extract_features(extractor.preprocess(image))
    return {str(i): tensor for i, tensor in enumerate(maps)}


def faster_rcnn(case, image):
    """The features that proposals are made from, and those of a box, here of the whole map as if it were one crop."""
    from object_detection.models import faster_rcnn_inception_v2_feature_extractor as inception
    from object_detection.models import faster_rcnn_resnet_v1_feature_extractor as resnet

    make = {
        "InceptionV2": inception.FasterRCNNInceptionV2FeatureExtractor,
        "resnet_v1_50": resnet.FasterRCNNResnet50FeatureExtractor,
        "resnet_v1_101": resnet.FasterRCNNResnet101FeatureExtractor,
    }[case["architecture"]]
    extractor = make(is_training=False, first_stage_features_stride=case["stride"], **case["width"])
    inputs = extractor.preprocess(image)
    proposal, _ = extractor.extract_proposal_features(inputs, scope="FirstStageFeatureExtractor")
    box = extractor.extract_box_classifier_features(proposal, scope="SecondStageFeatureExtractor")
    return {"0": proposal, "1": box}


def random_value(name, shape, rng):
    """Values that keep activations of order one through the network, so that a difference can be seen."""
    kind = name.rsplit("/", 1)[-1]
    if name.endswith(("/conv3/BatchNorm/gamma", "/shortcut/BatchNorm/gamma")):
        return rng.uniform(0.2, 0.5, shape)  # what a residual unit adds
    if kind in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if kind in ("beta", "moving_mean", "biases"):
        return rng.normal(0, 0.2, shape)
    fan_in = np.prod(shape[:2] if kind == "depthwise_weights" else shape[:-1])
    scale = 1
    if "resnet" in name and name.count("/") == 3:  # the first layer sees pixel values
        scale = 1 / 64
    elif name.startswith("SecondStageBoxPredictor/"):  # ResNet's features are large, and a softmax saturates
        scale = 1 / 16
    return rng.normal(0, scale * (2 / fan_in) ** 0.5, shape)


def randomise(session, variables, rng):
    """Gives TF1 variables random values and returns those."""
    values = [random_value(v.op.name, v.shape.as_list(), rng).astype(np.float32) for v in variables]
    # Feeding the initialisers loads all variables in one run.
    feed = {v.initializer.inputs[1]: value for v, value in zip(variables, values, strict=True)}
    session.run([v.initializer for v in variables], feed)
    return values


def run(case):
    """{npz key: array} of one case."""
    rng = np.random.default_rng(case["seed"])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [2, None, None, 3])
        outputs = globals()[case["network"]](case, image)
        variables = tf.compat.v1.global_variables()
        values = randomise(session, variables, rng)
        result = {f"variables/{v.op.name}": value for v, value in zip(variables, values, strict=True)}
        for i, (height, width) in enumerate(case["sizes"]):
            pixels = rng.uniform(0, 255, (2, height, width, 3)).astype(np.float32)
            result[f"inputs/{i}"] = pixels
            for name, value in session.run(outputs, {image: pixels}).items():
                result[f"outputs/{i}/{name}"] = value
    return result


def main(cases, folder):
    alias_moved_modules()
    for case in json.loads(pathlib.Path(cases).read_text()):
        if case["network"] == "detector":
            result = tf1_detectors.run(case, pathlib.Path(folder), randomise)
        else:
            result = run(case)
        np.savez(pathlib.Path(folder) / f"{case['name']}.npz", **result)


if __name__ == "__main__":
    repairs.stand_in_for_tensorflow_io()
    main(*sys.argv[1:])
