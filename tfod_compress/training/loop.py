"""The training loop: build, restore, loop, save.

The OD API's loop (object_detection/model_lib_v2.py, train_loop) rounds the number of steps up to 100, saves no
last checkpoint, says nothing for 100 steps and restores without checking. This one keeps its input pipeline,
its losses, its checkpoint format (`step`, `model`, `optimizer`) and its flags.
"""

import contextlib
import math
import pathlib

import numpy as np
import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection import moving_average, odapi
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.odapi.learning_phase import set_training
from tfod_compress.training import batches, checks, codec_tuning, devices, pictures, restore, run_record, sampling
from tfod_compress.training import step as train_step
from tfod_compress.training.checkpoints import Checkpoints
from tfod_compress.training.evaluations import Evaluations
from tfod_compress.training.log import EVERY, Log
from tfod_compress.training.order import Order
from tfod_compress.training.restore_report import RestoreReport
from tfod_compress.training.stop import Stop


def train(pipeline_config_path, model_dir, *, num_train_steps=None, checkpoint_every_n=1000, keep_checkpoints=7,
          record_summaries=True, seed=None, deterministic=False, max_hours=None, balance_classes=False,
          eval_every=None, eval_records=(), best_metric="weighted_map", patience=None, hparams=None, strategy=None,
          restore_heads=False, mixed_precision="float32", accumulate=1, codec=None):
    """Trains a detector for exactly the number of steps it is told, from its checkpoint or where it left off.

    Args:
      pipeline_config_path: a pipeline.config; `train_config.num_steps` is the default number of steps.
      model_dir: receives pipeline.config, ckpt-*, run.json, metrics.jsonl, TensorBoard's train/ and eval/, and with
        `eval_every` also evaluations/ and best/. A checkpoint found there is resumed.
      num_train_steps: steps counted from the start of this model, or None for the config's.
      checkpoint_every_n: steps between checkpoints; the last step is always saved.
      keep_checkpoints: how many of the newest to keep.
      record_summaries: whether training pictures and the model's own summaries go to TensorBoard too; losses
        always do.
      seed: an integer for initial weights, data order and augmentation, or None for the one that the run was
        started with (a new run draws one; run.json has it).
      deterministic: whether every op must give the same bits each time, which costs speed.
      max_hours: stop with a checkpoint after so many hours, or None.
      balance_classes: whether frames of rare classes come more often (`sampling`).
      eval_every: steps between evaluations, or None; the last step is evaluated too.
      eval_records: folders of record sets whose val frames are evaluated.
      best_metric: see evaluations.Evaluations.
      patience: stop after so many evaluations without a better one, or None.
      hparams: {name: value} added to TensorBoard's HPARAMS, such as {"regime": "task_ft"}.
      strategy: a tf.distribute.Strategy, or None for the one in scope.
      restore_heads: whether fine_tune_checkpoint_type "detection" also restores the box heads that fit.
      mixed_precision: what layers compute in, one of devices.PRECISIONS.
      accumulate: parts of each device's batch that are worked on one after another (step.build).
      codec: codec_tuning.CodecTuning of a learned codec in front of the detector, or None; not with `eval_every`.
        The tuned codec is left in codec/.

    Returns:
      The last step's losses, name -> float; {} where no step was left to make.

    Raises:
      InputError: the config, its records or its checkpoint do not fit; a loss or a weight became infinite or NaN.
      KeyboardInterrupt: after SIGINT or SIGTERM; the step that was being made is saved.
    """
    odapi.install()
    config = pipeline_config.read(pipeline_config_path)
    steps = num_train_steps if num_train_steps is not None else config.train_config.num_steps
    frames, label_map = checks.frames(config, pipeline_config_path, steps)
    strategy = strategy or tf.distribute.get_strategy()
    if codec:
        codec.check(config, pipeline_config_path, strategy)
    codec_tuning.check_same(model_dir, codec)
    shared_dir, model_dir = pathlib.Path(model_dir), devices.own_folder(model_dir, strategy)
    evaluations = None
    if eval_every:
        evaluations = Evaluations(model_dir, config, pipeline_config_path, eval_records, best_metric, patience)
    model_dir.mkdir(parents=True, exist_ok=True)
    seed = run_record.seed_of(model_dir, seed)
    weights = sampling.weights(frames.boxes) if balance_classes else None
    order = Order(len(frames), config.train_config.batch_size, seed, weights=weights,
                  shuffle=config.train_input_reader.shuffle)
    tf.keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    loss_scale = devices.set_precision(mixed_precision)

    with strategy.scope(), devices.lost_workers(model_dir, strategy):
        trainer = _Trainer(config, strategy, record_summaries, seed, accumulate, loss_scale, codec)
        trainer.build()
        checkpoints = Checkpoints(model_dir, trainer.checkpoint, keep_checkpoints, resume_from=shared_dir)
        start = _restore(trainer, checkpoints, model_dir, restore_heads)
        _say_start(model_dir, frames, label_map, weights, start, trainer, steps)
        record_set = checks.record_set_of(config)
        more = {**(codec.hparams if codec else {}), **(hparams or {})}
        hparams = run_record.hparams(config, record_set, seed, steps, balance_classes, more)
        run_record.write(model_dir, config, pipeline_config_path, record_set, seed=seed, deterministic=deterministic,
                         start=start, step=trainer.step_number, steps=steps, hparams=hparams,
                         class_shares=sampling.table(frames.boxes, weights, label_map),
                         codec=codec and codec.described)
        with (Log(model_dir, trainer.step_number, steps, order.batch_size, hparams, label_map) as log,
              Stop(max_hours) as stop):
            if record_summaries and trainer.step_number < steps:
                log.pictures(trainer.step_number, "train_input_images", pictures.of_training(
                    config, trainer.model, frames, order, trainer.step_number))
            return _loop(trainer, frames, order, checkpoints, log, stop, evaluations, steps, checkpoint_every_n,
                         eval_every)


def _restore(trainer, checkpoints, model_dir, restore_heads):
    """Gives the model its weights, says in restored.json which; returns where they come from, for a person.

    A run's own checkpoints hold its codec, those that it starts from do not.
    """
    source = trainer.train_config.fine_tune_checkpoint
    if checkpoints.found:
        trainer.put_codec_in_front()
    elif not source:
        trainer.put_codec_in_front()
        return "random weights"
    report = RestoreReport(trainer.model.variables)
    resumed, reasons = checkpoints.resume(), None
    if not resumed:
        kind = trainer.train_config.fine_tune_checkpoint_type
        reasons = restore.start_from(trainer.model, source, kind, with_heads=restore_heads)
        if trainer.step_number != 0:
            raise InputError(f"{model_dir}: the restore set the step to {trainer.step_number}; it must start at 0")
    report.finish()
    report.write(model_dir / "restored.json", resumed or source, trainer.step_number, reasons)
    if not resumed:
        trainer.put_codec_in_front()
    return f"resumed at step {trainer.step_number}, {report.text(resumed)}" if resumed else report.text(source)


def _loop(trainer, frames, order, checkpoints, log, stop, evaluations, steps, checkpoint_every_n, eval_every):
    """Steps until `steps`, or until there is a reason to stop; returns the last losses."""
    def evaluate(step, prefix):
        log.pause()
        with moving_average.averaged(trainer.optimizer) if trainer.averages else contextlib.nullcontext():
            results = evaluations.run(trainer.model, step, prefix)
        log.evaluated(step, results)
        for record_set in evaluations.sets:
            shown = pictures.of_evaluation(record_set, evaluations.folder(step) / record_set.name)
            for tag, drawn in shown.items():
                log.pictures(step, tag, drawn, record_set.name)
        print(evaluations.keep_if_best(step, prefix, log.history), flush=True)
        log.resume()

    step, losses = trainer.step_number, {}
    if step == 0:
        checkpoints.save(0)
    elif evaluations and (step % eval_every == 0 or step == steps) and not evaluations.done(step, log.history):
        evaluate(step, checkpoints.latest)  # the run was stopped between the checkpoint and its evaluation
    with log.writer.as_default(), tf.summary.record_if(lambda: trainer.step % EVERY == 0):
        if step < steps:
            one_step, batches = trainer.step_function(), iter(trainer.batches(frames, order))
        while step < steps and not (evaluations and evaluations.exhausted(log.history)):
            source_ids = [frames.source_ids[index] for index in order.indices(step)]
            try:
                losses = {name: float(loss) for name, loss in one_step(batches).items()}
            except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.UnknownError) as error:
                raise InputError(f"{log.model_dir}: step {step + 1} failed on the frames {listed(source_ids)}: "
                                 f"{' '.join(str(error).split())[:300]}") from error
            step = trainer.step_number
            if not all(map(math.isfinite, losses.values())):
                _refuse_non_finite(losses, step, source_ids, log.model_dir)
            log.step(step, losses, trainer.learning_rate)
            evaluating = evaluations and (step % eval_every == 0 or step == steps)
            reason = stop.reason()
            if evaluating or reason or step % checkpoint_every_n == 0 or step == steps:
                prefix = checkpoints.save(step)
            if evaluating and not stop.interrupted:
                evaluate(step, prefix)
            if reason:
                print(f"{log.model_dir}: stopped at step {step} of {steps} with a checkpoint: {reason}", flush=True)
                break
    if evaluations and step < steps and evaluations.exhausted(log.history):
        print(f"{log.model_dir}: stopped at step {step} of {steps}: {evaluations.patience} evaluations without a "
              f"better {evaluations.metric}", flush=True)
    trainer.publish_codec(log.model_dir)
    if stop.interrupted:
        raise KeyboardInterrupt
    return losses


class _Trainer:
    """Model, optimizer, step and data of one run."""

    def __init__(self, config, strategy, record_summaries, seed, accumulate=1, loss_scale=None, codec=None):
        from object_detection.builders import model_builder, optimizer_builder

        self.config = config
        self.train_config = config.train_config
        self.strategy, self.seed, self.accumulate, self.loss_scale = strategy, seed, accumulate, loss_scale
        self.record_summaries, self.codec = record_summaries, codec
        built = codec.detector_config(config) if codec else config
        self.model = model_builder.build(built.model, is_training=True, add_summaries=record_summaries)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="global_step",
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.optimizer, (rate,) = optimizer_builder.build(self.train_config.optimizer, global_step=self.step)
        self.learning_rate = rate if callable(rate) else lambda: rate
        self.checkpoint = tf.train.Checkpoint(step=self.step, model=self.model, optimizer=self.optimizer)

    @property
    def averages(self):
        """Whether a moving average of the weights is kept, which is what is evaluated."""
        return pipeline_config.uses_moving_average(self.config)

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
        set_training(self.model, False)  # Faster R-CNN wants ground truth else; a step sets it again
        # Eagerly: a tf.function that makes variables is traced twice.
        self.model.predict(*self.model.preprocess(tf.zeros([1, height, width, 3])))
        if self.averages:
            moving_average.track(self.optimizer, self.model)

    def put_codec_in_front(self):
        """From here on the model looks through the codec, if there is one, and its variables are also the codec's."""
        if self.codec:
            self.codec.put_in_front(self.model)

    def publish_codec(self, model_dir):
        """Leaves the codec as it is now in the run's folder, if there is one."""
        if self.codec:
            print(self.codec.publish(model_dir, self.model, self.step_number), flush=True)

    def batches(self, frames, order):
        """The (features, labels) of every step from the present one on, as a dataset of the strategy's kind."""
        return self.strategy.distribute_datasets_from_function(lambda context: batches.batches(
            self.config, self.model, frames, order, self.step_number, context=context))

    def step_function(self):
        """The compiled function that takes the data iterator, makes one step and returns its losses."""
        # Momentum and the like, beforehand: tracing a function that makes them itself is done twice, and takes seconds.
        self.optimizer._create_all_weights(self.model.trainable_variables)
        return train_step.build(self.model, self.optimizer, self.train_config, self.step, self.seed,
                                strategy=self.strategy, accumulate=self.accumulate, loss_scale=self.loss_scale)


def _say_start(model_dir, frames, label_map, weights, start, trainer, steps):
    if weights is not None:
        print(sampling.describe(frames.boxes, weights, label_map), flush=True)
    left = f"{steps - trainer.step_number} of {steps} steps to make; the first one compiles for a while"
    print(f"{model_dir}: {start}; {trainer.parameters:,} parameters, {len(frames)} frames; "
          f"{left if trainer.step_number < steps else f'all {steps} steps are made'}", flush=True)


def _refuse_non_finite(losses, step, source_ids, model_dir):
    """Stops a run whose loss is NaN or infinite, before such weights are saved."""
    write_json(model_dir / "non_finite.json", {"step": step, "source_ids": source_ids,
                                               "losses": {name: str(loss) for name, loss in losses.items()}})
    terms = ", ".join(f"{name.removeprefix('Loss/')} {loss:g}" for name, loss in losses.items())
    raise InputError(f"{model_dir}: the loss is not finite at step {step} ({terms}) on the frames {listed(source_ids)} "
                     "(all of them in non_finite.json); the last good checkpoint is kept; try a lower learning rate")
