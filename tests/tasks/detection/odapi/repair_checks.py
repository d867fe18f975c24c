"""One check for each repair of the Object Detection API; runs as a process of its own.

`python -m tests.tasks.detection.odapi.repair_checks OUTPUT.json` runs every check without its repair and with it (the
repairs before it in `repairs.ALL` being applied), and once more after a second round of all repairs. It writes {repair:
[error or null, …]}. One process does it all, because importing `object_detection` takes 15 seconds.
"""

import io
import json
import sys
import tempfile

import numpy as np
import tensorflow as tf
from PIL import Image

from tfod_compress.tasks.detection.odapi import repairs


def stand_in_for_tensorflow_io():
    from object_detection.meta_architectures import deepmac_meta_arch

    try:
        _ = deepmac_meta_arch.tfio.experimental
    except AttributeError as error:
        assert "not installed" in str(error)


def restore_control_flow_names():
    assert decoded(jpeg_of(noise()), b"jpeg").shape == (40, 56, 3)


def restore_numpy_names():
    from object_detection.utils import metrics

    precision, recall = metrics.compute_precision_recall(np.array([0.9, 0.1]), np.array([1.0, 0.0]), 1)
    assert metrics.compute_average_precision(precision, recall) == 1.0


def draw_boxes_with_current_pillow():
    from object_detection.utils import visualization_utils

    image = np.zeros((60, 80, 3), np.uint8)
    visualization_utils.draw_bounding_boxes_on_image_array(
        image, np.array([[0.5, 0.25, 0.9, 0.9]]), "lime", 1, [["Van: 90%", "second line"]]
    )
    green = (image == (0, 255, 0)).all(-1)
    assert green[30, 20:72].all() and green[54, 20:72].all() and green[30:54, 20].all() and green[30:54, 72].all()
    labels = image[:30, 20:60, 1]
    assert green[29, 20:60].all() and not green[0].any(), "label lines stand directly above the box"
    assert (labels[15:] < 80).sum() > 20, "dark text on them"


def restore_canvas_bytes():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(1, 2), dpi=10, facecolor=(1.0, 0.0, 0.0))
    figure.canvas.draw()
    pixels = np.frombuffer(figure.canvas.tostring_rgb(), np.uint8).reshape(20, 10, 3)
    assert (pixels == (255, 0, 0)).all()


def pass_rmsprop_decay_as_rho():
    from google.protobuf import text_format
    from object_detection.builders import optimizer_builder
    from object_detection.protos import optimizer_pb2

    for moving_average in ("true", "false"):
        text = """rms_prop_optimizer {
            learning_rate { constant_learning_rate { learning_rate: 0.1 } }
            momentum_optimizer_value: 0 decay: 0.5 epsilon: 1e-10 } use_moving_average: """ + moving_average
        config = text_format.Parse(text, optimizer_pb2.Optimizer())
        optimizer, _ = optimizer_builder.build(config, global_step=tf.Variable(0, dtype=tf.int64))
        x = tf.Variable(0.0)
        if moving_average == "true":
            optimizer.shadow_copy(tf.Module())
        mean_square, expected = 0.0, 0.0
        for _ in range(10):
            optimizer.apply_gradients([(tf.constant(2.0), x)])
            mean_square = 0.5 * mean_square + 0.5 * 4.0  # rho = 0.5, gradient 2
            expected -= 0.1 * 2.0 / mean_square**0.5
        np.testing.assert_allclose(x.numpy(), expected, rtol=1e-5)


def trim_padded_ground_truth():
    from object_detection.utils import object_detection_evaluation as evaluation

    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}]
    for make in (evaluation.PascalDetectionEvaluator, evaluation.WeightedPascalDetectionEvaluator):
        evaluator = make(categories)
        evaluator.add_eval_dict(perfect_detections())
        name, value = next((k, v) for k, v in evaluator.evaluate().items() if "mAP" in k)
        assert value == 1.0, f"{name} = {value} for perfect detections"


def refuse_unknown_class_text():
    assert decoded_classes([b"Van", b"PassengerCar"]) == [2, 1]
    assert decoded_classes([]) == []
    try:
        classes = decoded_classes([b"Van", b"Tram"])
    except tf.errors.InvalidArgumentError as error:
        assert "Tram" in str(error) and "label map" in str(error)
    else:
        raise AssertionError(f"no error, classes {classes}")


def refuse_duplicate_images():
    from object_detection.metrics.coco_evaluation import CocoDetectionEvaluator
    from object_detection.utils.object_detection_evaluation import PascalDetectionEvaluator

    one = {"groundtruth_boxes": np.array([[0, 0, 9.0, 9.0]], np.float32), "groundtruth_classes": np.array([1])}
    for make in (CocoDetectionEvaluator, PascalDetectionEvaluator):
        evaluator = make([{"id": 1, "name": "car"}])
        evaluator.add_single_ground_truth_image_info("a", one)
        evaluator.add_single_ground_truth_image_info("b", one)
        try:
            evaluator.add_single_ground_truth_image_info("a", one)
        except ValueError as error:
            assert "'a'" in str(error)
        else:
            raise AssertionError(f"{make.__name__} took one image twice")


def report_evaluation_errors():
    from google.protobuf import text_format
    from object_detection import model_lib_v2
    from object_detection.protos import pipeline_pb2

    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse("eval_config { metrics_set: 'pascal_voc_detection_metrics' }", config)
    config.eval_input_reader.add().label_map_path = label_map_file()
    configs = {"train_config": config.train_config, "eval_config": config.eval_config,
               "eval_input_config": config.eval_input_reader[0]}
    batches = [({}, {"groundtruth_boxes": tf.zeros([1, 1, 4])})]
    run = type(tf.distribute.get_strategy()).run
    try:
        # The batch lacks nearly everything that a model needs: the first thing missed must be what is reported.
        model_lib_v2.eager_eval_loop(toy_model(), configs, batches, global_step=tf.Variable(0))
    except TypeError as error:
        raise AssertionError(f"the cause is hidden behind {error}") from None
    except Exception as error:
        assert "NoneType" not in str(error)
    assert tf.distribute.get_strategy().run.__func__ is run, "the strategy is left as it was"


def start_fine_tuning_at_step_zero():
    from object_detection import model_lib_v2
    from object_detection.protos import train_pb2

    model, step = toy_model(), tf.Variable(1500, dtype=tf.int64)
    model.weight.assign(7.0)
    provide_groundtruth(model, step)
    assert model._training_step is step
    saved = [tf.train.Checkpoint(step=step, model=model).save(tempfile.mkdtemp() + "/ckpt")]
    # What the unrepaired loop writes, in which the step is a child of the model.
    saved.append(tf.train.Checkpoint(step=step, model=tf.train.Checkpoint(weight=model.weight, _training_step=step))
                 .save(tempfile.mkdtemp() + "/ckpt"))
    for path in saved:
        tuned, new_step = toy_model(), tf.Variable(0, dtype=tf.int64)
        model_lib_v2.load_fine_tune_checkpoint(
            tuned, path, "full", train_pb2.CheckpointVersion.V2, False, None, None
        )
        provide_groundtruth(tuned, new_step)
        assert tuned.weight.numpy() == 7.0
        assert new_step.numpy() == 0, f"fine-tuning starts at step {new_step.numpy()}"
        assert len(tuned.variables) == 1, "the step is not one of the model's variables"


def decode_jpeg_accurately():
    encoded = jpeg_of(noise())
    reference = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))  # Pillow's libjpeg uses the accurate one
    difference = np.abs(decoded(encoded, b"jpeg").astype(int) - reference).max()
    assert difference == 0, f"decoded pixels differ by up to {difference}"


def restore_keras_resnet():
    from object_detection.models.keras_models import resnet_v1

    backbone = resnet_v1.resnet_v1_18(include_top=False, weights=None, input_shape=(64, 64, 3))
    assert backbone.output_shape == (None, 2, 2, 512)


def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


def jpeg_of(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=60)
    return file.getvalue()


def label_map_file():
    with tempfile.NamedTemporaryFile("w", suffix=".pbtxt", delete=False) as file:
        file.write("item { id: 1 name: 'PassengerCar' }\nitem { id: 2 name: 'Van' }\n")
    return file.name


def decode(features, label_map=None):
    """The decoder's tensors for one example, as numpy, through a tf.data pipeline as in training."""
    from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder

    example = tf.train.Example()
    for key, values in features.items():
        example.features.feature[key].bytes_list.value.extend(values)
    decoder = TfExampleDecoder(label_map_proto_file=label_map)
    data = tf.data.Dataset.from_tensors(example.SerializeToString()).map(decoder.decode)
    return next(data.as_numpy_iterator())


def decoded(encoded, image_format):
    return decode({"image/encoded": [encoded], "image/format": [image_format]})["image"]


def decoded_classes(texts):
    features = {"image/encoded": [jpeg_of(noise())], "image/object/class/text": texts}
    return decode(features, label_map_file())["groundtruth_classes"].tolist()


def perfect_detections():
    """What the evaluators get for one image: two objects, found perfectly, in ground truth padded to 100 rows."""
    boxes = np.zeros((100, 4), np.float32)
    boxes[:2] = [[0, 0, 10, 10], [20, 20, 40, 40]]
    classes = np.ones(100, np.int64)
    classes[1] = 2
    values = {
        "groundtruth_boxes": boxes, "groundtruth_classes": classes, "num_groundtruth_boxes": np.int32(2),
        "detection_boxes": boxes[:2], "detection_scores": np.array([0.9, 0.8], np.float32),
        "detection_classes": classes[:2], "key": np.int64(1),
    }
    return {key: tf.constant(value[None]) for key, value in values.items()}


def toy_model():
    """The least that is a DetectionModel: one weight."""
    from object_detection.core.model import DetectionModel

    def nothing(self, *args, **kwargs):
        raise NotImplementedError

    names = DetectionModel.__abstractmethods__
    toy = type("Toy", (DetectionModel,), dict.fromkeys(names, nothing))
    toy.restore_from_objects = lambda self, fine_tune_checkpoint_type: {"model": self}
    model = toy(num_classes=2)
    model.weight = tf.Variable(1.0)
    return model


def provide_groundtruth(model, step):
    model.provide_groundtruth([tf.zeros([1, 4])], [tf.ones([1, 2])], training_step=step)


def outcome(check):
    try:
        check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main(output):
    results = {}
    for repair in repairs.ALL:
        check = globals()[repair.__name__]
        results[repair.__name__] = [outcome(check)]
        repair()
        results[repair.__name__].append(outcome(check))
    for repair in repairs.ALL:
        repair()
    for name, seen in results.items():
        seen.append(outcome(globals()[name]))
    with open(output, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
