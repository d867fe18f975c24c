"""Detectors on record sets: detections.json and metrics.json of checkpoints, SavedModels and outside commands."""

from tfod_compress.evaluation.runs import (
    check_label_map,
    evaluate,
    evaluate_checkpoints,
    evaluate_command,
    evaluate_saved_model,
    metrics_from,
    notes,
    read_label_map,
    training_frames,
)

__all__ = ["check_label_map", "evaluate", "evaluate_checkpoints", "evaluate_command", "evaluate_saved_model",
           "metrics_from", "notes", "read_label_map", "training_frames"]
