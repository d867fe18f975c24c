"""Record sets: TFRecords of one data set at one codec and quality, made and read without TensorFlow.

    from tfod_compress.records import RecordSet
    for example in RecordSet("tfrecords/jpeg-q20").examples("val"):
        example.pixels(), example.boxes, example.class_ids
"""

from tfod_compress.records.example import Example, Features
from tfod_compress.records.record_set import RecordSet

__all__ = ["Example", "Features", "RecordSet", "convert"]


def __getattr__(name):
    # Reading needs none of what converting imports.
    if name == "convert":
        from tfod_compress.records.conversion import convert

        return convert
    raise AttributeError(name)
