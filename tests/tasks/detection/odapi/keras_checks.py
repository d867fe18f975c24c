"""What our Keras extractors compute, and how detectors on them train and restore; runs as a process of its own.

`python -m tests.tasks.detection.odapi.keras_checks CASES.json FOLDER [detector …] [refused]` compares each case (those
of whole detectors by `detector_checks`) with FOLDER/<case name>.npz, which `tf1_oracle` wrote, then trains the
detectors named (a step each), and writes FOLDER/report.json.
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its convolutions round differently

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from tests.tasks.detection.odapi import detector_checks
from tests.tasks.detection.odapi.tf1_oracle import HYPERPARAMS
from tfod_compress.tasks.detection import odapi

HEAD = """regularizer { l2_regularizer { weight: 0.00004 } }
          initializer { truncated_normal_initializer { stddev: 0.03 } }"""
SSD = """
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
  box_predictor { convolutional_box_predictor { kernel_size: 3 conv_hyperparams { HEAD } } }
  anchor_generator { ssd_anchor_generator { num_layers: 6 min_scale: 0.2 max_scale: 0.95 aspect_ratios: 1.0 } }
  post_processing { batch_non_max_suppression { max_detections_per_class: 10 } score_converter: SIGMOID }
  normalize_loss_by_num_matches: true
  loss { localization_loss { weighted_smooth_l1 { } } classification_loss { weighted_sigmoid { } }
         classification_weight: 1.0 localization_weight: 1.0 }
}
""".replace("HYPERPARAMS", HYPERPARAMS.format(activation="RELU_6")).replace("HEAD", HEAD)
FASTER_RCNN = """
faster_rcnn {
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 96 width: 128 } }
  feature_extractor { type: "EXTRACTOR" first_stage_features_stride: 16 batch_norm_trainable: true }
  first_stage_anchor_generator { grid_anchor_generator {
    scales: [0.25, 0.5] aspect_ratios: 1.0 height_stride: 16 width_stride: 16 } }
  first_stage_box_predictor_conv_hyperparams { op: CONV HEAD }
  first_stage_box_predictor_depth: 32
  first_stage_nms_iou_threshold: 0.7 first_stage_max_proposals: 8
  first_stage_localization_loss_weight: 2.0 first_stage_objectness_loss_weight: 1.0
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_batch_size: 8
  second_stage_box_predictor { mask_rcnn_box_predictor { fc_hyperparams { op: FC HEAD } } }
  second_stage_post_processing { batch_non_max_suppression { max_detections_per_class: 10 } score_converter: SOFTMAX }
  second_stage_localization_loss_weight: 2.0 second_stage_classification_loss_weight: 1.0
}
""".replace("HEAD", HEAD)
DETECTORS = {
    "ssd_inception_v2_keras": SSD,
    **{name: FASTER_RCNN.replace("EXTRACTOR", name) for name in (
        "faster_rcnn_inception_v2_keras", "faster_rcnn_resnet50_slim_keras", "faster_rcnn_resnet101_slim_keras")},
}


def ssd_inception_v2(case):
    """(image -> feature maps, variables by TF1 name) of a case."""
    from object_detection.builders import hyperparams_builder
    from object_detection.protos import hyperparams_pb2

    from tfod_compress.tasks.detection.odapi import tf1_names
    from tfod_compress.tasks.detection.odapi.inception_v2 import SSDInceptionV2KerasFeatureExtractor

    text = HYPERPARAMS.format(activation=case["activation"])
    hyperparams = text_format.Parse(text, hyperparams_pb2.Hyperparams())
    extractor = SSDInceptionV2KerasFeatureExtractor(
        is_training=False, depth_multiplier=case["depth_multiplier"], min_depth=case["min_depth"],
        pad_to_multiple=case["pad_to_multiple"],
        conv_hyperparams=hyperparams_builder.KerasLayerHyperparams(hyperparams), freeze_batchnorm=False,
        inplace_batchnorm_update=False, use_explicit_padding=case["use_explicit_padding"],
        use_depthwise=case["use_depthwise"], num_layers=case["num_layers"],
        override_base_feature_extractor_hyperparams=True,
    )
    extractor(tf.zeros([1, *case["sizes"][0], 3]))
    return lambda image: extractor(extractor.preprocess(image)), tf1_names.ssd_feature_extractor(extractor)


def faster_rcnn(case):
    """(image -> [proposal features, box classifier features], variables by TF1 name) of a case."""
    from tfod_compress.tasks.detection.odapi import inception_v2, resnet_v1, tf1_names

    make = {
        "InceptionV2": inception_v2.FasterRCNNInceptionV2KerasFeatureExtractor,
        "resnet_v1_50": resnet_v1.FasterRCNNResnet50SlimKerasFeatureExtractor,
        "resnet_v1_101": resnet_v1.FasterRCNNResnet101SlimKerasFeatureExtractor,
    }[case["architecture"]]
    extractor = make(False, case["stride"], **case["width"])
    proposal = extractor.get_proposal_feature_extractor_model("FirstStageFeatureExtractor")
    box_classifier = extractor.get_box_classifier_feature_extractor_model("SecondStageFeatureExtractor")

    def run(image):
        features = proposal(extractor.preprocess(image))
        return [features, box_classifier(features)]

    return run, tf1_names.faster_rcnn_feature_extractor(extractor)


def compare(case, folder):
    """Differences between the Keras extractor and the TF1 graph, from the same weights."""
    from tfod_compress.tasks.detection.odapi import tf1_names

    oracle = np.load(folder / f"{case['name']}.npz", allow_pickle=False)
    tf.keras.backend.set_learning_phase(False)
    run, ours = globals()[case["network"]](case)
    run = tf.function(run, autograph=False)
    theirs = {key.removeprefix("variables/") for key in oracle.files if key.startswith("variables/")}
    for name in theirs & set(ours):
        ours[name].assign(oracle[f"variables/{name}"])
    maps = []
    for i in range(len(case["sizes"])):
        features = run(oracle[f"inputs/{i}"])
        for j, feature in enumerate(features):
            expected = oracle[f"outputs/{i}/{j}"]
            same_shape = feature.shape == expected.shape
            maps.append({
                "shape": list(expected.shape), "same_shape": same_shape, "spread": float(expected.std()),
                "difference": float(np.abs(feature.numpy() - expected).max()) if same_shape else None,
            })
    only_theirs = theirs - set(ours)
    unused = {name for name in only_theirs if tf1_names.UNUSED.match(name)}
    return {"variables": len(ours), "only_ours": sorted(set(ours) - theirs), "unused": len(unused),
            "only_theirs": sorted(only_theirs - unused), "count": len(features), "maps": maps}


def train(name):
    """One gradient step of a detector that was built from a config: what moved, and what restores."""
    from object_detection.builders import model_builder
    from object_detection.core.freezable_batch_norm import FreezableBatchNorm
    from object_detection.protos import model_pb2

    model = model_builder.build(text_format.Parse(DETECTORS[name], model_pb2.DetectionModel()), is_training=True)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (2, 120, 150, 3)), tf.float32)
    boxes = [tf.constant([[0.1, 0.1, 0.6, 0.5]]), tf.constant([[0.3, 0.2, 0.9, 0.8]])]

    def total_loss():
        inputs, shapes = model.preprocess(images)
        model.provide_groundtruth(boxes, [tf.one_hot([0], 3), tf.one_hot([2], 3)])
        prediction = model.predict(inputs, shapes)
        return tf.add_n([*model.loss(prediction, shapes).values(), *model.regularization_losses()])

    def gradients():
        with tf.GradientTape() as tape:
            loss = total_loss()
        return loss, tape.gradient(loss, model.trainable_variables)

    tf.keras.backend.set_learning_phase(False)
    total_loss()  # makes the variables: a function that makes them itself is traced twice
    evaluate = tf.function(total_loss, autograph=False)
    backbone = model._feature_extractor.classification_backbone
    before = {v.ref(): v.numpy() for v in model.variables}
    evaluate()
    still = all(np.array_equal(before[v.ref()], v.numpy()) for v in model.variables)
    tf.keras.backend.set_learning_phase(True)
    step = tf.function(gradients, autograph=False)
    loss, found = step()
    for variable, gradient in zip(model.trainable_variables, found, strict=True):
        variable.assign_sub(1e-4 * gradient)
    after, _ = step()
    statistics = [v for v in backbone.variables if "/moving_" in v.name]
    norms = [layer for layer in backbone.submodules if isinstance(layer, FreezableBatchNorm)]
    return {
        "still_without_training": still, "loss": float(loss), "after": float(after),
        "without_gradient": [v.name for v, g in zip(model.trainable_variables, found, strict=True)
                             if g is None or not np.abs(g).max() > 0],
        "unmoved_statistics": [v.name for v in statistics if np.array_equal(before[v.ref()], v.numpy())],
        "statistics": len(statistics),
        "batch_norms": sorted({(float(np.float32(n.momentum)), float(np.float32(n.epsilon))) for n in norms}),
        "kernels": len([v for v in model.trainable_variables if v.name.endswith("kernel:0")]),
        "regularised": len(model.regularization_losses()),
        "backbone": len(backbone.variables),
        "not_restored": {kind: not_restored(model, backbone, kind) for kind in ("classification", "detection", "full")},
    }


def not_restored(model, backbone, kind):
    """The backbone's variables that a fine-tuning restore of this kind leaves alone."""
    from object_detection.model_lib_v2 import load_fine_tune_checkpoint
    from object_detection.protos import train_pb2

    with tempfile.TemporaryDirectory() as folder:
        saved = {v.ref(): v.numpy() for v in backbone.variables}
        path = tf.train.Checkpoint(model=model, feature_extractor=backbone).save(f"{folder}/ckpt")
        for variable in backbone.variables:
            variable.assign(tf.fill(variable.shape, -77.0))
        load_fine_tune_checkpoint(model, path, kind, train_pb2.CheckpointVersion.V2, False, None, None)
        return [v.name for v in backbone.variables if not np.array_equal(saved[v.ref()], v.numpy())]


def refused():
    """The errors for configs that TF1 refuses too, or would have no meaning."""
    from object_detection.builders import model_builder
    from object_detection.protos import model_pb2

    faster = DETECTORS["faster_rcnn_inception_v2_keras"]
    errors = []
    for text in (
        SSD.replace("extractor_hyperparams: true", "extractor_hyperparams: false"),
        SSD.replace("depth_multiplier: 0.35", "depth_multiplier: 0"),
        faster.replace("features_stride: 16", "features_stride: 32"),
        faster.replace("batch_norm_trainable: true", "conv_hyperparams { " + HEAD + " }"),
    ):
        try:
            model = model_builder.build(text_format.Parse(text, model_pb2.DetectionModel()), is_training=True)
            model.predict(*model.preprocess(tf.zeros([1, 96, 96, 3])))
        except ValueError as error:
            errors.append(str(error))
    return errors


def main(cases, folder, *also):
    folder = pathlib.Path(folder)
    report = {case["name"]: detector_checks.compare(case, folder) if case["network"] == "detector" else
              compare(case, folder) for case in json.loads(pathlib.Path(cases).read_text())}
    report |= {name: refused() if name == "refused" else train(name) for name in also}
    (folder / "report.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    odapi.install()
    main(*sys.argv[1:])
