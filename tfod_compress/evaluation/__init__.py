"""Detectors on record sets: detections.json and metrics.json of checkpoints, SavedModels and outside commands."""

from tfod_compress.evaluation.results import notes
from tfod_compress.evaluation.runs import (
    evaluate,
    evaluate_checkpoints,
    evaluate_command,
    evaluate_saved_model,
    metrics_from,
)

__all__ = ["evaluate", "evaluate_checkpoints", "evaluate_command", "evaluate_saved_model", "metrics_from", "notes"]
