"""What a classifier should have said, and what it said, as flat arrays that are checked when they are made."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfod_compress.records import sequences, wire
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed
from tfod_compress.tasks.frame_predictions import check_ids, joined


@dataclasses.dataclass(frozen=True)
class Truth:
    """The classes of a set of images.

    Attributes:
      image_ids: source ids, unique, in ascending order.
      sizes: int64 [I, 2], (height, width) in pixels.
      class_names: {class id: name}, ids from 1 on.
      class_ids: int64 [I].
      groups: int64 [I] or None; images of one group (frames of one sequence) are one unit of intervals.
      name: where it came from, for error messages.
    """

    image_ids: tuple
    sizes: np.ndarray
    class_names: dict
    class_ids: np.ndarray
    groups: np.ndarray | None = None
    name: str = "ground truth"

    def __post_init__(self):
        check_ids(self.image_ids, self.name)
        unknown = sorted({int(number) for number in self.class_ids} - set(self.class_names))
        if unknown:
            raise InputError(f"{self.name}: class ids {listed(unknown)} are not in the label map")

    @property
    def image_index(self) -> dict:
        """{image id: index}."""
        return {image_id: index for index, image_id in enumerate(self.image_ids)}


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The best-scored classes of every image of a Truth, best first.

    Attributes:
      class_ids: int64 [I, K], different ones in each row.
      scores: float64 [I, K] in [0, 1], falling.
      name: where they came from, for error messages.
    """

    class_ids: np.ndarray
    scores: np.ndarray
    name: str = "predictions"

    @classmethod
    def of_scores(cls, scores: np.ndarray, class_ids, count: int, name: str = "predictions") -> Predictions:
        """From the scores of all classes, float [I, C], of the classes with these ids [C]; the `count` best are kept.

        Of equal scores the class with the lower id comes first.
        """
        class_ids = np.asarray(class_ids, np.int64)
        by_id = np.argsort(class_ids, kind="stable")
        scores, class_ids = np.asarray(scores, np.float64)[:, by_id], class_ids[by_id]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return cls(class_ids[order], np.take_along_axis(scores, order, axis=1), name)


def ground_truth(record_set, split: str) -> Truth:
    """The Truth of one split of a record set.

    Raises:
      InputError: an empty split, a source_id that occurs twice, a class that the label map lacks, a damaged record.
    """
    rows = []
    for path in record_set.files(split):
        for index, data in enumerate(read_records(path)):
            features = wire.parse(data)
            try:
                rows.append((features["image/source_id"][0].decode(), int(features["image/height"][0]),
                             int(features["image/width"][0]), int(features["image/class/label"][0])))
            except (KeyError, IndexError, AttributeError, ValueError) as error:
                raise InputError(f"{path}: record {index}: no record of a picture with one class ({error!r}); make "
                                 "the record set again with --task classification") from error
    rows.sort()
    ids = tuple(row[0] for row in rows)
    groups = sequences.numbers(ids, sequences.of_manifest(record_set.manifest))
    return Truth(ids, np.array([row[1:3] for row in rows], np.int64).reshape(-1, 2), dict(record_set.label_map),
                 np.array([row[3] for row in rows], np.int64), groups, f"{record_set.path} ({split})")


def pool(parts) -> tuple[Truth, Predictions]:
    """(Truth, Predictions) of folds as one set: [(Truth, Predictions)] without an image in common."""
    truths, found = zip(*parts, strict=True)
    order, together = joined(truths)
    kept = min(each.class_ids.shape[1] for each in found)
    truth = dataclasses.replace(
        truths[0], class_ids=np.concatenate([truth.class_ids for truth in truths])[order], **together)
    return truth, Predictions(*(np.concatenate([getattr(each, name)[:, :kept] for each in found])[order]
                                for name in ("class_ids", "scores")))


def same(a: Truth, b: Truth) -> bool:
    """Whether two truths are the same images with the same classes."""
    return (a.image_ids == b.image_ids and a.class_names == b.class_names and bool((a.sizes == b.sizes).all())
            and bool((a.class_ids == b.class_ids).all()))
