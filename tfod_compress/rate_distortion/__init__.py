"""Rate and distortion of codecs over a folder of pictures: rd.csv, bd_rate.csv, curves.

    from tfod_compress import rate_distortion
    rate_distortion.run("pictures", ["jpeg", "webp"], "runs/rd", qualities=[20, 50, 80])
"""

__all__ = ["run"]


def __getattr__(name):
    # The tables can be read and compared without what measuring imports.
    if name == "run":
        from tfod_compress.rate_distortion.bench import run

        return run
    raise AttributeError(name)
