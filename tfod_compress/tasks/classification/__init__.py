"""Image classification: one class a picture; top-1, top-5, mean per-class accuracy."""
