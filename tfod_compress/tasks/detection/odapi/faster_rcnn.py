"""What our Faster R-CNN extractors share: two Keras models, before and after the proposals are cropped."""

import tensorflow as tf
from object_detection.meta_architectures import faster_rcnn_meta_arch

from tfod_compress.support.errors import InputError


class TwoStageFeatureExtractor(faster_rcnn_meta_arch.FasterRCNNKerasFeatureExtractor):
    """Base of an extractor whose two halves are separate Keras models; TF1's two scopes likewise share nothing.

    A subclass gives `preprocess`, `_proposal_features(image)`, `_box_classifier_features(features)` and
    `architecture`, the name of the network's scope in TF1.
    """

    architecture = None

    def __init__(self, is_training, first_stage_features_stride, batch_norm_trainable=False, weight_decay=0.0,
                 conv_hyperparams=None, override_base_feature_extractor_hyperparams=False):
        """Takes what the model builder passes.

        Args:
          is_training: whether the detector is built to be trained.
          first_stage_features_stride: of the proposal features, 8 or 16 pixels.
          batch_norm_trainable: whether batch-norm statistics follow the batches; scale and offset always learn.
          weight_decay: w of slim's l2_regularizer(w); TF1's builder leaves it at 0.
          conv_hyperparams: must be None, as TF1 knows them for SSD alone.
          override_base_feature_extractor_hyperparams: without meaning here.

        Raises:
          InputError: another stride, or `conv_hyperparams` in the config's feature extractor.
        """
        if first_stage_features_stride not in (8, 16):
            raise InputError(f"first_stage_features_stride is {first_stage_features_stride}; it must be 8 or 16")
        if conv_hyperparams is not None:
            raise InputError(f"the feature extractor {self.architecture} takes no conv_hyperparams: remove them")
        super().__init__(is_training, first_stage_features_stride, batch_norm_trainable, weight_decay)
        self._proposal_model = None
        self._box_classifier_model = None
        self.classification_backbone = None

    def get_proposal_feature_extractor_model(self, name=None):
        """The first half: float32 [batch, height, width, 3], preprocessed -> [batch, height_1, width_1, depth]."""
        self._build()
        return self._proposal_model

    def get_box_classifier_feature_extractor_model(self, name=None):
        """The second half, run on every cropped proposal: float32 [boxes, height, width, depth] -> likewise."""
        self._build()
        return self._box_classifier_model

    def _build(self):
        if self._proposal_model:
            return
        image = tf.keras.Input([None, None, 3])
        self._proposal_model = tf.keras.Model(
            image, self._proposal_features(image), name=f"FirstStageFeatureExtractor_{self.architecture}"
        )
        features = tf.keras.Input(self._proposal_model.output_shape[1:])
        self._box_classifier_model = tf.keras.Model(
            features, self._box_classifier_features(features), name=f"SecondStageFeatureExtractor_{self.architecture}"
        )
        # Both halves in a row: what a checkpoint of type `classification` holds. It is never run.
        whole = self._box_classifier_model(self._proposal_model(image))
        self.classification_backbone = tf.keras.Model(image, whole, name=self.architecture)
