"""Frames and labels in, record sets out: one for each quality, in one pass over the frames."""

import collections
import dataclasses
import hashlib
import os
import pathlib
import shlex

import tfod_compress
from tfod_compress import codecs
from tfod_compress.errors import InputError
from tfod_compress.frames import MAX_PIXELS, find_frames
from tfod_compress.labels import ClassMap, ignored_names, open_labels, read_class_map
from tfod_compress.records import folders, publish, shards, splits, workers

SCAN_CHUNK = 16  # frames a task
SMALL_SHARD, MAX_SMALL_SHARDS, LARGE_SHARD = 20, 16, 500  # frames a shard, see `shard_count`
MEASURED_AT_LEAST, MEASURED_SHARE = 16, 0.02


@dataclasses.dataclass(frozen=True)
class Made:
    """One record set of a finished run: where it is, its manifest, and whether it was there before."""

    path: pathlib.Path
    manifest: dict
    was_there: bool


def convert(frames="data/frames", labels="data/labels", output="tfrecords", *, codec="jpeg", qualities=(None,),
            label_format="auto", class_map=None, names_file=None, val_fraction=0.2, test_fraction=0.0, split_by=None,
            folds=0, seed=0, num_shards=0, workers_count=None, on_broken="skip", max_broken=0.05, unlabelled="fail",
            min_box_px=1.0, max_pixels=MAX_PIXELS, measure="sample", overwrite=False, command=None,
            say=lambda line: None):
    """Makes one record set for each quality.

    Args:
      frames: folder of frames, any depth.
      labels: folder or file of labels.
      output: folder that gets the record sets.
      codec: a codec's name.
      qualities: numbers; None for the codec's default.
      label_format: see `open_labels`.
      class_map: YAML file of class names, or None.
      names_file: YOLO's file of class names, or None; see `open_labels`.
      val_fraction: share of the frames, 0 to 1.
      test_fraction: likewise.
      split_by: regular expression on source_id whose group stays on one side; None: each frame by itself.
      folds: K > 1 makes the splits fold0 to foldK-1 instead of train and val.
      seed: of the assignment to splits.
      num_shards: files of a split; 0 chooses by the number of frames.
      workers_count: processes; None takes one for each core. The records' bytes do not depend on it.
      on_broken: "skip" lists broken frames, "fail" stops at one.
      max_broken: share of the frames that may be broken.
      unlabelled: what to do with frames without labels: "fail", "skip", or "negative" (keep them without boxes).
      min_box_px: boxes with a shorter side than this, in pixels, are dropped.
      max_pixels: larger frames count as broken.
      measure: PSNR of "all" frames, a "sample", or "none".
      overwrite: make anew what was made from other input or settings.
      command: what to write into the manifest as the command.
      say: called with each line that the user should read.

    Returns:
      [Made], in the order of `qualities`.

    Raises:
      InputError: bad input; nothing was written unless it came up while writing (disk full, frame gone).
    """
    _check_numbers(val_fraction, test_fraction, folds, num_shards, max_broken, min_box_px, max_pixels, on_broken,
                   unlabelled, measure)
    coder = codecs.get(codec)
    qualities = list(dict.fromkeys(coder.check_quality(quality) for quality in qualities))
    targets = {quality: pathlib.Path(output) / coder.record_set_name(quality) for quality in qualities}
    names = read_class_map(class_map) if class_map else {}
    found = find_frames(frames)
    source, label_format = open_labels(labels, label_format, [frame.source_id for frame in found], names_file)
    mapping = ClassMap(names, ignored_names(label_format))
    count = workers_count or len(os.sched_getaffinity(0))
    with workers.pool(workers.Job(codec, source, mapping, min_box_px, max_pixels), count) as (run, progress):
        scanned = _scan(found, run)
        broken = [(os.path.relpath(frame.path, frames), look.reason)
                  for frame, look in zip(found, scanned, strict=True) if look.reason]
        _check_broken(frames, len(found), broken, on_broken, max_broken)
        good = [(frame, look) for frame, look in zip(found, scanned, strict=True) if not look.reason]
        good = _labelled(good, source, unlabelled, say)
        counts = collections.Counter()
        for _, look in good:
            counts.update(dict(look.names))
        mapping.check(counts, source.path)
        warnings = _warnings(good)
        for line in warnings:
            say(f"warning: {line}")
        keys = splits.group_keys([frame.source_id for frame, _ in good], split_by)
        if folds:
            sides = splits.assign_folds(keys, folds, seed)
        else:
            sides = splits.assign(keys, {"val": val_fraction, "test": test_fraction}, seed)
        todo, split_names = _shards(good, sides, num_shards, measure, seed)
        settings = {"label_format": label_format, "class_map": names, "val_fraction": val_fraction,
                    "test_fraction": test_fraction, "split_by": split_by, "folds": folds, "seed": seed,
                    "num_shards": num_shards, "unlabelled": unlabelled, "min_box_px": min_box_px,
                    "max_pixels": max_pixels, "measure": measure}
        base = {"version": tfod_compress.__version__, "codec": codec, "codec_version": coder.version(),
                "codec_settings": coder.settings(), **settings, **_digests(good, sides, broken)}
        with folders.locked(targets.values()):
            plans = {quality: {**base, "quality": quality} for quality in qualities}
            open_sets = {quality: path for quality, path in targets.items()
                         if folders.prepare(path, plans[quality], overwrite)}
            _encode(todo, {quality: folders.unfinished(path) for quality, path in open_sets.items()}, run, progress,
                    coder)
            made = []
            for quality, path in targets.items():
                if quality in open_sets:
                    head = {"codec": codec, "codec_version": coder.version(), "codec_settings": coder.settings(),
                            "quality": quality, "split_by": split_by, "command": command or _command(),
                            "version": tfod_compress.__version__, "warnings": warnings}
                    publish.describe(folders.unfinished(path), [shard.name for shard in todo], split_names, broken,
                                     plans[quality], head)
                    folders.publish(path, [f"{shard.name}.json" for shard in todo])
                made.append(Made(path, folders.read_manifest(path), quality not in open_sets))
    return made


def shard_count(frames, asked):
    """Files for a split: `asked` of them, or by size: 20 frames each up to 16 files, then 500 frames each."""
    count = asked or max(min(-(-frames // SMALL_SHARD), MAX_SMALL_SHARDS), -(-frames // LARGE_SHARD))
    return min(count, frames)


def _check_numbers(val_fraction, test_fraction, folds, num_shards, max_broken, min_box_px, max_pixels, on_broken,
                   unlabelled, measure):
    for name, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction), ("max_broken", max_broken)):
        if not 0 <= value <= 1:
            raise InputError(f"--{name} {value:g}: must be from 0 to 1")
    if val_fraction + test_fraction > 1:
        raise InputError("--val_fraction and --test_fraction add up to more than 1")
    if folds and folds < 2:
        raise InputError(f"--folds {folds}: cross-validation needs 2 or more")
    for name, value in (("num_shards", num_shards), ("min_box_px", min_box_px)):
        if not value >= 0:
            raise InputError(f"--{name} {value:g}: must not be negative")
    if max_pixels < 1:
        raise InputError(f"--max_pixels {max_pixels}: must be positive")
    for name, value, allowed in (("on_broken", on_broken, ("skip", "fail")), ("measure", measure, (
            "all", "sample", "none")), ("unlabelled", unlabelled, ("fail", "skip", "negative"))):
        if value not in allowed:
            raise InputError(f"--{name} {value}: must be one of {', '.join(allowed)}")


def _scan(found, run):
    from tfod_compress import progress

    chunks = [found[at:at + SCAN_CHUNK] for at in range(0, len(found), SCAN_CHUNK)]
    results = [None] * len(chunks)
    with progress.Bar("looking", len(found)) as bar:
        for index, result in run(workers.scan_frames, chunks):
            results[index] = result
            bar.advance(len(result))
    return [look for result in results for look in result]


def _check_broken(frames, total, broken, on_broken, max_broken):
    if not broken:
        return
    path, reason = broken[0]
    example = f"{path}: {reason}"
    if on_broken == "fail":
        raise InputError(f"{frames}: {len(broken)} broken frames, the first is {example} (--on_broken skip goes on)")
    if len(broken) == total:
        raise InputError(f"{frames}: all {total} frames are broken, the first is {example}")
    if len(broken) > max_broken * total:
        raise InputError(f"{frames}: {len(broken)} of {total} frames are broken, more than --max_broken "
                         f"{max_broken:g} allows; the first is {example}")


def _labelled(good, source, unlabelled, say):
    without = [frame for frame, look in good if not look.labelled]
    if len(without) == len(good) and unlabelled != "negative":
        raise InputError(f"{source.path}: none of the {len(good)} frames has labels there, for example "
                         f"{without[0].path}; label files mirror the frames by stem (--labels)")
    if without and unlabelled == "fail":
        raise InputError(f"{source.path}: {len(without)} of {len(good)} frames have no labels, for example "
                         f"{without[0].path}; --unlabelled skip leaves them out, negative keeps them without boxes")
    if without:
        say(f"{len(without)} frames without labels: "
            f"{'left out' if unlabelled == 'skip' else 'kept without boxes'}")
    return [item for item in good if item[1].labelled or unlabelled == "negative"]


def _warnings(good):
    """What is odd about the input, in lines."""
    lines = []
    lossy = sum(look.kind == "jpeg" for _, look in good)
    if lossy:
        lines.append(f"{lossy} of {len(good)} frames are JPEG, lossy already: what is measured is compression on top")
    sizes = collections.Counter((look.width, look.height) for _, look in good)
    if len(sizes) > 1:
        (width, height), count = sizes.most_common(1)[0]
        lines.append(f"frames of {len(sizes)} sizes; {count} of {len(good)} are {width}x{height}")
    return lines


def _shards(good, sides, num_shards, measure, seed):
    """([Shard] without folders, [split names]): neighbouring frames go to different shards of their split."""
    by_side = {}
    for (frame, _), side in zip(good, sides, strict=True):
        by_side.setdefault(side, []).append(frame)
    order = [name for name in ("train", "val", "test", *sorted(by_side)) if name in by_side]
    order = list(dict.fromkeys(order))
    measured = _measured([frame.source_id for frame, _ in good], measure, seed)
    made = []
    for side in order:
        names = shards.shard_names(side, shard_count(len(by_side[side]), num_shards))
        for index, name in enumerate(names):
            members = by_side[side][index::len(names)]
            made.append(shards.Shard(name, side, members, frozenset(
                frame.source_id for frame in members if frame.source_id in measured), {}))
    return made, order


def _measured(source_ids, measure, seed):
    if measure != "sample":
        return frozenset(source_ids if measure == "all" else ())
    count = max(MEASURED_AT_LEAST, round(MEASURED_SHARE * len(source_ids)))
    order = sorted(source_ids, key=lambda name: hashlib.sha256(f"psnr/{seed}/{name}".encode()).digest())
    return frozenset(order[:count])


def _digests(good, sides, broken):
    """What the input was, in few bytes: any changed pixel, label, name or side changes them."""
    frames, labels, where = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    for (frame, look), side in zip(good, sides, strict=True):
        name = f"{frame.source_id}\n"
        frames.update(f"{name}{look.width} {look.height} {look.pixels_crc}\n".encode())
        labels.update(f"{name}{look.labels_crc}\n".encode())
        where.update(f"{name}{side}\n".encode())
    return {"input_frames": len(good), "input_broken": len(broken), "input_frames_sha256": frames.hexdigest(),
            "input_labels_sha256": labels.hexdigest(), "input_splits_sha256": where.hexdigest()}


def _encode(todo, growing, run, progress, coder):
    """Writes every shard that is missing somewhere."""
    tasks = []
    for shard in todo:
        missing = {quality: str(folder) for quality, folder in growing.items()
                   if not shards.finished_note(folder, shard.name)}
        if missing:
            tasks.append(dataclasses.replace(shard, folders=missing))
    if not tasks:
        return
    tasks.sort(key=lambda shard: -len(shard.frames))
    from tfod_compress import progress as bars

    total = sum(len(shard.frames) for shard in tasks)
    with bars.Bar(f"coding at {len(growing)} qualities" if len(growing) > 1 else "coding", total) as bar:
        for _ in run(workers.make_shard, tasks):
            bar.update(int(progress()[0]))


def _command():
    import sys

    return shlex.join(["python", "-m", "tools.make_tfrecords", *sys.argv[1:]])
