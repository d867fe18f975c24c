"""The training loop and its parts: batches, one step, checkpoints, logs, evaluation while it runs."""
