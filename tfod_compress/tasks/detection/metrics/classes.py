"""A detector's classes and a record set's, where their label maps differ: which are the same, and what counts.

Metrics are over the classes that both sides have: objects of others are ignored, not missed, and detections of others
are left out. Where several of the detector's classes become one, each object may have been found once as each of them,
so non-maximum suppression runs once more. No TensorFlow.
"""

import dataclasses
import pathlib

import numpy as np

from tfod_compress.labels.classes import IGNORE
from tfod_compress.labels.label_map import nearest
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection.metrics.loading import load_detections, read_json
from tfod_compress.tasks.detection.metrics.matching import overlaps, ratio

LISTED = 10  # classes that an error names


@dataclasses.dataclass(frozen=True)
class Given:
    """What the user says of a detector's classes.

    Attributes:
      label_map: {class id: name} of the detector; None for the one that is found with it.
      class_map: {the detector's name: the record set's, or "ignore"}; a name without an entry stands for itself.
      nms_iou: the threshold of the suppression where classes become one; None for the detector's own.
    """

    label_map: dict | None = None
    class_map: dict | None = None
    nms_iou: float | None = None


@dataclasses.dataclass(frozen=True)
class ClassMatch:
    """Which of a detector's classes are which of a record set's.

    Attributes:
      theirs: {class id: name} of the detector.
      ours: {class id: name} of the record set.
      ids: {the detector's class id: the record set's}.
      nms_iou: of the suppression; None where no classes become one.
    """

    theirs: dict
    ours: dict
    ids: dict
    nms_iou: float | None = None

    @property
    def differs(self):
        """Whether the two are not simply the same label map."""
        return self.theirs != self.ours or self.ids != {number: number for number in self.ours}

    @property
    def merged(self):
        """{class id of the record set: [the detector's]} of those that several stand for."""
        sources = {}
        for number, to in self.ids.items():
            sources.setdefault(to, []).append(number)
        return {to: numbers for to, numbers in sources.items() if len(numbers) > 1}

    def described(self):
        """For metrics.json: the names on both sides, and what became of them."""
        return {"matched": {self.theirs[number]: self.ours[to] for number, to in self.ids.items()},
                "not_in_detector": [name for number, name in self.ours.items() if number not in self.ids.values()],
                "not_in_records": [name for number, name in self.theirs.items() if number not in self.ids],
                "merged": {self.ours[to]: [self.theirs[number] for number in numbers]
                           for to, numbers in self.merged.items()},
                "nms_iou": self.nms_iou}

    def restrict(self, ground_truth):
        """A GroundTruth of the record set, with the classes alone that the detector has. Raises InputError."""
        return restrict(ground_truth, set(self.ids.values()))

    def translate(self, detections):
        """Detections with the record set's class ids.

        Args:
          detections: with the detector's; of every other class they are left out, and counted in `dropped` where the
            detector's label map has no such id.
        """
        known = np.isin(detections.class_ids, list(self.theirs))
        taken = detections.take(np.isin(detections.class_ids, list(self.ids)))
        to = np.zeros(max(self.ids) + 1, np.int64)
        to[list(self.ids)] = list(self.ids.values())
        taken = dataclasses.replace(taken, class_ids=to[taken.class_ids],
                                    dropped=detections.dropped + int((~known).sum()))
        return taken.take(survivors(taken, self.merged, self.nms_iou)) if self.merged else taken


def match(theirs, ours, given, detector, records):
    """Matches a detector's classes with a record set's, by name or by a class map.

    The same label map on both sides matches id by id.

    Args:
      theirs: {class id: name} of the detector.
      ours: {class id: name} of the record set.
      given: `Given`, its nms_iou filled in where the detector tells it; its label_map is not looked at.
      detector: what the detector is called in errors.
      records: what the record set is called in errors.

    Returns:
      ClassMatch.

    Raises:
      InputError: the class map names a class that one side lacks; the two have no class in common; classes become one
        and no threshold is known.
    """
    class_map = given.class_map or {}
    numbers = {name: number for number, name in ours.items()}
    for source, name in class_map.items():
        if source not in theirs.values():
            raise InputError(f"class map \"{source}: {name}\": {detector} has no class {source!r}"
                             f"{nearest(source, theirs.values())}; it has {_named(theirs)} (--class_map)")
        if name not in numbers and name != IGNORE:
            raise InputError(f"class map \"{source}: {name}\": {records} has no class {name!r}"
                             f"{nearest(name, numbers)}; it has {_named(ours)}, or say {IGNORE} (--class_map)")
    ids = {number: numbers[name] for number, source in theirs.items()
           if (name := class_map.get(source, source)) in numbers}
    if not ids:
        source = next(iter(theirs.values()))
        raise InputError(f"{detector} and {records} have no class in common: the detector has {_named(theirs)}, the "
                         f"record set {_named(ours)}; say which is which in a file with lines such as \"{source}: "
                         f"{next(iter(ours.values()))}\" (--class_map)")
    found = ClassMatch(theirs, ours, ids)
    if found.merged:
        if given.nms_iou is None:
            to, sources = next(iter(found.merged.items()))
            raise InputError(f"{detector}: {listed(theirs[number] for number in sources)} become {ours[to]}, so "
                             "non-maximum suppression runs once more, and no pipeline.config tells at which IoU "
                             "threshold the detector itself has it: give --nms_iou, such as 0.6")
        found = dataclasses.replace(found, nms_iou=float(given.nms_iou))
    return found


def restrict(ground_truth, class_ids):
    """A GroundTruth with the objects and the names of some classes alone; the images stay.

    Raises:
      InputError: no object is left.
    """
    if set(ground_truth.class_names) <= set(class_ids):
        return ground_truth
    names = {number: name for number, name in ground_truth.class_names.items() if number in class_ids}
    kept = np.isin(ground_truth.class_ids, list(names))
    of_objects = ("image", "boxes", "class_ids", "difficult", "is_crowd", "areas")
    return dataclasses.replace(
        ground_truth, class_names=names, name=f"{ground_truth.name}, {listed(names.values())} alone",
        **{field: getattr(ground_truth, field)[kept] for field in of_objects})


def load_together(files, ground_truth):
    """Detections that are to be compared, on the classes that all of them cover.

    Args:
      files: COCO results; a metrics.json beside one, as an evaluation leaves it, tells which classes it covers.
      ground_truth: GroundTruth of all classes.

    Returns:
      (GroundTruth of the classes that all cover, [Detections on it]).

    Raises:
      InputError: a file does not fit the ground truth, or no object is left.
    """
    missing = not_covered(files)
    found = [without(ground_truth, load_detections(file, ground_truth), missing) for file in files]
    return found[0][0], [detections for _, detections in found]


def not_covered(files):
    """Names of the classes that at least one of some detections files does not cover, as `beside` tells."""
    return frozenset(name for file in files for name in (beside(file) or {}).get("not_in_detector", ()))


def without(ground_truth, detections, names):
    """(GroundTruth, Detections) without the classes of these names. Raises InputError where no object is left."""
    covered = {number for number, name in ground_truth.class_names.items() if name not in names}
    return restrict(ground_truth, covered), detections.take(np.isin(detections.class_ids, list(covered)))


def beside(file):
    """"classes" of the metrics.json beside a detections file; None where its detector has the record set's classes."""
    path = pathlib.Path(file).with_name("metrics.json")
    content = read_json(path) if path.is_file() else None
    found = content.get("classes") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else None


def notes(result):
    """Lines for a person about the classes of a metrics.json; none where both sides have the same."""
    made, described = [], result.get("classes")
    if described:
        matched, missing, left_out = (described[name] for name in ("matched", "not_in_detector", "not_in_records"))
        names = (ours if theirs == ours else f"{ours} (the detector's {theirs})" for theirs, ours in matched.items())
        made.append(f"metrics are over the classes that both sides have: {listed(names, LISTED)}" + (
            f"; objects of {listed(missing, LISTED)} are ignored" if missing else "") + (
            f"; detections of {listed(left_out, LISTED)} are left out" if left_out else ""))
        if described["merged"]:
            made.append(f"several of the detector's classes became {listed(described['merged'])}: non-maximum "
                        f"suppression ran once more, at IoU {described['nms_iou']:g}")
    dropped = result.get("dropped_detections")
    if dropped:
        made.append(f"{result['record_set']}: {dropped} detections of class ids that the label map lacks are left out")
    return made


def survivors(detections, class_ids, threshold):
    """Greedy non-maximum suppression within the images and classes, as the OD API does it (tf.image).

    In falling order of score (the first of equals), a detection suppresses those of its image and class that overlap
    it by an IoU of more than `threshold`.

    Args:
      detections: Detections.
      class_ids: the classes that it is done in; others stay as they are.
      threshold: in [0, 1].

    Returns:
      bool [D], the detections that are left.
    """
    kept = ~np.isin(detections.class_ids, list(class_ids))
    order = np.flatnonzero(~kept)
    order = order[np.lexsort((-detections.scores[order], detections.class_ids[order], detections.image[order]))]
    pairs = np.stack([detections.image[order], detections.class_ids[order]])
    edges = np.flatnonzero((pairs[:, 1:] != pairs[:, :-1]).any(axis=0)) + 1
    for group in np.split(order, edges):
        while len(group):
            first, group = group[0], group[1:]
            kept[first] = True
            group = group[ratio(*overlaps(detections.boxes[group], detections.boxes[first])) <= threshold]
    return kept


def _named(label_map):
    return listed(label_map.values(), LISTED)
