"""What the converted detectors compute, compared with TF1's; part of the process `keras_checks`.

Each archive goes through the product's own converter. The model is then built from the pipeline.config that this
wrote, all of its variables are made random, and the stock restore brings the checkpoint in.
"""

import functools
import json

import numpy as np
import tensorflow as tf

from tests.tasks.detection.odapi import tf1_detectors

FORGOTTEN = -77.0


def compare(case, folder):
    """Converts the archive of a case: its differences from TF1's numbers, and what restores by which type."""
    from object_detection.builders import model_builder

    classes = model_builder.FASTER_RCNN_KERAS_FEATURE_EXTRACTOR_CLASS_MAP
    stock = dict(classes)
    classes.update({name: functools.partial(make, **case["width"]) for name, make in stock.items()})
    try:
        return _compare(case, folder)
    finally:
        classes.update(stock)


def _compare(case, folder):
    from object_detection.builders import model_builder

    from tfod_compress.tasks.detection.config import pipeline_config
    from tfod_compress.tasks.detection.zoo import fetching

    output = folder / f"{case['archive']} converted"
    # A width that no config can tell is not known to the process that compares.
    verify = "frozen_inference_graph.pb" in case["files"] and not case["width"]
    record = fetching.fetch(case["name_in_zoo"], output, archive=folder / f"{case['archive']}.tar.gz", verify=verify)
    assert record == json.loads((output / "conversion.json").read_text())
    config = pipeline_config.read(output / "pipeline.config")
    tf.keras.backend.set_learning_phase(False)
    model = model_builder.build(config.model, is_training=False)
    model.predict(tf.zeros([1, 64, 64, 3]), tf.constant([[64, 64, 3]]))  # makes the variables
    run = tf.function(lambda image: tf1_detectors.detect(model, image), autograph=False,
                      input_signature=[tf.TensorSpec([2, None, None, 3], tf.float32)])
    oracle = np.load(folder / f"{case['name']}.npz", allow_pickle=False)
    restored = {kind: restore(model, pipeline_config.latest_checkpoint(output), kind)
                for kind in ("classification", "detection", "full")}  # the last one fills all of it
    outputs = []
    for i in range(len(case["sizes"])):
        for name, found in run(oracle[f"inputs/{i}"]).items():
            outputs.append({"name": name, **difference(found.numpy(), oracle[f"outputs/{i}/{name}"])})
    carried = carry_over(config.model, output) if case["carry_over"] else None
    return {"record": record, "files": sorted(path.name for path in output.iterdir()), "outputs": outputs,
            "variables": len(model.variables), "restored": restored, "carried": carried}


def restore(model, prefix, kind):
    """The variables that the stock restore of a type leaves as they were; which are the backbone's; the step."""
    from object_detection.model_lib_v2 import load_fine_tune_checkpoint
    from object_detection.protos import train_pb2

    for variable in model.variables:
        variable.assign(tf.fill(variable.shape, FORGOTTEN))
    load_fine_tune_checkpoint(model, prefix, kind, train_pb2.CheckpointVersion.V2, False, None, None)
    left = [v.name for v in model.variables if (v.numpy() == FORGOTTEN).any()]
    return {"left": left, "step": getattr(model, "_training_step", None)}


def carry_over(model_config, checkpoint):
    """What a detector of two more classes takes from the checkpoint, heads included: the names that stay fresh."""
    from object_detection.builders import model_builder

    from tfod_compress.training import restore

    other = type(model_config)()
    other.CopyFrom(model_config)
    getattr(other, other.WhichOneof("model")).num_classes += 2
    model = model_builder.build(other, is_training=False)
    model.predict(tf.zeros([1, 64, 64, 3]), tf.constant([[64, 64, 3]]))
    for variable in model.variables:
        variable.assign(tf.fill(variable.shape, FORGOTTEN))
    kept = restore.start_from(model, checkpoint, "detection", with_heads=True)
    untouched = [v.name for v in model.variables if (v.numpy() == FORGOTTEN).any()]
    return {"untouched": untouched, "reasons": {v.name: kept[v.ref()] for v in model.variables if v.ref() in kept}}


def difference(found, expected):
    """How far an output is from TF1's; a NaN on either side makes it infinitely far."""
    if found.shape != expected.shape:
        return {"shape": [list(found.shape), list(expected.shape)], "absolute": float("inf"), "relative": float("inf"),
                "spread": 0.0}
    gap = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    absolute = float(gap.max(initial=0)) if np.isfinite(gap).all() else float("inf")
    scale = float(np.abs(expected).max(initial=0))
    return {"shape": list(expected.shape), "absolute": absolute, "relative": absolute / max(scale, 1e-12),
            "spread": float(expected.std())}
