"""Object detection on the TensorFlow Object Detection API: detectors, their configs, their metrics."""
