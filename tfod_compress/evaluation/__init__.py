"""Models on record sets: predictions and metrics.json of checkpoints, SavedModels and outside commands of any task."""

from tfod_compress.evaluation.detectors import evaluate, evaluate_command, evaluate_saved_model
from tfod_compress.evaluation.results import notes
from tfod_compress.evaluation.runs import evaluate_models, load, metrics_from

__all__ = ["evaluate", "evaluate_command", "evaluate_models", "evaluate_saved_model", "load", "metrics_from", "notes"]
