"""Makes our feature extractors known to the Object Detection API's model builder."""


def register():
    """Adds our extractors, by the names that a pipeline config uses in `feature_extractor { type }`."""
    from object_detection.builders import model_builder

    from tfod_compress.odapi import inception_v2

    model_builder.SSD_KERAS_FEATURE_EXTRACTOR_CLASS_MAP.update(
        ssd_inception_v2_keras=inception_v2.SSDInceptionV2KerasFeatureExtractor,
    )
