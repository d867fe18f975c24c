"""A codec in front of a detector: what each regime moves, and what stays readable."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from tests import records_data, tiny_records
from tests.learned.test_learned import drawn_model
from tfod_compress.learned import coder, model_folder
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.config import freezing
from tfod_compress.tasks.detection.trainable import TrainableDetector
from tfod_compress.training import codec_in_front, step


def tiny_detector(frozen):
    """(detector with its variables, its train_config) for pictures of 64x96."""
    odapi.install()
    from object_detection.builders import model_builder
    from object_detection.protos import pipeline_pb2

    text = tiny_records.CONFIG.format(classes=3, resizer=tiny_records.FIXED, stddev=0.3, files="", label_map="")
    config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    if frozen:
        config = freezing.frozen(config)
    detector = model_builder.build(config.model, is_training=True)
    tf.keras.backend.set_learning_phase(False)
    detector.predict(*detector.preprocess(tf.zeros([1, 64, 96, 3])))
    return detector, config.train_config


def batch(detector):
    """(features, labels) of two pictures with a box each."""
    rgb = np.stack([records_data.scene(number, 96, 64) for number in (1, 2)])
    image, shapes = detector.preprocess(tf.constant(rgb, tf.float32))
    boxes = tf.constant([[[0.1, 0.1, 0.6, 0.5]], [[0.3, 0.4, 0.9, 0.9]]])
    return {"image": image, "true_image_shape": shapes}, {
        "groundtruth_boxes": boxes, "groundtruth_classes": tf.constant([[[1.0, 0, 0]], [[0, 0, 1.0]]]),
        "groundtruth_weights": tf.ones([2, 1]), "num_groundtruth_boxes": tf.constant([1, 1])}


def tuned(regime, beta, lmbda=0.0, steps=2):
    """(codec, values before {name of side: [array]}, the same after, losses, gradient by variable) of some steps."""
    detector, config = tiny_detector(frozen=not codec_in_front.REGIMES[regime][1])
    sides = {"detector": list(detector.variables)}
    codec = drawn_model("bls2017")
    sides |= {part: [variable for module in modules for variable in module.variables]
              for part, modules in codec.parts.items()}
    before = {side: [variable.numpy() for variable in variables] for side, variables in sides.items()}
    features, labels = batch(detector)
    optimizer = tf.keras.optimizers.Adam(1e-2)
    trainable = TrainableDetector(detector, optimizer, config, tf.Variable(0))
    trainable.put_in_front(codec_in_front.CodecInFront(codec, regime, beta=beta, lmbda=lmbda))
    for _ in range(steps):
        losses, gradients = step.losses_and_gradients(trainable, features, labels)
        optimizer.apply_gradients(zip(gradients, trainable.trained_variables, strict=True))
    after = {side: [variable.numpy() for variable in variables] for side, variables in sides.items()}
    by_variable = {variable.ref(): gradient for variable, gradient in
                   zip(trainable.trained_variables, gradients, strict=True)}
    return codec, before, after, losses, by_variable


def moved(before, after):
    """{side: number of arrays that changed}."""
    return {side: sum((old != new).any() for old, new in zip(arrays, after[side], strict=True))
            for side, arrays in before.items()}


def test_codec_ft_moves_the_codec_by_the_detectors_gradient_and_no_variable_of_the_detector():
    """Rate and distortion weigh nothing here: what reaches the first layer went through the detector."""
    codec, before, after, losses, gradients = tuned("codec_ft", beta=0.0)
    changes = moved(before, after)
    assert len(before["detector"]) > 100 and changes["detector"] == 0
    assert changes["encoder"] == len(before["encoder"]) and changes["decoder"] == len(before["decoder"])
    first = codec.analysis.layers[0].kernel_parameter.real
    assert np.abs(gradients[first.ref()].numpy()).max() > 0
    assert float(losses["Loss/codec_rate"]) == 0 and "Loss/codec_distortion" not in losses


@pytest.mark.slow
def test_joint_ft_moves_both_and_the_rate_weighs():
    _, before, after, losses, _ = tuned("joint_ft", beta=1.0, lmbda=0.01)
    changes = moved(before, after)
    assert all(changes[side] > len(before[side]) // 2 for side in before)
    assert float(losses["Loss/total_loss"]) == pytest.approx(
        sum(float(loss) for name, loss in losses.items() if name.startswith("Loss/") and name != "Loss/total_loss"),
        rel=1e-4)
    assert float(losses["Loss/codec_rate"]) == pytest.approx(float(losses["codec/bpp"]), rel=1e-6)
    assert float(losses["Loss/codec_distortion"]) == pytest.approx(0.01 * float(losses["codec/mse"]), rel=1e-6)
    assert float(losses["Loss/codec_rate"]) > 0 and float(losses["Loss/codec_distortion"]) > 0


@pytest.mark.slow
def test_task_ft_moves_the_detector_alone():
    _, before, after, *_ = tuned("task_ft", beta=1.0)
    changes = moved(before, after)
    assert changes["detector"] > 0 and changes["encoder"] == changes["stream"] == changes["decoder"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("regime, moves", [("fixed_decoder", "encoder"), ("task_decoder", "decoder")])
def test_one_side_can_be_tuned_while_the_other_is_in_the_field(regime, moves, tmp_path):
    """fixed_decoder: the untouched decoder reads the tuned encoder's streams. task_decoder: streams stay the same."""
    base_model = drawn_model("bls2017")
    base = model_folder.write(tmp_path / "base", "bls2017", 8, 12, 0.01, coder.weights_of(base_model),
                              base_model.tables(), {})
    codec, before, after, *_ = tuned(regime, beta=0.1)
    changes = moved(before, after)
    assert changes[moves] > 0 and changes["stream"] == 0
    assert changes[{"encoder": "decoder", "decoder": "encoder"}[moves]] == 0
    assert (changes["detector"] > 0) == (regime == "task_decoder")
    new = codec_in_front.publish(tmp_path / "new", codec, base, {})
    untouched, fresh = (coder.PictureCoder(*coder.load(which), which.stream_hash) for which in (base, new))
    rgb = records_data.scene(7, 96, 64)
    assert new.model_hash != base.model_hash and new.stream_hash == base.stream_hash
    data, pixels = fresh.encode(rgb), 10**6
    if regime == "fixed_decoder":
        assert data != untouched.encode(rgb)
        np.testing.assert_array_equal(untouched.decode(data, pixels), fresh.decode(data, pixels))
    else:
        assert data == untouched.encode(rgb)
        assert (untouched.decode(data, pixels) != fresh.decode(data, pixels)).any()


def test_unknown_regimes_and_negative_weights_are_refused():
    for regime, beta, message in (("retrained", 1.0, "regime 'retrained'"), ("joint_ft", -1.0, "beta -1"),
                                  ("joint_ft", float("nan"), "beta nan"), ("joint_ft", float("inf"), "beta inf")):
        with pytest.raises(InputError, match=message):
            codec_in_front.CodecInFront(None, regime, beta=beta)


def test_what_cannot_be_frozen_is_refused():
    """Faster R-CNN's feature extractors are frozen by their own switch; batch norms of its predictors have none."""
    from tfod_compress.tasks.detection.config import changes as config_changes
    from tfod_compress.tasks.detection.config import pipeline_config

    for name in ("ssd_inception_v2_300", "faster_rcnn_inception_v2_smoke", "faster_rcnn_resnet50"):
        config = pipeline_config.template(name)
        found = freezing.frozen(config)
        assert found.model.ssd.freeze_batchnorm != found.model.HasField("faster_rcnn")
        assert not found.model.faster_rcnn.feature_extractor.batch_norm_trainable
        assert config == pipeline_config.template(name)
    config_changes.override(config, "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor."
                                    "fc_hyperparams.batch_norm.decay: 0.9")
    with pytest.raises(InputError, match="batch normalisation .second_stage_box_predictor"):
        freezing.frozen(config)
    config.model.center_net.SetInParent()
    with pytest.raises(InputError, match="not center_net"):
        freezing.frozen(config)
