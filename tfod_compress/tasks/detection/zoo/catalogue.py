"""The archives of the detection zoos by name; of the TF1 zoo also the models of those that bring no config.

The TF1 zoo's page: research/object_detection/g3doc/tf1_detection_zoo.md of tensorflow/models.
"""

import dataclasses

from tfod_compress.labels import label_map
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.zoo import tf2_catalogue

ADDRESS = "http://download.tensorflow.org/models/object_detection"
KITTI = {1: "car", 2: "pedestrian"}  # object_detection/data/kitti_label_map.pbtxt
SAMPLES = "tensorflow/models, research/object_detection/samples/configs, commits 08eebbce39a9 and 6ddfb3f98105"


@dataclasses.dataclass(frozen=True)
class Archive:
    """One archive of the TF1 zoo.

    Attributes:
      name: such as "ssd_inception_v2_coco_2018_01_28".
      extractor: its feature extractor in TF1.
      published_map: the zoo's COCO mAP (AP at IoU 0.5 to 0.95, percent, rounded to a whole one), None of other data.
      model: the text of its `model` message, for an archive that brings no pipeline.config.
    """

    name: str
    extractor: str
    published_map: float | None
    model: str

    generation = 1

    @property
    def file(self):
        """The archive's file name."""
        return f"{self.name}.tar.gz"

    @property
    def path(self):
        """Where it lies below the zoo's address."""
        return self.file

    @property
    def label_map(self):
        """{class id: name}, as the OD API's data/ has it."""
        return dict(KITTI) if "_kitti_" in self.name else label_map.load("coco")


# The models of the zoo's sample configs; see SAMPLES. What only training uses is left to the OD API's defaults,
# where the samples set it to those, too.
_HYPERPARAMS = """
  regularizer { l2_regularizer { weight: 0.00004 } }
  initializer { truncated_normal_initializer { mean: 0.0 stddev: 0.03 } }
  activation: RELU_6
"""
_SSD = """
ssd {
  num_classes: 90
  image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
  feature_extractor {
    type: "ssd_inception_v2" depth_multiplier: 1.0 min_depth: 16
    conv_hyperparams {
      HYPERPARAMS
      batch_norm { train: true scale: true center: true decay: 0.9997 epsilon: 0.001 }
    }
    override_base_feature_extractor_hyperparams: true
  }
  box_coder { faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 } }
  matcher {
    argmax_matcher {
      matched_threshold: 0.5 unmatched_threshold: 0.5 ignore_thresholds: false
      negatives_lower_than_unmatched: true force_match_for_each_row: true
    }
  }
  similarity_calculator { iou_similarity { } }
  box_predictor {
    convolutional_box_predictor {
      min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 use_dropout: false dropout_keep_probability: 0.8
      kernel_size: 3 box_code_size: 4 apply_sigmoid_to_scores: false conv_hyperparams { HYPERPARAMS }
    }
  }
  anchor_generator {
    ssd_anchor_generator {
      num_layers: 6 min_scale: 0.2 max_scale: 0.95 aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333]
      reduce_boxes_in_lowest_layer: true
    }
  }
  post_processing {
    batch_non_max_suppression {
      score_threshold: 1e-8 iou_threshold: 0.6 max_detections_per_class: 100 max_total_detections: 100
    }
    score_converter: SIGMOID
  }
  normalize_loss_by_num_matches: true
  loss {
    classification_loss { weighted_sigmoid { } }
    localization_loss { weighted_smooth_l1 { } }
    hard_example_miner {
      num_hard_examples: 3000 iou_threshold: 0.99 loss_type: CLASSIFICATION
      max_negatives_per_positive: 3 min_negatives_per_image: 0
    }
    classification_weight: 1.0 localization_weight: 1.0
  }
}
""".replace("HYPERPARAMS", _HYPERPARAMS)
_FASTER_RCNN = """
faster_rcnn {
  num_classes: CLASSES
  image_resizer { keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: LONGEST } }
  feature_extractor { type: "EXTRACTOR" first_stage_features_stride: 16 }
  first_stage_anchor_generator {
    grid_anchor_generator {
      scales: [0.25, 0.5, 1.0, 2.0] aspect_ratios: [0.5, 1.0, 2.0] height_stride: 16 width_stride: 16
    }
  }
  first_stage_box_predictor_conv_hyperparams {
    op: CONV
    regularizer { l2_regularizer { weight: 0.0 } }
    initializer { truncated_normal_initializer { stddev: 0.01 } }
  }
  first_stage_nms_score_threshold: 0.0 first_stage_nms_iou_threshold: 0.7 first_stage_max_proposals: 300
  first_stage_localization_loss_weight: 2.0 first_stage_objectness_loss_weight: 1.0
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_box_predictor {
    mask_rcnn_box_predictor {
      use_dropout: false dropout_keep_probability: 1.0
      fc_hyperparams {
        op: FC
        regularizer { l2_regularizer { weight: 0.0 } }
        initializer { variance_scaling_initializer { factor: 1.0 uniform: true mode: FAN_AVG } }
      }
    }
  }
  second_stage_post_processing {
    batch_non_max_suppression {
      score_threshold: 0.0 iou_threshold: 0.6 max_detections_per_class: 100 max_total_detections: 300
    }
    score_converter: SOFTMAX
  }
  second_stage_localization_loss_weight: 2.0 second_stage_classification_loss_weight: 1.0
}
"""


def _ssd(name, published_map):
    return Archive(name, "ssd_inception_v2", published_map, _SSD)


def _faster_rcnn(name, extractor, published_map, classes=90, longest=1024):
    model = _FASTER_RCNN.replace("EXTRACTOR", extractor).replace("CLASSES", str(classes))
    return Archive(name, extractor, published_map, model.replace("LONGEST", str(longest)))


# The newest of each detector comes first.
ARCHIVES = (
    _ssd("ssd_inception_v2_coco_2018_01_28", 24),
    _ssd("ssd_inception_v2_coco_2017_11_17", 24),
    _faster_rcnn("faster_rcnn_inception_v2_coco_2018_01_28", "faster_rcnn_inception_v2", 28),
    _faster_rcnn("faster_rcnn_inception_v2_coco_2017_11_08", "faster_rcnn_inception_v2", 28),
    _faster_rcnn("faster_rcnn_resnet50_coco_2018_01_28", "faster_rcnn_resnet50", 30),
    _faster_rcnn("faster_rcnn_resnet101_coco_2018_01_28", "faster_rcnn_resnet101", 32),
    _faster_rcnn("faster_rcnn_resnet101_coco_2017_11_08", "faster_rcnn_resnet101", 32),
    _faster_rcnn("faster_rcnn_resnet101_kitti_2018_01_28", "faster_rcnn_resnet101", None, classes=2, longest=1987),
    _faster_rcnn("faster_rcnn_resnet101_kitti_2017_11_08", "faster_rcnn_resnet101", None, classes=2, longest=1987),
)


def find(name):
    """The archive of a name: of the TF1 zoo with its date or without (the newest), or of the TF2 zoo.

    Returns:
      `Archive` or `tf2_catalogue.Tf2Archive`; `generation` tells which.

    Raises:
      InputError: there is none; the message lists those that exist.
    """
    for archive in ARCHIVES:
        if name in (archive.name, archive.file) or archive.name.rsplit("_", 3)[0] == name:
            return archive
    for archive in tf2_catalogue.ARCHIVES:
        if name in (archive.name, archive.file):
            return archive
    raise InputError(f"no checkpoint {name!r} in the zoos; there are: {', '.join(names())}")


def names():
    """Of all archives, the TF1 zoo's first."""
    return [archive.name for archive in (*ARCHIVES, *tf2_catalogue.ARCHIVES)]
