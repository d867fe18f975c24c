"""Folders of generated frames: claimed by their settings, filled in parallel, finished after an interruption."""

import concurrent.futures
import json
import multiprocessing
import os

import cv2

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json

SETTINGS_NAME = "demo_frames.json"


def check_ranges(**given):
    """Raises InputError unless each name's (value, least, most) has the value in that range."""
    for name, (value, least, most) in given.items():
        if not least <= value <= most:
            raise InputError(f"{name} {value}: give a whole number between {least} and {most}")


def claim(output, settings):
    """Notes the settings in the folder, and removes what a killed run was writing in it.

    Args:
      output: pathlib.Path of the folder.
      settings: dict that JSON holds; the same settings mean the same files.

    Raises:
      InputError: the folder holds frames or labels of other settings, or of other origin.
    """
    path = output / SETTINGS_NAME
    settings = json.loads(json.dumps(settings))
    held = any(next((output / name).iterdir(), None) is not None for name in ("frames", "labels")
               if (output / name).is_dir())
    if held:
        try:
            known = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise InputError(f"{output}: holds frames or labels of other origin; choose another --output") from None
        except ValueError:
            raise InputError(f"{path}: is not readable; choose another --output or remove the folder") from None
        if known != settings:
            differing = [name for name in settings if not isinstance(known, dict) or known.get(name) != settings[name]]
            raise InputError(f"{output}: holds frames made with another {', '.join(differing)}; choose another "
                             "--output or remove the folder")
        for name in ("frames", "labels"):  # what a killed run was writing
            for leftover in (output / name).rglob(".*.tmp"):
                leftover.unlink(missing_ok=True)
    else:
        write_json(path, settings)


def fill(work, jobs, *, todo, total, workers=None, progress=None):
    """Runs `work(*job)`, which returns the number of frames it made, on each job.

    Args:
      work: a function of a module, so that other processes find it.
      jobs: list of its arguments.
      todo: frames of all jobs.
      total: frames with those that are there already.
      workers: processes; None for one a core.
      progress: called with (frames done, frames in all) at the start and after each job.

    Returns:
      `todo`.
    """
    done = total - todo
    progress = progress or (lambda done, total: None)
    progress(done, total)
    for made in _in_parallel(work, jobs, min(workers or os.cpu_count() or 1, max(len(jobs), 1))):
        done += made
        progress(done, total)
    return todo


def _in_parallel(work, jobs, workers):
    """Runs `work` on each job; yields what it returns as it comes."""
    if workers == 1:
        yield from (work(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,))
    try:
        for future in concurrent.futures.as_completed([pool.submit(work, *job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
