"""A few images as a record set, and a detector small enough to build in a test."""

import csv
import io
import json

import numpy as np
from PIL import Image

CONFIG = """
model {{ ssd {{
  num_classes: {classes}
  image_resizer {{ {resizer} }}
  feature_extractor {{ type: "ssd_mobilenet_v2_keras" depth_multiplier: 0.1 min_depth: 8 use_depthwise: true
    conv_hyperparams {{ regularizer {{ l2_regularizer {{ weight: 0.00004 }} }}
      initializer {{ truncated_normal_initializer {{ stddev: {stddev} }} }} activation: RELU_6
      batch_norm {{ decay: 0.97 epsilon: 0.001 }} }}
    override_base_feature_extractor_hyperparams: true }}
  box_coder {{ faster_rcnn_box_coder {{ }} }}
  matcher {{ argmax_matcher {{ matched_threshold: 0.5 unmatched_threshold: 0.5 }} }}
  similarity_calculator {{ iou_similarity {{ }} }}
  anchor_generator {{ ssd_anchor_generator {{ num_layers: 6 min_scale: 0.2 max_scale: 0.9 aspect_ratios: 1.0
    aspect_ratios: 2.0 }} }}
  box_predictor {{ convolutional_box_predictor {{ min_depth: 0 max_depth: 0 num_layers_before_predictor: 0
    kernel_size: 1 box_code_size: 4 class_prediction_bias_init: -1.0
    conv_hyperparams {{ regularizer {{ l2_regularizer {{ weight: 0.00004 }} }}
      initializer {{ truncated_normal_initializer {{ stddev: {stddev} }} }} }} }} }}
  loss {{ classification_loss {{ weighted_sigmoid {{ }} }} localization_loss {{ weighted_smooth_l1 {{ }} }}
    classification_weight: 1.0 localization_weight: 1.0 }}
  normalize_loss_by_num_matches: true
  post_processing {{ batch_non_max_suppression {{ score_threshold: 1e-8 iou_threshold: 0.6
    max_detections_per_class: 20 max_total_detections: 20 }} score_converter: SIGMOID }}
}} }}
train_config {{ batch_size: 1 }}
train_input_reader {{ label_map_path: "{label_map}" }}
eval_input_reader {{ label_map_path: "{label_map}" tf_record_input_reader {{ input_path: "{files}" }} }}
"""
FIXED = "fixed_shape_resizer { height: 64 width: 96 }"
NAMES = {1: "PassengerCar", 2: "Truck", 3: "Pedestrian"}


def write_config(path, records, resizer=FIXED, classes=3, stddev=0.3):
    """A pipeline.config of a tiny SSD whose random weights give scores and boxes of some variety."""
    path.write_text(CONFIG.format(classes=classes, resizer=resizer, stddev=stddev, files=records / "val-*.tfrecord",
                                  label_map=records / "label_map.pbtxt"))
    return path


def pictures(count, seed=0, sizes=((60, 80),)):
    """{source_id: uint8 [H, W, 3]}, blocks of colour and noise."""
    rng = np.random.default_rng(seed)
    images = {}
    for number in range(count):
        height, width = sizes[number % len(sizes)]
        blocks = rng.integers(0, 256, (height // 10, width // 10, 3))
        image = np.kron(blocks, np.ones((10, 10, 1))) + rng.normal(0, 12, (height, width, 3))
        images[f"seq{number // 3:03d}/{number:06d}"] = image.clip(0, 255).astype(np.uint8)
    return images


def write(folder, images, labels, quality=None, names=NAMES, split_by=None):
    """A record set of val frames, as the formats say it looks.

    Args:
      folder: its path.
      images: {source_id: uint8 [H, W, 3]}.
      labels: {source_id: [(ymin, xmin, ymax, xmax, class id), ...]}.
      quality: of JPEG, or None for PNG.
      names: {class id: name}, the label map.
      split_by: regular expression of the sequences.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shard = "val-00000-of-00001.tfrecord"
    rows, examples = [], []
    for source_id, image in images.items():
        data = io.BytesIO()
        if quality is None:
            Image.fromarray(image).save(data, "PNG")
        else:
            Image.fromarray(image).save(data, "JPEG", quality=quality)
        encoded, (height, width) = data.getvalue(), image.shape[:2]
        rows.append([source_id, "val", width, height, len(encoded), 8 * len(encoded) / (height * width), ""])
        examples.append(example(source_id, encoded, "png" if quality is None else "jpeg", height, width,
                                labels.get(source_id, []), names))
    write_shard(folder / shard, examples)
    with open(folder / "images.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source_id", "split", "width", "height", "coded_bytes", "bpp", "psnr_db"])
        writer.writerows(rows)
    (folder / "label_map.pbtxt").write_text("".join(
        f'item {{\n  id: {number}\n  name: "{name}"\n}}\n' for number, name in names.items()))
    (folder / "manifest.json").write_text(json.dumps({
        "codec": "png" if quality is None else "jpeg", "quality": quality, "frames": {"val": len(images)},
        "split_by": split_by, "files": {shard: ""}}))
    return folder


def example(source_id, encoded, image_format, height, width, boxes, names=NAMES):
    """A serialised tf.train.Example."""
    import tensorflow as tf

    def feature(values):
        if values and isinstance(values[0], (bytes, str)):
            data = [value if isinstance(value, bytes) else value.encode() for value in values]
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=data))
        if values and isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    features = {
        "image/encoded": [encoded], "image/format": [image_format], "image/height": [height], "image/width": [width],
        "image/filename": [source_id], "image/source_id": [source_id], "image/key/sha256": [source_id],
        "image/object/bbox/ymin": [float(box[0]) for box in boxes],
        "image/object/bbox/xmin": [float(box[1]) for box in boxes],
        "image/object/bbox/ymax": [float(box[2]) for box in boxes],
        "image/object/bbox/xmax": [float(box[3]) for box in boxes],
        "image/object/class/label": [int(box[4]) for box in boxes],
        "image/object/class/text": [names.get(int(box[4]), "unknown") for box in boxes],
        "image/object/difficult": [0 for _ in boxes], "image/object/is_crowd": [0 for _ in boxes],
        "image/compressed_bytes": [len(encoded)],
    }
    message = tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in features.items()}))
    return message.SerializeToString()


def write_shard(path, examples):
    """Serialised examples as one TFRecord file."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in examples:
            writer.write(data)
