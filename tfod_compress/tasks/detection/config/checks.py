"""What is checked of a pipeline.config before it is written: paths, classes, boxes, anchors, the schedule."""

import dataclasses
import glob

import numpy as np

from tfod_compress.records.example import parse
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import CLASSES, listed
from tfod_compress.tasks.detection.config import anchors, changes

FEW = 0.5  # a class of which fewer boxes have an anchor gets a note


@dataclasses.dataclass(frozen=True)
class TrainingBoxes:
    """Boxes of the training frames that were looked at.

    Attributes:
      frames: how many frames; of: how many there are.
      sizes: int64 [N, 2], (height, width) of each box's frame.
      boxes: float64 [N, 4] (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: int64 [N].
      most: the largest number of boxes on one frame.
      frame_sizes: {(height, width)} of all frames.
    """

    frames: int
    of: int
    sizes: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    most: int
    frame_sizes: set


def look(record_set, max_frames, splits=("train",)):
    """Reads the labels of training frames.

    Args:
      record_set: RecordSet.
      max_frames: how many, the same number of the first ones of every shard; 0 for all.
      splits: names of those to train on.

    Returns:
      TrainingBoxes.

    Raises:
      InputError: a shard is damaged.
    """
    files = [path for split in splits for path in record_set.files(split)]
    limit = -(-max_frames // len(files)) if max_frames and files else None
    sizes, boxes, class_ids, frame_sizes, frames, most = [], [], [], set(), 0, 0
    for path in files:
        for index, data in enumerate(read_records(path)):
            if index == limit:
                break
            try:
                example = parse(data, record_set.task)
            except ValueError as error:
                raise InputError(f"{path}: record {index}: {error}; make the record set again") from error
            frames += 1
            most = max(most, len(example.boxes))
            frame_sizes.add((example.height, example.width))
            sizes += [(example.height, example.width)] * len(example.boxes)
            boxes.append(example.boxes)
            class_ids.append(example.class_ids)
    return TrainingBoxes(
        frames, sum(record_set.manifest.get("frames", {}).get(split, 0) for split in splits) or frames,
        np.array(sizes, np.int64).reshape(-1, 2), np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate([np.zeros(0, np.int64), *class_ids]).astype(np.int64), most, frame_sizes)


def check(config, record_set, boxes):
    """Checks a config against its record set.

    Args:
      config: TrainEvalPipelineConfig; the training reader's max_number_of_boxes is raised where frames have more.
      record_set: RecordSet.
      boxes: TrainingBoxes.

    Returns:
      [line]: what is allowed but should be known.

    Raises:
      InputError: a path leads nowhere, a class id is out of range, frames of several sizes cannot be batched, or the
        optimizer cannot be run.
    """
    _check_paths(config)
    ids = sorted(record_set.label_map)
    model = getattr(config.model, config.model.WhichOneof("model"))
    highest = int(boxes.class_ids.max()) if len(boxes.class_ids) else 0
    if model.num_classes < max(ids[-1], highest):
        raise InputError(f"num_classes is {model.num_classes}, but {record_set.path} has class ids up to "
                         f"{max(ids[-1], highest)}")
    strange = sorted(set(boxes.class_ids.tolist()) - set(ids))
    if strange:
        raise InputError(f"{record_set.path}: boxes have class ids {strange} that are not in label_map.pbtxt; make the "
                         "record set again")
    train = config.train_config
    if train.batch_size < 1:
        raise InputError("train_config.batch_size is 0; set it to at least 1")
    notes = []
    if train.batch_size > boxes.of:
        notes.append(f"a batch of {train.batch_size} is more than the {boxes.of} training frames: training refuses it; "
                     "--batch_size sets another")
    reader = config.train_input_reader
    if boxes.most > reader.max_number_of_boxes:
        notes.append(f"a frame has {boxes.most} boxes: train_input_reader.max_number_of_boxes is raised from "
                     f"{reader.max_number_of_boxes}, so that none is cut off")
        reader.max_number_of_boxes = boxes.most
    notes += _check_batches(model, train.batch_size, boxes)
    notes += _check_schedule(config)
    if config.model.WhichOneof("model") == "faster_rcnn" and not train.fine_tune_checkpoint and (
            not model.feature_extractor.batch_norm_trainable):
        notes.append("it starts from random weights with batch normalisation frozen: it will hardly learn; give a "
                     "--checkpoint, or set model.faster_rcnn.feature_extractor.batch_norm_trainable: true")
    return notes


def anchors_fit(config, record_set, boxes, notes):
    """How the anchors fit the training boxes (anchors.Fit), or None with the reason added to `notes`.

    Args:
      config: TrainEvalPipelineConfig.
      record_set: RecordSet.
      boxes: TrainingBoxes.
      notes: [line], added to.
    """
    if not len(boxes.boxes):
        notes.append(f"{record_set.path}: no box on {boxes.frames} training frames: there is nothing to learn")
        return None
    names = [record_set.label_map[number] for number in boxes.class_ids.tolist()]
    try:
        fit = anchors.fit(config.model, boxes.sizes, boxes.boxes, names)
    except anchors.NotKnown as why:
        notes.append(f"the anchors were not compared with the boxes: {why}")
        return None
    few = [name for name, (part, whole) in fit.by_class.items() if part < FEW * whole]
    if few:
        notes.append(f"fewer than half of the boxes of {listed(few, CLASSES)} have an anchor at IoU >= "
                     f"{fit.threshold:g}: other scales or aspect ratios would fit better")
    return fit


def _check_paths(config):
    readers = [("train_input_reader", config.train_input_reader),
               *(("eval_input_reader", reader) for reader in config.eval_input_reader)]
    for name, reader in readers:
        for path in [*reader.tf_record_input_reader.input_path, reader.label_map_path]:
            if path and "://" not in path and not glob.glob(path):
                raise InputError(f"{name}: {path} is not there")
    path = config.train_config.fine_tune_checkpoint
    if path and "://" not in path and not glob.glob(f"{glob.escape(path)}.index"):
        raise InputError(f"train_config.fine_tune_checkpoint: {path}.index is not there; name a prefix such as "
                         "model/ckpt-3")


def _check_batches(model, batch_size, boxes):
    """Frames of several sizes go into one batch only where the resizer makes them one size."""
    try:
        inputs = {anchors.resized(model.image_resizer, *size)[0] for size in boxes.frame_sizes}
        shapes = {anchors.resized(model.image_resizer, *size)[1] for size in boxes.frame_sizes}
    except anchors.NotKnown:
        return []
    if len(inputs) > 1 and batch_size > 1:
        sizes = ", ".join(f"{width}x{height}" for height, width in sorted(inputs)[:3])
        raise InputError(f"frames become inputs of {len(inputs)} sizes ({sizes}, …), which a batch of {batch_size} "
                         "cannot hold: --batch_size 1, or a fixed_shape_resizer, or pad_to_max_dimension: true")
    stretched = [size for size in boxes.frame_sizes if model.image_resizer.HasField("fixed_shape_resizer")
                 for shape in shapes if abs(size[1] / size[0] * shape[0] / shape[1] - 1) > 0.2]
    if stretched:
        (height, width), (high, wide) = min(stretched), min(shapes)
        return [f"frames of {width}x{height} are stretched to {wide}x{high}"]
    return []


def _check_schedule(config):
    """A schedule that ends before training does."""
    train = config.train_config
    for message, field in changes.learning_rates(config):
        if getattr(message, field) < 0:
            raise InputError(f"train_config.optimizer: {field} is {getattr(message, field):g}; it must not be negative")
    schedule = getattr(train.optimizer, train.optimizer.WhichOneof("optimizer")).learning_rate
    cosine = schedule.cosine_decay_learning_rate
    if schedule.WhichOneof("learning_rate") == "cosine_decay_learning_rate" and cosine.total_steps < train.num_steps:
        return [f"the learning rate is 0 after {cosine.total_steps} of the {train.num_steps} steps "
                "(cosine_decay_learning_rate.total_steps)"]
    return []
