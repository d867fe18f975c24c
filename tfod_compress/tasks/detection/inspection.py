"""What an inspection of a record set counts, checks and draws of boxes."""

import collections

import numpy as np
from PIL import Image, ImageDraw

from tfod_compress.support.text import CLASSES, listed

SMALL, MEDIUM = 32**2, 96**2  # px^2: COCO's bounds between small, medium and large
_COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4")


class BoxTally:
    """Boxes per class and per COCO size; see `tasks.base.Tally`."""

    def __init__(self, label_map):
        self._label_map = label_map
        self._negatives, self._boxes, self._sizes = 0, collections.Counter(), collections.Counter()

    @property
    def note(self):
        return f" ({self._negatives} without boxes)"

    def lines(self):
        return ["boxes: " + (listed([f"{count} {cls}" for cls, count in self._boxes.most_common()], CLASSES)
                             or "none"),
                "box sizes: " + ", ".join(f"{self._sizes[size]} {size}" for size in ("small", "medium", "large"))]

    def add(self, example):
        boxes = example.boxes
        self._negatives += not len(boxes)
        for number in example.class_ids:
            self._boxes[self._label_map.get(int(number), f"id {number}")] += 1
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        for value in area * (example.width * example.height):
            self._sizes["small" if value < SMALL else "medium" if value < MEDIUM else "large"] += 1
        return self._odd(example, boxes)

    def _odd(self, example, boxes):
        odd = []
        if not np.isfinite(boxes).all() or (boxes < 0).any() or (boxes > 1).any():
            odd.append("a box reaches outside the frame")
        elif (boxes[:, 2:] <= boxes[:, :2]).any():
            odd.append("a box has no area")
        odd += [f"class id {number} is not in the label map"
                for number in sorted(set(example.class_ids.tolist()) - set(self._label_map))]
        if len(example.class_ids) != len(boxes) or len(example.class_names) != len(boxes):
            odd.append(f"{len(boxes)} boxes, {len(example.class_ids)} class ids, "
                       f"{len(example.class_names)} class names")
        elif any(self._label_map.get(int(number), name) != name
                 for number, name in zip(example.class_ids, example.class_names, strict=True)):
            odd.append("a class text does not fit its id")
        return odd


def draw_boxes(rgb, boxes, class_ids, label_map):
    """A picture with its boxes and class names.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4] (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: [N].
      label_map: {id: name}.

    Returns:
      PIL image.
    """
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    draw = ImageDraw.Draw(picture)
    line = max(1, round(rgb.shape[0] / 300))
    for (ymin, xmin, ymax, xmax), number in zip(boxes, class_ids, strict=True):
        colour = _COLOURS[(int(number) - 1) % len(_COLOURS)]
        left, top = xmin * picture.width, ymin * picture.height
        draw.rectangle((left, top, max(left, xmax * picture.width - 1), max(top, ymax * picture.height - 1)),
                       outline=colour, width=line)
        text = label_map.get(int(number), f"id {number}")
        size = draw.textbbox((left, top), text)
        lift = min(top, size[3] - size[1] + 4)
        draw.rectangle((size[0], size[1] - lift, size[2] + 1, size[3] - lift + 1), fill=colour)
        draw.text((left, top - lift), text, fill="black")
    return picture
