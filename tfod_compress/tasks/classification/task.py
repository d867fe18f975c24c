"""Image classification as a task."""

from tfod_compress.support.errors import InputError
from tfod_compress.tasks import frame_labels
from tfod_compress.tasks.base import Metric, Task
from tfod_compress.tasks.classification import classes, labels, predictions, truth
from tfod_compress.tasks.classification.scores import Scorer
from tfod_compress.tasks.classification.summary import summarise


class Classification(Task):
    """One class for each picture; by how often the surest guess is right."""

    name = "classification"
    metrics = (
        Metric("top1", "top-1", scorer="top1"),
        Metric("top5", "top-5", scorer="top5"),
        Metric("mean_class_accuracy", "mean per-class accuracy", scorer="mean_class_accuracy"),
    )
    per_class = "accuracy_per_class"
    per_class_title = "top-1 accuracy"
    confusion = "confusion"
    predictions_file = predictions.FILE
    model = "classifier"
    label_formats = ("auto", *labels.FORMATS)
    takes = frozenset({"checkpoint"})

    def open_labels(self, path, label_format, frames, *, folder, names_file=None, label_map=None, may_be_empty=False):
        """See `labels`; without a path the folders are the classes."""
        return labels.open_labels(path, label_format, frames, folder, names_file, label_map)

    def check_counts(self, counts, where):
        """There must be something to tell apart."""
        if len(counts) < 2:
            raise InputError(f"{where}: " + (f"every picture is of class {next(iter(counts))!r}" if counts else
                                             "every class is ignored") + "; classification needs two classes or more")

    def tally(self, label_map):
        """Pictures per class."""
        return frame_labels.ClassTally(label_map, "picture")

    def ground_truth(self, record_set, split):
        return truth.ground_truth(record_set, split)

    def write_predictions(self, path, truth, predicted):
        predictions.write(path, truth, predicted)

    def read_predictions(self, path, truth):
        return predictions.read(path, truth)

    def scorer(self, truth, predicted, score_threshold=None):
        return Scorer(truth, predicted)

    def summarise(self, truth, predicted, score_threshold=None):
        return summarise(truth, predicted)

    def viewer(self, truth, predicted, score_threshold=None):
        from tfod_compress.tasks.classification.viewer import ClassViewer

        return ClassViewer(truth, predicted)

    def notes(self, result):
        """How classes were matched, and what top-5 is of where fewer classes than five are scored."""
        return classes.notes(result)

    def trained_models(self, wanted):
        """Checkpoints of tools.train."""
        from tfod_compress.tasks.classification import evaluated

        return [evaluated.EvaluatedClassifier(path, wanted.batch_size) for path in wanted.checkpoint]

    def not_covered(self, files):
        return predictions.not_covered(files)

    def without(self, truth, predictions, names):
        return classes.without(truth, predictions, names)

    def pool(self, parts):
        return truth.pool(parts)

    def same_truth(self, a, b):
        return truth.same(a, b)
