"""One folder a task: what is labelled, predicted and measured. Object detection is the first."""
