"""Our training step against the OD API's: the same losses on the same batch, the same weights after 20 steps."""

import numpy as np
import pytest

from tfod_compress.tasks.detection.config import pipeline_config

CLASSES, ROWS = 3, 30
FASTER_RCNN = """
model {{ faster_rcnn {{
  num_classes: {classes}
  image_resizer {{ fixed_shape_resizer {{ height: 64 width: 96 }} }}
  feature_extractor {{ type: "{extractor}" first_stage_features_stride: 16 {extra} }}
  first_stage_anchor_generator {{ grid_anchor_generator {{ scales: [0.0625, 0.125, 0.25]
    aspect_ratios: [0.5, 1.0, 2.0] height_stride: 16 width_stride: 16 }} }}
  first_stage_box_predictor_conv_hyperparams {{ op: CONV regularizer {{ l2_regularizer {{ weight: 0.001 }} }}
    initializer {{ truncated_normal_initializer {{ stddev: 0.01 }} }} }}
  first_stage_box_predictor_depth: 32
  first_stage_minibatch_size: 24
  first_stage_nms_score_threshold: 0.0
  first_stage_nms_iou_threshold: 0.7
  first_stage_max_proposals: 24
  first_stage_localization_loss_weight: 2.0
  first_stage_objectness_loss_weight: 1.0
  initial_crop_size: 4 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_batch_size: 12
  second_stage_box_predictor {{ mask_rcnn_box_predictor {{ fc_hyperparams {{ op: FC
    regularizer {{ l2_regularizer {{ weight: 0.001 }} }}
    initializer {{ variance_scaling_initializer {{ factor: 1.0 uniform: true mode: FAN_AVG }} }} }} }} }}
  second_stage_post_processing {{ batch_non_max_suppression {{ score_threshold: 0.0 iou_threshold: 0.6
    max_detections_per_class: 16 max_total_detections: 16 }} score_converter: SOFTMAX }}
  second_stage_localization_loss_weight: 2.0
  second_stage_classification_loss_weight: 1.0
}} }}
train_config {{ batch_size: 4 gradient_clipping_by_norm: 10.0 unpad_groundtruth_tensors: {unpad}
  optimizer {{ momentum_optimizer {{ momentum_optimizer_value: 0.9
    learning_rate {{ constant_learning_rate {{ learning_rate: 0.0003 }} }} }} use_moving_average: false }} }}
"""
NARROW = f"""model {{ ssd {{ num_classes: {CLASSES} feature_extractor {{ depth_multiplier: 0.1 }}
  image_resizer {{ fixed_shape_resizer {{ height: 96 width: 128 }} }} }} }} """
UNPADDED = "train_config { unpad_groundtruth_tensors: true } "
FEW = """model { ssd { loss { hard_example_miner {
  num_hard_examples: 20 iou_threshold: 0.7 loss_type: BOTH min_negatives_per_image: 3 } } } }"""
SSD = {  # template, changes
    "hard mining": ("ssd_inception_v2_300", NARROW),
    "hard mining, few examples, unpadded": ("ssd_inception_v2_300", NARROW + UNPADDED + FEW),
    "focal loss": ("ssd_inception_v2_demo", NARROW),
    "focal loss, unpadded, not normalised": (
        "ssd_inception_v2_demo", NARROW + UNPADDED + "model { ssd { normalize_loss_by_num_matches: false } }"),
    "softmax": ("ssd_inception_v2_300",
                NARROW + "model { ssd { loss { classification_loss { weighted_softmax { } } } } }"),
}
FASTER = {
    "faster_rcnn_inception_v2_keras": "false",
    "faster_rcnn_resnet50_slim_keras": "false",
    "faster_rcnn_resnet101_slim_keras": "true",
}


def ssd_config(template, changes):
    """A template with changes; no record set is needed to build a model."""
    from google.protobuf import text_format

    return text_format.Merge(changes, pipeline_config.template(template))


def faster_rcnn_config(extractor, unpad, extra=""):
    from google.protobuf import text_format
    from object_detection.protos import pipeline_pb2

    return text_format.Parse(FASTER_RCNN.format(classes=CLASSES, extractor=extractor, unpad=unpad, extra=extra),
                             pipeline_pb2.TrainEvalPipelineConfig())


def random_batch(size, height, width, seed=0, rows=ROWS):
    """(features, labels) as inputs.train_input gives them.

    Image 0 has no box, 1 the same box three times (ties), 2 is full of boxes that crowd one corner; the others hold
    some anywhere. Some boxes have half a weight or none.
    """
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    counts = rng.integers(1, rows // 2, size)
    counts[:3] = (0, 3, rows)
    centres, sizes = rng.uniform(0.05, 0.95, (size, rows, 2)), rng.uniform(0.05, 0.6, (size, rows, 2))
    centres[2], sizes[2] = 0.2 + 0.05 * rng.normal(size=(rows, 2)), rng.uniform(0.1, 0.3, (rows, 2))
    centres[1, 1:3], sizes[1, 1:3] = centres[1, 0], sizes[1, 0]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=2).clip(0, 1)
    there = np.arange(rows) < counts[:, np.newaxis]
    classes = np.eye(CLASSES)[rng.integers(0, CLASSES, (size, rows))]
    weights = rng.choice([1.0, 1.0, 1.0, 0.5, 0.0], (size, rows))
    image = rng.uniform(-1, 1, (size, height // 8, width // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    shape = np.tile([[height, width, 3]], (size, 1))
    return ({"image": tf.constant(image, tf.float32), "true_image_shape": tf.constant(shape, tf.int32)},
            {"groundtruth_boxes": tf.constant(boxes * there[..., np.newaxis], tf.float32),
             "groundtruth_classes": tf.constant(classes * there[..., np.newaxis], tf.float32),
             "groundtruth_weights": tf.constant(weights * there, tf.float32),
             "num_groundtruth_boxes": tf.constant(counts, tf.int32)})


class Trained:
    """A detector with its optimizer, and a step of either kind."""

    def __init__(self, config, seed=1):
        import tensorflow as tf
        from object_detection.builders import model_builder, optimizer_builder
        from object_detection.utils import config_util

        self.config = config.train_config
        tf.keras.utils.set_random_seed(seed)
        self.model = model_builder.build(config.model, is_training=True)
        self.size = config_util.get_spatial_image_size(config_util.get_image_resizer_config(config.model))
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.optimizer, _ = optimizer_builder.build(self.config.optimizer, global_step=self.step)
        self.model._is_training = False  # as model_lib_v2 builds it: without ground truth
        tf.keras.backend.set_learning_phase(False)
        self.model.predict(*self.model.preprocess(tf.zeros([1, *self.size, 3])))

    def batch(self, seed=0, size=4):
        return random_batch(size, *self.size, seed=seed)

    def stock(self):
        """A function of (features, labels) that makes the OD API's step and returns its losses."""
        import tensorflow as tf
        from object_detection import model_lib_v2

        from tfod_compress.training.stateless_random import random_from

        @tf.function(autograph=False)
        def step(features, labels):
            key = tf.random.experimental.stateless_fold_in(tf.stack([tf.constant(5, tf.int64), self.step]), 0)
            with random_from(key):
                losses = model_lib_v2.eager_train_step(
                    self.model, features, labels, self.config.unpad_groundtruth_tensors, self.optimizer,
                    training_step=self.step, add_regularization_loss=self.config.add_regularization_loss,
                    clip_gradients_value=self.config.gradient_clipping_by_norm or None)
            self.step.assign_add(1)
            return losses

        return step

    def ours(self, **options):
        import tensorflow as tf

        from tfod_compress.training import step as train_step

        step = train_step.build(self.trainable(), 5, **options)
        return lambda features, labels: step(iter(tf.data.Dataset.from_tensors((features, labels))))

    def trainable(self):
        from tfod_compress.tasks.detection.trainable import TrainableDetector

        return TrainableDetector(self.model, self.optimizer, self.config, self.step)

    def weights(self):
        return {variable.name: variable.numpy() for variable in self.model.variables}


@pytest.fixture(scope="module", autouse=True)
def odapi_installed():
    from tfod_compress.tasks.detection import odapi

    odapi.install()


def both_losses(config, batches=1):
    """[(stock losses, our losses)] of several batches, with the same weights."""
    import tensorflow as tf
    from object_detection import model_lib, model_lib_v2

    from tfod_compress.tasks.detection import losses
    from tfod_compress.training.stateless_random import random_from

    trained = Trained(config)
    model, train_config = trained.model, trained.config

    @tf.function(autograph=False)
    def stock(features, labels):
        model._is_training = True
        tf.keras.backend.set_learning_phase(True)
        with random_from(tf.constant([1, 2], tf.int64)):
            labels = model_lib.unstack_batch(labels, train_config.unpad_groundtruth_tensors)
            return model_lib_v2._compute_losses_and_predictions_dicts(
                model, features, labels, trained.step, train_config.add_regularization_loss)[0]

    @tf.function(autograph=False)
    def ours(features, labels):
        with random_from(tf.constant([1, 2], tf.int64)):
            return losses.losses_of(model, features, labels, train_config, trained.step)

    found = []
    for seed in range(batches):
        batch = trained.batch(seed)
        found.append(tuple({name: float(loss) for name, loss in side(*batch).items()} for side in (stock, ours)))
    return found


def copy(source, target):
    for one, other in zip(source.model.variables, target.model.variables, strict=True):
        assert one.shape == other.shape
        other.assign(one)


def assert_close(found):
    for stock, ours in found:
        assert set(ours) == set(stock)
        assert all(np.isfinite(value) for value in stock.values())
        for name, value in stock.items():
            assert ours[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name
        assert len(stock) >= 3
        assert all(value > 0 for value in stock.values()), stock


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=() if case == "hard mining" else pytest.mark.slow) for case in SSD])
def test_ssd_losses_are_those_of_the_stock_step(case):
    assert_close(both_losses(ssd_config(*SSD[case]), batches=3))


@pytest.mark.slow
@pytest.mark.parametrize("extractor", FASTER)
def test_faster_rcnn_losses_are_those_of_the_stock_step(extractor):
    """The samplers draw the same anchors and proposals on both sides, from (seed, step)."""
    assert_close(both_losses(faster_rcnn_config(extractor, FASTER[extractor]), batches=2))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["hard mining", "focal loss", *FASTER])
def test_weights_agree_after_20_steps(case):
    config = ssd_config(*SSD[case]) if case in SSD else faster_rcnn_config(case, FASTER[case])
    stock, ours = Trained(config), Trained(config)
    copy(stock, ours)
    start = stock.weights()
    stock_step, our_step = stock.stock(), ours.ours()
    for seed in range(20):
        batch = stock.batch(seed)
        stock_step(*batch)
        our_step(*batch)
    before, after, found = start.values(), stock.weights().values(), ours.weights().values()
    moved = max(np.abs(one - other).max() for one, other in zip(before, after, strict=True))
    apart = max(np.abs(one - other).max() for one, other in zip(after, found, strict=True))
    print(f"{case}: weights moved by up to {moved:.2e} and differ by up to {apart:.2e}")
    assert moved > 1e-3
    assert apart <= 1e-4


@pytest.mark.slow
def test_the_graph_does_not_grow_with_the_batch():
    trained = Trained(ssd_config(*SSD["hard mining"]))
    import tensorflow as tf

    from tfod_compress.training import step as train_step

    def nodes(size):
        step = train_step.build(trained.trainable(), 5)
        data = iter(tf.data.Dataset.from_tensors(trained.batch(size=size)))
        return len(step.get_concrete_function(data).graph.as_graph_def().node)

    assert nodes(4) == nodes(9)


def some_boxes(rng, *shape, grid=None):
    """float32 [*shape, 4]; on a grid many are equal, or overlap by the same IoU."""
    centres, sizes = rng.uniform(0, 1, (*shape, 2)), rng.uniform(0.02, 0.5, (*shape, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1).clip(0, 1)
    return (np.round(boxes * grid) / grid if grid else boxes).astype(np.float32)


@pytest.mark.parametrize("grid", [None, 8])
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize(("matched", "unmatched", "negatives_below"), [
    (0.5, 0.5, True), (0.7, 0.3, True), (0.5, 0.3, False)])
def test_targets_are_those_of_the_assigner(grid, forced, matched, unmatched, negatives_below):
    import tensorflow as tf
    from object_detection.box_coders.faster_rcnn_box_coder import FasterRcnnBoxCoder
    from object_detection.core import box_list, region_similarity_calculator, target_assigner
    from object_detection.matchers.argmax_matcher import ArgMaxMatcher

    from tfod_compress.tasks.detection.odapi import batched_targets

    rng = np.random.default_rng(0)
    matcher = ArgMaxMatcher(matched, unmatched, negatives_below, force_match_for_each_row=forced)
    assigner = target_assigner.TargetAssigner(region_similarity_calculator.IouSimilarity(), matcher,
                                              FasterRcnnBoxCoder([10.0, 10.0, 5.0, 5.0]), negative_class_weight=0.5)
    assert batched_targets.supported(assigner)
    images, rows = 5, 12
    anchors, boxes = some_boxes(rng, 200, grid=grid), some_boxes(rng, images, rows, grid=grid)
    boxes[1, 1:3] = boxes[1, 0]
    counts = np.array([0, 3, 12, 7, 1], np.int32)
    there = np.arange(rows) < counts[:, np.newaxis]
    boxes *= there[..., np.newaxis]
    weights = (rng.choice([0, 1, 0.5], there.shape) * there).astype(np.float32)
    classes = (np.eye(4)[rng.integers(1, 4, there.shape)] * there[..., np.newaxis]).astype(np.float32)
    background = np.eye(4, dtype=np.float32)[0]
    for unpad in (False, True):
        used = counts if unpad else np.full(images, rows)
        stock = target_assigner.batch_assign_targets(
            assigner, box_list.BoxList(tf.constant(anchors)),
            [box_list.BoxList(tf.constant(image[:n])) for image, n in zip(boxes, used, strict=True)],
            [tf.constant(image[:n]) for image, n in zip(classes, used, strict=True)], tf.constant(background),
            [tf.constant(image[:n]) for image, n in zip(weights, used, strict=True)])
        ours = batched_targets.assign(assigner, tf.constant(anchors), boxes, classes, weights,
                                      counts if unpad else None, background)
        for one, other in zip(stock, (ours.classes, ours.class_weights[..., np.newaxis], ours.codes,
                                      ours.code_weights, ours.match), strict=True):
            np.testing.assert_allclose(other + tf.zeros_like(one), one, rtol=1e-6, atol=1e-6)
        assert (ours.match.numpy() >= 0).any() and (ours.match.numpy() == -1).any()


@pytest.mark.parametrize("threshold", [0.99, 0.95, 0.7])
@pytest.mark.parametrize(("loss_type", "most", "ratio", "least"), [
    ("cls", None, 3, 0), ("both", 60, 3, 2), ("loc", 3000, None, 0), ("cls", 40, 1.5, 5)])
def test_mining_selects_what_the_miner_does(threshold, loss_type, most, ratio, least):
    """Scattered boxes, boxes in bundles that suppress each other in chains, exploded and empty boxes, equal losses."""
    import tensorflow as tf
    from object_detection.core import box_list, losses
    from object_detection.core.matcher import Match

    from tfod_compress.tasks.detection.odapi import batched_mining

    rng = np.random.default_rng(1)
    images, anchors = 4, 250
    boxes = some_boxes(rng, images, anchors)
    boxes[1] = boxes[1, rng.integers(0, 20, anchors)] * (1 + rng.normal(0, 0.003, (anchors, 4)))
    boxes[2] = some_boxes(rng, anchors, grid=6)
    boxes[3, 5], boxes[3, 7], boxes[3, 8] = (0, 0, 1e30, 1e30), (1, 1, 0.2, 0.2), 0.5
    location, classes = rng.uniform(0, 1, (2, images, anchors)).astype(np.float32)
    classes[2] = np.round(4 * classes[2])
    match = rng.choice([-2, -1, -1, -1, -1, 0, 3], (images, anchors)).astype(np.int32)
    match[0] = -1
    miner = losses.HardExampleMiner(most, threshold, loss_type, 1.0, 0.7, ratio, least)
    location, classes = tf.constant(location), tf.constant(classes)
    with tf.GradientTape() as tape:  # the derivative by a loss is 1 where it is selected
        tape.watch(classes)
        mined = miner(location, classes, [box_list.BoxList(tf.constant(image)) for image in boxes],
                      [Match(tf.constant(row)) for row in match])
    selected = tape.gradient(mined[1], classes)
    ours = batched_mining.mine(miner, location, classes, tf.constant(boxes), tf.constant(match))
    np.testing.assert_array_equal(ours, selected.numpy() > 0)
    assert 0 < selected.numpy().sum() < selected.numpy().size
    # Boxes that have all collapsed take the way round.
    collapsed = batched_mining.suppress(tf.constant(boxes), tf.sort(classes, direction="DESCENDING"), threshold)
    before, batched_mining.MAX_PAIRS = batched_mining.MAX_PAIRS, -1
    try:
        again = batched_mining.suppress(tf.constant(boxes), tf.sort(classes, direction="DESCENDING"), threshold)
    finally:
        batched_mining.MAX_PAIRS = before
    np.testing.assert_array_equal(collapsed, again)
