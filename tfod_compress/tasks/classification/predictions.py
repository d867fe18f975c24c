"""predictions.json: the best-scored classes of every image.

    [
    {"image_id": "00003/00012_00029", "class_ids": [4, 2, 6], "scores": [0.91, 0.05, 0.02]},
    …
    ]
"""

import json

import numpy as np

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.text import listed
from tfod_compress.tasks.classification.truth import Predictions, Truth

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

    Raises:
      InputError: the file is missing or no predictions; images are missing, come twice or are none of the truth's;
        classes that the label map lacks.
    """
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a {FILE}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    try:
        ids = [row["image_id"] for row in rows]
        class_ids, scores = np.array([row["class_ids"] for row in rows]), np.array([row["scores"] for row in rows],
                                                                                   np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not predictions, every one needs image_id, class_ids and scores, as many of all "
                         f"({error!r})") from None
    if not ids or class_ids.ndim != 2 or class_ids.dtype.kind != "i" or scores.shape != class_ids.shape or (
            not class_ids.shape[1]):
        raise InputError(f"{path}: not predictions: class_ids and scores are lists of one length, class_ids of whole "
                         "numbers")
    index = truth.image_index
    strange = [image_id for image_id in ids if image_id not in index]
    if strange:
        raise InputError(f"{path}: predictions on {len(strange)} images that {truth.name} lacks: {listed(strange)}")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: {len(ids) - len(set(ids))} images come twice")
    missing = sorted(set(index) - set(ids))
    if missing:
        raise InputError(f"{path}: no predictions on {len(missing)} images of {truth.name}: {listed(missing)}")
    return checked(np.argsort([index[image_id] for image_id in ids]), class_ids, scores, truth, str(path))


def checked(order, class_ids, scores, truth: Truth, name: str) -> Predictions:
    """Predictions of rows in an order, once they are seen to be some."""
    class_ids, scores = class_ids[order].astype(np.int64), scores[order]
    unknown = sorted(set(np.unique(class_ids).tolist()) - set(truth.class_names))
    if unknown:
        raise InputError(f"{name}: class ids {listed(unknown)} are not among the ground truth's")
    with np.errstate(invalid="ignore"):
        wrong = ~((scores >= 0) & (scores <= 1)).all(axis=1)
    if wrong.any():
        raise InputError(f"{name}: scores of {int(wrong.sum())} images are outside [0, 1], the first of "
                         f"{truth.image_ids[int(wrong.argmax())]!r}")
    if (np.diff(scores, axis=1) > 0).any():
        raise InputError(f"{name}: scores must fall, the best-scored class first")
    if (np.diff(np.sort(class_ids, axis=1), axis=1) == 0).any():
        raise InputError(f"{name}: a class comes twice for one image")
    return Predictions(class_ids, scores, name)
