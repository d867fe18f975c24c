"""Makes our feature extractors known to the Object Detection API's model builder."""


def register():
    """Adds our extractors, by the names that a pipeline config uses in `feature_extractor { type }`."""
    from object_detection.builders import model_builder

    from tfod_compress.tasks.detection.odapi import inception_v2, resnet_v1

    model_builder.SSD_KERAS_FEATURE_EXTRACTOR_CLASS_MAP.update(
        ssd_inception_v2_keras=inception_v2.SSDInceptionV2KerasFeatureExtractor,
    )
    model_builder.FASTER_RCNN_KERAS_FEATURE_EXTRACTOR_CLASS_MAP.update(
        faster_rcnn_inception_v2_keras=inception_v2.FasterRCNNInceptionV2KerasFeatureExtractor,
        faster_rcnn_inception_v2_narrow_keras=inception_v2.FasterRCNNNarrowInceptionV2KerasFeatureExtractor,
        faster_rcnn_resnet50_slim_keras=resnet_v1.FasterRCNNResnet50SlimKerasFeatureExtractor,
        faster_rcnn_resnet101_slim_keras=resnet_v1.FasterRCNNResnet101SlimKerasFeatureExtractor,
    )
