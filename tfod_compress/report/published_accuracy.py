"""How far detectors of the zoos, taken as they are, lie here from what the zoos print of them."""

import csv

from tfod_compress.labels import label_map
from tfod_compress.report import words
from tfod_compress.tasks.detection.zoo import published

METRIC = "coco.AP"
_NOTHING = "so nothing can be concluded from the difference"


def has_coco_classes(study) -> bool:
    """Whether the record sets' classes are COCO's 80, neither more nor fewer."""
    return study.task.boxes and set(study.results.class_names) == set(label_map.load("coco").values())


def sentences(study) -> list[tuple[str, str]]:
    """Of each detector of a zoo that was tested as published, on the best quality that it was tested at.

    Args:
      study: a StudyFolder.

    Returns:
      [(detector, a sentence without its full stop)]; none where the classes are not COCO's.
    """
    if not has_coco_classes(study):
        return []
    told = {}
    for entry in study.evaluated:
        point = entry.point
        if point.regime != "published" or point.fold is not None or point.detector in told:
            continue
        known = _printed(study, point.detector)
        here = entry.metrics.scores.get(METRIC)
        if known and here and not _other_classes(entry.metrics.classes):
            told[point.detector] = _sentence(study, point, known, here)
    return list(told.items())


def _printed(study, detector):
    """published.Published of a detector, whose checkpoint the study's settings name; or None."""
    settings = (study.results.model_extra or {}).get("settings")
    entries = settings.get("detectors") if isinstance(settings, dict) else None
    for entry in entries or ():
        if isinstance(entry, dict) and entry.get("name") == detector and isinstance(entry.get("checkpoint"), str):
            return published.find(entry["checkpoint"])
    return None


def _other_classes(classes):
    """Whether the metrics are over other classes than all of COCO's, each found by itself."""
    return classes is not None and bool(classes.not_in_detector or classes.merged)


def _sentence(study, point, known, here):
    interval = words.interval(here.low, here.high)
    text = (f"COCO AP {words.score(here.value)}{f' {interval}' if interval else ''} on the best quality here "
            f"({words.setting_name(point.codec, point.quality)}); {known.coco_ap:.{known.decimals}f} published for "
            f"this archive on {known.frames} ({words.signed(here.value - known.coco_ap)}). ")
    source_ids = _source_ids(study, point)
    if source_ids is None:
        return text + f"Which frames were tested is not known without the record set, {_NOTHING}"
    if not published.is_val2017(source_ids):
        return text + f"The frames here are not those of {published.VAL2017}, {_NOTHING}"
    if known.trained_on_val2017:
        return text + (f"The frames here are {published.VAL2017}, and this zoo's detectors were trained on a part of "
                       f"them, {_NOTHING} unless it is large")
    return text.removesuffix(". ")


def _source_ids(study, point):
    """The ids of the frames that a point was tested on, or None where images.csv is gone or damaged."""
    try:
        with open(study.record_set_path(point.record_set) / "images.csv", encoding="utf-8", newline="") as file:
            return [row["source_id"] for row in csv.DictReader(file) if row["split"] == point.split]
    except (OSError, KeyError, ValueError, csv.Error):
        return None
