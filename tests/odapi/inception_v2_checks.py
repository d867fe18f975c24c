"""What the Keras Inception v2 computes, and how it trains; runs as a process of its own.

`python -m tests.odapi.inception_v2_checks CASES.json FOLDER [train] [refused]` compares each case with
FOLDER/<case name>.npz, which `tests.odapi.tf1_oracle` wrote, builds a detector from a pipeline config where asked to,
and writes FOLDER/report.json.
"""

import json
import os
import pathlib
import sys

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its convolutions round differently

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from tests.odapi.tf1_oracle import HYPERPARAMS
from tfod_compress import odapi

MODEL = """
ssd {
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 160 width: 192 } }
  feature_extractor {
    type: "ssd_inception_v2_keras" depth_multiplier: 0.35 min_depth: 16
    conv_hyperparams { HYPERPARAMS }
    override_base_feature_extractor_hyperparams: true
  }
  box_coder { faster_rcnn_box_coder { } }
  matcher { argmax_matcher { matched_threshold: 0.5 unmatched_threshold: 0.5 ignore_thresholds: false } }
  similarity_calculator { iou_similarity { } }
  box_predictor { convolutional_box_predictor { kernel_size: 3 conv_hyperparams {
    regularizer { l2_regularizer { weight: 0.00004 } }
    initializer { truncated_normal_initializer { stddev: 0.03 } } } } }
  anchor_generator { ssd_anchor_generator { num_layers: 6 min_scale: 0.2 max_scale: 0.95 aspect_ratios: 1.0 } }
  post_processing { batch_non_max_suppression { max_detections_per_class: 10 } score_converter: SIGMOID }
  normalize_loss_by_num_matches: true
  loss { localization_loss { weighted_smooth_l1 { } } classification_loss { weighted_sigmoid { } }
         classification_weight: 1.0 localization_weight: 1.0 }
}
"""


def extractor(case):
    """The extractor of one case, not built yet."""
    from object_detection.builders import hyperparams_builder
    from object_detection.protos import hyperparams_pb2

    from tfod_compress.odapi.inception_v2 import SSDInceptionV2KerasFeatureExtractor

    text = HYPERPARAMS.format(activation=case["activation"])
    hyperparams = text_format.Parse(text, hyperparams_pb2.Hyperparams())
    return SSDInceptionV2KerasFeatureExtractor(
        is_training=False, depth_multiplier=case["depth_multiplier"], min_depth=case["min_depth"],
        pad_to_multiple=case["pad_to_multiple"],
        conv_hyperparams=hyperparams_builder.KerasLayerHyperparams(hyperparams), freeze_batchnorm=False,
        inplace_batchnorm_update=False, use_explicit_padding=case["use_explicit_padding"],
        use_depthwise=case["use_depthwise"], num_layers=case["num_layers"],
        override_base_feature_extractor_hyperparams=True,
    )


def compare(case, folder):
    """Differences between the Keras extractor and the TF1 graph, from the same weights."""
    from tfod_compress.odapi import tf1_names

    oracle = np.load(folder / f"{case['name']}.npz", allow_pickle=False)
    tf.keras.backend.set_learning_phase(False)
    model = extractor(case)
    model(tf.zeros([1, *case["sizes"][0], 3]))
    ours = tf1_names.ssd_feature_extractor(model)
    theirs = {key.removeprefix("variables/") for key in oracle.files if key.startswith("variables/")}
    for name in theirs & set(ours):
        ours[name].assign(oracle[f"variables/{name}"])
    maps = []
    for i in range(len(case["sizes"])):
        features = model(model.preprocess(oracle[f"inputs/{i}"]))
        for j, feature in enumerate(features):
            expected = oracle[f"outputs/{i}/{j}"]
            same_shape = feature.shape == expected.shape
            maps.append({
                "shape": list(expected.shape), "same_shape": same_shape, "spread": float(expected.std()),
                "difference": float(np.abs(feature.numpy() - expected).max()) if same_shape else None,
            })
    return {"variables": len(ours), "only_ours": sorted(set(ours) - theirs), "only_theirs": sorted(theirs - set(ours)),
            "count": len(features), "maps": maps}


def train():
    """One gradient step of a detector that was built from a config, and what moved."""
    from object_detection.builders import model_builder
    from object_detection.protos import model_pb2

    text = MODEL.replace("HYPERPARAMS", HYPERPARAMS.format(activation="RELU_6"))
    model = model_builder.build(text_format.Parse(text, model_pb2.DetectionModel()), is_training=True)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (2, 120, 150, 3)), tf.float32)
    boxes = [tf.constant([[0.1, 0.1, 0.6, 0.5]]), tf.constant([[0.3, 0.2, 0.9, 0.8]])]

    def losses():
        inputs, shapes = model.preprocess(images)
        model.provide_groundtruth(boxes, [tf.one_hot([0], 3), tf.one_hot([2], 3)])
        prediction = model.predict(inputs, shapes)
        return prediction, tf.add_n([*model.loss(prediction, shapes).values(), *model.regularization_losses()])

    tf.keras.backend.set_learning_phase(False)
    prediction, _ = losses()
    before = {v.ref(): v.numpy() for v in model.feature_extractor.weights}
    losses()
    still = all(np.array_equal(before[v.ref()], v.numpy()) for v in model.feature_extractor.weights)

    tf.keras.backend.set_learning_phase(True)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            _, loss = losses()
        return loss, tape.gradient(loss, model.trainable_variables)

    loss, found = gradients()
    for variable, gradient in zip(model.trainable_variables, found, strict=True):
        variable.assign_sub(1e-4 * gradient)
    after, _ = gradients()
    statistics = model.feature_extractor.non_trainable_variables
    kernels = [v for v in model.trainable_variables if v.name.endswith("kernel:0")]
    root = model.feature_extractor.classification_backbone.get_layer("Conv2d_1a_7x7/BatchNorm")
    return {
        "maps": [list(feature_map.shape[:3]) for feature_map in prediction["feature_maps"]],
        "still_without_training": still,
        "loss": float(loss), "after": float(after),
        "without_gradient": [v.name for v, g in zip(model.trainable_variables, found, strict=True)
                             if g is None or not np.abs(g).max() > 0],
        "unmoved_statistics": [v.name for v in statistics if np.array_equal(before[v.ref()], v.numpy())],
        "statistics": len(statistics), "trainable": len(model.trainable_variables),
        "momentum": float(root.momentum), "epsilon": float(root.epsilon),
        "kernels": len(kernels), "regularised": len(model.regularization_losses()),
    }


def refused():
    """The error for a config that TF1 refuses too."""
    from object_detection.builders import model_builder
    from object_detection.protos import model_pb2

    text = MODEL.replace("HYPERPARAMS", HYPERPARAMS.format(activation="RELU_6"))
    text = text.replace("extractor_hyperparams: true", "extractor_hyperparams: false")
    try:
        model_builder.build(text_format.Parse(text, model_pb2.DetectionModel()), is_training=True)
    except ValueError as error:
        return str(error)


def main(cases, folder, *also):
    folder = pathlib.Path(folder)
    report = {case["name"]: compare(case, folder) for case in json.loads(pathlib.Path(cases).read_text())}
    report |= {name: {"train": train, "refused": refused}[name]() for name in also}
    (folder / "report.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    odapi.install()
    main(*sys.argv[1:])
