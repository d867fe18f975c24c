"""Whole detectors as TF1's own model builder makes them, packed as the zoo packs its archives; part of `tf1_oracle`.

A case has `config`, the text of a TF1 pipeline config, the `sizes` of its inputs, a `seed`, the `archive`'s name and
what goes into it, and `width`, keyword arguments of the feature extractor that no config can give.
"""

import functools
import shutil
import tarfile

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

# What is compared: of `predict`, and of `postprocess`.
PREDICTIONS = (
    "feature_maps", "box_encodings", "class_predictions_with_background", "rpn_box_predictor_features",
    "rpn_box_encodings", "rpn_objectness_predictions_with_background", "proposal_boxes_normalized", "num_proposals",
    "refined_box_encodings",
)
DETECTIONS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections", "raw_detection_boxes",
              "raw_detection_scores")


def model_builder():
    """TF1's: the module decides at its import, and then at each call, by the version of TensorFlow."""
    # As TF1 these would want tensorflow.contrib, for a matcher that none of our detectors has.
    from object_detection.builders import matcher_builder  # noqa: F401
    from object_detection.core import target_assigner  # noqa: F401
    from object_detection.utils import tf_version

    vars(np)["int"] = int  # for the MobileNets, which are imported though not used
    tf_version.is_tf1, tf_version.is_tf2 = lambda: True, lambda: False
    from object_detection.builders import model_builder

    return model_builder


def detect(model, image):
    """{name: tensor} of what is compared; both sides use it."""
    inputs, shapes = model.preprocess(image)
    predictions = model.predict(inputs, shapes)
    outputs = {}
    for name in PREDICTIONS:
        value = predictions.get(name, [])
        parts = value if isinstance(value, (list, tuple)) else [value]
        outputs |= {f"{name}/{i}": part for i, part in enumerate(parts)}
    detections = model.postprocess(predictions, shapes)
    return outputs | {name: detections[name] for name in DETECTIONS}


def run(case, folder, randomise):
    """Builds, saves and packs the detector of a case.

    Args:
      case: see the module.
      folder: gets <archive>.tar.gz.
      randomise: gives the session's variables random values.

    Returns:
      {npz key: array} with `inputs/<i>` and `outputs/<i>/<name>`.
    """
    from object_detection.protos import pipeline_pb2

    builder = model_builder()
    config = text_format.Parse(case["config"], pipeline_pb2.TrainEvalPipelineConfig())
    rng = np.random.default_rng(case["seed"])
    classes = builder.FASTER_RCNN_FEATURE_EXTRACTOR_CLASS_MAP
    stock = dict(classes)
    classes.update({name: functools.partial(make, **case["width"]) for name, make in stock.items()})
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            image = tf.compat.v1.placeholder(tf.float32, [2, None, None, 3], name="image_tensor")
            outputs = detect(builder.build(config.model, is_training=False), image)
            tf.compat.v1.train.get_or_create_global_step()
            variables = [v for v in tf.compat.v1.global_variables() if v.op.name != "global_step"]
            randomise(session, variables, rng)
            session.run(tf.compat.v1.train.get_global_step().initializer)
            result = {}
            for i, (height, width) in enumerate(case["sizes"]):
                # Smooth as pictures are, so that objects of several sizes score differently.
                coarse = rng.uniform(0, 255, (2, 8, 8, 3))
                pixels = tf.image.resize(coarse, [height, width]).eval(session=session).astype(np.float32)
                pixels += rng.normal(0, 20, pixels.shape).astype(np.float32)
                result[f"inputs/{i}"] = pixels
                for name, value in session.run(outputs, {image: pixels}).items():
                    result[f"outputs/{i}/{name}"] = value
            packed = folder / case["archive"]
            packed.mkdir()
            tf.compat.v1.train.Saver().save(session, str(packed / "model.ckpt"), write_meta_graph=False)
            (packed / "model.ckpt.meta").touch()  # the graph once more, which is slow to write and which nobody reads
            if "frozen_inference_graph.pb" in case["files"]:
                (packed / "frozen_inference_graph.pb").write_bytes(frozen(builder, config, packed / "model.ckpt"))
    finally:
        classes.update(stock)
    (packed / "pipeline.config").write_text(case["config"].replace("# UNKNOWN", "batch_norm_trainable: true"))
    pack(packed, case["files"])
    shutil.rmtree(packed)
    return result


def frozen(builder, config, checkpoint):
    """The bytes of the graph that TF1's exporter makes of a checkpoint: uint8 pictures in, detections out."""
    from object_detection import exporter

    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        exporter.build_detection_graph("image_tensor", builder.build(config.model, is_training=False), None,
                                       "inference_op", None)
        tf.compat.v1.train.Saver().restore(session, str(checkpoint))
        constant = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [
            "detection_boxes", "detection_scores", "detection_classes", "num_detections"])
    return constant.SerializeToString()


def pack(folder, files):
    """FOLDER.tar.gz with FOLDER/<file> for each of the files whose names begin so, like the zoo's."""
    with tarfile.open(folder.with_name(folder.name + ".tar.gz"), "w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(tuple(files)):
                tar.add(path, f"{folder.name}/{path.name}")
