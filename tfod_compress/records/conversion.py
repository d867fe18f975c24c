"""Frames and labels in, record sets out: one for each quality, in one pass over the frames."""

import collections
import dataclasses
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
from tfod_compress.frames import find_frames
from tfod_compress.labels import ClassMap, read_class_map
from tfod_compress.labels import label_map as label_maps
from tfod_compress.labels.classes import AUTO, found_label_map
from tfod_compress.records import folders, sequences, sharding, shards, sources, survey, task_names, workers, writing
from tfod_compress.records.request import Conversion
from tfod_compress.support import formats
from tfod_compress.support.errors import InputError


def convert(frames="data/frames", labels=None, output="tfrecords", *, workers_count=None, say=lambda line: None,
            **settings):
    """As `run`, from settings by their names.

    Args:
      frames: see `request.Source`.
      labels: likewise.
      output: folder that gets the record sets.
      workers_count: see `run`.
      say: likewise.
      settings: `task`, and attributes of `request.Source`, `Division`, `Coding` and `Output`.
    """
    return run(Conversion.of(frames=frames, labels=labels, folder=output, **settings), workers_count, say)


def run(request, workers_count=None, say=lambda line: None):
    """Makes one record set for each quality.

    Args:
      request: `request.Conversion`.
      workers_count: processes; None takes one for each core. The records' bytes do not depend on it.
      say: called with each line that the user should read.

    Returns:
      [writing.Made], in the order of the qualities or target rates.

    Raises:
      InputError: bad input; nothing was written unless it came up while writing (disk full, frame gone).
    """
    task, source = task_names.find(request.task), request.source
    workers_count = workers_count or len(os.sched_getaffinity(0))
    coder, options = _codec(request.coding, workers_count)
    targets = _targets(request, coder)
    known, names = _classes(source, task)
    frames = _frames(source, say)
    division = _settled(request.division, [frame.source_id for frame in frames], coder)
    video_by = division.sequence_by if isinstance(coder, VideoCodec) else None
    labels, label_format = task.open_labels(
        source.labels or task.labels, source.label_format, frames, folder=source.frames, names_file=source.names_file,
        label_map=known, may_be_empty=source.unlabelled == "negative")
    job = workers.Job(request.coding.codec, options, task, labels, source.min_box_px, source.max_pixels)
    with workers.pool(job, workers_count) as pool:
        good, broken, counts = survey.usable(source, task, frames, labels, pool.run, say)
        mapping = _class_map(known, names, labels, counts, task, say)
        good, classes = (good, None) if task.objects else survey.of_a_class(good, labels, mapping, say)
        if video_by:
            sequences.check_sizes(good, video_by)
        found = survey.divide(source, good, broken, division, say, classes)
        plan, head = _described(request, division, coder, label_format, names, mapping, found, say)
        todo, split_names = sharding.plan(found, request.output.num_shards, request.coding.measure, division.seed,
                                          mapping, video_by)
        with folders.locked(targets.values()):
            return writing.write(todo, split_names, found, targets, plan, head, task, coder, request.output, pool, say)


def _codec(coding, workers_count):
    """(the codec, what a worker makes its own with)."""
    options = {} if coding.codec_model is None else {"model": coding.codec_model}
    coder = codecs.get(coding.codec, **options)
    if options and workers_count > 1:
        options["threads"] = 1
    return coder, options


def _targets(request, coder):
    """{quality or RateTarget: path of its record set}."""
    folder, coding, name = pathlib.Path(request.output.folder), request.coding, request.output.record_set
    wanted = _wanted(coder, coding.qualities, coding.target_bpp, coding.rate_per_frame)
    if name is not None:
        return {_only(wanted, name): folder / name}
    return {key: folder / own for key, own in wanted.items()}


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


def _classes(source, task):
    """(the label map or None for the names that there are, {label's name: class or "ignore"})."""
    if source.unlabelled == "negative" and not task.objects:
        raise InputError(f"--unlabelled negative: {task.name} has no use for a frame without a class; skip leaves it "
                         "out")
    label_map = source.label_map or task.label_map
    known = None if label_map == AUTO else label_maps.load(label_map)
    return known, read_class_map(source.class_map, known) if source.class_map else {}


def _frames(source, say):
    """[FramePath]: all of them or, spread over all, as many as are asked for."""
    found, most = find_frames(source.frames), source.max_frames
    if not 0 < most < len(found):
        return found
    say(f"{most} of {len(found)} frames are taken (--max_frames)")
    return [found[index * len(found) // most] for index in range(most)]


def _settled(division, source_ids, coder):
    """The division with its sequences, where they come from --split_by or, for video, from folders."""
    given, sequence_by, split_by = division.sequence_by, division.sequence_by or division.split_by, division.split_by
    if isinstance(coder, VideoCodec):
        sequence_by = sequences.for_video(source_ids, sequence_by)
    if given:
        sequences.check_nested(source_ids, given, split_by or given)
    if not division.split_files:
        split_by = split_by or sequence_by
    return dataclasses.replace(division, sequence_by=sequence_by, split_by=split_by)


def _class_map(known, names, labels, counts, task, say):
    """`ClassMap` into the label map `known`, or for None into that of the names that there are."""
    counted = shards.counted(task)
    if known is None:
        known, totals = found_label_map(counts, names, labels.ignored)
        say(f"label map of {len(known)} classes, with their {counted}: " + ", ".join(
            f"{number} {name} ({totals[name]})" for number, name in known.items()))
    mapping = ClassMap(known, names, labels.ignored)
    mapping.check(counts, labels.path, counted)
    totals = collections.Counter()
    for name, count in counts.items():
        if mapping.class_id(name):
            totals[known[mapping.class_id(name)]] += count
    task.check_counts(totals, labels.path)
    return mapping


def _described(request, division, coder, label_format, names, mapping, found, say):
    """(what decides the bytes, what the manifest says beside), both without the quality."""
    source, given = request.source, request.division.sequence_by
    made_of = sources.summary(look for _, look in found.good)
    if "jpeg" in made_of["formats"]:
        say(f"note: {sources.told(made_of)}")
    for line in found.warnings:
        say(f"warning: {line}")
    head = {"codec": request.coding.codec, "codec_version": coder.version(), "codec_settings": coder.settings(),
            "lossless": coder.lossless, "split_by": division.split_by, "version": tfod_compress.RESULTS_VERSION}
    if request.task != task_names.DEFAULT:
        head["task"] = request.task
    if isinstance(coder, VideoCodec):
        head["sequences_by"] = division.sequence_by
    if given:
        head["sequence_by"] = given
    plan = {**head, "label_format": label_format, "class_map": names, "val_fraction": division.val_fraction,
            "test_fraction": division.test_fraction, "split_files": bool(division.split_files),
            "folds": division.folds, "seed": division.seed, "num_shards": request.output.num_shards,
            "unlabelled": source.unlabelled, "min_box_px": source.min_box_px, "max_pixels": source.max_pixels,
            "duplicates": division.duplicates, "measure": request.coding.measure, **found.digests()}
    if mapping.label_map != label_maps.load(label_maps.DEFAULT):  # which earlier versions did not write down
        plan["label_map"] = [[number, name] for number, name in mapping.label_map.items()]
    head |= {"command": request.output.command or _command(), "warnings": found.warnings, "sources": made_of,
             "version": tfod_compress.__version__, formats.KEY: formats.FORMAT}
    if division.sequence_by:
        head["sequence_by"] = division.sequence_by
    if found.has_areas:
        head["areas"] = "labels"
    return plan, head


def _command():
    return shlex.join(["python", "-m", "tools.make_tfrecords", *sys.argv[1:]])
