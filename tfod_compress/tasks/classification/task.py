"""Image classification as a task."""

from tfod_compress.tasks.base import Metric, Task
from tfod_compress.tasks.classification import predictions, truth
from tfod_compress.tasks.classification.scores import Scorer
from tfod_compress.tasks.classification.summary import summarise


class Classification(Task):
    """One class a picture."""

    name = "classification"
    metrics = (
        Metric("top1", "top-1", scorer="top1"),
        Metric("top5", "top-5", scorer="top5"),
        Metric("mean_class_accuracy", "mean per-class accuracy", scorer="mean_class_accuracy"),
    )
    predictions_file = predictions.FILE

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
