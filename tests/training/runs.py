"""Training as tests start it."""


def train_detector(config, folder, *, restore_heads=False, codec=None, **options):
    """loop.train of a pipeline.config; `options` are those of Options."""
    from tfod_compress.training import loop
    from tfod_compress.training.detection import DetectionRun
    from tfod_compress.training.options import Options

    return loop.train(DetectionRun(config, restore_heads=restore_heads, codec=codec), folder, Options(**options))
