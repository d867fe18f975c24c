"""predictions.json: the best-scored classes of every image.

    [
    {"image_id": "00003/00012_00029", "class_ids": [4, 2, 6], "scores": [0.91, 0.05, 0.02]},
    …
    ]
"""

import json
import pathlib

import numpy as np

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, read_json
from tfod_compress.support.text import CLASSES, listed
from tfod_compress.tasks.classification.truth import Predictions, Truth
from tfod_compress.tasks.frame_predictions import rows_of

FILE = "predictions.json"
KEPT = 10  # classes of an image; top-5 needs five


def write(path, truth: Truth, predictions: Predictions):
    """Writes predictions; scores to float32's nine digits."""
    with atomic_file(path, "w") as file:
        file.write("[")
        rows = zip(truth.image_ids, predictions.class_ids.tolist(), predictions.scores.tolist(), strict=True)
        for number, (image_id, class_ids, scores) in enumerate(rows):
            file.write(",\n" if number else "\n")
            file.write(json.dumps({"image_id": image_id, "class_ids": class_ids,
                                   "scores": [float(f"{score:.9g}") for score in scores]}, allow_nan=False))
        file.write("\n]\n")


def read(path, truth: Truth) -> Predictions:
    """Predictions on a truth's images.

    Images of classes that the classifier lacks, as the metrics.json beside the file tells, may be missing: they get
    some classes with a score of 0, and `classes.without` leaves them out.

    Raises:
      InputError: the file is missing or no predictions; images are missing, come twice or are none of the truth's;
        classes that the label map lacks.
    """
    missing, of_image = not_covered([path]), zip(truth.image_ids, truth.class_ids.tolist(), strict=True)
    rows = rows_of(path, truth, frozenset(
        image_id for image_id, number in of_image if truth.class_names[number] in missing))
    try:
        counts = {len(row["class_ids"]) for row in rows}
        if len(counts) > 1:
            raise InputError(f"{path}: not predictions: {min(counts)} to {max(counts)} class_ids; give as many for "
                             "every image, all classes or the best few")
        class_ids, scores = np.array([row["class_ids"] for row in rows]), np.array([row["scores"] for row in rows],
                                                                                   np.float64)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not predictions, every one needs image_id, class_ids and scores, as many of all "
                         f"({error!r})") from None
    if class_ids.ndim != 2 or class_ids.dtype.kind != "i" or scores.shape != class_ids.shape or not class_ids.shape[1]:
        raise InputError(f"{path}: not predictions: class_ids and scores are lists of one length, class_ids of whole "
                         "numbers")
    if len(rows) < len(truth.image_ids):
        class_ids, scores = _with_missing(rows, class_ids, scores, truth)
    return checked(class_ids.astype(np.int64), scores, truth, str(path))


def not_covered(files) -> frozenset[str]:
    """Names of the classes that at least one of some files does not cover, as the metrics.json beside each tells."""
    found = [(read_json(pathlib.Path(file).with_name("metrics.json")) or {}).get("classes") for file in files]
    return frozenset(name for each in found if isinstance(each, dict) for name in each.get("not_in_detector", ()))


def _with_missing(rows, class_ids, scores, truth):
    """The arrays with a row for each image of the truth."""
    known = {row["image_id"]: index for index, row in enumerate(rows)}
    kept = class_ids.shape[1]
    filled = np.tile(np.array(sorted(truth.class_names)[:kept], np.int64), (len(truth.image_ids), 1))
    zeros = np.zeros(filled.shape)
    for at, image_id in enumerate(truth.image_ids):
        if image_id in known:
            filled[at], zeros[at] = class_ids[known[image_id]], scores[known[image_id]]
    return filled, zeros


def checked(class_ids, scores, truth: Truth, name: str) -> Predictions:
    """Predictions on a truth's images, once they are seen to be some: class_ids int64, scores float64, both [I, K]."""
    unknown = sorted(set(np.unique(class_ids).tolist()) - set(truth.class_names))
    if unknown:
        known = [f"{number} {of}" for number, of in truth.class_names.items()]
        raise InputError(f"{name}: class ids {listed(unknown)} are not among the ground truth's "
                         f"({listed(known, CLASSES)})")
    with np.errstate(invalid="ignore"):
        wrong = ~((scores >= 0) & (scores <= 1)).all(axis=1)
    if wrong.any():
        raise InputError(f"{name}: scores of {int(wrong.sum())} images are outside [0, 1], the first of "
                         f"{truth.image_ids[int(wrong.argmax())]!r}; give probabilities (of logits, their softmax)")
    if (np.diff(scores, axis=1) > 0).any():
        first = truth.image_ids[int((np.diff(scores, axis=1) > 0).any(axis=1).argmax())]
        raise InputError(f"{name}: scores must fall, the best-scored class first, and those of {first!r} rise")
    if (np.diff(np.sort(class_ids, axis=1), axis=1) == 0).any():
        raise InputError(f"{name}: a class comes twice for one image")
    return Predictions(class_ids, scores, name)
