"""Which frame goes to training, validation and test."""

import hashlib
import pathlib
import re

from tfod_compress.support.errors import InputError

SPLITS = ("train", "val", "test")
FOLDERS = "folders"  # in the place of a folder of lists


def group_keys(source_ids, split_by, flag="--split_by"):
    """The group of each frame: frames of one group stay on one side.

    Args:
      source_ids: texts.
      split_by: regular expression; the group is its first capture group, or the whole match. None makes
        every frame its own group.
      flag: what an error calls it.

    Returns:
      [text].

    Raises:
      InputError: not a regular expression, or one that a frame does not match.
    """
    if split_by is None:
        return list(source_ids)
    try:
        pattern = re.compile(split_by)
    except re.error as error:
        raise InputError(f"{flag} {split_by!r} is not a regular expression: {error}") from error
    keys = [group_key(pattern, source_id) for source_id in source_ids]
    for source_id, key in zip(source_ids, keys, strict=True):
        if key is None:
            raise InputError(f"{flag} {split_by!r} does not match the frame {source_id}")
    return keys


def group_key(pattern: re.Pattern, source_id: str) -> str | None:
    """The group of one frame: the first capture group, or the whole match where that takes no part; None without one.

    What a frame's group is, is decided here alone, for splits, for video and for statistics.
    """
    found = pattern.search(source_id)
    if not found:
        return None
    return found.group(1) if pattern.groups and found.group(1) is not None else found.group(0)


def assign(keys, fractions, seed):
    """Assigns groups to splits, by the hash of the group's key and a seed.

    Args:
      keys: the group of each frame.
      fractions: {split: share of the frames} of all splits but "train", which gets the rest.
      seed: a number.

    Returns:
      [split name], one for each frame. Each split with a share above zero gets at least one group where there
      are enough groups for all, "train" included unless the others' shares are all there is.
    """
    sizes = {}
    for key in keys:
        sizes[key] = sizes.get(key, 0) + 1
    order = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    wanted = [(name, share) for name, share in fractions.items() if share > 0]
    side, rest = {}, "train"
    if wanted and sum(share for _, share in wanted) >= 1:
        rest = wanted[-1][0]
    for place, (name, share) in enumerate(wanted):
        target, have = share * len(keys), 0
        free = [key for key in order if key not in side]
        # One group at least stays for each split to come, and one for train.
        spare = len(free) - (len(wanted) - place) + (rest != "train")
        if spare < 1:
            break
        for key in free:
            if spare and have + sizes[key] / 2 <= target:
                side[key], have, spare = name, have + sizes[key], spare - 1
        if not have:
            side[min(free, key=lambda key: sizes[key])] = name
    return [side.get(key, rest) for key in keys]


def assign_by_class(keys, classes, fractions, seed):
    """As `assign`, but for each class by itself, so that no split lacks a class that has groups for all of them.

    Where that would leave a split empty, because no class has enough groups, classes are not looked at.

    Args:
      keys: the group of each frame.
      classes: the class of each frame; a group of several counts as the first of them in order.
      fractions: see `assign`.
      seed: likewise.
    """
    of_group = _first_classes(keys, classes)
    members, sides = {}, {}
    for key in keys:
        members.setdefault(of_group[key], []).append(key)
    for mine in members.values():
        sides.update(zip(mine, assign(mine, fractions, seed), strict=True))
    found = [sides[key] for key in keys]
    wanted = {name for name, share in fractions.items() if share > 0}
    return found if wanted <= set(found) else assign(keys, fractions, seed)


def assign_folds(keys, folds, seed, classes=None):
    """[split name] as `assign`, but `folds` sides named fold0, fold1, … of about the same number of frames.

    Args:
      keys: the group of each frame.
      folds: how many.
      seed: a number.
      classes: the class of each frame: each is spread over the folds; None where frames have none.
    """
    of_group = _first_classes(keys, classes or [""] * len(keys))
    sizes = {}
    for key in keys:
        sizes[key] = sizes.get(key, 0) + 1
    if len(sizes) < folds:
        raise InputError(f"--folds {folds}: there are only {len(sizes)} groups of frames")
    order = sorted(sizes, key=lambda key: (-sizes[key], hashlib.sha256(f"{seed}/{key}".encode()).digest()))
    loads, of_class, side = [0] * folds, {}, {}
    for key in order:
        mine = of_class.setdefault(of_group[key], [0] * folds)
        fold = min(range(folds), key=lambda fold: (mine[fold], loads[fold]))
        side[key] = f"fold{fold}"
        loads[fold] += sizes[key]
        mine[fold] += sizes[key]
    return [side[key] for key in keys]


def _first_classes(keys, classes):
    """{group: the first of its classes in order}."""
    found = {}
    for key, name in zip(keys, classes, strict=True):
        found[key] = min(found.get(key, name), name)
    return found


def by_folders(source_ids):
    """[split or None], one for each frame: its first folder, where that is train, val or test."""
    return [first if first in SPLITS else None for first in (source_id.split("/")[0] for source_id in source_ids)]


def read_split_files(folder):
    """The split that a folder of lists asks for, as VOC's ImageSets/Main and KITTI's ImageSets have them.

    Args:
      folder: holds train.txt, val.txt and perhaps test.txt: a frame a line, by source_id, by its path below the
        frames folder, or by its file name where that is unique.

    Returns:
      {name as listed, without extension: split}.

    Raises:
      InputError: no list, an empty one, or a frame in two lists.
    """
    folder = pathlib.Path(folder)
    listed = {}
    for split in SPLITS:
        try:
            text = (folder / f"{split}.txt").read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{folder / split}.txt: {error} (--split_files)") from error
        names = [line.split()[0] for line in text.splitlines() if line.strip()]
        if not names:
            raise InputError(f"{folder / split}.txt: lists no frame (--split_files)")
        for name in names:
            name = _stem(name)
            if listed.setdefault(name, split) != split:
                raise InputError(f"{folder}: frame {name} is both in {listed[name]}.txt and in {split}.txt "
                                 "(--split_files)")
    if not listed:
        raise InputError(f"{folder}: no train.txt, val.txt or test.txt (--split_files)")
    return listed


def assign_listed(source_ids, listed, broken, folder):
    """[split or None where a frame is in no list], one for each frame.

    Args:
      source_ids: texts.
      listed: what `read_split_files` gave.
      broken: source_ids of broken frames, which may be listed too.
      folder: of the lists, for messages.

    Raises:
      InputError: a list names a frame that is not there.
    """
    by_name = {}
    for source_id in [*source_ids, *broken]:
        by_name.setdefault(source_id.rsplit("/", 1)[-1], []).append(source_id)
    sides = {}
    for name, split in listed.items():
        found = [name] if name in by_name.get(name.rsplit("/", 1)[-1], ()) else by_name.get(name, ())
        if len(found) != 1:
            what = "no such frame" if not found else f"{len(found)} frames have that name, for example {found[0]}"
            raise InputError(f"{folder}: {split}.txt lists {name}: {what} (--split_files)")
        if sides.setdefault(found[0], split) != split:
            raise InputError(f"{folder}: frame {found[0]} is on two sides (--split_files)")
    return [sides.get(source_id) for source_id in source_ids]


def _stem(name):
    name = name.replace("\\", "/")
    head, dot, tail = name.rpartition(".")
    return head if dot and tail.lower() in ("bmp", "dib", "png", "jpg", "jpeg", "jpe") else name
