"""Training of a learned codec: the loss bpp + lmbda * mse over random crops, until the last step.

What is logged is written when a checkpoint is: a run that was killed leaves nothing beyond the step it goes on from.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import pathlib
import sys
import time

import numpy as np
import tensorflow as tf

import tfod_compress
from tfod_compress.frames import MAX_PIXELS
from tfod_compress.learned import coder, model_class, model_folder
from tfod_compress.rate_distortion import quality
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.support.progress import Bar
from tfod_compress.training.checkpoints import Checkpoints
from tfod_compress.training.codec import crops
from tfod_compress.training.stateless_random import random_from
from tfod_compress.training.stop import Stop

LMBDA_RANGE = (1e-6, 10.0)
LOG_EVERY = 10  # steps
_SETTINGS = "training.json"
_SHOWN, _MEASURED = 3, 24  # validation frames in TensorBoard, and those that are coded
_VALIDATED = (512, 768)  # largest part of a frame that is looked at while training goes on


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides a training run, apart from its number of steps.

    Attributes:
      codec: name of the model.
      lmbda: weight of the mean squared error over samples in [0, 255].
      num_filters: channels of the transforms; None: those of `start_from`, or the paper's.
      num_latents: channels of y; likewise.
      crop: side of a crop in pixels.
      batch_size: crops of a step.
      learning_rate: of Adam; a tenth of it in the last tenth of the steps.
      seed: of weights, crops and noise.
      start_from: folder of a model whose weights are the first ones, or None.
    """

    codec: str
    lmbda: float
    num_filters: int | None = None
    num_latents: int | None = None
    crop: int = 256
    batch_size: int = 8
    learning_rate: float = 1e-4
    seed: int = 0
    start_from: str | None = None

    def checked(self):
        """These settings with every number in its place.

        Raises:
          InputError: a value out of range, or a model to start from that does not fit.
        """
        low, high = LMBDA_RANGE
        if not low <= self.lmbda <= high:
            raise InputError(f"--lmbda {self.lmbda:g}: from {low:g} to {high:g}; 0.001 is a low rate, 0.1 a high one")
        cls = model_class(self.codec)
        sizes = dict(cls.defaults)
        if self.start_from is not None:
            base = model_folder.read(self.start_from, self.codec)
            sizes = {"num_filters": base.num_filters, "num_latents": base.num_latents}
        for name, default in sizes.items():
            asked = getattr(self, name)
            if asked is not None and self.start_from is not None and asked != default:
                raise InputError(f"--{name} {asked}: the model {self.start_from} has {default}")
            sizes[name] = default if asked is None else asked
            if not 1 <= sizes[name] <= model_folder.MAX_FILTERS:
                raise InputError(f"--{name} {sizes[name]}: from 1 to {model_folder.MAX_FILTERS}")
        if self.crop < cls.stride or self.crop % cls.stride:
            raise InputError(f"--crop {self.crop}: {self.codec} takes multiples of {cls.stride}")
        if self.batch_size < 1:
            raise InputError(f"--batch_size {self.batch_size}: at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"--learning_rate {self.learning_rate:g}: must be above 0")
        return dataclasses.replace(self, start_from=self.start_from and str(self.start_from), **sizes)


def train(settings, frames, output, steps, *, checkpoint_every=500, frames_name="", say=lambda line: None):
    """Trains one model, from the start or from where an earlier run of the same settings stopped.

    Args:
      settings: `Settings`.
      frames: (Frames to train on, Frames to validate on), as `crops.open_frames` gives them.
      output: folder that gets model.json and weights.npz at the end, and meanwhile training.json, ckpt-*,
        metrics.jsonl and TensorBoard's train/ and val/.
      steps: number of steps from the start of the model.
      checkpoint_every: steps between checkpoints; each is followed by a validation.
      frames_name: where the frames come from, for model.json.
      say: called with each line that the user should read.

    Returns:
      `model_folder.Description`.

    Raises:
      InputError: bad settings, or a loss that became infinite or NaN; the last good checkpoint is kept.
      KeyboardInterrupt: after SIGINT or SIGTERM; the step that was being made is saved.
    """
    settings = settings.checked()
    if steps < 1 or checkpoint_every < 1:
        raise InputError("--steps and --checkpoint_every must be at least 1")
    output = pathlib.Path(output)
    stored = {**dataclasses.asdict(settings), "frames_sha256": _digest(frames)}
    if settings.start_from is not None:
        stored["start_from"] = model_folder.read(settings.start_from).model_hash
    _claim(output, stored)
    run = _Run(settings, frames, output, steps)
    if run.step_number >= steps and (output / model_folder.DESCRIPTION).is_file():
        found = model_folder.read(output, settings.codec)
        say(f"{output}: all {run.step_number} steps are made; it is model {found.model_hash[:8]}")
        return found
    say(f"{output}: {run.start}; {run.parameters:,} parameters, {len(frames[0])} frames to train on, "
        f"{len(frames[1])} to validate on; {steps - run.step_number} of {steps} steps to make")
    (output / model_folder.DESCRIPTION).unlink(missing_ok=True)
    run.loop(steps, checkpoint_every)
    return run.publish(frames_name)


class _Run:
    """Model, optimizer, data and log of one run."""

    def __init__(self, settings, frames, output, steps):
        self.settings, self.frames, self.output = settings, frames, output
        tf.keras.utils.set_random_seed(settings.seed)
        self.model = coder.build(settings.codec, settings.num_filters, settings.num_latents)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        last = steps - steps // 10
        self.optimizer = tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.PiecewiseConstantDecay(
            [last], [settings.learning_rate, settings.learning_rate / 10]))
        self.optimizer.build(self.model.trainable_variables)
        self.checkpoints = Checkpoints(output, tf.train.Checkpoint(
            step=self.step, seconds=self.seconds, model=self.model, optimizer=self.optimizer), keep=2)
        self.pending, self.writers = [], {}
        self.start = self._restore()

    @property
    def step_number(self):
        return int(self.step.numpy())

    @property
    def parameters(self):
        return sum(int(np.prod(variable.shape)) for variable in self.model.trainable_variables)

    def loop(self, steps, checkpoint_every):
        """Steps until `steps`; leaves a checkpoint."""
        settings, title = self.settings, f"{self.settings.codec} lmbda {self.settings.lmbda:g}"
        if self.step_number == 0:
            self.checkpoints.save(0)
        began = time.monotonic() - float(self.seconds.numpy())
        with Bar(title, steps, "steps", done=self.step_number) as bar, Stop() as stop:
            while (step := self.step_number) < steps:
                x, source_ids = crops.batch(self.frames[0], step, settings.batch_size, settings.crop, settings.seed)
                loss, bpp, mse = (float(value) for value in self._train_step(tf.constant(x)))
                step += 1
                self._check(step, loss, bpp, mse, source_ids)
                bar.update(step, f"loss {loss:.3f} bpp {bpp:.3f} psnr {_psnr(mse):.2f}")
                if step % LOG_EVERY == 0 or step == steps:
                    self.pending.append(("train", step, {"loss": loss, "bpp": bpp, "mse": mse, "psnr": _psnr(mse)}))
                self.seconds.assign(time.monotonic() - began)
                if step % checkpoint_every == 0 or step == steps or stop.reason():
                    if not stop.interrupted:
                        self._validate(step)
                    self.checkpoints.save(step)
                    self._flush()
                if stop.reason():
                    print(f"{self.output}: stopped at step {step} of {steps} with a checkpoint: {stop.reason()}",
                          flush=True)
                    raise KeyboardInterrupt

    def publish(self, frames_name):
        """Writes the model's folder, with what its real streams cost and show on validation frames."""
        tables = self.model.tables()
        settings = dataclasses.asdict(self.settings)
        more = {"training": {**settings, "steps": self.step_number, "seconds": round(float(self.seconds.numpy()), 1),
                             "frames": frames_name, "train_frames": len(self.frames[0]),
                             "val_frames": len(self.frames[1]), "command": sys.argv},
                "validation": self._measure(tables),
                "versions": {"tfod_compress": tfod_compress.__version__, "tensorflow": tf.__version__,
                             "tensorflow-compression": importlib.metadata.version("tensorflow-compression")}}
        return model_folder.write(self.output, self.settings.codec, self.settings.num_filters,
                                  self.settings.num_latents, self.settings.lmbda, coder.weights_of(self.model), tables,
                                  more)

    @tf.function(reduce_retracing=True)
    def _train_step(self, x):
        x = tf.cast(x, tf.float32)
        with random_from(tf.stack([tf.constant(self.settings.seed, tf.int64), self.step])), tf.GradientTape() as tape:
            x_hat, bits = self.model(x)
            loss, bpp, mse = rate_distortion(x, x_hat, bits, self.settings.lmbda)
        variables = self.model.trainable_variables
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.step.assign_add(1)
        return loss, bpp, mse

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def _look(self, x):
        x = tf.cast(x, tf.float32)
        with random_from(tf.constant([0, 0], tf.int64)):
            x_hat, bits = self.model(x, straight_through=True)
        return x_hat, *rate_distortion(x, x_hat, bits, self.settings.lmbda)

    def _validate(self, step):
        """Adds rate, distortion and reconstructions of validation frames to the log."""
        frames, stride = self.frames[1], self.model.stride
        found, shown = [], []
        for number in range(min(len(frames), _MEASURED)):
            rgb = frames.read(number)[:_VALIDATED[0], :_VALIDATED[1]]
            height, width, _ = rgb.shape
            x = np.pad(rgb, ((0, -height % stride), (0, -width % stride), (0, 0)), "edge")
            x_hat, *numbers = self._look(tf.constant(x[np.newaxis]))
            found.append([float(value) for value in numbers])
            self._check(step, *found[-1], [frames.source_ids[number]])
            if number < _SHOWN:
                x_hat = np.clip(np.rint(x_hat[0, :height, :width].numpy()), 0, 255).astype(np.uint8)
                shown.append(np.concatenate([rgb, x_hat], axis=1 if height > width else 0))
        loss, bpp, mse = np.mean(found, axis=0)
        self.pending.append(("val", step, {"loss": loss, "bpp": bpp, "mse": mse,
                                           "psnr": float(np.mean([_psnr(row[2]) for row in found]))}))
        self.pending.append(("val", step, shown))

    def _check(self, step, loss, bpp, mse, source_ids):
        if not math.isfinite(loss):
            raise InputError(f"{self.output}: the loss is not finite at step {step} (bpp {bpp:g}, mse {mse:g}) on "
                             f"{', '.join(source_ids)}; the last good checkpoint is kept; try a lower --learning_rate")

    def _flush(self):
        """Writes what was logged since the last checkpoint."""
        with open(self.output / "metrics.jsonl", "a", encoding="utf-8") as lines:
            for side, step, values in self.pending:
                if side not in self.writers:
                    self.writers[side] = tf.summary.create_file_writer(str(self.output / side))
                with self.writers[side].as_default(step):
                    if isinstance(values, list):
                        for number, rgb in enumerate(values):
                            tf.summary.image(f"original_and_reconstruction/{number}", rgb[np.newaxis])
                        continue
                    for name, value in values.items():
                        tf.summary.scalar(name, value)
                lines.write(json.dumps({"step": step, **{f"{side}/{name}": value for name, value in values.items()}})
                            + "\n")
        for writer in self.writers.values():
            writer.flush()
        self.pending = []

    def _measure(self, tables):
        """Means over validation frames of what the real streams cost and show."""
        picture_coder = coder.PictureCoder(self.model, tables, "0" * 64)
        frames, rows = self.frames[1], []
        for number in range(min(len(frames), _MEASURED)):
            rgb = frames.read(number)
            data = picture_coder.encode(rgb)
            pixels = rgb.shape[0] * rgb.shape[1]
            rows.append((8 * len(data) / pixels, picture_coder.information(rgb) / pixels,
                         quality.psnr_db(rgb, picture_coder.decode(data, MAX_PIXELS))))
        bpp, estimate, psnr_db = np.mean(rows, axis=0)
        return {"frames": len(rows), "bpp": round(bpp, 6), "estimated_bpp": round(estimate, 6),
                "psnr_db": round(psnr_db, 4)}

    def _restore(self):
        prefix = self.checkpoints.resume()
        if prefix:
            return f"goes on from step {self.step_number}"
        if self.settings.start_from is None:
            return "random weights"
        base = model_folder.read(self.settings.start_from, self.settings.codec)
        weights, _ = model_folder.read_arrays(base)
        coder.set_weights(self.model, weights, base.folder)
        return f"the weights of model {base.model_hash[:8]}"


def rate_distortion(x, x_hat, bits, lmbda):
    """The loss and its terms.

    Args:
      x: float32 [B, H, W, 3] in [0, 255].
      x_hat: likewise.
      bits: float32 [B].
      lmbda: weight of the distortion.

    Returns:
      float32 [] each: (bpp + lmbda * mse, bpp, mse).
    """
    shape = tf.shape(x)
    bpp = tf.reduce_sum(bits) / tf.cast(shape[0] * shape[1] * shape[2], tf.float32)
    mse = tf.reduce_mean(tf.math.squared_difference(x, x_hat))
    return bpp + lmbda * mse, bpp, mse


def _psnr(mse):
    return 10 * math.log10(255**2 / max(mse, 1e-10))


def _digest(frames):
    text = json.dumps([side.source_ids for side in frames])
    return hashlib.sha256(text.encode()).hexdigest()


def _claim(output, stored):
    """Notes the settings of a run in its folder; InputError where it holds a run with other ones."""
    path = output / _SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if output.is_dir() and any(output.iterdir()):
            raise InputError(f"{output}: holds something else than a codec's training; name another --output") from None
        write_json(path, stored)
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); name another --output") from error
    if found == stored:
        return
    names = [name for name in stored if not isinstance(found, dict) or found.get(name) != stored[name]]
    differs = ", ".join("the frames" if name == "frames_sha256" else f"--{name}" for name in names)
    raise InputError(f"{output}: was begun with other settings ({differs}); give the same ones, or name another "
                     "--output")
