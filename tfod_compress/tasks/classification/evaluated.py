"""Classifiers of ours as models to evaluate (`tasks.models.Model`)."""

import functools

import numpy as np

from tfod_compress import codecs
from tfod_compress.records import wire
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.support.progress import Bar
from tfod_compress.tasks.classification import classes, trained, trained_on


class EvaluatedClassifier:
    """See `tasks.models.Model`. TensorFlow is imported only where pictures are left to run.

    Args:
      checkpoint: a model folder that tools.train left (its newest checkpoint), or a prefix.
      batch_size: pictures run together; changes no number.

    Raises:
      InputError: something is not there.
    """

    def __init__(self, checkpoint, batch_size):
        self._model, self._batch_size = trained.find(checkpoint), batch_size
        self.described, self.made_from = {"checkpoint": self._model.prefix}, self._model.digest
        self._ready = functools.cache(self._model.load)

    def trained_frames(self):
        """Of it, and of the classifier that it started from."""
        return trained_on.of_classifier(self._model.folder)

    def match(self, record_set):
        """By name."""
        return classes.match(self._model.class_names, record_set.label_map, self._model.folder, record_set.path)

    def predict(self, record_set, split, truth, folder):
        """The scores of its classes, float32 [I, C], ids ascending."""
        return scores(self._ready(), record_set, split, truth, self._batch_size)


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
