"""A classifier's classes and a record set's, matched by name."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfod_compress.labels.label_map import nearest
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import CLASSES, listed
from tfod_compress.tasks.classification.predictions import KEPT
from tfod_compress.tasks.classification.truth import Predictions, Truth


@dataclasses.dataclass(frozen=True)
class ClassMatch:
    """Which of a classifier's classes is which of a record set's.

    Attributes:
      theirs, ours: {class id: name} of the classifier and of the record set.
      ids: {the classifier's id: the record set's} of the classes that both have.
      nms_iou: None; there is nothing to suppress.
    """

    theirs: dict
    ours: dict
    ids: dict
    nms_iou: None = None

    @property
    def differs(self) -> bool:
        """Whether the two are not the same classes with the same ids."""
        return self.theirs != self.ours

    def restrict(self, truth: Truth) -> Truth:
        """The images whose class the classifier has; the others say nothing about compression.

        Raises:
          InputError: none is left.
        """
        if not self.differs:
            return truth
        return _taken(truth, np.flatnonzero(np.isin(truth.class_ids, list(self.ids.values()))))

    def translate(self, scores: np.ndarray) -> Predictions:
        """Predictions in the record set's classes, from the scores float [I, C] of the classifier's, ids ascending."""
        column = {number: index for index, number in enumerate(sorted(self.theirs))}
        return Predictions.of_scores(scores[:, [column[number] for number in self.ids]], list(self.ids.values()), KEPT)

    def described(self) -> dict:
        """For metrics.json: {"matched": {theirs: ours}, "not_in_detector", "not_in_records"}."""
        return {"matched": {self.theirs[a]: self.ours[b] for a, b in self.ids.items()},
                "not_in_detector": [name for number, name in self.ours.items() if number not in self.ids.values()],
                "not_in_records": [name for number, name in self.theirs.items() if number not in self.ids]}


def without(truth: Truth, predictions: Predictions, names: frozenset[str]) -> tuple[Truth, Predictions]:
    """(Truth, Predictions) without the images of the classes of these names.

    Raises:
      InputError: none is left.
    """
    left_out = [number for number, name in truth.class_names.items() if name in names]
    chosen = np.flatnonzero(~np.isin(truth.class_ids, left_out))
    if len(chosen) == len(truth.image_ids):
        return truth, predictions
    return _taken(truth, chosen), dataclasses.replace(
        predictions, class_ids=predictions.class_ids[chosen], scores=predictions.scores[chosen])


def _taken(truth, chosen):
    """A Truth of some of its images."""
    groups = None if truth.groups is None else truth.groups[chosen]
    return dataclasses.replace(truth, image_ids=tuple(truth.image_ids[index] for index in chosen),
                               sizes=truth.sizes[chosen], class_ids=truth.class_ids[chosen], groups=groups)


def notes(result: dict) -> list[str]:
    """Lines for a person about the classes of a metrics.json; none where there is nothing to tell."""
    made, described, scored = [], result.get("classes"), result.get("classes_scored")
    if described:
        matched, missing, left_out = (described[name] for name in ("matched", "not_in_detector", "not_in_records"))
        made.append(f"metrics are over the classes that both sides have: {listed(matched.values(), CLASSES)}" + (
            f"; pictures of {listed(missing, CLASSES)} are left out" if missing else "") + (
            f"; scores of {listed(left_out, CLASSES)} are left out" if left_out else ""))
    if scored:
        made.append(f"{result['record_set']}: the predictions hold {scored} classes of each picture, so top-5 is of so "
                    "many")
    return made


def match(theirs: dict, ours: dict, name: str, path) -> ClassMatch:
    """Matches by name.

    Args:
      theirs: {class id: name} of the classifier.
      ours: likewise, of the record set.
      name: of the classifier, for the message.
      path: of the record set.

    Raises:
      InputError: they have no class in common.
    """
    by_name = {of: number for number, of in ours.items()}
    ids = {number: by_name[of] for number, of in theirs.items() if of in by_name}
    if not ids:
        first = next(iter(theirs.values()))
        raise InputError(f"{name} and {path} have no class in common{nearest(first, ours.values())}: it has "
                         f"{listed(theirs.values(), CLASSES)}, the record set {listed(ours.values(), CLASSES)}")
    return ClassMatch(dict(theirs), dict(ours), ids)
