"""Ground truth and detections of a set of images, as flat arrays that are checked when they are made.

Boxes here are float64 [N, 4] (x, y, width, height) in pixels of the original frame, as in COCO's files, because
COCO's size classes are in pixels and its matching is defined on these numbers.
"""

import dataclasses
import itertools

import numpy as np

from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """The labelled objects of a set of images.

    Attributes:
      image_ids: the images' names, unique, in ascending order: record sets' source ids or COCO's numbers.
      sizes: int64 [I, 2], (height, width) of every image in pixels.
      class_names: {class id: name}, ids from 1 on.
      image: int64 [N], the index into `image_ids` of every object.
      boxes: float64 [N, 4], (x, y, width, height) in pixels.
      class_ids: int64 [N].
      difficult: bool [N]; VOC metrics neither count these objects nor punish detecting them.
      is_crowd: bool [N]; the COCO metrics do the same for these (and allow many detections of one). The VOC
        protocol knows no crowds: to it they are objects like others, as in the OD API's evaluators.
      areas: float64 [N] in square pixels, what COCO's size classes go by.
      groups: int64 [I] or None; images of one group (frames of one sequence) are one unit of its intervals.
      name: where it came from, for error messages.
    """

    image_ids: tuple
    sizes: np.ndarray
    class_names: dict
    image: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    is_crowd: np.ndarray
    areas: np.ndarray
    groups: np.ndarray | None = None
    name: str = "ground truth"

    def __post_init__(self):
        if not self.image_ids:
            raise InputError(f"{self.name}: no images, so there is nothing to evaluate")
        ids = list(self.image_ids)
        if len(set(ids)) < len(ids):
            seen = set()
            twice = [i for i in ids if i in seen or seen.add(i)]
            raise InputError(f"{self.name}: image ids occur twice ({listed(twice)}); every image needs its own id")
        if any(a > b for a, b in itertools.pairwise(ids)):
            raise ValueError("image_ids must be in ascending order")
        if not len(self.boxes):
            raise InputError(f"{self.name}: no labelled boxes on {len(ids)} images, so no metric is defined")
        for flag, protocol in (("difficult", "VOC"), ("is_crowd", "COCO")):
            if getattr(self, flag).all():
                raise InputError(f"{self.name}: every box is marked {flag}, so {protocol} metrics are not defined")
        unknown = sorted({int(i) for i in self.class_ids} - set(self.class_names))
        if unknown:
            raise InputError(f"{self.name}: class ids {listed(unknown)} are not in the label map "
                             f"({listed_classes(self.class_names)})")
        _check_boxes(self.boxes, self.image, ids, self.name)

    @property
    def image_index(self):
        """{image id: index}."""
        return {image_id: index for index, image_id in enumerate(self.image_ids)}


@dataclasses.dataclass(frozen=True)
class Detections:
    """What a detector found on the images of a ground truth.

    Attributes:
      image: int64 [D], the index into the ground truth's `image_ids`.
      boxes: float64 [D, 4], (x, y, width, height) in pixels.
      class_ids: int64 [D].
      scores: float64 [D] in [0, 1].
      name: where they came from, for error messages.
      dropped: how many more there were, of class ids that the label map lacks.
    """

    image: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray
    name: str = "detections"
    dropped: int = 0

    def take(self, chosen):
        """Those that `chosen` (bool [D]) marks."""
        return dataclasses.replace(self, image=self.image[chosen], boxes=self.boxes[chosen],
                                   class_ids=self.class_ids[chosen], scores=self.scores[chosen])

    def check(self, ground_truth):
        """Raises InputError where these detections cannot be of `ground_truth`'s images and classes."""
        self.check_numbers(ground_truth)
        unknown = sorted(set(np.unique(self.class_ids).tolist()) - set(ground_truth.class_names))
        if unknown:
            raise InputError(f"{self.name}: class ids {listed(unknown)} are not among the ground truth's "
                             f"({listed_classes(ground_truth.class_names)})")

    def check_numbers(self, ground_truth):
        """As `check`, of images, boxes and scores alone."""
        ids = ground_truth.image_ids
        if len(self.image) and (self.image.min() < 0 or self.image.max() >= len(ids)):
            raise ValueError("image index out of range")
        _check_boxes(self.boxes, self.image, ids, self.name)
        with np.errstate(invalid="ignore"):
            wrong = ~((self.scores >= 0) & (self.scores <= 1))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InputError(f"{self.name}: {int(wrong.sum())} scores are outside [0, 1], the first "
                             f"{self.scores[first]:g} on image {ids[self.image[first]]!r}")


def same(a, b):
    """Whether two GroundTruths are the same images with the same objects of the same classes."""
    return a.image_ids == b.image_ids and a.class_names == b.class_names and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("sizes", "image", "boxes", "class_ids"))


def listed_classes(class_names):
    """The first classes of {id: name} as text: "1 car, 3 bus"."""
    return listed([f"{number} {name}" for number, name in sorted(class_names.items())], count=10)


def _check_boxes(boxes, image, ids, name):
    wrong = ~np.isfinite(boxes).all(axis=1)
    if wrong.any():
        raise InputError(f"{name}: {int(wrong.sum())} boxes with NaN or infinite numbers, on images "
                         f"{listed(ids[i] for i in image[wrong])}")
    wrong = (boxes[:, 2:] < 0).any(axis=1)
    if wrong.any():
        raise InputError(f"{name}: {int(wrong.sum())} boxes of negative width or height (bbox is x, y, width, "
                         f"height), on images {listed(ids[i] for i in image[wrong])}")
