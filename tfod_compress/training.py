"""The training loop: build, restore, loop, save.

The OD API's loop (object_detection/model_lib_v2.py, train_loop) rounds the number of steps up to 100, saves no
last checkpoint, says nothing for 100 steps and restores without checking. This one keeps its input pipeline,
its losses, its checkpoint format (`step`, `model`, `optimizer`) and its flags.
"""

import json
import math
import os
import pathlib
import time

import numpy as np
import tensorflow as tf

from tfod_compress import input_pipeline, odapi, pipeline_config, restore, run_record, training_checks, training_order
from tfod_compress.errors import InputError
from tfod_compress.files import atomic_file, write_json
from tfod_compress.progress import Bar
from tfod_compress.stateless_random import random_from

SUMMARY_EVERY = 10  # steps between TensorBoard points; the stock loop has 100


def train(pipeline_config_path, model_dir, *, num_train_steps=None, checkpoint_every_n=1000, keep_checkpoints=7,
          record_summaries=True, seed=None, strategy=None):
    """Trains a detector for exactly the number of steps it is told, from its checkpoint or where it left off.

    Args:
      pipeline_config_path: a pipeline.config; `train_config.num_steps` is the default number of steps.
      model_dir: receives pipeline.config, ckpt-*, run.json, metrics.jsonl and TensorBoard's train/ folder. A
        checkpoint found there is resumed.
      num_train_steps: steps counted from the start of this model, or None for the config's.
      checkpoint_every_n: steps between checkpoints; the last step is always saved.
      keep_checkpoints: how many of the newest to keep.
      record_summaries: whether training pictures go to TensorBoard too; losses always do.
      seed: an integer for initial weights and data order, or None.
      strategy: a tf.distribute.Strategy, or None for the one in scope.

    Returns:
      The last step's losses, name -> float.

    Raises:
      InputError: the config, its records or its checkpoint do not fit; a loss became infinite or NaN.
    """
    odapi.install()
    config = pipeline_config.read(pipeline_config_path)
    steps = num_train_steps if num_train_steps is not None else config.train_config.num_steps
    frames, _ = training_checks.frames(config, pipeline_config_path, steps)
    model_dir = pathlib.Path(model_dir)
    model_dir.mkdir(parents=True, exist_ok=True)
    seed = run_record.seed_of(model_dir, seed)
    tf.keras.utils.set_random_seed(seed)
    order = training_order.Order(len(frames), config.train_config.batch_size, seed,
                                 shuffle=config.train_input_reader.shuffle)
    strategy = strategy or tf.distribute.get_strategy()

    with strategy.scope():
        trainer = _Trainer(config, strategy, record_summaries, seed)
        trainer.build()
        manager = tf.train.CheckpointManager(trainer.checkpoint, str(model_dir), max_to_keep=keep_checkpoints)
        resumed = manager.latest_checkpoint
        if resumed:
            trainer.checkpoint.restore(resumed).assert_existing_objects_matched()
            start = f"resumed {resumed} at step {trainer.step_number}"
        elif config.train_config.fine_tune_checkpoint:
            restored = restore.start_from(trainer.model, config.train_config.fine_tune_checkpoint,
                                          config.train_config.fine_tune_checkpoint_type)
            if trainer.step_number != 0:
                raise InputError(f"{model_dir}: the restore set the step to {trainer.step_number}; it must start at 0")
            start = f"{restored} variables from {config.train_config.fine_tune_checkpoint}"
        else:
            start = "random weights"
        print(f"{model_dir}: {start}; {trainer.parameters:,} parameters, {steps} steps; the first one compiles for "
              "a while", flush=True)
        _write_run(model_dir, config, seed, start)
        if trainer.step_number >= steps:
            return {}
        return _loop(trainer, manager, model_dir, steps, checkpoint_every_n, trainer.batches(frames, order))


class _Trainer:
    """Model, optimizer, step and data of one run."""

    def __init__(self, config, strategy, record_summaries, seed):
        from object_detection.builders import model_builder, optimizer_builder

        self.config = config
        self.train_config = config.train_config
        self.strategy, self.seed = strategy, seed
        self.record_summaries = record_summaries
        self.model = model_builder.build(config.model, is_training=True, add_summaries=record_summaries)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="global_step",
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.optimizer, (rate,) = optimizer_builder.build(self.train_config.optimizer, global_step=self.step)
        self.learning_rate = rate if callable(rate) else lambda: rate
        self.checkpoint = tf.train.Checkpoint(step=self.step, model=self.model, optimizer=self.optimizer)


    @property
    def step_number(self):
        return int(self.step.numpy())

    @property
    def parameters(self):
        return sum(int(np.prod(variable.shape)) for variable in self.model.trainable_variables)

    def build(self):
        """Makes every variable, by one prediction on a black picture of the input's size."""
        from object_detection.utils import config_util

        size = config_util.get_spatial_image_size(config_util.get_image_resizer_config(self.config.model))
        height, width = (side if side > 0 else 64 for side in size)

        @tf.function
        def predict():
            image, shapes = self.model.preprocess(tf.zeros([1, height, width, 3]))
            return self.model.postprocess(self.model.predict(image, shapes), shapes)

        if self.train_config.optimizer.use_moving_average:
            raise InputError("use_moving_average: averaged weights are not supported yet; set it to false")
        predict()

    def batches(self, frames, order):
        """The (features, labels) of every step from the present one on, as a dataset of the strategy's kind."""
        return self.strategy.distribute_datasets_from_function(lambda context: input_pipeline.batches(
            self.config, self.model, frames, order, self.step_number, context=context))

    def step_function(self):
        """The compiled function that takes the data iterator, makes one step and returns its losses."""
        from object_detection import model_lib_v2
        from object_detection.core import standard_fields as fields

        clip = self.train_config.gradient_clipping_by_norm or None

        def replica_step(features, labels):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            key = tf.stack([tf.constant(self.seed, tf.int64), self.step])
            key = tf.random.experimental.stateless_fold_in(key, replica)
            with random_from(key):
                return one_step(features, labels)

        def one_step(features, labels):
            if self.record_summaries:
                tf.summary.image("train_input_images", features[fields.InputDataFields.image], step=self.step,
                                 max_outputs=3)
            losses = model_lib_v2.eager_train_step(
                self.model, features, labels, self.train_config.unpad_groundtruth_tensors, self.optimizer,
                training_step=self.step, add_regularization_loss=self.train_config.add_regularization_loss,
                clip_gradients_value=clip, num_replicas=self.strategy.num_replicas_in_sync)
            self.step.assign_add(1)
            return losses

        @tf.function
        def train_step(iterator):
            per_replica = self.strategy.run(replica_step, args=next(iterator))
            return {name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
                    for name, loss in per_replica.items()}

        return train_step


def _loop(trainer, manager, model_dir, steps, checkpoint_every_n, batches):
    """Steps until `steps`; returns the last losses."""
    writer = tf.summary.create_file_writer(str(model_dir / "train"))
    train_step = trainer.step_function()
    iterator = iter(batches)
    batch = trainer.train_config.batch_size
    if trainer.step_number == 0:
        manager.save(checkpoint_number=0)
    losses = {}
    with (writer.as_default(), open(model_dir / "metrics.jsonl", "a", encoding="utf-8") as log,
          tf.summary.record_if(lambda: trainer.step % SUMMARY_EVERY == 0),
          Bar("training", steps, "steps", done=trainer.step_number) as bar):
        last_time, last_step = time.time(), trainer.step_number
        while trainer.step_number < steps:
            losses = {name: float(loss) for name, loss in train_step(iterator).items()}
            step = trainer.step_number
            if not math.isfinite(losses["Loss/total_loss"]):
                raise InputError(f"{model_dir}: the loss is {losses['Loss/total_loss']} at step {step} ({losses}); the "
                                 "last good checkpoint is kept; try a lower learning rate")
            bar.update(step, _losses_text(losses))
            if step % SUMMARY_EVERY == 0 or step == steps:
                rate = batch * (step - last_step) / max(time.time() - last_time, 1e-9)
                last_time, last_step = time.time(), step
                values = {**losses, "learning_rate": float(trainer.learning_rate()), "images_per_second": rate}
                with tf.summary.record_if(True):
                    for name, value in values.items():
                        tf.summary.scalar(name, value, step=step)
                log.write(json.dumps({"step": step, **values}) + "\n")
                log.flush()
            if step % checkpoint_every_n == 0 or step == steps:
                manager.save(checkpoint_number=step)
    writer.close()
    return losses


def _write_run(model_dir, config, seed, start):
    """pipeline.config and run.json: enough to say how these weights came to be."""
    import sys

    from google.protobuf import text_format

    from tfod_compress import __version__

    with atomic_file(model_dir / "pipeline.config", "w") as file:
        file.write(text_format.MessageToString(config))
    write_json(model_dir / "run.json", {
        "command": sys.argv, "version": __version__, "tensorflow": tf.__version__, "seed": seed, "start": start,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS")})


def _losses_text(losses):
    total = losses["Loss/total_loss"]
    parts = " ".join(f"{name.split('/')[-1].removesuffix('_loss')} {value:.3f}" for name, value in losses.items()
                     if name != "Loss/total_loss")
    return f"loss {total:.3f} ({parts})"

