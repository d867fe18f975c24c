"""Parameters and multiply-adds of our detectors, beside the published parameters of their backbones.

Huang et al. (https://arxiv.org/abs/1611.10012, table 2) count the variables of a feature extractor; from which kinds
of variables their numbers are made is found here by adding kinds up. Multiply-adds are those of convolutions and matrix
products on one frame of the template's input size, with the most proposals that the template allows.

Examples:
  python -m benchmarks.parameters
  python -m benchmarks.parameters --detector ssd_inception_v2_300
"""

import collections
import math

from absl import flags

from tools import command

_DETECTOR = flags.DEFINE_multi_string("detector", [], "A template's name; may be repeated. All but the smoke ones.")

PUBLISHED = {"inception_v2": 10_173_112, "resnet_v1_101": 42_605_504}
KINDS = ("weights", "gamma", "beta", "moving_mean", "moving_variance")


def main():
    from tfod_compress.tasks.detection import odapi
    from tfod_compress.tasks.detection.config import pipeline_config

    names = _DETECTOR.value or [name for name in pipeline_config.detectors() if not name.endswith(("_demo", "_smoke"))]
    configs = {name: pipeline_config.template(name) for name in names}
    odapi.install()
    print("| backbone | weights | each of scale, offset, mean, variance | all | published | difference |")
    print("|---|---|---|---|---|---|")
    for name, published in PUBLISHED.items():
        kinds = count_kinds(backbone(name))
        total = sum(kinds.values())
        print(f"| {name} | {kinds['weights']:,} | {kinds['gamma']:,} | {total:,} | {published:,} | "
              f"{explain(kinds, published)} |")
    print()
    print("| detector | input | trainable parameters | of them in the backbone | 10^9 multiply-adds |")
    print("|---|---|---|---|---|")
    for name, config in configs.items():
        print("| " + " | ".join(detector_row(name, config)) + " |", flush=True)


def backbone(name):
    """The variables of a feature extractor at full width: [tf.Variable]."""
    import tensorflow as tf

    from tfod_compress.tasks.detection.odapi import inception_v2, resnet_v1

    extractor = {"inception_v2": inception_v2.FasterRCNNInceptionV2KerasFeatureExtractor,
                 "resnet_v1_101": resnet_v1.FasterRCNNResnet101SlimKerasFeatureExtractor}[name](False, 16)
    tf.keras.backend.clear_session()
    return [variable for model in (extractor.get_proposal_feature_extractor_model(),
                                   extractor.get_box_classifier_feature_extractor_model())
            for variable in model.variables]


def count_kinds(variables):
    """{one of KINDS: how many numbers} of a network's variables."""
    kinds = collections.Counter()
    for variable in variables:
        own = variable.name.split("/")[-1].split(":")[0]
        kinds[own if own in KINDS else "weights"] += math.prod(variable.shape)
    return kinds


def explain(kinds, published):
    """The published number as a sum of kinds of variables, and what is left unexplained."""
    rules = {"all of them": KINDS, "all but the scales (slim's Inception has none)": [k for k in KINDS if k != "gamma"],
             "what is trained": ("weights", "gamma", "beta"), "weights and offsets": ("weights", "beta"),
             "weights": ("weights",)}
    left = {rule: published - sum(kinds[kind] for kind in counted) for rule, counted in rules.items()}
    rule = min(left, key=lambda name: abs(left[name]))
    return f"{rule}{'' if not left[rule] else f', {left[rule]:+,}'}"


def detector_row(name, config):
    """What the table says of a detector: five texts."""
    import tensorflow as tf
    from object_detection.builders import model_builder

    from tfod_compress.tasks.detection.config import anchors

    kind = config.model.WhichOneof("model")
    own = getattr(config.model, kind)
    height, width = anchors.resized(own.image_resizer, 940, 1820)[0]
    model = model_builder.build(config.model, is_training=False)
    graph = tf.function(lambda image, shapes: model.predict(image, shapes)).get_concrete_function(
        tf.TensorSpec([1, height, width, 3]), tf.TensorSpec([1, 3], tf.int32)).graph
    proposals = own.first_stage_max_proposals if kind == "faster_rcnn" else None
    extractor = model.feature_extractor if kind == "ssd" else model._feature_extractor
    inside = {variable.ref() for variable in extractor.classification_backbone.trainable_variables}
    trainable = [(variable.ref() in inside, math.prod(variable.shape)) for variable in model.trainable_variables]
    return (name, f"{width}x{height}", f"{sum(size for _, size in trainable):,}",
            f"{sum(size for within, size in trainable if within):,}", f"{multiply_adds(graph, proposals) / 1e9:.1f}")


def multiply_adds(graph, proposals):
    """Multiply-adds of a tf.Graph's convolutions and matrix products.

    Args:
      graph: tf.Graph whose shapes are known but for the number of proposals, which comes first.
      proposals: that number.

    Returns:
      int.
    """
    total = 0
    for operation in graph.get_operations():
        if operation.type not in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            continue
        sides = operation.outputs[0].shape.as_list()
        if sides[0] is None:
            sides[0] = proposals
        kernel = operation.inputs[1].shape.as_list()
        if operation.type == "MatMul":
            each = kernel[1] if operation.get_attr("transpose_b") else kernel[0]
        else:
            each = math.prod(kernel[:2]) * (kernel[2] if operation.type == "Conv2D" else 1)
        total += math.prod(sides) * each
    return total


if __name__ == "__main__":
    command.run(main)
