"""A trained classifier + record sets -> predictions.json and metrics.json."""

import functools
import pathlib

import numpy as np

from tfod_compress import codecs, tasks
from tfod_compress.evaluation import results, trained_frames
from tfod_compress.records import wire
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.progress import Bar
from tfod_compress.tasks.classification import classes, trained


def evaluate(checkpoint, record_sets, output, *, split="val", batch_size=32, allow_training_frames=False) -> dict:
    """Evaluates one classifier on several record sets.

    Where its classes are not those of a record set, they are matched by name, and the metrics are over those that both
    have; "classes" of metrics.json says which.

    Args:
      checkpoint: a model folder that tools.train left (its newest checkpoint), or a prefix.
      record_sets: folders of record sets, or RecordSets.
      output: folder that receives `<record set name>/metrics.json` and `predictions.json`. What is there already, of
        the same weights, record set and split, is not done again.
      split: "val", "train", or another that the record sets have, such as "fold0".
      batch_size: pictures run together; changes no number.
      allow_training_frames: whether pictures that the classifier, or one that it started from, was trained on may be
        among those of a split other than "train"; "training_frames" of metrics.json counts them.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others; pictures were trained on.
    """
    model = trained.find(checkpoint)
    record_sets = results.open_all(record_sets)
    seen = trained_frames.refuse(trained_frames.of_classifier(model.folder), record_sets, split, model.prefix,
                                 allow_training_frames)
    ready = functools.cache(model.load)

    def found(record_set, truth, split):
        return scores(ready(), record_set, split, truth, batch_size)

    def match(record_set):
        return classes.match(model.class_names, record_set.label_map, model.folder, record_set.path)

    return results.evaluate(tasks.get("classification"), found, match, {"checkpoint": model.prefix}, model.digest,
                            record_sets, output, split, None, seen)


def evaluate_several(checkpoints, record_sets, output, **options) -> list:
    """As `evaluate`, of several classifiers; with more than one, each gets a folder in `output` by its own name.

    Returns:
      [(name of the classifier's folder, or "" with one; the content of one metrics.json)].
    """
    names = [""] if len(checkpoints) == 1 else results.folder_names(checkpoints)
    return [(name, result) for name, checkpoint in zip(names, checkpoints, strict=True)
            for result in evaluate(checkpoint, record_sets, pathlib.Path(output) / name, **options).values()]


def scores(predictor, record_set, split, truth, batch_size) -> np.ndarray:
    """A Predictor's scores, float32 [I, C], of a truth's images, which are those of a split or some of them.

    Pictures of one size that follow each other are run together, up to `batch_size`.

    Raises:
      InputError: a picture is damaged.
    """
    index, rows = truth.image_index, {}
    waiting, names = [], []

    def flush():
        if waiting:
            rows.update(zip(names, predictor.predict(np.stack(waiting)), strict=True))
            waiting.clear()
            names.clear()

    with Bar(f"evaluating {record_set.name}", len(index)) as bar:
        for path in record_set.files(split):
            for data in read_records(path):
                features = wire.parse(data)
                name = features["image/source_id"][0].decode()
                if name not in index:
                    continue
                pixels = _pixels(features, f"{path}: {name}")
                if waiting and (waiting[0].shape != pixels.shape or len(waiting) == batch_size):
                    flush()
                waiting.append(pixels)
                names.append(name)
                bar.advance()
        flush()
    return np.stack([rows[image_id] for image_id in truth.image_ids])


def _pixels(features, name):
    try:
        return codecs.get(features["image/format"][0].decode()).decode(features["image/encoded"][0])
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"{name}: its picture is damaged ({error}); make the record set again") from error
