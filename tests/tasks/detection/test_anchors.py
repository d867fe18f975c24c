"""Anchors in NumPy: the OD API's own numbers, and the best of them for every box."""

import numpy as np
import pytest
from google.protobuf import text_format

from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.config import anchors, pipeline_config

SSD = """ssd {{ feature_extractor {{ type: "ssd_inception_v2_keras" pad_to_multiple: {multiple} }}
  matcher {{ argmax_matcher {{ matched_threshold: 0.4 }} }}
  image_resizer {{ fixed_shape_resizer {{ height: 150 width: 230 }} }}
  anchor_generator {{ ssd_anchor_generator {{ {generator} }} }} }}"""
FASTER_RCNN = """faster_rcnn {{ feature_extractor {{ type: "faster_rcnn_inception_v2_keras"
    first_stage_features_stride: {stride} }}
  image_resizer {{ keep_aspect_ratio_resizer {{ min_dimension: 150 max_dimension: 260 {pad} }} }}
  first_stage_anchor_generator {{ grid_anchor_generator {{ {generator} }} }} }}"""
GENERATORS = [
    SSD.format(multiple=1, generator="aspect_ratios: [1, 2, 0.5, 3, 0.3333] max_scale: 0.9"),
    SSD.format(multiple=32, generator="""num_layers: 4 scales: [0.1, 0.3, 0.5, 0.9] aspect_ratios: [1, 2]
               reduce_boxes_in_lowest_layer: false interpolated_scale_aspect_ratio: 0.7 base_anchor_height: 1.3"""),
    SSD.format(multiple=1, generator="""num_layers: 2 aspect_ratios: 1 height_stride: [16, 32] width_stride: [16, 32]
               height_offset: [3, 5] width_offset: [2, 9] interpolated_scale_aspect_ratio: 0"""),
    FASTER_RCNN.format(stride=16, pad="", generator="scales: [0.25, 0.5] aspect_ratios: [0.5, 1.0, 2.0]"),
    FASTER_RCNN.format(stride=8, pad="", generator="""scales: [0.1, 0.2] aspect_ratios: 1.5 height: 300 width: 200
                       height_stride: 8 width_stride: 8 height_offset: 4 width_offset: 2"""),
]


def parsed(text):
    from object_detection.protos import model_pb2
    return text_format.Parse(text, model_pb2.DetectionModel())


def stock(model, height, width):
    """The OD API's anchors, from its own generator, feature map sizes and image size."""
    odapi.install()
    import tensorflow as tf
    from object_detection.builders import anchor_generator_builder

    if model.WhichOneof("model") == "ssd":
        multiple = model.ssd.feature_extractor.pad_to_multiple
        padded = [-(-side // multiple) * multiple for side in (height, width)]
        config = model.ssd.anchor_generator
        sizes = [tuple(-(-side // 2**(4 + layer)) for side in padded)
                 for layer in range(config.ssd_anchor_generator.num_layers)]
        boxes = anchor_generator_builder.build(config).generate(sizes, im_height=height, im_width=width)
    else:
        stride = model.faster_rcnn.feature_extractor.first_stage_features_stride
        boxes = anchor_generator_builder.build(model.faster_rcnn.first_stage_anchor_generator).generate(
            [(-(-height // stride), -(-width // stride))])
    return tf.concat([list_.get() for list_ in boxes], 0).numpy()


@pytest.mark.parametrize("text", GENERATORS)
def test_anchors_are_the_od_apis(text):
    model = parsed(text)
    ours = np.concatenate([grid.boxes() for grid in anchors.grids(model, 150, 230)])
    np.testing.assert_allclose(ours, stock(model, 150, 230), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["ssd_inception_v2_300", "ssd_inception_v2_demo", "faster_rcnn_inception_v2_smoke"])
def test_the_model_has_as_many_and_the_same_anchors(name):
    """The feature maps are those of the network, not only of our arithmetic."""
    odapi.install()
    import tensorflow as tf
    from object_detection.builders import model_builder

    config = pipeline_config.template(name).model
    size, _ = anchors.resized(getattr(config, config.WhichOneof("model")).image_resizer, 160, 256)
    if name == "ssd_inception_v2_300":
        config.ssd.feature_extractor.depth_multiplier = 0.05
    model = model_builder.build(config, is_training=True)
    if config.WhichOneof("model") == "faster_rcnn":  # in training it samples proposals by the ground truth
        model.provide_groundtruth([tf.constant([[0.1, 0.1, 0.6, 0.6]])], [tf.one_hot([1], 7)])
    model.predict(*model.preprocess(tf.zeros([1, 160, 256, 3])))
    stocks = model.anchors.get().numpy()
    grids = anchors.grids(config, *size)
    ours = np.concatenate([grid.boxes() for grid in grids])
    if grids[0].window:  # training drops what reaches over the border
        ours = ours[(ours[:, :2] >= 0).all(axis=1) & (ours[:, 2:] <= size).all(axis=1)]
    assert len(ours) == sum(grid.count() for grid in grids) == len(stocks)
    np.testing.assert_allclose(ours, stocks, rtol=1e-6, atol=1e-5)


def iou_table(boxes, others):
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (boxes, others)]
    return common / (areas[0][:, None] + areas[1][None, :] - common)


@pytest.mark.parametrize("text", GENERATORS)
def test_best_iou_is_the_maximum_over_all_anchors(text):
    model = parsed(text)
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(np.log(0.02), np.log(0.95), (500, 2)))
    corner = rng.random((500, 2)) * (1 - size)
    boxes = np.concatenate([corner, corner + size], axis=1)
    grids = anchors.grids(model, 150, 230)
    if model.WhichOneof("model") == "faster_rcnn":
        boxes = boxes * [150, 230, 150, 230]
    every = np.concatenate([grid.boxes() for grid in grids]).astype(np.float64)
    if grids[0].window:
        inside = (every[:, :2] >= 0).all(axis=1) & (every[:, 2:] <= grids[0].window).all(axis=1)
        assert 0 < inside.sum() < len(every)
        every = every[inside]
    best = np.max([grid.best_iou(boxes) for grid in grids], axis=0)
    np.testing.assert_allclose(best, iou_table(boxes, every).max(axis=1), atol=1e-6)


def test_boxes_that_are_anchors_are_found_and_others_are_not():
    model = parsed(GENERATORS[0])
    grids = anchors.grids(model, 150, 230)
    own = np.concatenate([grid.boxes() for grid in grids])
    own = own[(own[:, :2] >= 0).all(axis=1) & (own[:, 2:] <= 1).all(axis=1)]
    thin = np.tile([0.5, 0.0, 0.502, 1.0], (len(own), 1))
    boxes = np.concatenate([own, thin])
    names = ["anchor"] * len(own) + ["wire"] * len(thin)
    fit = anchors.fit(model, np.tile([300, 460], (len(boxes), 1)), boxes, names)
    assert fit.by_class == {"anchor": (len(own), len(own)), "wire": (0, len(thin))}
    assert fit.threshold == pytest.approx(0.4)
    assert fit.recall == 0.5
    assert sum(whole for _, whole in fit.by_size.values()) == len(boxes)
    assert fit.anchors == sum(len(grid.boxes()) for grid in grids)
    assert "wire 0 %" in fit.text()


def test_padding_moves_ssd_boxes_but_not_faster_rcnns():
    """A frame of 100x200 becomes 130x260 in an input of 260x260: what is relative to the input shrinks."""
    boxes, sizes = np.array([[0.2, 0.3, 0.7, 0.6]]), np.array([[100, 200]])
    text = FASTER_RCNN.format(stride=16, pad="pad_to_max_dimension: true", generator="scales: 0.25 aspect_ratios: 1.0")
    model = parsed(text)
    assert anchors.resized(model.faster_rcnn.image_resizer, 100, 200) == ((260, 260), (130, 260))
    grid, = anchors.grids(model, 260, 260)
    assert anchors.fit(model, sizes, boxes, ["a"]).best_iou[0] == pytest.approx(
        iou_table(boxes * [130, 260, 130, 260], grid.boxes()).max())
    model = parsed(SSD.format(multiple=1, generator="aspect_ratios: [1, 2]").replace(
        "fixed_shape_resizer { height: 150 width: 230 }",
        "keep_aspect_ratio_resizer { min_dimension: 150 max_dimension: 260 pad_to_max_dimension: true }"))
    every = np.concatenate([grid.boxes() for grid in anchors.grids(model, 260, 260)])
    assert anchors.fit(model, sizes, boxes, ["a"]).best_iou[0] == pytest.approx(
        iou_table(boxes * [0.5, 1, 0.5, 1], every).max(), abs=1e-6)


@pytest.mark.parametrize("size", [(375, 1242), (940, 1820), (427, 640), (640, 427), (101, 999)])
def test_resized_is_what_tensorflow_does(size):
    odapi.install()
    import tensorflow as tf
    from object_detection.builders import image_resizer_builder

    for dimensions in ((600, 1024), (150, 260)):
        resizer = parsed(FASTER_RCNN.format(stride=16, pad="", generator="")).faster_rcnn.image_resizer
        resizer.keep_aspect_ratio_resizer.min_dimension, resizer.keep_aspect_ratio_resizer.max_dimension = dimensions
        image = image_resizer_builder.build(resizer)(tf.zeros([*size, 3]))[0]
        assert anchors.resized(resizer, *size)[1] == tuple(image.shape[:2])


@pytest.mark.parametrize(("change", "told"), [
    ("ssd { anchor_generator { multiscale_anchor_generator { } } }", "multiscale"),
    ("ssd { feature_extractor { type: 'ssd_resnet50_v1_fpn_keras' } }", "ssd_resnet50_v1_fpn_keras"),
    ("center_net { }", "center_net"),
])
def test_what_is_not_known_is_said(change, told):
    model = parsed(GENERATORS[0])
    model.MergeFrom(parsed(change))
    with pytest.raises(anchors.NotKnown, match=told):
        anchors.grids(model, 150, 230)
