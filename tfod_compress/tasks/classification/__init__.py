"""Image classification: one class for each picture; top-1, top-5, mean per-class accuracy."""
