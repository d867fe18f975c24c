"""Makes our feature extractors known to the Object Detection API's model builder."""


def register():
    """Adds our extractors, by the names that a pipeline config uses in `feature_extractor { type }`."""
