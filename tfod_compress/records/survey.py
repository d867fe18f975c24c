"""The look at all input that comes before any work: which frames can be used, and which split each is in."""

import collections
import dataclasses
import hashlib
import os

from tfod_compress.records import duplicates as duplicate_frames
from tfod_compress.records import sequences, splits, workers
from tfod_compress.support import progress
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed

SCAN_CHUNK = 16  # frames a task
AREAS_KEY = "input_areas_sha256"  # of `Survey.digests`


@dataclasses.dataclass(frozen=True)
class Survey:
    """The input as it will be used.

    Attributes:
      good: [(FramePath, Scanned)] of the frames that go into records.
      sides: [split name], one for each of them.
      broken: [(path below the frames folder, reason)].
      warnings: [line].
    """

    good: list
    sides: list
    broken: list
    warnings: list

    @property
    def has_areas(self):
        """Whether the labels say how large the objects' outlines are."""
        return any(look.areas_crc for _, look in self.good)

    def digests(self):
        """What the input was, in few bytes: any changed pixel, label, name or side changes them."""
        frames, labels, where, areas = (hashlib.sha256() for _ in range(4))
        for (frame, look), side in zip(self.good, self.sides, strict=True):
            name = f"{frame.source_id}\n"
            frames.update(f"{name}{look.size} {look.pixels_crc}\n".encode())
            labels.update(f"{name}{look.labels_crc}\n".encode())
            where.update(f"{name}{side}\n".encode())
            areas.update(f"{name}{look.areas_crc}\n".encode())
        return {"input_frames": len(self.good), "input_broken": len(self.broken),
                "input_frames_sha256": frames.hexdigest(), "input_labels_sha256": labels.hexdigest(),
                "input_splits_sha256": where.hexdigest(),
                **({AREAS_KEY: areas.hexdigest()} if self.has_areas else {})}


def usable(source, task, found, labels, run, say):
    """Looks at every frame and its labels.

    Args:
      source: `request.Source`.
      task: the `Task`.
      found: [FramePath].
      labels: what its `open_labels` gave.
      run: from `workers.pool`.
      say: called with each line that the user should read.

    Returns:
      (good, broken, counts): [(FramePath, Scanned)], [(FramePath, reason)], {class name: objects}.

    Raises:
      InputError: too many broken frames, missing labels.
    """
    chunks = [found[at:at + SCAN_CHUNK] for at in range(0, len(found), SCAN_CHUNK)]
    results, counts, sizes = [None] * len(chunks), collections.Counter(), {}
    with progress.Bar("looking", len(found)) as bar:
        for index, (result, names) in run(workers.scan_frames, chunks):
            # One tuple for each size instead of one for each frame: a million frames must fit.
            results[index] = [dataclasses.replace(look, size=sizes.setdefault(look.size, look.size)) for look in result]
            counts.update(names)
            bar.advance(len(result))
    scanned = [look for result in results for look in result]
    broken = [(frame, look.reason) for frame, look in zip(found, scanned, strict=True) if look.reason]
    _check_broken(source, len(found), broken)
    good = [(frame, look) for frame, look in zip(found, scanned, strict=True) if not look.reason]
    return _labelled(good, labels, source.unlabelled, task.objects, say), broken, counts


def of_a_class(good, labels, class_map, say):
    """Of frames that are labelled with a class, [(FramePath, Scanned)], those whose class is not ignored.

    Returns:
      (these, [class of each]).
    """
    kept, classes = [], []
    for frame, look in good:
        name, = labels.read(frame.source_id).names
        if class_map.class_id(name):
            kept.append((frame, look))
            classes.append(class_map.label_map[class_map.class_id(name)])
    if len(kept) < len(good):
        say(f"{len(good) - len(kept)} frames of classes that are ignored: left out")
    return kept, classes


def divide(source, good, broken, division, say, classes=None):
    """Assigns the usable frames to splits.

    Args:
      source: `request.Source`.
      good: [(FramePath, Scanned)].
      broken: [(FramePath, reason)].
      division: `request.Division`, its `sequence_by` and `split_by` settled.
      say: called with each line that the user should read.
      classes: the class of each good frame, where frames have one: every split shall have all of them.

    Returns:
      `Survey`.

    Raises:
      InputError: a split that cannot be made, or that separates frames with identical pixels.
    """
    names = [frame.source_id for frame, _ in good]
    split_by, split_files, seed, max_pixels = division.split_by, division.split_files, division.seed, source.max_pixels
    together = division.duplicates == "together"
    if split_files:
        if str(split_files) == splits.FOLDERS:
            sides, split_files = splits.by_folders(names), f"{source.frames}/{{{','.join(splits.SPLITS)}}}"
        else:
            sides = splits.assign_listed(names, splits.read_split_files(split_files),
                                         [frame.source_id for frame, _ in broken], split_files)
        good, sides = _in_lists(good, sides, split_files, say)
        groups = duplicate_frames.identical(good, max_pixels) if together else []
        parted = sequences.parted([frame.source_id for frame, _ in good], sides, division.sequence_by) if (
            division.sequence_by) else None
    else:
        parted = None
        keys = splits.group_keys(names, split_by)
        groups = duplicate_frames.identical(good, max_pixels) if together else []
        if split_by is None:
            keys = duplicate_frames.together(keys, groups)
        sides = _assigned(keys, division, classes)
    duplicate_frames.check_sides(good, sides, groups, "--split_files" if split_files else f"--split_by {split_by!r}")
    warnings = [*_warnings(good, sides, seed), *([parted] if parted else []),
                *(_without_classes(sides, classes) if classes and not split_files else [])]
    if groups and not split_files and split_by is None:
        warnings.append(f"{sum(map(len, groups))} frames share their pixels with another, for example "
                        f"{good[groups[0][0]][0].source_id} and {good[groups[0][1]][0].source_id}; "
                        "such frames are kept on one side")
    return Survey(good, sides, [(os.path.relpath(frame.path, source.frames), reason) for frame, reason in broken],
                  warnings)


def _assigned(keys, division, classes):
    """[split name], one for each frame."""
    if division.folds:
        return splits.assign_folds(keys, division.folds, division.seed, classes)
    fractions = {"val": division.val_fraction, "test": division.test_fraction}
    if classes:
        return splits.assign_by_class(keys, classes, fractions, division.seed)
    return splits.assign(keys, fractions, division.seed)


def _check_broken(source, total, broken):
    if not broken:
        return
    folder, max_broken = source.frames, source.max_broken
    example = f"{broken[0][0].path}: {broken[0][1]}"
    if source.on_broken == "fail":
        raise InputError(f"{folder}: {len(broken)} broken frames, the first is {example} (--on_broken skip goes on)")
    if len(broken) == total:
        raise InputError(f"{folder}: all {total} frames are broken, the first is {example}")
    if len(broken) > max_broken * total:
        raise InputError(f"{folder}: {len(broken)} of {total} frames are broken, more than --max_broken "
                         f"{max_broken:g} allows; the first is {example}")


def _labelled(good, labels, unlabelled, objects, say):
    without = [frame for frame, look in good if not look.labelled]
    if len(without) == len(good) and unlabelled != "negative":
        raise InputError(f"{labels.path}: none of the {len(good)} frames has labels there, for example "
                         f"{without[0].path}; label files mirror the frames by stem (--labels)")
    if without and unlabelled == "fail":
        raise InputError(f"{labels.path}: {len(without)} of {len(good)} frames have no labels, for example "
                         f"{without[0].path}; --unlabelled skip leaves them out"
                         + (f", negative keeps them without {objects}" if objects else ""))
    if without:
        say(f"{len(without)} frames without labels: "
            f"{'left out' if unlabelled == 'skip' else f'kept without {objects}'}")
    return [item for item in good if item[1].labelled or unlabelled == "negative"]


def _in_lists(good, sides, split_files, say):
    out = sum(side is None for side in sides)
    if out == len(good):
        raise InputError(f"{split_files}: no frame there that is whole and has labels (--split_files)")
    if out:
        say(f"{out} frames are not in {split_files} and are left out")
    kept = [(item, side) for item, side in zip(good, sides, strict=True) if side]
    return [item for item, _ in kept], [side for _, side in kept]


def _without_classes(sides, classes):
    """Lines about splits that have no frame of some class."""
    lines = []
    for side in dict.fromkeys(sides):
        missing = sorted(set(classes) - {name for name, where in zip(classes, sides, strict=True) if where == side})
        if missing:
            lines.append(f"{side} has no frame of {len(missing)} classes: {listed(missing)}")
    return lines


def _warnings(good, sides, seed):
    """What is odd about the input, in lines."""
    lines = []
    sizes = collections.Counter(look.size for _, look in good)
    if len(sizes) > 1:
        (width, height), count = sizes.most_common(1)[0]
        lines.append(f"frames of {len(sizes)} sizes; {count} of {len(good)} are {width}x{height}")
    near = duplicate_frames.near_warning(good, sides, seed)
    return [*lines, near] if near else lines
