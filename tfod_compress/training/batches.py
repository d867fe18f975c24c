"""Batches for training as a function of (seed, step): records -> pictures and labels, in parallel, always in order.

Augmentation and resizing are those of the libraries that the models come from (JPEG is decoded by libjpeg's accurate
inverse DCT). What differs from their pipelines is the order of the frames, which is a permutation of each epoch and
not a shuffle buffer, and the random numbers of the augmentation, which belong to a frame's place in the run and not to
the process: a run that resumes at step s sees what an uninterrupted one would have seen.
"""

import threading

import numpy as np
import tensorflow as tf

from tfod_compress.frames import bmp
from tfod_compress.records import wire
from tfod_compress.training.order import examples
from tfod_compress.training.stateless_random import random_from

CACHE_BYTES = 1 << 30  # of decoded pictures; it changes no number, only the time that decoding takes


def batches(transform, frames, order, first_step=0, *, context=None, cache_bytes=CACHE_BYTES):
    """The batches of a run from a step on, without end.

    Args:
      transform: of one record, see tasks.trainable.Trainable.transform.
      frames: records.Frames.
      order: order.Order of as many frames; its batch_size is the global batch.
      first_step: the step of the first batch; the run's first is 0.
      context: tf.distribute.InputContext. Of a step's batch, worker w of W reads the w-th part, and each of its
        replicas takes an equal share of that, in order.
      cache_bytes: how many bytes of decoded pictures to keep; frames beyond are decoded anew each time.

    Returns:
      tf.data.Dataset of (features, labels) as `transform` gives them, each of one replica's share of the batch.

    Raises:
      InputError: the batch cannot be split among the replicas.
    """
    share, rows = _share(order.batch_size, context)

    def prepare(element):
        with random_from(element["seed"]):
            return transform(element["record"])

    records = examples(DecodedFrames(frames, cache_bytes), order, first_step, rows)
    # Autograph would rewrite all of the libraries' functions, which need none of it, for seconds.
    prepare = tf.autograph.experimental.do_not_convert(prepare)
    dataset = records.unbatch().map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(share, drop_remainder=True).prefetch(2)


class DecodedFrames:
    """Frames whose pictures are decoded once and kept, as bitmaps within the records, while there is room.

    A bitmap costs the OD API's decoder a copy where JPEG costs it an inverse DCT; the pixels are the same.
    """

    def __init__(self, frames, cache_bytes):
        self._frames, self._room = frames, cache_bytes
        self._kept, self._lock = {}, threading.Lock()

    def __len__(self):
        return len(self._frames)

    def read(self, indices):
        """[bytes]: serialised tf.train.Examples of some frames."""
        return [self._kept.get(index) or self._read(index) for index in np.asarray(indices).tolist()]

    def _read(self, index):
        record = self._frames.read([index])[0]
        if self._room <= 0:
            return record
        encoded = (wire.parse(record).get("image/encoded") or [b""])[0]
        if not encoded.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            return record
        if encoded.startswith(b"\xff"):
            rgb = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        else:
            rgb = tf.io.decode_png(encoded, channels=3)
        with_bitmap = wire.replaced(record, "image/encoded", bmp.encode(rgb.numpy()))
        with self._lock:
            if len(with_bitmap) <= self._room:
                self._room -= len(with_bitmap)
                self._kept[index] = with_bitmap
            else:
                self._room = 0
        return with_bitmap


def _share(batch_size, context):
    """(rows of a replica, slice of the global batch that this worker reads)."""
    if context is None:
        return batch_size, slice(None)
    share = context.get_per_replica_batch_size(batch_size)  # ValueError unless it divides evenly
    worker = batch_size // context.num_input_pipelines
    return share, slice(context.input_pipeline_id * worker, (context.input_pipeline_id + 1) * worker)
