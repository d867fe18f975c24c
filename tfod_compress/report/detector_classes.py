"""Which classes a detector was measured on, where its own are not those of the record sets."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Note:
    """What the page tells of one detector.

    Attributes:
      detector: its name.
      parts: (a sentence without its full stop, the names that it ends with or ()).
    """

    detector: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]


def notes(study):
    """What became of the classes of each detector.

    Args:
      study: a StudyFolder.

    Returns:
      [Note] of the detectors whose classes differ from the record sets', or some of whose detections had a class that
      the label map lacks.
    """
    found = {}
    for entry in study.evaluated:
        classes, dropped = found.setdefault(entry.point.detector, ({}, []))
        dropped.append(entry.metrics.dropped_detections)
        if entry.metrics.classes:
            classes[entry.metrics.classes.model_dump_json()] = entry.metrics.classes
    made = []
    for detector, (classes, dropped) in found.items():
        parts = [part for each in classes.values() for part in _matching(each)]
        if sum(dropped):
            parts.append((f"{sum(dropped):,} detections with a class id that the label map lacks were dropped, counted "
                          "over all evaluations", ()))
        if parts:
            made.append(Note(detector, tuple(parts)))
    return made


def _matching(classes):
    """The sentences about a study_folder.Classes."""
    theirs = {}
    for name, ours in classes.matched.items():
        theirs.setdefault(ours, []).append(name)
    shared = tuple(ours if names == [ours] else f"{ours} (the detector's {', '.join(names)})"
                   for ours, names in theirs.items())
    yield f"The metrics are over the {_count(shared)} that it shares with the record sets", shared
    if classes.not_in_detector:
        yield (f"Objects of {_count(classes.not_in_detector)} that it lacks are ignored, not missed",
               tuple(classes.not_in_detector))
    if classes.not_in_records:
        yield (f"Its detections of {_count(classes.not_in_records)} that the record sets lack are left out",
               tuple(classes.not_in_records))
    if classes.nms_iou is not None and classes.merged:
        yield (f"Non-maximum suppression ran once more at IoU {classes.nms_iou:g}, because several classes of the "
               "detector became one", tuple(classes.merged))


def _count(names):
    return f"{len(names)} class{'es' if len(names) != 1 else ''}"
