"""The detectors that are converted and compared with TF1: the zoo's models, some with settings changed."""

from google.protobuf import text_format

from tfod_compress.tasks.detection.zoo import catalogue

TRAINING = """
train_config {
  batch_size: 24
  optimizer { rms_prop_optimizer { learning_rate {
    exponential_decay_learning_rate { initial_learning_rate: 0.004 decay_steps: 800720 decay_factor: 0.95 } }
    momentum_optimizer_value: 0.9 decay: 0.9 epsilon: 1.0 } }
  fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED/model.ckpt"
  from_detection_checkpoint: true
  num_steps: 200000
}
train_input_reader {
  label_map_path: "PATH_TO_BE_CONFIGURED/mscoco_label_map.pbtxt"
  tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED/mscoco_train.record" }
}
eval_input_reader {
  label_map_path: "PATH_TO_BE_CONFIGURED/mscoco_label_map.pbtxt" shuffle: false num_readers: 1
  tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED/mscoco_val.record" }
}
"""
ANY_SIZE = "image_resizer { identity_resizer { } }"
SMALL = "image_resizer { keep_aspect_ratio_resizer { min_dimension: 96 max_dimension: 160 } }"
NARROW = {"depth_multiplier": 0.35, "min_depth": 16}
SIZES = [[97, 131], [128, 128], [161, 99]]  # odd, square, upright
ALL_FILES = ["model.ckpt", "frozen_inference_graph.pb", "pipeline.config"]
NOT_FROZEN = ["model.ckpt", "pipeline.config"]  # quicker to pack


def config(archive, *changes):
    """The text of a zoo model's TF1 pipeline.config, with model settings merged over it."""
    from object_detection.protos import pipeline_pb2

    architecture = "ssd" if archive.startswith("ssd") else "faster_rcnn"
    message = text_format.Parse(f"model {{ {catalogue.find(archive).model} }} {TRAINING}",
                                pipeline_pb2.TrainEvalPipelineConfig())
    for change in changes:
        text_format.Merge(f"model {{ {architecture} {{ {change} }} }}", message)
    # Where a config of 2018 has a field that no later OD API knows.
    return text_format.MessageToString(message).replace("feature_extractor {", "feature_extractor {\n# UNKNOWN", 1)


def case(archive, seed, *changes, sizes=SIZES, files=ALL_FILES, width=None, carry_over=False):
    """A case for tf1_detectors and detector_checks."""
    return {"network": "detector", "name_in_zoo": archive, "archive": catalogue.find(archive).name, "seed": seed,
            "config": config(archive, *changes), "sizes": sizes, "files": files, "width": width or {},
            "carry_over": carry_over}


FAST = {
    "converted ssd": case("ssd_inception_v2_coco", 11, "num_classes: 5", ANY_SIZE,
                          "feature_extractor { depth_multiplier: 0.35 }"),
    "converted faster_rcnn": case("faster_rcnn_inception_v2_coco", 12, "num_classes: 5", SMALL,
                                  "first_stage_max_proposals: 16", width=NARROW, carry_over=True),
}
SLOW = {
    # As the zoo has it, with the config left out as in 2017.
    "converted ssd_2017": case("ssd_inception_v2_coco_2017_11_17", 13, sizes=[[97, 131], [375, 500]],
                               files=["model.ckpt"]),
    "converted ssd_2018": case("ssd_inception_v2_coco_2018_01_28", 14, ANY_SIZE, sizes=SIZES),
    "converted faster_rcnn_inception_v2": case(
        "faster_rcnn_inception_v2_coco", 15, "first_stage_max_proposals: 20", SMALL, files=ALL_FILES[1:]),
    "converted faster_rcnn_resnet101": case(
        "faster_rcnn_resnet101_kitti", 16, "first_stage_max_proposals: 20", SMALL, files=NOT_FROZEN),
    "converted faster_rcnn_resnet50": case(
        "faster_rcnn_resnet50_coco", 17, "first_stage_max_proposals: 20", SMALL, files=NOT_FROZEN),
}
