"""The door that programs outside use: `from tfod_compress import odapi; odapi.install()` repairs the OD API."""

from tfod_compress.tasks.detection.odapi import PACKAGE, VERSION, install

__all__ = ["PACKAGE", "VERSION", "install"]
