"""Training as tests start it."""


def train_detector(config, folder, *, restore_heads=False, codec=None, **options):
    """loop.train of a pipeline.config; `options` are those of Options."""
    from tfod_compress.training import loop
    from tfod_compress.training.detection import DetectionRun
    from tfod_compress.training.options import Options

    return loop.train(DetectionRun(config, restore_heads=restore_heads, codec=codec), folder, Options(**options))


def train_classifier(config, records, folder, overrides="", *, codec=None, **options):
    """loop.train of resnet_imagenet with a YAML file over it; `options` are those of Options."""
    from tfod_compress.training import loop
    from tfod_compress.training.classification import ClassificationRun
    from tfod_compress.training.options import Options

    return loop.train(ClassificationRun("resnet_imagenet", [config], overrides, records, codec=codec), folder,
                      Options(**options))


def variables(folder):
    """{key: array} of all that a folder's newest checkpoint holds: weights, statistics, the optimizer's, the step."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in key}
