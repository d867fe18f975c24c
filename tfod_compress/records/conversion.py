"""Frames and labels in, record sets out: one for each quality, in one pass over the frames."""

import dataclasses
import errno
import hashlib
import math
import os
import pathlib
import re
import shlex
import sys

import tfod_compress
from tfod_compress import codecs
from tfod_compress.codecs import rate_matching
from tfod_compress.codecs.base import VideoCodec
from tfod_compress.frames import MAX_PIXELS, find_frames
from tfod_compress.labels import ClassMap, read_class_map
from tfod_compress.labels import label_map as label_maps
from tfod_compress.labels.classes import AUTO, found_label_map
from tfod_compress.records import bitstreams, folders, publish, sequences, shards, sources, space, survey, workers
from tfod_compress.support import formats, progress
from tfod_compress.support.errors import InputError

SMALL_SHARD, MAX_SMALL_SHARDS, LARGE_SHARD = 10, 16, 500  # frames a shard, see `shard_count`
# Frames whose PSNR a "sample" holds: this many, this share of all, and as many as make up these pixels.
MEASURED_FRAMES, MEASURED_SHARE, MEASURED_PIXELS = 4, 0.02, 7_000_000
RATE_CHUNK = 16  # frames that are coded in one task while rates are matched


@dataclasses.dataclass(frozen=True)
class Made:
    """One record set of a finished run: where it is, its manifest, and whether it was there before."""

    path: pathlib.Path
    manifest: dict
    was_there: bool


def convert(frames="data/frames", labels="data/labels", output="tfrecords", *, codec="jpeg", codec_model=None,
            qualities=(None,), target_bpp=None, rate_per_frame=False, label_format="auto",
            label_map=label_maps.DEFAULT, class_map=None, names_file=None, val_fraction=0.2, test_fraction=0.0,
            sequence_by=None, split_by=None, split_files=None, folds=0, seed=0, num_shards=0, workers_count=None,
            on_broken="skip", max_broken=0.05, unlabelled="fail", min_box_px=1.0, max_pixels=MAX_PIXELS, max_frames=0,
            duplicates="together", measure="sample", record_set=None, keep_bitstreams=None, overwrite=False,
            command=None, say=lambda line: None):
    """Makes one record set for each quality.

    Args:
      frames: folder of frames, any depth.
      labels: folder or file of labels.
      output: folder that gets the record sets.
      codec: a codec's name.
      codec_model: folder of a trained model, or of several of them, of a learned codec.
      qualities: numbers; None for the codec's default.
      target_bpp: bits per pixel: instead of `qualities`, a record set for each, at the quality whose rate over all
        frames is nearest below.
      rate_per_frame: with `target_bpp`, each frame gets the quality whose rate is nearest below.
      label_format: see `open_labels`.
      label_map: one of `label_map.shipped`, a label_map.pbtxt, or "auto" for the names that the labels have.
      class_map: YAML file from the labels' class names to those of the label map, or None.
      names_file: YOLO's file of class names, or None; see `open_labels`.
      val_fraction: share of the frames, 0 to 1.
      test_fraction: likewise.
      sequence_by: regular expression on source_id whose group is a frame's sequence: what stays on one side, what a
        video codec codes, and the unit of statistics. None takes `split_by`, or for video codecs each folder of frames.
      split_by: regular expression on source_id whose group stays on one side; None takes `sequence_by`.
      split_files: folder of train.txt, val.txt and perhaps test.txt, instead of fractions.
      folds: K > 1 makes the splits fold0 to foldK-1 instead of train and val.
      seed: of the assignment to splits.
      num_shards: files of a split; 0 chooses by the number of frames.
      workers_count: processes; None takes one for each core. The records' bytes do not depend on it.
      on_broken: "skip" lists broken frames, "fail" stops at one.
      max_broken: share of the frames that may be broken.
      unlabelled: what to do with frames without labels: "fail", "skip", or "negative" (keep them without boxes).
      min_box_px: boxes with a shorter side than this, in pixels, are dropped.
      max_pixels: larger frames count as broken.
      max_frames: so many of the frames, spread over all of them; 0 for all.
      duplicates: "together" keeps frames with identical pixels on one side, and stops where split_by or
        split_files separate them; "ignore" does not look.
      measure: PSNR of "all" frames, a "sample", or "none".
      record_set: name of the one record set, instead of the codec's own; None for that.
      keep_bitstreams: folder that gets the coded files, in a folder for each record set; None keeps none.
      overwrite: make anew what was made from other input or settings.
      command: what to write into the manifest as the command.
      say: called with each line that the user should read.

    Returns:
      [Made], in the order of `qualities` or `target_bpp`.

    Raises:
      InputError: bad input; nothing was written unless it came up while writing (disk full, frame gone).
    """
    _check_shares(val_fraction=val_fraction, test_fraction=test_fraction, max_broken=max_broken)
    _check_counts(num_shards=num_shards, min_box_px=min_box_px, folds=folds, max_frames=max_frames)
    if max_pixels < 1:
        raise InputError(f"--max_pixels {max_pixels}: must be positive")
    if split_files and (split_by or folds):
        raise InputError("--split_files says which frame goes where; leave out --split_by and --folds")
    options = {} if codec_model is None else {"model": codec_model}
    coder = codecs.get(codec, **options)
    workers_count = workers_count or len(os.sched_getaffinity(0))
    if codec_model is not None and workers_count > 1:
        options["threads"] = 1
    targets = {key: pathlib.Path(output) / name
               for key, name in _wanted(coder, qualities, target_bpp, rate_per_frame).items()}
    if record_set is not None:
        targets = {_only(targets, record_set): pathlib.Path(output) / record_set}
    known = None if label_map == AUTO else label_maps.load(label_map)
    names = read_class_map(class_map, known) if class_map else {}
    found = find_frames(frames)
    if 0 < max_frames < len(found):
        say(f"{max_frames} of {len(found)} frames are taken (--max_frames)")
        found = [found[index * len(found) // max_frames] for index in range(max_frames)]
    given, sequence_by, video_by = sequence_by, sequence_by or split_by, None
    if isinstance(coder, VideoCodec):
        video_by = sequence_by = sequences.for_video([frame.source_id for frame in found], sequence_by)
    if given:
        sequences.check_nested([frame.source_id for frame in found], given, split_by or given)
    if not split_files:
        split_by = split_by or sequence_by
    source, label_format = open_labels(
        labels, label_format, [frame.source_id for frame in found], names_file, may_be_empty=unlabelled == "negative")
    job = workers.Job(codec, options, source, min_box_px, max_pixels)
    with workers.pool(job, workers_count) as pool:
        good, broken, counts = survey.usable(frames, found, source, pool.run, on_broken=on_broken,
                                             max_broken=max_broken, unlabelled=unlabelled, say=say)
        mapping = _class_map(known, names, ignored_names(label_format), counts, source.path, say)
        if video_by:
            sequences.check_sizes(good, video_by)
        found = survey.divide(
            frames, good, broken, val_fraction=val_fraction, test_fraction=test_fraction, split_by=split_by,
            sequence_by=sequence_by,
            split_files=split_files, folds=folds, seed=seed, duplicates=duplicates, max_pixels=max_pixels, say=say)
        made_of = sources.summary(look for _, look in found.good)
        if "jpeg" in made_of["formats"]:
            say(f"note: {sources.told(made_of)}")
        for line in found.warnings:
            say(f"warning: {line}")
        head = {"codec": codec, "codec_version": coder.version(), "codec_settings": coder.settings(),
                "lossless": coder.lossless, "split_by": split_by, "version": tfod_compress.RESULTS_VERSION}
        if video_by:
            head["sequences_by"] = video_by
        if given:
            head["sequence_by"] = given
        plan = {**head, "label_format": label_format, "class_map": names, "val_fraction": val_fraction,
                "test_fraction": test_fraction, "split_files": bool(split_files), "folds": folds, "seed": seed,
                "num_shards": num_shards, "unlabelled": unlabelled, "min_box_px": min_box_px,
                "max_pixels": max_pixels, "duplicates": duplicates, "measure": measure, **found.digests()}
        if mapping.label_map != label_maps.load(label_maps.DEFAULT):  # which earlier versions did not write down
            plan["label_map"] = [[number, name] for number, name in mapping.label_map.items()]
        head |= {"command": command or _command(), "warnings": found.warnings, "sources": made_of,
                 "version": tfod_compress.__version__, formats.KEY: formats.FORMAT}
        if sequence_by:
            head["sequence_by"] = sequence_by
        if found.has_areas:
            head["areas"] = "labels"
        todo, split_names = _shards(found, num_shards, measure, seed, mapping, video_by)
        with folders.locked(targets.values()):
            return _make(todo, split_names, found, targets, plan, head, overwrite, coder, keep_bitstreams, pool, say)


def shard_count(frames, asked):
    """Files for a split: `asked` of them, or by size: 10 frames each up to 16 files, then 500 frames each."""
    count = asked or max(min(-(-frames // SMALL_SHARD), MAX_SMALL_SHARDS), -(-frames // LARGE_SHARD))
    return min(count, frames)


def _class_map(known, names, ignored, counts, labels, say):
    """`ClassMap` into the label map `known`, or for None into that of the names that there are."""
    if known is None:
        known, boxes = found_label_map(counts, names, ignored)
        say(f"label map of {len(known)} classes, with their boxes: " + ", ".join(
            f"{number} {name} ({boxes[name]})" for number, name in known.items()))
    mapping = ClassMap(known, names, ignored)
    mapping.check(counts, labels)
    return mapping


def _wanted(coder, qualities, target_bpp, rate_per_frame):
    """{quality or RateTarget: name of its record set}."""
    if not target_bpp:
        if rate_per_frame:
            raise InputError("--rate_per_frame goes with --target_bpp")
        checked = dict.fromkeys(coder.check_quality(quality) for quality in qualities)
        return {quality: coder.record_set_name(quality) for quality in checked}
    if list(qualities) != [None]:
        raise InputError("--target_bpp finds the quality; leave out --quality")
    for bpp in target_bpp:
        if not 0 < bpp < math.inf:
            raise InputError(f"--target_bpp {bpp:g}: must be above 0")
    if isinstance(coder, VideoCodec):
        raise InputError(f"--target_bpp is for codecs of single frames; give {coder.name} a --quality")
    rate_matching.Levels(coder)
    found = [rate_matching.RateTarget(float(bpp), rate_per_frame) for bpp in dict.fromkeys(target_bpp)]
    return {target: rate_matching.record_set_name(coder, target) for target in found}


def _only(targets, name):
    """The one quality or RateTarget there is, for a record set that is called by this name."""
    if len(targets) != 1:
        raise InputError(f"--record_set {name}: names one record set, and these are {len(targets)}; give one quality")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"--record_set {name!r}: letters, digits, '.', '_' and '-' alone")
    return next(iter(targets))


def _entries(key):
    """What plan and manifest say of a record set's quality before any search."""
    if isinstance(key, rate_matching.RateTarget):
        return {"quality": None, "target_bpp": key.bpp, "rate_per_frame": key.per_frame}
    return {"quality": key}


def _make(todo, split_names, found, targets, plan, head, overwrite, coder, keep_bitstreams, pool, say):
    """Writes the record sets that are not there yet; the caller holds their locks."""
    plans = {key: {**plan, **_entries(key)} for key in targets}
    due = folders.choose(targets, plans, overwrite)
    if found.has_areas:
        for key in targets:
            if key not in due and "areas" not in folders.read_manifest(targets[key]):
                say(f"{targets[key]}: made before COCO's areas were kept, so APs, APm and APl go by box areas; "
                    "--overwrite makes it anew")
    growing = {key: folders.unfinished(targets[key]) for key in due}
    # Where only the last step is missing, the notes about shards may be gone already.
    partial = {key: folder for key, folder in growing.items()
               if folders.read_manifest(folder).get("plan") != plans[key]}
    kept = {key: pathlib.Path(keep_bitstreams) / path.name for key, path in targets.items()} if keep_bitstreams else {}
    for key, folder in kept.items():
        bitstreams.check(folder, plans[key], overwrite)
    rates = _matched(partial, targets, plans, coder, found, pool, say)
    exact = {_exact(targets[key], key, rates): folder for key, folder in partial.items()}
    tasks = _missing(todo, exact, {
        _exact(targets[key], key, rates): folder for key, folder in kept.items()}, coder.extension)
    if any(shard.folders for shard in tasks):
        space.check(tasks, found, exact, pool, say)
    for key, folder in kept.items():
        bitstreams.prepare(folder, plans[key])
    for key in partial:
        folders.prepare(targets[key], plans[key])
        if key in rates:
            folders.write_rate(targets[key], rates[key])
    try:
        _write(tasks, len(partial), pool)
        for key in partial:
            publish.describe(growing[key], [shard.name for shard in todo], split_names, found.broken,
                             {frame.source_id: look.pixels_crc for frame, look in found.good},
                             todo[0].class_map.label_map, plans[key], {**head, **_entries(key), **rates.get(key, {})})
        for quality in due:
            folders.publish(targets[quality], [shards.note_path("", shard.name).name for shard in todo])
    except BaseException as error:
        pool.stop()
        for folder in growing.values():
            folders.sweep(folder)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{targets[due[0]].parent}: the disk is full; make room and give the same command again: "
                             "the shards that were finished are kept") from error
        raise
    return [Made(path, folders.read_manifest(path), quality not in due) for quality, path in targets.items()]


def _exact(target, key, rates):
    """A record set's quality, or its `RateTarget` with the quality that was found for it."""
    if not isinstance(key, rate_matching.RateTarget) or key.per_frame:
        return key
    found = rates[key] if key in rates else folders.read_manifest(folders.unfinished(target)) or (
        folders.read_manifest(target))
    return dataclasses.replace(key, quality=found["quality"])


def _matched(partial, targets, plans, coder, found, pool, say):
    """{RateTarget: {"quality", "rates"}} of the record sets that get one quality by their rate."""
    wanted = [key for key in partial if isinstance(key, rate_matching.RateTarget) and not key.per_frame]
    kept = {key: folders.read_rate(targets[key], plans[key]) for key in wanted}
    rates = {key: rate for key, rate in kept.items() if rate}
    missing = {key.bpp: key for key in wanted if key not in rates}
    if missing:
        matched = rate_matching.match(
            coder, {frame: look.pixels for frame, look in found.good}, list(missing),
            lambda frames, qualities, what: _coded(pool, frames, qualities, what))
        for bpp, (quality, proof) in matched.items():
            rates[missing[bpp]] = {"quality": quality, "rates": {f"{at:g}": rate for at, rate in proof.items()}}
            say(f"{bpp:g} bits per pixel: {coder.parameter}{quality:g} gives {proof[quality]:.4f}")
    return rates


def _coded(pool, frames, qualities, what):
    """[bytes of all these frames, coded at each quality]."""
    totals = [0] * len(qualities)
    step = max(1, min(RATE_CHUNK, len(frames) // 8))
    chunks = [frames[at:at + step] for at in range(0, len(frames), step)]
    with progress.Bar(f"matching rates on {what}", len(frames)) as bar:
        for index, sizes in pool.run(workers.coded_sizes, [(chunk, qualities) for chunk in chunks]):
            totals = [total + size for total, size in zip(totals, sizes, strict=True)]
            bar.advance(len(chunks[index]), f"at {', '.join(f'{quality:g}' for quality in qualities)}")
    return totals


def _missing(todo, growing, kept, extension):
    """The shards that are not whole in every growing folder, or lack bitstreams that are to be kept, large ones first.

    Args:
      todo: [Shard].
      growing: {quality: folder of the unfinished record set}.
      kept: {quality: folder of bitstreams}.
      extension: of a bitstream's file.
    """
    tasks = []
    for shard in todo:
        missing = {quality: str(folder) for quality, folder in growing.items()
                   if not shards.finished_note(folder, shard.name)}
        files = {quality: str(folder) for quality, folder in kept.items()
                 if not bitstreams.complete(folder, shard, extension)}
        if missing or files:
            tasks.append(dataclasses.replace(shard, folders=missing, bitstreams=files))
    return sorted(tasks, key=lambda shard: -len(shard.frames))


def _write(tasks, sets, pool):
    if not tasks:
        return
    total = sum(len(shard.frames) for shard in tasks)
    with progress.Bar(f"coding at {sets} qualities" if sets > 1 else "coding", total) as bar:
        for _ in pool.run(workers.make_shard, tasks, tick=lambda: bar.update(*pool.coded())):
            pass


def _shards(found, num_shards, measure, seed, class_map, video_by):
    """([Shard] without folders, [split names]).

    Neighbouring frames go to different shards of their split; with `video_by`, whole sequences.
    """
    by_side = {}
    for (frame, _), side in zip(found.good, found.sides, strict=True):
        by_side.setdefault(side, []).append(frame)
    order = [name for name in dict.fromkeys(("train", "val", "test", *sorted(by_side))) if name in by_side]
    measured = _measured(found.good, measure, seed)
    made = []
    for side in order:
        members = by_side[side]
        count = shard_count(len(members), num_shards)
        if video_by:
            parts = sequences.in_shards(members, video_by, count)
        else:
            parts = [[[frame] for frame in members[index::count]] for index in range(count)]
        for name, part in zip(shards.shard_names(side, len(parts)), parts, strict=True):
            frames = [frame for sequence in part for frame in sequence]
            made.append(shards.Shard(
                name, side, frames, measured.intersection(frame.source_id for frame in frames), {}, class_map,
                sequences=tuple(map(len, part)) if video_by else ()))
    return made, order


def _measured(good, measure, seed):
    """source_ids of the frames whose PSNR is measured."""
    names = [frame.source_id for frame, _ in good]
    if measure != "sample":
        return frozenset(names if measure == "all" else ())
    mean = sum(look.pixels for _, look in good) / len(good)
    count = math.ceil(max(MEASURED_FRAMES, MEASURED_SHARE * len(good), MEASURED_PIXELS / mean))
    order = sorted(names, key=lambda name: hashlib.sha256(f"psnr/{seed}/{name}".encode()).digest())
    return frozenset(order[:count])


def _check_shares(**shares):
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise InputError(f"--{name} {value:g}: must be from 0 to 1")
    if shares["val_fraction"] + shares["test_fraction"] > 1:
        raise InputError("--val_fraction and --test_fraction add up to more than 1")


def _check_counts(**counts):
    for name, value in counts.items():
        if not value >= 0:
            raise InputError(f"--{name} {value:g}: must not be negative")
    if counts["folds"] == 1:
        raise InputError("--folds 1: cross-validation needs 2 or more")


def _command():
    return shlex.join(["python", "-m", "tools.make_tfrecords", *sys.argv[1:]])
