"""The same frames at each quality with true boxes and detections; frames chosen by rule, not by hand."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from tfod_compress.report import words
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics

MAX_WIDTH, MAX_HEIGHT = 480, 320
"""Larger frames are cut to this size in pixels, never scaled: scaling would average the artefacts away."""
STORED_BYTES = 120_000
"""A whole frame of at most this many stored bytes is shown as stored; others are recoded."""
RECODE_QUALITY = 95
RANDOM_SEED = 0


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the shown part: `kind` is found, missed, right or wrong."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclasses.dataclass(frozen=True)
class View:
    """One frame at one quality, seen by one detector. `kind` counts are of the whole frame."""

    name: str
    regime: str
    data_uri: str
    boxes: tuple[Box, ...]
    found: int
    objects: int
    wrong: int
    stored_bytes: int


@dataclasses.dataclass(frozen=True)
class Frame:
    """One chosen frame: why it was chosen, and its views from the best quality to the strongest, retrained last."""

    source_id: str
    reason: str
    width: int
    height: int
    is_part: bool
    views: tuple[View, ...]


def ground_truth(study, series):
    """True boxes of the frames that the series was tested on, of several folds those of the first: metrics.GroundTruth.

    They come from the record set of the series' best quality.

    Raises:
      InputError: the record set is not there any more, or not whole.
    """
    from tfod_compress.records import RecordSet

    record_set = RecordSet(study.record_set_path(series.reference.record_set))
    first = next(iter(series.reference.cells.values())).entries[0]
    return metrics.record_set_ground_truth(record_set, first.point.split)


def choose_frames(truth, best, strongest, score_threshold):
    """Chooses frames by the change of their F1 from the best quality to the strongest compression.

    Args:
      truth: metrics.GroundTruth.
      best: metrics.Detections at the best quality.
      strongest: metrics.Detections at the strongest compression.
      score_threshold: detections below it are not looked at.

    Returns:
      [(image index, reason)]: the largest fall (of equals the frame with most objects), the median, and a random
      one; only frames with objects, and fewer of them where there are not three.
    """
    before, objects = _frame_f1(truth, best, score_threshold)
    after, _ = _frame_f1(truth, strongest, score_threshold)
    fall = before - after
    with_objects = [i for i in range(len(objects)) if objects[i]]
    ranked = sorted(with_objects, key=lambda i: (-fall[i], -objects[i], truth.image_ids[i]))
    if not ranked:
        return []
    chosen = [(ranked[0], f"largest fall of F1 in one frame ({before[ranked[0]]:.2f} to {after[ranked[0]]:.2f})")]
    middle = ranked[len(ranked) // 2]
    if len(ranked) > 1:
        chosen.append((middle, f"median fall of F1 in one frame ({before[middle]:.2f} to {after[middle]:.2f})"))
    rest = [i for i in ranked if i not in (ranked[0], middle)]
    if rest:
        picked = rest[np.random.default_rng(RANDOM_SEED).integers(len(rest))]
        chosen.append((picked, f"drawn at random (F1 {before[picked]:.2f} to {after[picked]:.2f})"))
    return chosen


def make_gallery(study, series, truth):
    """The chosen frames of one series with all their views; of several seeds or folds, those of the first.

    Args:
      study: a StudyFolder.
      series: a findings.Series.
      truth: its GroundTruth.

    Returns:
      A list of Frame.

    Raises:
      InputError: record sets or detections are missing or do not fit each other, or nothing can be compared.
    """
    shown, regime = _shown_cells(series), series.reference_regime
    if not shown:
        raise InputError(f"{study.path}: no detector was evaluated {words.regime_name(regime)}")
    detections = {}
    for row, cell in shown:
        entry = cell.entries[0]
        # Objects of classes that a published detector does not know are not missed by it.
        own, (found,) = metrics.load_together([entry.folder / "detections.json"], truth)
        detections[row.record_set, cell.regime] = metrics.Matches(own, found), entry.metrics.score_threshold or 0.5
    strongest = series.strongest()
    (best, threshold), lost = (detections[row.record_set, regime] for row in (series.reference, strongest))
    chosen = choose_frames(best.ground_truth, best.detections, lost[0].detections, threshold)
    ids = {truth.image_ids[index] for index, _ in chosen}
    examples = {row.record_set: _examples(study, row.record_set, cell.entries[0].point.split, ids)
                for row, cell in shown}
    frames = []
    for index, reason in chosen:
        window = _window(truth, index, lost)
        views = tuple(_view(truth, index, window, row, cell, detections[row.record_set, cell.regime],
                            examples[row.record_set][truth.image_ids[index]]) for row, cell in shown)
        height, width = truth.sizes[index]
        frames.append(Frame(truth.image_ids[index], reason, window[2], window[3],
                            (window[2], window[3]) != (width, height), views))
    return frames


def _shown_cells(series):
    """The reference regime at every quality, what else was tested at the strongest, and tuned codecs' frames."""
    strongest, reference = series.strongest(), series.reference_regime
    if any(reference not in row.cells for row in (series.reference, strongest)):
        return []
    shown = [(row, row.cells[reference]) for row in series.rows if reference in row.cells]
    shown += [(strongest, strongest.cells[regime]) for regime in series.regimes()
              if regime != reference and regime in strongest.cells]
    return shown + [(row, row.cells[regime]) for regime in series.regimes() for row in series.rows
                    if reference not in row.cells and regime in row.cells and row.codec == series.codec]


def _examples(study, record_set, split, ids):
    from tfod_compress.records import RecordSet

    found = {}
    for example in RecordSet(study.record_set_path(record_set)).examples(split):
        if example.source_id in ids:
            found[example.source_id] = example
            if len(found) == len(ids):
                return found
    missing = sorted(ids - set(found))[0]
    raise InputError(f"{study.record_set_path(record_set)}: frame {missing!r} is missing; make the record set again")


def _frame_f1(truth, detections, score_threshold):
    """F1, float64 [I] (0 where a frame has neither objects nor detections), and counted objects, int64 [I]."""
    matches = metrics.Matches(truth, detections)
    kept = (matches.d_score >= score_threshold) & ~matches.voc.ignored
    images = len(truth.image_ids)
    right = np.bincount(matches.d_image[kept & matches.voc.true_positive], minlength=images)
    objects = np.bincount(truth.image[~truth.difficult], minlength=images)
    return 2 * right / np.maximum(np.bincount(matches.d_image[kept], minlength=images) + objects, 1), objects


def _window(truth, index, matches_and_threshold):
    """(x, y, width, height) in pixels of the part of a frame that is shown: around the objects that get lost."""
    height, width = (int(n) for n in truth.sizes[index])
    w, h = min(width, MAX_WIDTH), min(height, MAX_HEIGHT)
    matches, threshold = matches_and_threshold
    found = _found_objects(matches, threshold)
    here = (matches.g_image == index) & ~matches.g_difficult
    lost = here & ~found
    boxes = matches.g_boxes[lost if lost.any() else here]
    # The smallest lost object: large ones are seen anyway, and several centres may have nothing between them.
    x, y, bw, bh = boxes[np.argmin(boxes[:, 2] * boxes[:, 3])]
    left = int(np.clip(round(x + bw / 2 - w / 2), 0, width - w))
    top = int(np.clip(round(y + bh / 2 - h / 2), 0, height - h))
    return left, top, w, h


def _found_objects(matches, threshold):
    """bool [N] in the order of matches.g_boxes."""
    found = np.zeros(len(matches.g_boxes), bool)
    right = matches.voc.true_positive & (matches.d_score >= threshold)
    found[matches.voc.matched[right]] = True
    return found


def _view(truth, index, window, row, cell, matches_and_threshold, example):
    matches, threshold = matches_and_threshold
    name = words.setting_name(row.codec, row.quality)
    found = _found_objects(matches, threshold)
    boxes = []
    objects = np.flatnonzero((matches.g_image == index) & ~matches.g_difficult)
    for i in objects:
        label = truth.class_names[int(matches.classes[matches.g_class[i]])]
        boxes.append(_box("found" if found[i] else "missed", matches.g_boxes[i], label, window))
    kept = np.flatnonzero((matches.d_image == index) & (matches.d_score >= threshold) & ~matches.voc.ignored)
    for i in kept:
        label = f"{truth.class_names[int(matches.classes[matches.d_class[i]])]} {matches.d_score[i]:.2f}"
        boxes.append(_box("right" if matches.voc.true_positive[i] else "wrong", matches.d_boxes[i], label, window))
    boxes = [box for box in boxes if box is not None]
    stored = int(example.compressed_bytes or len(example.encoded))
    return View(name, cell.regime, _data_uri(example, window), tuple(boxes), int(found[objects].sum()), len(objects),
                int((~matches.voc.true_positive[kept]).sum()), stored)


def _box(kind, box, label, window):
    """The part of a box inside the window, or None where it lies outside."""
    left, top, width, height = window
    x0, y0 = max(box[0] - left, 0.0), max(box[1] - top, 0.0)
    x1, y1 = min(box[0] + box[2] - left, width), min(box[1] + box[3] - top, height)
    if x1 <= x0 or y1 <= y0:
        return None
    x, y, w, h = (round(float(value), 1) for value in (x0, y0, x1 - x0, y1 - y0))
    return Box(kind, x, y, w, h, label)


def _data_uri(example, window):
    left, top, width, height = window
    whole = (width, height) == (example.width, example.height)
    if whole and example.format in ("jpeg", "png") and len(example.encoded) <= STORED_BYTES:
        coded, kind = example.encoded, example.format
    else:
        buffer = io.BytesIO()
        pixels = np.ascontiguousarray(example.pixels()[top:top + height, left:left + width])
        Image.fromarray(pixels).save(buffer, "jpeg", quality=RECODE_QUALITY, subsampling=0)
        coded, kind = buffer.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(coded).decode()}"
