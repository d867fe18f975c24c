"""The OD API's anchors in NumPy, and how many objects have one that fits.

SSD's default boxes (Liu et al., https://arxiv.org/abs/1512.02325, section 2.2) and Faster R-CNN's grid (Ren et al.,
https://arxiv.org/abs/1506.01497, section 3.1). Anchors of one shape lie on a regular grid, and the overlap with a box
falls with the distance of the centres in either direction alone, so the best anchor of a shape is the one nearest to
the box: the best IoU of every box is found without a table of all pairs.
"""

import collections
import dataclasses
import math

import numpy as np

from tfod_compress.support.text import CLASSES, listed
from tfod_compress.tasks.detection.inspection import MEDIUM, SMALL

# The feature maps of these SSD extractors: the first at stride 16, each further one half as large, rounded up.
_HALVING_SSD = {"ssd_inception_v2_keras", "ssd_mobilenet_v1_keras", "ssd_mobilenet_v2_keras"}
_RPN_THRESHOLD = 0.7  # core/target_assigner.py, create_target_assigner("FasterRCNN", "proposal"); no config field


class NotKnown(ValueError):
    """The anchors of this config cannot be computed here; the message says what is in the way."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Anchors of some shapes at every point of a regular grid, all in one unit of length.

    Attributes:
      rows: float32 [R], centres down.
      columns: float32 [C], centres across.
      shapes: float32 [S, 2], (height, width).
      window: (height, width) that an anchor must not leave to take part, or None.
    """

    rows: np.ndarray
    columns: np.ndarray
    shapes: np.ndarray
    window: tuple | None = None

    def boxes(self):
        """float32 [R * C * S, 4] (ymin, xmin, ymax, xmax) in the OD API's order, those out of the window too."""
        y, x, shape = np.meshgrid(self.rows, self.columns, np.arange(len(self.shapes)), indexing="ij")
        centres = np.stack([y, x], axis=-1).reshape(-1, 2)
        half = np.float32(0.5) * self.shapes[shape.reshape(-1)]
        return np.concatenate([centres - half, centres + half], axis=1)

    def count(self):
        """How many anchors take part."""
        return sum(len(rows) * len(columns) for rows, columns, _ in self._inside())

    def best_iou(self, boxes):
        """The IoU of each box with the anchor that fits it best.

        Args:
          boxes: float [N, 4] (ymin, xmin, ymax, xmax) in the grid's unit.

        Returns:
          float64 [N].
        """
        boxes = boxes.astype(np.float64)
        size = boxes[:, 2:] - boxes[:, :2]
        centre = (boxes[:, 2:] + boxes[:, :2]) / 2
        best = np.zeros(len(boxes))
        for rows, columns, shape in self._inside():
            common = 1.0
            for axis, points in enumerate((rows, columns)):
                distance = np.abs(centre[:, axis] - _nearest(points, centre[:, axis]))
                both = (size[:, axis] + shape[axis]) / 2 - distance
                common = common * np.clip(both, 0.0, np.minimum(size[:, axis], shape[axis]))
            union = size.prod(axis=1) + shape.prod() - common
            best = np.maximum(best, common / np.maximum(union, 1e-12))
        return best

    def _inside(self):
        """(rows, columns, shape) for every shape that has anchors within the window."""
        for shape in self.shapes:
            points = [self.rows, self.columns]
            if self.window is not None:
                points = [axis[(axis - shape[i] / 2 >= 0) & (axis + shape[i] / 2 <= self.window[i])]
                          for i, axis in enumerate(points)]
            if all(len(axis) for axis in points):
                yield (*(axis.astype(np.float64) for axis in points), shape.astype(np.float64))


def _nearest(points, values):
    if len(points) == 1:
        return points[0]
    step = points[1] - points[0]
    return points[np.clip(np.rint((values - points[0]) / step), 0, len(points) - 1).astype(np.int64)]


def grids(model, height, width):
    """The anchors that a detector is trained with.

    Args:
      model: object_detection.protos.DetectionModel.
      height: of the input after resizing and padding, pixels.
      width: likewise.

    Returns:
      [Grid]: for SSD one a feature map, normalised to [0, 1]; for Faster R-CNN one, in pixels.

    Raises:
      NotKnown: another generator or feature extractor.
    """
    if model.WhichOneof("model") == "ssd":
        return _ssd(model.ssd, height, width)
    if model.WhichOneof("model") == "faster_rcnn":
        return [_faster_rcnn(model.faster_rcnn, height, width)]
    raise NotKnown(f"the anchors of {model.WhichOneof('model')} are not known here")


def threshold(model):
    """The IoU from which an anchor counts as an object in training."""
    if model.WhichOneof("model") == "faster_rcnn":
        return _RPN_THRESHOLD
    matcher = model.ssd.matcher.WhichOneof("matcher_oneof")
    if matcher != "argmax_matcher" or model.ssd.matcher.argmax_matcher.ignore_thresholds:
        raise NotKnown(f"matcher {matcher}: has no threshold")
    return model.ssd.matcher.argmax_matcher.matched_threshold


def _ssd(ssd, height, width):
    """builders/anchor_generator_builder.py and anchor_generators/multiple_grid_anchor_generator.py."""
    if ssd.feature_extractor.type not in _HALVING_SSD:
        raise NotKnown(f"the feature maps of {ssd.feature_extractor.type} are not known here")
    if ssd.anchor_generator.WhichOneof("anchor_generator_oneof") != "ssd_anchor_generator":
        raise NotKnown(f"{ssd.anchor_generator.WhichOneof('anchor_generator_oneof')} is not known here")
    config = ssd.anchor_generator.ssd_anchor_generator
    multiple = max(ssd.feature_extractor.pad_to_multiple, 1)
    maps = [tuple(_halved(multiple * math.ceil(side / multiple), 4 + layer) for side in (height, width))
            for layer in range(config.num_layers)]
    shortest = np.float32(min(height, width))
    base = np.array([config.base_anchor_height, config.base_anchor_width], np.float32)
    base *= np.array([shortest / np.float32(height), shortest / np.float32(width)], np.float32)
    found = []
    for layer, (size, specs) in enumerate(zip(maps, _ssd_specs(config), strict=True)):
        if config.height_stride:
            stride = (config.height_stride[layer] / height, config.width_stride[layer] / width)
        else:
            stride = (1 / size[0], 1 / size[1])
        if config.height_offset:
            offset = (config.height_offset[layer] / height, config.width_offset[layer] / width)
        else:
            offset = (stride[0] / 2, stride[1] / 2)
        scales, ratios = (np.array(values, np.float32) for values in zip(*specs, strict=True))
        found.append(_tiled(size, stride, offset, scales, ratios, base))
    return found


def _ssd_specs(config):
    """For each feature map its (scale, aspect ratio) pairs."""
    count, low, high = config.num_layers, config.min_scale, config.max_scale
    scales = list(config.scales) or [low + (high - low) * layer / (count - 1) for layer in range(count)]
    specs = []
    for layer, (scale, following) in enumerate(zip(scales, [*scales[1:], 1.0], strict=True)):
        if layer == 0 and config.reduce_boxes_in_lowest_layer:
            specs.append([(0.1, 1.0), (scale, 2.0), (scale, 0.5)])
            continue
        specs.append([(scale, ratio) for ratio in config.aspect_ratios])
        if config.interpolated_scale_aspect_ratio > 0:
            specs[-1].append((math.sqrt(scale * following), config.interpolated_scale_aspect_ratio))
    return specs[:count]


def _faster_rcnn(model, height, width):
    """anchor_generators/grid_anchor_generator.py; training leaves out the anchors that reach over the border."""
    generator = model.first_stage_anchor_generator
    if generator.WhichOneof("anchor_generator_oneof") != "grid_anchor_generator":
        raise NotKnown(f"{generator.WhichOneof('anchor_generator_oneof')} is not known here")
    if model.clip_anchors_to_image:
        raise NotKnown("clip_anchors_to_image changes the anchors' shapes")
    config, halvings = generator.grid_anchor_generator, math.log2(model.feature_extractor.first_stage_features_stride)
    if not halvings.is_integer():
        raise NotKnown("first_stage_features_stride is no power of 2")
    size = (_halved(height, int(halvings)), _halved(width, int(halvings)))
    ratios, scales = np.meshgrid(np.array(config.aspect_ratios, np.float32), np.array(config.scales, np.float32),
                                 indexing="ij")
    grid = _tiled(size, (config.height_stride, config.width_stride), (config.height_offset, config.width_offset),
                  scales.reshape(-1), ratios.reshape(-1), np.array([config.height, config.width], np.float32))
    return dataclasses.replace(grid, window=(float(height), float(width)))


def _tiled(size, stride, offset, scales, ratios, base):
    """grid_anchor_generator.tile_anchors: an aspect ratio is width by height, at the same area."""
    roots = np.sqrt(ratios)
    shapes = np.stack([scales / roots * base[0], scales * roots * base[1]], axis=1).astype(np.float32)
    rows, columns = (np.arange(size[i], dtype=np.float32) * np.float32(stride[i]) + np.float32(offset[i])
                     for i in range(2))
    return Grid(rows, columns, shapes)


def _halved(side, times):
    for _ in range(times):
        side = (side + 1) // 2
    return side


def resized(resizer, height, width):
    """What an image resizer makes of a frame.

    Args:
      resizer: object_detection.protos.ImageResizer.
      height: of the frame, pixels.
      width: likewise.

    Returns:
      ((height, width) of the input, (height, width) of the frame in it), pixels; they differ where it is padded.

    Raises:
      NotKnown: another resizer.
    """
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        size = (resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width)
        return size, size
    if kind == "identity_resizer":
        return (height, width), (height, width)
    if kind != "keep_aspect_ratio_resizer":
        raise NotKnown(f"{kind} is not known here")
    config = resizer.keep_aspect_ratio_resizer
    scale = min(np.float32(config.min_dimension / min(height, width)),
                np.float32(config.max_dimension / max(height, width)))
    size = tuple(int(np.rint(scale * np.float32(side))) for side in (height, width))
    return (config.max_dimension, config.max_dimension) if config.pad_to_max_dimension else size, size


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well a detector's anchors fit a record set's boxes.

    Attributes:
      threshold: the IoU from which an anchor counts as an object in training.
      forced: whether a box that none fits trains its best one all the same.
      anchors: how many anchors a frame has (the commonest frame size).
      best_iou: float64 [N], of every box with its best anchor.
      by_class: {class name: (boxes with an anchor at the threshold, boxes)}; a millionth less than it will do, as
        training computes in float32.
      by_size: likewise for "small", "medium", "large": COCO's sizes, in pixels of the original frame.
    """

    threshold: float
    forced: bool
    anchors: int
    best_iou: np.ndarray
    by_class: dict
    by_size: dict

    @property
    def recall(self):
        """The share of boxes with an anchor at the threshold."""
        return sum(part for part, _ in self.by_class.values()) / len(self.best_iou)

    def text(self):
        """Several lines for a person."""
        others = "their best one" if self.forced else "none"
        lines = [f"anchors: {100 * self.recall:.1f} % of {len(self.best_iou):,} training boxes have one of the "
                 f"{self.anchors:,} anchors at IoU >= {self.threshold:g} (the others train {others}); "
                 f"mean best IoU {self.best_iou.mean():.2f}"]
        for title, parts in (("by class", self.by_class), ("by size", self.by_size)):
            most_first = sorted(parts.items(), key=lambda item: -item[1][1]) if len(parts) > CLASSES else parts.items()
            lines.append(f"  {title}: " + listed([f"{name} {100 * part / whole:.0f} % of {whole:,}"
                                                  for name, (part, whole) in most_first], CLASSES))
        return "\n".join(lines)


def fit(model, sizes, boxes, class_names):
    """Finds the best anchor of every box.

    Args:
      model: object_detection.protos.DetectionModel.
      sizes: int [N, 2], (height, width) of each box's frame in pixels; N is at least 1.
      boxes: float [N, 4] (ymin, xmin, ymax, xmax) in [0, 1] of their frames.
      class_names: [N].

    Returns:
      Fit.

    Raises:
      NotKnown: the config has anchors, feature maps or a resizer that are not known here.
    """
    resizer = getattr(model, model.WhichOneof("model")).image_resizer
    best, counts = np.zeros(len(boxes)), collections.Counter()
    for height, width in np.unique(sizes, axis=0).tolist():
        given, frame = resized(resizer, height, width)
        here = (sizes == (height, width)).all(axis=1)
        # SSD's anchors are relative to the padded input, Faster R-CNN's in its pixels.
        scale = np.array(frame) / given if model.WhichOneof("model") == "ssd" else np.array(frame)
        found = grids(model, *given)
        counts[sum(grid.count() for grid in found)] += int(here.sum())
        best[here] = np.max([grid.best_iou(boxes[here] * np.tile(scale, 2)) for grid in found], axis=0)
    limit = threshold(model)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * sizes.prod(axis=1)
    kinds = np.where(area < SMALL, "small", np.where(area < MEDIUM, "medium", "large"))
    matched = best >= limit - 1e-6
    forced = model.WhichOneof("model") != "ssd" or model.ssd.matcher.argmax_matcher.force_match_for_each_row
    return Fit(limit, forced, counts.most_common(1)[0][0], best, _shares(matched, np.asarray(class_names)),
               {name: share for name in ("small", "medium", "large")
                for share in [_shares(matched, kinds).get(name)] if share})


def _shares(matched, names):
    return {name: (int(matched[names == name].sum()), int((names == name).sum())) for name in np.unique(names).tolist()}
