"""Runs an archive's own graph and what was made of it side by side, in a process of its own (`verifying`).

That process has oneDNN off and no GPU, so that a difference is one of the models and not of the arithmetic. No
TensorFlow here.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from tfod_compress import synthetic
from tfod_compress.frames import BrokenFrame, find_frames, read_frame
from tfod_compress.support import processes
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json
from tfod_compress.tasks.detection.zoo import comparison

ROOT = pathlib.Path(__file__).resolve().parents[4]
SKIPPED = {"skipped": "--noverify"}
_DRAWN = ((400, 300), (256, 384))  # widths and heights of the pictures that are always there


def run(folder, *, frozen_graph=None, saved_model=None, pictures_in=None, verify=True):
    """Restores a checkpoint in full, and where `verify` is set compares what it finds with the archive's own graph.

    Args:
      folder: holds the checkpoint and its pipeline.config.
      frozen_graph: a TF1 archive's graph, or None.
      saved_model: a TF2 archive's SavedModel, or None.
      pictures_in: a folder of pictures besides the two that are drawn, or None.
      verify: whether to compare.

    Returns:
      {"variables": [{"tf2": name, "shape": [...]}], "verification": for conversion.json}.

    Raises:
      InputError: a variable of the model has no value, the graph has an operation that detectors do not need or gives
        no detections, a picture cannot be read, or the two find different things.
    """
    reference = None
    if verify:
        path, reference = (frozen_graph, "frozen_inference_graph.pb") if frozen_graph else (saved_model, "saved_model")
        if path is None:
            raise InputError("the archive holds neither frozen_inference_graph.pb nor saved_model/, so that what it "
                             "gives cannot be compared with anything; --noverify takes it unverified")
    with tempfile.TemporaryDirectory(prefix="tfod_compress-") as work:
        work = pathlib.Path(work)
        names = _write_pictures(work, pictures_in) if verify else []
        request = {"folder": str(folder), "pictures": names, "work": str(work),
                   "frozen_graph": str(frozen_graph) if frozen_graph and verify else None,
                   "saved_model": str(saved_model) if saved_model and verify else None}
        answer = _ask(request, work)
    if not verify:
        return {"variables": answer["variables"], "verification": SKIPPED}
    found = comparison.Comparison(**answer["comparison"])
    if not found.compared:
        raise InputError(f"{reference}: finds nothing on {len(names)} pictures, so that nothing could be compared; "
                         "give pictures of its objects with --verify_on, or --noverify")
    if not found.good:
        alone = f"{found.alone} of {found.compared} detections have no counterpart, " if found.alone else ""
        raise InputError(
            f"{reference}: the checkpoint does not compute what it does: {alone}boxes differ by up to {found.box:.3g} "
            f"and scores by up to {found.score:.3g} ({comparison.BOUND:g} is allowed; worst on {found.picture}); "
            "nothing was written")
    return {"variables": answer["variables"], "verification": {
        "reference": reference, "pictures": names, "compared": found.compared,
        "compared_from_score": comparison.THRESHOLD, "with_that_score": found.reached, "cut_off_at_the_end": found.cut,
        "largest_box_difference": found.box, "largest_score_difference": found.score, "allowed": comparison.BOUND}}


def told(record):
    """One line about a record of `run`, for people."""
    if "skipped" in record:
        return f"not verified ({record['skipped']})"
    few = "" if record["with_that_score"] == record["compared"] else (
        f" ({record['with_that_score']} with a score of {record['compared_from_score']:g} or more)")
    return (f"verified: {record['compared']} detections{few} on {len(record['pictures'])} pictures agree with "
            f"{record['reference']}, boxes within {record['largest_box_difference']:.2g}, scores within "
            f"{record['largest_score_difference']:.2g}")


def _write_pictures(work, folder):
    """Leaves <number>.npy in a folder; returns the pictures' names."""
    pictures = {f"drawn {width}x{height}": synthetic.draw_frame(width, height, seed=number)[0]
                for number, (width, height) in enumerate(_DRAWN)}
    for frame in find_frames(folder) if folder else ():
        try:
            pictures[frame.source_id] = read_frame(frame.path)
        except BrokenFrame as reason:
            raise InputError(f"{frame.path}: cannot be read ({reason}); take it out of --verify_on") from reason
    for number, pixels in enumerate(pictures.values()):
        np.save(work / f"{number}.npy", np.ascontiguousarray(pixels), allow_pickle=False)
    return list(pictures)


def _ask(request, work):
    """What the process `verifying` answers to a request."""
    question, answer = work / "request.json", work / "answer.json"
    question.write_text(json.dumps(request), encoding="utf-8")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_ENABLE_ONEDNN_OPTS": "0",
                   "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "tfod_compress.tasks.detection.zoo.verifying", str(question), str(answer)]
    with processes.interrupted_by_signals():
        process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env=environment, preexec_fn=processes.end_with_parent, check=False)
    found = read_json(answer)
    if found is None:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1][:300] if lines else "out of memory?"
        raise InputError(f"the process that runs the model ended with {process.returncode}: {reason}")
    if "error" in found:
        raise InputError(found["error"])
    return found
