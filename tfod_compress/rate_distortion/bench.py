"""Measure codecs over a folder of pictures, in parallel; a run that was stopped goes on where pictures end."""

import concurrent.futures.process
import dataclasses
import multiprocessing
import os
import pathlib

import cv2

from tfod_compress import codecs
from tfod_compress.frames import find_frames
from tfod_compress.rate_distortion import bd_rate, curves, measure, table, variants
from tfod_compress.rate_distortion.qualities import default_qualities
from tfod_compress.support import progress
from tfod_compress.support.errors import InputError
from tfod_compress.support.processes import worker_of

REFERENCE = "jpeg"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run left in the output folder.

    Attributes:
      rows: of rd.csv, everything measured there on these pictures so far.
      bd_rates: [bd_rate.BdRate], by RGB PSNR.
    """

    rows: list
    bd_rates: list


def run(folder, codec_names, output, *, qualities=None, codec_model=None, workers_count=None,
        hvs_and_vmaf=True, say=lambda line: None):
    """Measures each picture with each codec at each quality and writes rd.csv, bd_rate.csv and the curves.

    What was measured into `output` before stays in the tables: codecs can be added one by one.

    Args:
      folder: BMP, PNG or JPEG pictures, any depth.
      codec_names: names of codecs, with options perhaps (see `variants`); ["all"] for every one that this machine has
        and that needs no model.
      output: folder that gets the tables, `points/` with the single results, and the curves.
      qualities: of every codec; None for each codec's own list.
      codec_model: folder of a trained model, or of several of them, for the learned codecs among the names.
      workers_count: processes; None takes one for each core.
      hvs_and_vmaf: whether PSNR-HVS and VMAF are measured too.
      say: called with each line that the user should read.

    Returns:
      `Result`.

    Raises:
      InputError: bad input, found before anything is measured, or a codec that fails.
    """
    output = pathlib.Path(output)
    plan = planned(codec_names, qualities, say, codec_model)
    frames = find_frames(folder)
    if hvs_and_vmaf:
        measure.libvmaf.executable()
    tasks = [measure.Task(frame, name, wanted, table.part_path(output, name, frame.source_id), hvs_and_vmaf,
                          _model_of(name, codec_model))
             for frame in frames for name, wanted in plan.items()]
    output.mkdir(parents=True, exist_ok=True)
    broken = _measure(tasks, workers_count or len(os.sched_getaffinity(0)))
    for path, reason in broken.items():
        say(f"warning: {path} is left out: {reason}")
    usable = [frame.source_id for frame in frames if frame.path not in broken]
    if not usable:
        raise InputError(f"{folder}: all {len(frames)} pictures are broken, the first is {frames[0].path}: "
                         f"{broken[frames[0].path]}")
    rows = table.collect(output, usable)
    table.write(output, rows)
    means = table.mean_curves(rows)
    curves.write(output, means, len(usable))
    return Result(rows, _bd_rates(output, means, say))


def planned(codec_names, qualities, say, codec_model=None):
    """{codec name: its qualities, checked}.

    Raises:
      InputError: an unknown codec, one that this machine lacks, or a quality out of its range.
    """
    found = {}
    for name in _available(say) if list(codec_names) == ["all"] else codec_names:
        codec = variants.get(name, _model_of(name, codec_model))
        wanted = default_qualities(codec) if qualities is None or codec.lossless else [
            codec.check_quality(quality) for quality in qualities]
        found[name] = tuple(dict.fromkeys(wanted))
    return found


def _model_of(name, codec_model):
    return codec_model if codecs.about(name.split(":")[0]).learned else None


def _available(say):
    names = []
    for name in codecs.names():
        try:
            codecs.get(name)
            names.append(name)
        except InputError as error:
            say(f"left out: {error}")
    return names


def _measure(tasks, count):
    """Runs the tasks; returns {path of a broken picture: reason}."""
    broken = {}
    with progress.Bar("measuring", sum(len(task.qualities) for task in tasks), unit="points") as bar:
        for task, reason in _one_by_one(tasks) if count == 1 else _in_processes(tasks, count):
            if reason is not None:
                broken[task.frame.path] = reason
            bar.advance(len(task.qualities), f"{task.codec} {task.frame.source_id}")
    return broken


def _one_by_one(tasks):
    """Yields (task, result), worked on in this process."""
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        for task in tasks:
            yield task, measure.measure(task)
    finally:
        cv2.setNumThreads(threads)


def _in_processes(tasks, count):
    """Yields (task, result) as they come, in no order."""
    # Not forked: OpenCV's threads, which this process may have used, do not live on in a fork and are waited for there.
    executor = concurrent.futures.ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(os.getpid(),))
    try:
        waiting = {executor.submit(measure.measure, task): task for task in tasks}
        for future in concurrent.futures.as_completed(waiting):
            yield waiting[future], future.result()
    except concurrent.futures.process.BrokenProcessPool as error:
        raise InputError("a worker process was killed (out of memory?); give the same command again, perhaps with "
                         "fewer --workers: what was finished is kept") from error
    except BaseException:
        # What they are at is lost, what they finished is whole: no reason to wait for a slow codec.
        for process in list((executor._processes or {}).values()):
            process.kill()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start(parent):
    worker_of(parent)
    cv2.setNumThreads(1)


def _bd_rates(output, means, say):
    if not means.get(REFERENCE):
        say(f"no bd_rate.csv: {REFERENCE}, which codecs are compared with, was not measured at a common quality")
        return []
    found = bd_rate.against(means, REFERENCE)
    bd_rate.write(output / "bd_rate.csv", found)
    bd_rate.write(output / "bd_rate_ms_ssim.csv", bd_rate.against(means, REFERENCE, "ms_ssim"))
    for line in bd_rate.warnings(found):
        say(f"warning: {line}")
    return found
