"""Archives laid out as those of the TF2 detection zoo, filled with random weights by the OD API's own code.

As a process of its own: `python -m tests.tasks.detection.tf2_archives NAME FOLDER [narrow]` leaves FOLDER/NAME.tar.gz.
The models' settings are those that the zoo's pages give; "narrow" makes them small, where the network can be.
"""

import contextlib
import pathlib
import shutil
import sys
import tarfile

import numpy as np

_HYPERPARAMS = """conv_hyperparams {{ {more} activation: {activation}
  regularizer {{ l2_regularizer {{ weight: 4e-5 }} }}
  initializer {{ random_normal_initializer {{ stddev: {stddev} mean: 0 }} }}
  batch_norm {{ scale: true decay: 0.99 epsilon: 0.001 }} }}"""
_SSD = """ssd {{
  num_classes: 90 inplace_batchnorm_update: true add_background_class: {background} encode_background_as_zeros: true
  image_resizer {{ {resizer} }}
  feature_extractor {{ {extractor} {hyperparams} }}
  box_coder {{ faster_rcnn_box_coder {{ y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 }} }}
  matcher {{ argmax_matcher {{ matched_threshold: 0.5 unmatched_threshold: 0.5 force_match_for_each_row: true }} }}
  similarity_calculator {{ iou_similarity {{ }} }}
  anchor_generator {{ {anchors} }}
  box_predictor {{ {predictor} }}
  loss {{ classification_loss {{ weighted_sigmoid_focal {{ alpha: 0.25 gamma: 2 }} }}
    localization_loss {{ weighted_smooth_l1 {{ }} }} classification_weight: 1 localization_weight: 1 }}
  normalize_loss_by_num_matches: true normalize_loc_loss_by_codesize: true
  post_processing {{ batch_non_max_suppression {{ score_threshold: 1e-8 iou_threshold: {nms}
    max_detections_per_class: 100 max_total_detections: 100 }} score_converter: SIGMOID }}
}}"""
_SSD_ANCHORS = ("ssd_anchor_generator { num_layers: 6 min_scale: 0.2 max_scale: 0.95 "
                "aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333] }")
_MULTISCALE = ("multiscale_anchor_generator {{ min_level: 3 max_level: 7 anchor_scale: 4.0 "
               "aspect_ratios: [1.0, 2.0, 0.5] scales_per_octave: {octave} }}")
_PLAIN_HEADS = ("convolutional_box_predictor {{ min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 "
                "kernel_size: 1 box_code_size: 4 class_prediction_bias_init: -4.6 {hyperparams} }}")
_SHARED_HEADS = ("weight_shared_convolutional_box_predictor {{ depth: {depth} class_prediction_bias_init: -4.6 "
                 "num_layers_before_predictor: {layers} kernel_size: 3 use_depthwise: {depthwise} {hyperparams} }}")
_CENTER_NET = """center_net {{
  num_classes: 90
  feature_extractor {{ {extractor} }}
  image_resizer {{ keep_aspect_ratio_resizer {{ min_dimension: {side} max_dimension: {side}
    pad_to_max_dimension: true }} }}
  object_detection_task {{ task_loss_weight: 1 offset_loss_weight: 1 scale_loss_weight: 0.1
    localization_loss {{ l1_localization_loss {{ }} }} }}
  object_center_params {{ object_center_loss_weight: 1 min_box_overlap_iou: 0.7 max_box_predictions: 100
    classification_loss {{ penalty_reduced_logistic_focal_loss {{ alpha: 2 beta: 4 }} }} }}
}}"""
_BGR = ("bgr_ordering: true channel_means: [104.01362025, 114.03422265, 119.9165958] "
        "channel_stds: [73.6027665, 69.89082075, 70.9150767]")
_MEANS = "channel_means: [123.675, 116.28, 103.53] channel_stds: [58.395, 57.12, 57.375]"
_FASTER_RCNN = """faster_rcnn {{
  num_classes: 90 {more}
  image_resizer {{ {resizer} }}
  feature_extractor {{ type: "{extractor}" batch_norm_trainable: true }}
  first_stage_anchor_generator {{ grid_anchor_generator {{
    scales: [0.25, 0.5, 1, 2] aspect_ratios: [0.5, 1, 2] height_stride: 16 width_stride: 16 }} }}
  first_stage_box_predictor_conv_hyperparams {{ op: CONV regularizer {{ l2_regularizer {{ weight: 0 }} }}
    initializer {{ truncated_normal_initializer {{ stddev: 0.01 }} }} }}
  first_stage_nms_score_threshold: 0 first_stage_nms_iou_threshold: 0.7 first_stage_max_proposals: {proposals}
  first_stage_localization_loss_weight: 2 first_stage_objectness_loss_weight: 1
  {crop}
  second_stage_box_predictor {{ mask_rcnn_box_predictor {{ use_dropout: false {heads}
    fc_hyperparams {{ op: FC regularizer {{ l2_regularizer {{ weight: 0 }} }}
      initializer {{ variance_scaling_initializer {{ factor: 1 uniform: true mode: FAN_AVG }} }} }} }} }}
  second_stage_post_processing {{ batch_non_max_suppression {{ score_threshold: 0 iou_threshold: 0.6
    max_detections_per_class: 100 max_total_detections: 100 }} score_converter: SOFTMAX }}
  second_stage_localization_loss_weight: 2 second_stage_classification_loss_weight: 1
}}"""
_MASKS = """mask_height: 33 mask_width: 33 mask_prediction_conv_depth: 0 mask_prediction_num_conv_layers: 4
  predict_instance_masks: true conv_hyperparams { op: CONV regularizer { l2_regularizer { weight: 0 } }
    initializer { truncated_normal_initializer { stddev: 0.01 } } }"""
# As in a public CenterNet config: an extension and a field that no installed OD API knows.
TRAINING = """
train_config: { batch_size: 128 use_bfloat16: true a_field_of_tomorrow { deep: [ { x: 1 } ] }
  fine_tune_checkpoint: "/of/another/machine/weights-1" }
train_input_reader: { label_map_path: "/of/another/machine/label_map.txt" external_input_reader {
  [object_detection.protos.GoogleInputReader.google_input_reader] {
    ss_table_input_reader: { input_path: "/of/another/machine/coco-00???" data_type: TF_EXAMPLE } } } }
eval_config: { metrics_set: "coco_detection_metrics" batch_size: 1; }
"""


def model(name, narrow=False):
    """The text of the `model` message of an archive of the zoo; narrow: as small as its network can be."""
    side = 128 if narrow else next((int(part.split("x")[0]) for part in name.split("_") if "x" in part
                                    and part[0].isdigit()), None)
    fixed = f"fixed_shape_resizer {{ height: {side} width: {side} }}"
    padded = (f"keep_aspect_ratio_resizer {{ min_dimension: {side} max_dimension: {side} "
              "pad_to_max_dimension: true }")
    width = 0.25 if narrow else 1.0
    if name.startswith("efficientdet"):
        number = int(name.split("_")[1][1:])
        side = 128 if narrow else (512, 640, 768)[number]
        depth, repeats = ((64, 3), (88, 4), (112, 5))[number]
        hyperparams = _HYPERPARAMS.format(more="force_use_bias: true", activation="SWISH", stddev=0.03)
        return _SSD.format(
            background="false", hyperparams=hyperparams, nms=0.5, anchors=_MULTISCALE.format(octave=3),
            resizer=f"keep_aspect_ratio_resizer {{ min_dimension: {side} max_dimension: {side} "
                    "pad_to_max_dimension: true }",
            extractor=f'type: "ssd_efficientnet-b{number}_bifpn_keras" bifpn {{ min_level: 3 max_level: 7 '
                      f"num_iterations: {repeats} num_filters: {depth} }}",
            predictor=_SHARED_HEADS.format(depth=depth, layers=3, depthwise="true", hyperparams=hyperparams))
    if name.startswith("ssd"):
        fpn = "_fpn" in name
        hyperparams = _HYPERPARAMS.format(more="", activation="RELU_6", stddev=0.03)
        kind = "ssd_" + name.split("_", 1)[1].split("_fpn" if fpn else f"_{name.split('_')[3]}")[0]
        depth = 64 if narrow else 256
        return _SSD.format(
            background="true", hyperparams=hyperparams, nms=0.6, resizer=fixed,
            extractor=f'type: "{kind}{"_fpn" if fpn else ""}_keras" depth_multiplier: {width} min_depth: 16 '
                      f'{f"fpn {{ min_level: 3 max_level: 7 additional_layer_depth: {depth} }}" if fpn else ""} '
                      "override_base_feature_extractor_hyperparams: true",
            anchors=_MULTISCALE.format(octave=2) if fpn else _SSD_ANCHORS,
            predictor=_SHARED_HEADS.format(depth=depth, layers=4, depthwise="false", hyperparams=hyperparams) if fpn
            else _PLAIN_HEADS.format(hyperparams=hyperparams))
    if name.startswith("centernet"):
        extractor = ({"hg104": f'type: "hourglass_{10 if narrow else 104}" {_BGR}',
                      "mobilenetv2fpn": f'type: "mobilenet_v2_fpn" depth_multiplier: {width} use_separable_conv: true '
                                        + _MEANS}.get(name.split("_")[1]))
        if not extractor:
            _, net, version, *rest = name.split("_")
            extractor = f'type: "resnet_{version}_{net[6:]}{"_fpn" if rest[0] == "fpn" else ""}" '
            extractor += _MEANS if version == "v1" else ""
        return _CENTER_NET.format(extractor=extractor, side=side)
    masks = name.startswith("mask")
    inception = "inception_resnet" in name
    net = "inception_resnet_v2" if inception else name.split("_")[2]
    crop = (17, 1, 1) if inception else (14, 2, 2)
    keep = "keep_aspect_ratio_resizer { min_dimension: 800 max_dimension: 1333 }"
    return _FASTER_RCNN.format(
        extractor=f"faster_rcnn_{net}_keras", heads=_MASKS if masks else "share_box_across_classes: true",
        more="number_of_stages: 3 resize_masks: false second_stage_mask_prediction_loss_weight: 4" if masks else "",
        crop=f"initial_crop_size: {crop[0]} maxpool_kernel_size: {crop[1]} maxpool_stride: {crop[2]}",
        resizer=fixed if masks else keep if "800x1333" in name and not narrow else padded,
        proposals=20 if narrow else 300)


def make(name, folder, text, *, traces=False, seed=0):
    """Writes FOLDER/NAME.tar.gz as exporter_main_v2 and the zoo leave it.

    Args:
      name: of the archive.
      folder: an existing one.
      text: of the `model` message.
      traces: store every layer's own functions as well, as the zoo's SavedModels do; slow.
      seed: of the weights.
    """
    import tensorflow as tf
    from google.protobuf import text_format
    from keras.src.saving.legacy.saved_model.utils import keras_option_scope

    from tfod_compress.tasks.detection import odapi

    odapi.install()
    from object_detection import exporter_lib_v2
    from object_detection.builders import model_builder
    from object_detection.protos import model_pb2

    from tfod_compress.tasks.detection.odapi.learning_phase import inference

    tf.keras.utils.set_random_seed(seed)
    top = pathlib.Path(folder) / name
    with inference():
        detector = model_builder.build(text_format.Parse(text, model_pb2.DetectionModel()), is_training=False)
        without_autograph(detector)
        module = exporter_lib_v2.DetectionFromImageModule(detector)
        function = module.__call__.get_concrete_function()
        randomise(detector, np.random.default_rng(seed))
        checkpoint = tf.train.Checkpoint(model=detector)
        tf.train.CheckpointManager(checkpoint, str(top / "checkpoint"), max_to_keep=1).save(checkpoint_number=0)
        with contextlib.nullcontext() if traces else keras_option_scope(save_traces=False):
            tf.saved_model.save(module, str(top / "saved_model"), signatures=function)
    (top / "pipeline.config").write_text(f"# of the zoo\nmodel {{\n{text}\n}}\n{TRAINING}")
    pack(top)


def without_autograph(detector):
    """Tracing is twice as fast without; nothing in the models needs it."""
    import tensorflow as tf

    for method in ("preprocess", "predict", "postprocess"):
        setattr(detector, method, tf.autograph.experimental.do_not_convert(getattr(detector, method)))


def randomise(detector, rng):
    """Weights whose scores and boxes differ from place to place, and normalisations that do something."""
    for variable in detector.variables:
        name, shape = variable.name.split(":")[0], variable.shape.as_list()
        kind = name.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance"):
            # A residual network's sums would grow out of all bounds with gammas of one.
            variable.assign(rng.uniform(0.3, 0.7, shape) if kind == "gamma" else rng.uniform(0.5, 1.5, shape))
        elif kind in ("beta", "moving_mean"):
            variable.assign(rng.normal(0, 0.1, shape))
        elif kind == "bias" and variable.dtype.is_floating:
            variable.assign_add(rng.normal(0, 0.5, shape))
        elif kind in ("kernel", "depthwise_kernel") and len(shape) == 4:
            fan_in = np.prod(shape[:2] if kind == "depthwise_kernel" else shape[:-1])
            variable.assign(rng.normal(0, (2 / fan_in) ** 0.5, shape))


def change_checkpoint(prefix, change, parts=(), unlisted=False):
    """Writes a checkpoint again.

    Args:
      prefix: its path.
      change: called with {key: value} of the variables, which it may change.
      parts: variables with one of these in their keys are left out.
      unlisted: whether its object graph forgets those as well, as if the model had never had them.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    reader = tf.train.load_checkpoint(str(prefix))
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
              if not any(part in name for part in parts)}
    change({name: value for name, value in values.items() if isinstance(value, np.ndarray)})
    if unlisted:
        objects = trackable_object_graph_pb2.TrackableObjectGraph()
        objects.ParseFromString(values["_CHECKPOINTABLE_OBJECT_GRAPH"])
        for node in objects.nodes:
            if any(part in attribute.checkpoint_key for attribute in node.attributes for part in parts):
                node.ClearField("attributes")
        values["_CHECKPOINTABLE_OBJECT_GRAPH"] = objects.SerializeToString()
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=list(values), shape_and_slices=[""] * len(values),
                      tensors=[tf.constant(value) for value in values.values()])


def pack(top):
    """TOP.tar.gz with TOP's files below its name; the folder goes."""
    with tarfile.open(top.with_name(top.name + ".tar.gz"), "w:gz", compresslevel=1) as tar:
        tar.add(top, top.name)
    shutil.rmtree(top)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2], model(sys.argv[1], narrow="narrow" in sys.argv[3:]))
