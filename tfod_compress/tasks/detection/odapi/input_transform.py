"""The OD API's own preparation of one record, taken out of its input pipeline so that another can drive it."""

import contextlib
import copy

from tfod_compress.support.errors import InputError


def for_training(config, model):
    """What `inputs.train_input` does to one record: decode, augment, resize, pad.

    Args:
      config: object_detection.protos.TrainEvalPipelineConfig.
      model: the DetectionModel, whose `preprocess` resizes.

    Returns:
      A function of a serialised tf.train.Example (string tensor []), which gives (features, labels): the
      dictionaries that the model's losses take, without the batch dimension. `features` always holds `source_id`.

    Raises:
      InputError: the config's reader is none of TFRecords of tf.train.Example.
    """
    from object_detection import inputs
    from object_detection.builders import decoder_builder

    reader = copy.deepcopy(config.train_input_reader)
    reader.include_source_id = True  # a loss that is not finite is reported with the frames it came from
    if reader.WhichOneof("input_reader") != "tf_record_input_reader" or reader.input_type > 1:
        raise InputError("train_input_reader: only TFRecords of tf.train.Example can be trained on")
    found = {}

    def keep(_, transform_input_data_fn=None, **unused):
        found["transform"] = transform_input_data_fn

    with _replaced(inputs.INPUT_BUILDER_UTIL_MAP, "dataset_build", keep):
        inputs.train_input(config.train_config, reader, config.model, model=model)
    decode, transform = decoder_builder.build(reader).decode, found["transform"]
    return lambda record: transform(decode(record))


@contextlib.contextmanager
def _replaced(table, key, value):
    original = table[key]
    table[key] = value
    try:
        yield
    finally:
        table[key] = original
