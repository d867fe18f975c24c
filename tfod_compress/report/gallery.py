"""The same frames at each quality with what was seen in them; frames chosen by rule, not by hand."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from tfod_compress.records import RecordSet
from tfod_compress.report import words
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.views import Mark, Viewer

MAX_WIDTH, MAX_HEIGHT = 480, 320
"""Larger frames are cut to this size in pixels, never scaled: scaling would average the artefacts away."""
STORED_BYTES = 120_000
"""A whole frame of at most this many stored bytes is shown as stored; others are recoded."""
RECODE_QUALITY = 95
RANDOM_SEED = 0
SMALL, SMALL_FRAMES = 96, 9
"""Of frames whose longer side is at most so many pixels, so many more are shown whose score falls most."""


@dataclasses.dataclass(frozen=True)
class View:
    """One frame at one quality, seen by one model.

    Attributes:
      told: what it saw, of the whole frame.
      marks: with what is shown of the frame as their origin.
    """

    name: str
    regime: str
    data_uri: str
    marks: tuple[Mark, ...]
    told: str
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
    """The task's truth of the frames that the series was tested on, of several folds that of the first.

    It comes from the record set of the series' best quality.

    Raises:
      InputError: the record set is not there any more, or not whole.
    """
    record_set = RecordSet(study.record_set_path(series.reference.record_set))
    first = next(iter(series.reference.cells.values())).entries[0]
    return study.task.ground_truth(record_set, first.point.split)


def choose_frames(ids, best: Viewer, strongest: Viewer, more=0):
    """Chooses frames by the change of their score from the best quality to the strongest compression.

    Args:
      ids: source ids of the images.
      best: at the best quality.
      strongest: at the strongest compression.
      more: how many others with a large fall.

    Returns:
      [(image index, reason)]: the largest fall (of equals the frame with most to see) and `more` after it, the median,
      and a random one; only frames with something to see, and fewer of them where there are not so many.
    """
    (before, objects), (after, _) = best.scores(), strongest.scores()
    fall = before - after
    ranked = sorted((i for i in range(len(objects)) if objects[i]), key=lambda i: (-fall[i], -objects[i], ids[i]))
    if not ranked:
        return []

    def told(index):
        return f"{before[index]:.2f} to {after[index]:.2f}"

    what, middle = best.what, ranked[len(ranked) // 2]
    chosen = {ranked[0]: f"largest fall of {what} ({told(ranked[0])})"}
    for index in ranked[1:1 + more]:
        chosen[index] = f"among the largest falls ({told(index)})"
    if middle not in chosen:
        chosen[middle] = f"median fall of {what} ({told(middle)})"
    rest = [i for i in ranked if i not in chosen]
    if rest:
        picked = rest[np.random.default_rng(RANDOM_SEED).integers(len(rest))]
        chosen[picked] = f"drawn at random ({what.split()[0]} {told(picked)})"
    return list(chosen.items())


def make_gallery(study, series, truth):
    """The chosen frames of one series with all their views; of several seeds or folds, those of the first.

    Args:
      study: a StudyFolder.
      series: a findings.Series.
      truth: of `ground_truth`.

    Returns:
      A list of Frame.

    Raises:
      InputError: record sets or predictions are missing or do not fit each other, or nothing can be compared.
    """
    shown, regime = _shown_cells(series), series.reference_regime
    if not shown:
        raise InputError(f"{study.path}: no {study.task.model} was evaluated {words.regime_name(regime)}")
    viewers = {(row.record_set, cell.regime): _viewer(study.task, cell.entries[0], truth) for row, cell in shown}
    best, strongest = (viewers[row.record_set, regime] for row in (series.reference, series.strongest()))
    is_small = truth.sizes.max() <= SMALL
    chosen = choose_frames(truth.image_ids, best, strongest, SMALL_FRAMES if is_small else 0)
    ids = {truth.image_ids[index] for index, _ in chosen}
    examples = {row.record_set: _examples(study, row.record_set, cell.entries[0].point.split, ids)
                for row, cell in shown}
    frames = []
    for index, reason in chosen:
        height, width = truth.sizes[index]
        window = _window(width, height, strongest.seen(index).marks)
        views = tuple(_view(viewers[row.record_set, cell.regime].seen(index), window, row, cell,
                            examples[row.record_set][truth.image_ids[index]]) for row, cell in shown)
        frames.append(Frame(truth.image_ids[index], reason, window[2], window[3],
                            (window[2], window[3]) != (width, height), views))
    return frames


def _viewer(task, entry, truth) -> Viewer:
    path = entry.folder / task.predictions_file
    # Objects of classes that a published model does not know are not missed by it.
    own, found = task.without(truth, task.read_predictions(path, truth), task.not_covered([path]))
    return task.viewer(own, found, entry.metrics.score_threshold)


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
    found = {}
    for example in RecordSet(study.record_set_path(record_set)).examples(split):
        if example.source_id in ids:
            found[example.source_id] = example
            if len(found) == len(ids):
                return found
    missing = sorted(ids - set(found))[0]
    raise InputError(f"{study.record_set_path(record_set)}: frame {missing!r} is missing; make the record set again")


def _window(width, height, marks):
    """(x, y, width, height) in pixels of the part of a frame that is shown: around what gets lost."""
    w, h = min(int(width), MAX_WIDTH), min(int(height), MAX_HEIGHT)
    there = [mark for mark in marks if mark.kind in ("found", "missed")]
    # The smallest that is lost: large ones are seen anyway, and several centres may have nothing between them.
    around = min([mark for mark in there if mark.kind == "missed"] or there, key=lambda mark: mark.width * mark.height,
                 default=Mark("", width / 2, height / 2, 0, 0, ""))
    left = int(np.clip(round(around.x + around.width / 2 - w / 2), 0, width - w))
    top = int(np.clip(round(around.y + around.height / 2 - h / 2), 0, height - h))
    return left, top, w, h


def _view(seen, window, row, cell, example):
    marks = (_within(mark, window) for mark in seen.marks)
    stored = int(example.compressed_bytes or len(example.encoded))
    return View(words.setting_name(row.codec, row.quality), cell.regime, _data_uri(example, window),
                tuple(mark for mark in marks if mark), seen.told, stored)


def _within(mark, window):
    """The part of a Mark inside the window, from its corner; None where it lies outside."""
    left, top, width, height = window
    x0, y0 = max(mark.x - left, 0.0), max(mark.y - top, 0.0)
    x1, y1 = min(mark.x + mark.width - left, width), min(mark.y + mark.height - top, height)
    if x1 <= x0 or y1 <= y0:
        return None
    x, y, w, h = (round(value, 1) for value in (x0, y0, x1 - x0, y1 - y0))
    return Mark(mark.kind, x, y, w, h, mark.label)


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
