"""What a run leaves for a person to see: the live line, TensorBoard, metrics.jsonl."""

import json
import os
import pathlib
import time

import numpy as np
import tensorflow as tf

from tfod_compress.support.files import atomic_file
from tfod_compress.support.progress import Bar
from tfod_compress.tasks.detection.inspection import draw_boxes

EVERY = 10  # steps between TensorBoard points and lines of metrics.jsonl; the stock loop has 100


class Log:
    """Writes a run's numbers; a context manager.

    Args:
      model_dir: receives metrics.jsonl, TensorBoard's train/ and eval/, and in the folder itself the run's hparams.
      first_step: the step that the run goes on from; what an interrupted run logged beyond it is taken back.
      steps: the run's last step.
      batch_size: frames a step.
      hparams: {name: str, number or bool}, for TensorBoard's HPARAMS tab.
      label_map: {class id: name}, for the pictures.
    """

    def __init__(self, model_dir, first_step, steps, batch_size, hparams, label_map):
        self.model_dir = pathlib.Path(model_dir)
        self.batch_size, self.label_map, self.steps = batch_size, label_map, steps
        self.history = _cut(self.model_dir / "metrics.jsonl", first_step)
        _forget_events_after(self.model_dir / "train", first_step)
        self.writer = tf.summary.create_file_writer(str(self.model_dir / "train"))
        self._writers = {}
        self._bar = Bar("training", steps, "steps", done=first_step)
        self._since, self._rate = None, 0.0  # from the end of the first step on: before it, the graph is compiled
        _write_hparams(self.model_dir, hparams)

    def __enter__(self):
        self._lines = open(self.model_dir / "metrics.jsonl", "a", encoding="utf-8")
        self._bar.__enter__()
        return self

    def __exit__(self, *details):
        self._bar.__exit__(*details)
        self._lines.close()
        for writer in (self.writer, *self._writers.values()):
            writer.close()

    def step(self, step, losses, learning_rate):
        """Shows a step, and records every tenth and the last.

        Args:
          step: how many steps are made.
          losses: {"Loss/...": float}.
          learning_rate: callable without arguments, called where it is recorded.
        """
        due = step % EVERY == 0 or step == self.steps
        now = time.monotonic()
        then, before = self._since or (now, step)
        if step > before and (due or not self._rate):
            self._rate = self.batch_size * (step - before) / max(now - then, 1e-9)
        self._bar.update(step, _losses_text(losses) + (f" {self._rate:.1f} images/s" if self._rate else ""))
        if due or not self._since:
            self._since = (now, step)
        if due:
            self._write(step, {**losses, "learning_rate": float(learning_rate()), "images_per_second": self._rate},
                        self.writer)
            self.writer.flush()

    def pause(self):
        """Leaves out of the images/s what is done between this call and `resume`."""
        self._paused = time.monotonic()

    def resume(self):
        """See `pause`."""
        then, before = self._since or (self._paused, 0)
        self._since = (then + time.monotonic() - self._paused, before)

    def evaluated(self, step, results):
        """Records evaluation metrics: metrics.jsonl gets "eval/<record set>/<metric>", TensorBoard eval/<record set>.

        Args:
          step: that was evaluated.
          results: {record set name: {metric: number}}; None is left out.
        """
        for name, values in results.items():
            self._write(step, {f"eval/{name}/{metric}": value for metric, value in values.items()
                               if value is not None}, self._eval_writer(name), prefix=f"eval/{name}/")

    def pictures(self, step, tag, pictures, record_set=None):
        """Puts pictures with boxes into TensorBoard.

        Args:
          step: the step.
          tag: their name.
          pictures: [(rgb uint8 [H, W, 3], boxes [N, 4] (ymin, xmin, ymax, xmax) in [0, 1], class ids [N])].
          record_set: whose, or None for the training frames.
        """
        writer = self._eval_writer(record_set) if record_set else self.writer
        with writer.as_default(), tf.summary.record_if(True):
            for number, (rgb, boxes, class_ids) in enumerate(pictures):
                drawn = np.asarray(draw_boxes(rgb, np.clip(boxes, 0, 1), class_ids, self.label_map))
                tf.summary.image(f"{tag}/{number}", drawn[np.newaxis], step=step)

    def _eval_writer(self, name):
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self.model_dir / "eval" / name))
        return self._writers[name]

    def _write(self, step, values, writer, prefix=""):
        with writer.as_default(), tf.summary.record_if(True):
            for name, value in values.items():
                tf.summary.scalar(name.removeprefix(prefix), value, step=step)
        line = {"step": step, **values}
        self.history.append(line)
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()


def _losses_text(losses):
    total = losses["Loss/total_loss"]
    parts = " ".join(f"{name.split('/')[-1].removesuffix('_loss')} {value:.3f}" for name, value in losses.items()
                     if name != "Loss/total_loss")
    return f"loss {total:.3f} ({parts})"


def _cut(path, step):
    """The lines of a metrics.jsonl up to a step; later ones, and half a last line, are removed from the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    kept = []
    for line in lines:
        try:
            row = json.loads(line)
            if row["step"] <= step:
                kept.append(row)
        except (ValueError, KeyError, TypeError):
            continue
    if len(kept) < len(lines):
        with atomic_file(path, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in kept)
    return kept


def _forget_events_after(folder, step):
    """Tells TensorBoard that a run went on from `step`, so that it drops what a killed run logged beyond."""
    if step == 0 or not folder.is_dir():
        return
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    writer.add_event(Event(wall_time=time.time(), step=step + 1, session_log=SessionLog(status=SessionLog.START)))
    writer.close()


def _write_hparams(model_dir, hparams):
    """One session of TensorBoard's HPARAMS tab: the folder's run, whose metrics are those of train/ and eval/."""
    from tensorboard.plugins.hparams import summary_v2

    if any(".hparams" in name for name in os.listdir(model_dir)):
        return
    writer = tf.summary.create_file_writer(str(model_dir), filename_suffix=".hparams")
    with writer.as_default():
        summary_v2.hparams(hparams, trial_id=str(model_dir.resolve()))
    writer.close()
