"""Which frames make up the batch of each step: a function of the seed and the step alone.

A run that resumes at step s asks for the batches from s on; nothing is skipped and no shuffle buffer is filled, so
that it sees what an uninterrupted run would have seen.
"""

import functools

import numpy as np
import tensorflow as tf


class Order:
    """The frames of every step.

    Args:
      count: number of frames N.
      batch_size: frames a step, over all devices; at most N.
      seed: integer.
      shuffle: whether each epoch is a permutation of its own; else the frames come in the files' order.
      weights: float [N], how often each frame is to come relative to the others, or None for once an epoch.
    """

    def __init__(self, count, batch_size, seed, *, shuffle=True, weights=None):
        if not 0 < batch_size <= count:
            raise ValueError(f"a batch of {batch_size} from {count} frames")
        self.count, self.batch_size, self.seed, self.shuffle = count, batch_size, seed, shuffle
        self._copies = None if weights is None else np.asarray(weights, float) * (count / np.sum(weights))
        self._epoch = functools.lru_cache(maxsize=3)(self._make_epoch)

    def indices(self, step):
        """int64 [batch_size]: the frames of a step, counted from 0; an epoch goes on where the last one ended."""
        epochs, places = np.divmod(self.positions(step), self.count)
        return np.concatenate([self._epoch(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])

    def positions(self, step):
        """int64 [batch_size]: how many frames came before each; no two frames of a run share one."""
        return step * self.batch_size + np.arange(self.batch_size, dtype=np.int64)

    def head(self, count):
        """The same order with only the first `count` frames of each step."""
        return _Head(self, min(count, self.batch_size))

    def _make_epoch(self, epoch):
        if not self.shuffle and self._copies is None:
            return np.arange(self.count)
        random = np.random.default_rng((self.seed, epoch))
        frames = np.arange(self.count)
        if self._copies is not None:
            # Systematic sampling: of c expected copies, floor(c) or ceil(c) come, and N frames in all.
            ends = np.cumsum(self._copies)
            frames = np.searchsorted(ends, (np.arange(self.count) + random.random()) * (ends[-1] / self.count))
            frames = np.minimum(frames, self.count - 1)
        return random.permutation(frames) if self.shuffle else frames


class _Head:
    def __init__(self, order, batch_size):
        self._order, self.count, self.seed, self.batch_size = order, order.count, order.seed, batch_size

    def indices(self, step):
        return self._order.indices(step)[:self.batch_size]

    def positions(self, step):
        return self._order.positions(step)[:self.batch_size]


def examples(frames, order, first_step, rows=slice(None)):
    """The records of each step from `first_step` on, without end.

    Args:
      frames: records.Frames.
      order: Order of as many frames.
      first_step: of the first element; the run's first step is 0.
      rows: which of a step's frames this input pipeline reads; all, or one worker's share.

    Returns:
      tf.data.Dataset of one element a step, in order: {"record": string [B], serialised tf.train.Examples;
      "index": int64 [B], the frames' numbers; "seed": int64 [B, 2], for the random ops of their augmentation}.
    """
    def read(step):
        indices, positions = order.indices(int(step))[rows], order.positions(int(step))[rows]
        seeds = np.stack([np.full_like(positions, order.seed), positions], axis=1)
        return np.array(frames.read(indices), object), indices, seeds

    def element(step):
        record, index, seed = tf.numpy_function(read, [step], [tf.string, tf.int64, tf.int64], stateful=False)
        size = len(range(order.batch_size)[rows])
        return {"record": tf.ensure_shape(record, [size]), "index": tf.ensure_shape(index, [size]),
                "seed": tf.ensure_shape(seed, [size, 2])}

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return steps.map(element, num_parallel_calls=4, deterministic=True)
