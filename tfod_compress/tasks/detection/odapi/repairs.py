"""Repairs of the Object Detection API 2.8.0.post1 on TensorFlow 2.14, one function a defect.

Each function patches the imported modules in place; calling it again changes nothing. Their order in `ALL` matters
once: `stand_in_for_tensorflow_io` comes first, because the others import `object_detection`.
"""

import functools
import importlib.machinery
import importlib.util
import inspect
import sys
import types


def stand_in_for_tensorflow_io():
    """Lets `object_detection` be imported without tensorflow_io.

    meta_architectures/deepmac_meta_arch.py imports that package (25 MB, built for one TensorFlow release) whatever
    the model, and uses it for DeepMAC's colour loss alone.
    """
    name = "tensorflow_io"
    if name in sys.modules or importlib.util.find_spec(name):
        return
    module = _MissingPackage(name, "Stands in for a package that is not installed.")
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules[name] = module


def restore_control_flow_names():
    """Gives tf_slim's example decoder `cond` and `case` again.

    It takes them from `tensorflow.python.ops.control_flow_ops`, which TensorFlow 2.14 emptied of them: every input
    pipeline died at its first image.
    """
    import tensorflow as tf
    from tf_slim.data import tfexample_decoder

    tfexample_decoder.control_flow_ops = types.SimpleNamespace(cond=tf.compat.v1.cond, case=tf.compat.v1.case)


def restore_numpy_names():
    """Gives the evaluators `np.float`, `np.bool` and `np.int`, which NumPy 1.24 dropped, in their modules alone."""
    from object_detection.metrics import coco_evaluation, tf_example_parser
    from object_detection.utils import metrics

    for module in (coco_evaluation, tf_example_parser, metrics):
        module.np = _NumpyWithOldNames("numpy")


def draw_boxes_with_current_pillow():
    """Draws boxes and their labels without `ImageFont.getsize`, gone since Pillow 10: evaluation died on it."""
    from object_detection.utils import visualization_utils

    visualization_utils.draw_bounding_box_on_image = _draw_bounding_box_on_image


def restore_canvas_bytes():
    """Gives matplotlib's canvas `tostring_rgb` again (gone in 3.10), which the loss distribution summaries call."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def tostring_rgb(canvas):
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]).tobytes()

    if not hasattr(FigureCanvasAgg, "tostring_rgb"):
        FigureCanvasAgg.tostring_rgb = tostring_rgb


def pass_rmsprop_decay_as_rho():
    """Makes `rms_prop_optimizer { decay }` the moving average's decay, as in TF1 and in the proto's comment.

    builders/optimizer_builder.py hands it on as the learning rate's decay per step, so that with the zoo's 0.9 the
    rate is divided by 900 after 1,000 steps, while rho silently stays at Keras's 0.9.
    """
    from object_detection.builders import optimizer_builder

    def repaired(original):
        def build_optimizers_tf_v2(optimizer_config, global_step=None):
            optimizer, summary_variables = original(optimizer_config, global_step)
            if optimizer_config.WhichOneof("optimizer") == "rms_prop_optimizer":
                # A moving average of the weights wraps the optimizer proper.
                rmsprop = optimizer._optimizer if optimizer_config.use_moving_average else optimizer
                rmsprop.rho = optimizer_config.rms_prop_optimizer.decay
                rmsprop.decay = rmsprop._initial_decay = 0.0
            return optimizer, summary_variables

        return build_optimizers_tf_v2

    _wrap(optimizer_builder, "build_optimizers_tf_v2", repaired)


def trim_padded_ground_truth():
    """Makes the Pascal evaluators drop the rows that pad the ground truth to 100 boxes an image.

    utils/object_detection_evaluation.py counts them as objects of class 1 that nobody found: perfect detections
    scored 0.02 weighted mAP. The COCO evaluator does trim to `num_groundtruth_boxes`; here it is not even passed on.
    """
    from object_detection.core.standard_fields import InputDataFields as fields
    from object_detection.utils.object_detection_evaluation import ObjectDetectionEvaluator

    per_box = (fields.groundtruth_boxes, fields.groundtruth_classes, fields.groundtruth_difficult,
               fields.groundtruth_instance_masks)

    def with_count(original):
        def __init__(self, *args, **kwargs):
            original(self, *args, **kwargs)
            self._expected_keys.add(fields.num_groundtruth_boxes)

        return __init__

    def trimmed(original):
        def add_single_ground_truth_image_info(self, image_id, groundtruth_dict):
            count = groundtruth_dict.get(fields.num_groundtruth_boxes)
            if count is not None:
                groundtruth_dict = {
                    key: value[: int(count)] if key in per_box else value for key, value in groundtruth_dict.items()
                }
            return original(self, image_id, groundtruth_dict)

        return add_single_ground_truth_image_info

    _wrap(ObjectDetectionEvaluator, "__init__", with_count)
    _wrap(ObjectDetectionEvaluator, "add_single_ground_truth_image_info", trimmed)


def refuse_unknown_class_text():
    """Makes a class text that the label map lacks an error that names it; it became class -1 and vanished."""
    import tensorflow as tf
    from object_detection.data_decoders.tf_example_decoder import _ClassTensorHandler

    def checked(original):
        def tensors_to_item(self, keys_to_tensors):
            ids = original(self, keys_to_tensors)
            text = keys_to_tensors[self._tensor_key]
            text = text.values if isinstance(text, tf.SparseTensor) else text
            known = tf.debugging.Assert(
                tf.reduce_all(ids >= 0), ["a class text is not in the label map; texts and ids:", text, ids], 100
            )
            with tf.control_dependencies([known] if known is not None else []):
                return tf.identity(ids)

        return tensors_to_item

    _wrap(_ClassTensorHandler, "tensors_to_item", checked)


def refuse_duplicate_images():
    """Makes an image that an evaluator has seen before an error.

    The COCO evaluator ignores its boxes and the Pascal ones overwrite them, with a warning that nobody reads. Images
    are told apart by a 31-bit hash of `source_id`, so that a collision is found here too.
    """
    from object_detection.metrics.coco_evaluation import CocoDetectionEvaluator
    from object_detection.utils.object_detection_evaluation import ObjectDetectionEvaluator

    def checked(original):
        def add_single_ground_truth_image_info(self, image_id, groundtruth_dict):
            if image_id in self._image_ids:
                raise ValueError(
                    f"image {image_id!r} was evaluated before: two examples have one source_id (or its hash)"
                )
            return original(self, image_id, groundtruth_dict)

        return add_single_ground_truth_image_info

    for evaluator in (CocoDetectionEvaluator, ObjectDetectionEvaluator):
        _wrap(evaluator, "add_single_ground_truth_image_info", checked)


def report_evaluation_errors():
    """Raises what went wrong in a batch of the stock evaluation.

    model_lib_v2.eager_eval_loop takes every exception for the end of the data: on the first batch it then dies with
    "'NoneType' object is not iterable", on a later one it reports the metrics of the batches before it.
    """
    import tensorflow as tf
    from object_detection import model_lib_v2

    def reported(original):
        def eager_eval_loop(*args, **kwargs):
            strategy = tf.distribute.get_strategy()
            run, errors = strategy.run, []

            def recording_run(*run_args, **run_kwargs):
                try:
                    return run(*run_args, **run_kwargs)
                except tf.errors.OutOfRangeError:
                    raise  # this one is the end of the data, on a replica that had fewer batches
                except Exception as error:
                    errors.append(error)
                    raise

            strategy.run = recording_run
            try:
                metrics = original(*args, **kwargs)
            except Exception:
                if errors:
                    raise errors[0] from None
                raise
            finally:
                del strategy.run
            if errors:
                raise errors[0]
            return metrics

        return eager_eval_loop

    _wrap(model_lib_v2, "eager_eval_loop", reported)


def start_fine_tuning_at_step_zero():
    """Keeps the training step out of the model's checkpointed state.

    core/model.py:491 stores the loop's step variable as an attribute, which makes it a tracked child of the model. A
    restore of type `full` therefore sets the new run's step to the old run's last one, at the first training step:
    with a schedule that has ended there, fine-tuning ran at learning rate 0.0 and changed nothing. Checkpoints that
    were written without this repair are read rightly too.
    """
    from object_detection.core.model import DetectionModel

    def untracked(original):
        @functools.wraps(original)
        def provide_groundtruth(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs)
            step = bound.arguments.pop("training_step", None)
            original(*bound.args, **bound.kwargs)
            if step is not None:
                object.__setattr__(self, "_training_step", step)  # not Keras's, which would track it

        signature = inspect.signature(original)
        return provide_groundtruth

    _wrap(DetectionModel, "provide_groundtruth", untracked)


def decode_jpeg_accurately():
    """Decodes JPEG with libjpeg's accurate inverse DCT.

    TensorFlow's default is the fast one, up to 13 levels away from what other decoders give: JPEG alone would be
    handicapped against codecs that are stored as PNG.
    """
    from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder

    def accurate(original):
        @functools.wraps(original)
        def __init__(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs)
            bound.arguments["dct_method"] = bound.arguments.get("dct_method") or "INTEGER_ACCURATE"
            original(*bound.args, **bound.kwargs)

        signature = inspect.signature(original)
        return __init__

    _wrap(TfExampleDecoder, "__init__", accurate)


def restore_keras_resnet():
    """Gives models/keras_models/resnet_v1.py the general `ResNet` that CenterNet's ResNet-18 and -34 are built from.

    Keras 2.14's public `keras.applications.resnet` no longer has it; these backbones died with an AttributeError.
    """
    from keras.src.applications import resnet
    from object_detection.models.keras_models import resnet_v1

    resnet_v1.resnet = resnet


ALL = (
    stand_in_for_tensorflow_io,
    restore_control_flow_names,
    restore_numpy_names,
    draw_boxes_with_current_pillow,
    restore_canvas_bytes,
    pass_rmsprop_decay_as_rho,
    trim_padded_ground_truth,
    refuse_unknown_class_text,
    refuse_duplicate_images,
    report_evaluation_errors,
    start_fine_tuning_at_step_zero,
    decode_jpeg_accurately,
    restore_keras_resnet,
)


class _MissingPackage(types.ModuleType):
    def __getattr__(self, name):
        # AttributeError and nothing else: what walks through sys.modules asks with hasattr.
        raise AttributeError(f"{self.__name__}.{name}: {self.__name__} is not installed; only DeepMAC models need it")


class _NumpyWithOldNames(types.ModuleType):
    float, bool, int = float, bool, int

    def __getattr__(self, name):
        import numpy

        return getattr(numpy, name)


def _wrap(owner, name, make):
    """Replaces `owner.name` by make(its present value), once for each `make`'s code."""
    original = getattr(owner, name)
    layer = original
    while layer is not None:
        if getattr(layer, "_repaired_by", None) is make.__code__:
            return
        layer = getattr(layer, "_original", None)
    replacement = make(original)
    replacement._repaired_by, replacement._original = make.__code__, original
    setattr(owner, name, replacement)


def _draw_bounding_box_on_image(image, ymin, xmin, ymax, xmax, color="red", thickness=4, display_str_list=(),
                                use_normalized_coordinates=True):
    """Draws one box and its label lines onto a PIL image in place; lines go above the box where they fit."""
    from PIL import ImageDraw, ImageFont

    width, height = image.size if use_normalized_coordinates else (1, 1)
    left, right, top, bottom = xmin * width, xmax * width, ymin * height, ymax * height
    draw = ImageDraw.Draw(image)
    if thickness > 0:
        corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
        draw.line(corners, width=thickness, fill=color)
    font = ImageFont.load_default()
    sizes = [draw.textbbox((0, 0), text, font=font)[2:] for text in display_str_list]
    heights = [1.1 * line_height for _, line_height in sizes]
    y = top - sum(heights) if top > sum(heights) else bottom
    for text, (line_width, _), line_height in zip(display_str_list, sizes, heights, strict=True):
        draw.rectangle([(left, y), (left + line_width, y + line_height)], fill=color)
        draw.text((left, y), text, fill="black", font=font)
        y += line_height
