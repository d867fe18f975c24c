"""The training loop: build, restore, loop, save.

The OD API's loop (object_detection/model_lib_v2.py, train_loop) rounds the number of steps up to 100, saves no
last checkpoint, says nothing for 100 steps and restores without checking. This one keeps its checkpoint format (`step`,
`model`, `optimizer`) and its flags; what is trained is the task's (`run.Run`, `tasks.trainable.Trainable`).
"""

import math
import pathlib

import tensorflow as tf

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.support.text import listed
from tfod_compress.training import batches, devices, run_record, sampling
from tfod_compress.training import step as train_step
from tfod_compress.training.checkpoints import Checkpoints
from tfod_compress.training.log import EVERY, Log
from tfod_compress.training.options import Options
from tfod_compress.training.order import Order
from tfod_compress.training.restore_report import RestoreReport
from tfod_compress.training.run import Run
from tfod_compress.training.stop import Stop


def train(run: Run, model_dir: str | pathlib.Path, options: Options,
          strategy: tf.distribute.Strategy | None = None) -> dict[str, float]:
    """Trains a model for exactly the number of steps it is told, from its checkpoint or where it left off.

    Args:
      run: what is trained and on what.
      model_dir: receives the config, ckpt-*, run.json, metrics.jsonl, TensorBoard's train/ and eval/, and with
        `eval_every` also evaluations/ and best/. A checkpoint found there is resumed.
      options: how.
      strategy: a tf.distribute.Strategy, or None for the one in scope.

    Returns:
      The last step's losses, name -> float; {} where no step was left to make.

    Raises:
      InputError: the config, its records or its checkpoint do not fit; a loss or a weight became infinite or NaN.
      KeyboardInterrupt: after SIGINT or SIGTERM; the step that was being made is saved.
    """
    strategy = strategy or tf.distribute.get_strategy()
    run.open(pathlib.Path(model_dir), options, strategy)
    shared_dir, model_dir = pathlib.Path(model_dir), devices.own_folder(model_dir, strategy)
    evaluations = run.evaluations(model_dir, options) if options.eval_every else None
    model_dir.mkdir(parents=True, exist_ok=True)
    seed = run_record.seed_of(model_dir, options.seed)
    weights = sampling.weights(run.frames.boxes) if options.balance_classes else None
    order = Order(len(run.frames), run.batch_size, seed, weights=weights, shuffle=run.shuffle)
    tf.keras.utils.set_random_seed(seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    loss_scale = devices.set_precision(options.mixed_precision)

    with strategy.scope(), devices.lost_workers(model_dir, strategy):
        trainable = run.build(options)
        checkpoints = Checkpoints(model_dir, trainable.checkpoint, options.keep_checkpoints, resume_from=shared_dir)
        start = _restore(trainable, run, checkpoints, model_dir)
        _say_start(model_dir, run, weights, start, trainable)
        hparams = run_record.hparams(run, options, seed)
        run_record.write(model_dir, run, seed=seed, deterministic=options.deterministic, start=start,
                         step=trainable.step_number, hparams=hparams,
                         class_shares=sampling.table(run.frames.boxes, weights, run.label_map))
        with (Log(model_dir, trainable.step_number, run.steps, order.batch_size, hparams, run.label_map) as log,
              Stop(options.max_hours) as stop):
            if options.record_summaries and trainable.step_number < run.steps:
                log.pictures(trainable.step_number, "train_input_images",
                             run.pictures(trainable, order, trainable.step_number))
            steps = _Steps(trainable, run.frames, order, strategy, options.accumulate, loss_scale)
            return _loop(steps, run, checkpoints, log, stop, evaluations, options)


def _restore(trainable, run, checkpoints, model_dir):
    """Gives the model its weights, says in restored.json which; returns where they come from, for a person.

    A run's own checkpoints hold what `Run.complete` adds, those that it starts from do not.
    """
    source = run.starts_from
    if checkpoints.found:
        run.complete(trainable)
    elif not source:
        run.complete(trainable)
        return "random weights"
    report = RestoreReport(trainable.model.variables)
    resumed, reasons = checkpoints.resume(), None
    if not resumed:
        reasons = run.restore(trainable)
        if trainable.step_number != 0:
            raise InputError(f"{model_dir}: the restore set the step to {trainable.step_number}; it must start at 0")
    report.finish()
    report.write(model_dir / "restored.json", resumed or source, trainable.step_number, reasons)
    if not resumed:
        run.complete(trainable)
    return f"resumed at step {trainable.step_number}, {report.text(resumed)}" if resumed else report.text(source)


def _loop(steps, run, checkpoints, log, stop, evaluations, options):
    """Steps until the last one, or until there is a reason to stop; returns the last losses."""
    trainable, last, every = steps.trainable, run.steps, options.eval_every

    def evaluate(step, prefix):
        log.pause()
        with trainable.evaluated():
            results = evaluations.run(trainable.model, step, prefix)
        log.evaluated(step, results)
        for record_set in evaluations.sets:
            for tag, drawn in evaluations.pictures(step, record_set).items():
                log.pictures(step, tag, drawn, record_set.name)
        print(evaluations.keep_if_best(step, prefix, log.history), flush=True)
        log.resume()

    step, losses = trainable.step_number, {}
    if step == 0:
        checkpoints.save(0)
    elif evaluations and (step % every == 0 or step == last) and not evaluations.done(step, log.history):
        evaluate(step, checkpoints.latest)  # the run was stopped between the checkpoint and its evaluation
    with log.writer.as_default(), tf.summary.record_if(lambda: trainable.step % EVERY == 0):
        if step < last:
            steps.begin()
        while step < last and not (evaluations and evaluations.exhausted(log.history)):
            losses = steps.make(step, log.model_dir)
            step = trainable.step_number
            log.step(step, losses, trainable.learning_rate)
            evaluating = evaluations and (step % every == 0 or step == last)
            reason = stop.reason()
            if evaluating or reason or step % options.checkpoint_every_n == 0 or step == last:
                prefix = checkpoints.save(step)
            if evaluating and not stop.interrupted:
                evaluate(step, prefix)
            if reason:
                print(f"{log.model_dir}: stopped at step {step} of {last} with a checkpoint: {reason}", flush=True)
                break
    if evaluations and step < last and evaluations.exhausted(log.history):
        print(f"{log.model_dir}: stopped at step {step} of {last}: {evaluations.patience} evaluations without a "
              f"better {evaluations.metric}", flush=True)
    run.publish(trainable, log.model_dir)
    if stop.interrupted:
        raise KeyboardInterrupt
    return losses


class _Steps:
    """The steps of a run, from the one that its trainable stands at."""

    def __init__(self, trainable, frames, order, strategy, accumulate, loss_scale):
        self.trainable, self._frames, self._order = trainable, frames, order
        self._strategy, self._accumulate, self._loss_scale = strategy, accumulate, loss_scale

    def begin(self):
        """Compiles the step and begins to read."""
        trainable = self.trainable
        # Momentum and the like, beforehand: tracing a function that makes them itself is done twice, and takes seconds.
        trainable.optimizer._create_all_weights(trainable.trained_variables)
        self._step = train_step.build(trainable, self._order.seed, strategy=self._strategy,
                                      accumulate=self._accumulate, loss_scale=self._loss_scale)
        self._batches = iter(self._strategy.distribute_datasets_from_function(lambda context: batches.batches(
            trainable.transform(), self._frames, self._order, trainable.step_number, context=context)))

    def make(self, step, model_dir):
        """Makes the step that follows on `step`; {name: float} of its losses, all of them finite."""
        source_ids = [self._frames.source_ids[index] for index in self._order.indices(step)]
        try:
            losses = {name: float(loss) for name, loss in self._step(self._batches).items()}
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.UnknownError) as error:
            raise InputError(f"{model_dir}: step {step + 1} failed on the frames {listed(source_ids)}: "
                             f"{' '.join(str(error).split())[:300]}") from error
        if not all(map(math.isfinite, losses.values())):
            _refuse_non_finite(losses, self.trainable.step_number, source_ids, model_dir)
        return losses


def _say_start(model_dir, run, weights, start, trainable):
    if weights is not None:
        print(sampling.describe(run.frames.boxes, weights, run.label_map), flush=True)
    left = f"{run.steps - trainable.step_number} of {run.steps} steps to make; the first one compiles for a while"
    print(f"{model_dir}: {start}; {trainable.parameters:,} parameters, {len(run.frames)} frames; "
          f"{left if trainable.step_number < run.steps else f'all {run.steps} steps are made'}", flush=True)


def _refuse_non_finite(losses, step, source_ids, model_dir):
    """Stops a run whose loss is NaN or infinite, before such weights are saved."""
    write_json(model_dir / "non_finite.json", {"step": step, "source_ids": source_ids,
                                               "losses": {name: str(loss) for name, loss in losses.items()}})
    terms = ", ".join(f"{name.removeprefix('Loss/')} {loss:g}" for name, loss in losses.items())
    raise InputError(f"{model_dir}: the loss is not finite at step {step} ({terms}) on the frames {listed(source_ids)} "
                     "(all of them in non_finite.json); the last good checkpoint is kept; try a lower learning rate")
