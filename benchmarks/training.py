"""Our training step against the OD API's: time to the first finished step, steps per second, and where the time goes.

Draws frames and makes one record set. Each comparison uses one config and those records on both sides:

  first   a process of its own for each side at a large batch: seconds of import, build, tracing and the first step,
          and the nodes of the graph;
  rate    both sides in one process, some steps of one and some of the other in turn, so that whatever else the
          machine does hits both; the ratio is that of the medians. Once without oneDNN and once with it.
  parts   of ours and of stock: the input pipeline alone, the forward pass, forward pass with losses, the whole step.

The stock side is model_lib_v2.eager_train_step in the tf.function of its train_loop, on inputs.train_input, repaired by
odapi.install(). Wall time and processor time are both shown; on a shared machine trust the second, and ratios.

Examples:
  python -m benchmarks.training --workdir /tmp/benchmark
  python -m benchmarks.training --workdir /tmp/benchmark --cases ssd --first_batch 16 --rounds 2
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

START = time.time()  # before the slow imports, which belong to the time to the first step

from absl import flags  # noqa: E402

from tools import command  # noqa: E402

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for frames and records; reused.", required=True)
_CASES = flags.DEFINE_list("cases", ["first", "ssd", "faster_rcnn_inception_v2", "faster_rcnn_resnet50"],
                           "What to compare: first, ssd, and templates of Faster R-CNNs.")
_FIRST_BATCH = flags.DEFINE_integer("first_batch", 128, "Batch of the time to the first step.", lower_bound=2)
_BATCH = flags.DEFINE_integer("batch", 32, "Batch of the SSD's rate.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 6, "Turns of each side.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3, "Steps in a turn.", lower_bound=1)
_ONEDNN = flags.DEFINE_list("onednn", ["0", "1"], "Settings of TF_ENABLE_ONEDNN_OPTS to measure the rates with.")
_SIZE = flags.DEFINE_string("size", "480x300", "Frames, as width x height.")
_WORKER = flags.DEFINE_list("worker", None, "Internal: what to measure in this process, and with which config.")

SSD = ("model { ssd { feature_extractor { depth_multiplier: 0.35 } } }",)
FASTER_RCNN = ("model { faster_rcnn { image_resizer { fixed_shape_resizer { height: 200 width: 320 } } } }",)
MARK = "RESULT "


def main():
    if _WORKER.value:
        what, path = _WORKER.value
        result = first_step(what.removeprefix("first_"), path) if what.startswith("first_") else rates(path)
        print(MARK + json.dumps(result), flush=True)
        return
    workdir = pathlib.Path(_WORKDIR.value)
    for case in _CASES.value:
        if case == "first":
            report_first(config(workdir, "ssd_inception_v2_300", SSD, _FIRST_BATCH.value))
            continue
        if case == "ssd":
            path = config(workdir, "ssd_inception_v2_300", SSD, _BATCH.value)
        else:
            path = config(workdir, case, FASTER_RCNN, None)
        found = {onednn: worker("rates", path, onednn) for onednn in _ONEDNN.value}
        for onednn, result in found.items():
            report_rates(path.stem, onednn, result)
        if {"0", "1"} <= set(found):
            off, on = (found[onednn]["ours"]["step"] for onednn in ("0", "1"))
            print(f"  oneDNN makes our step {off[0] / on[0]:.2f} times as fast (processor time {off[1] / on[1]:.2f})")


def config(workdir, template, changes, batch):
    """The path of a pipeline.config on the benchmark's records, which are made where they are missing."""
    from tfod_compress import records, synthetic
    from tfod_compress.tasks.detection.config import pipeline_config

    sets = workdir / f"tfrecords-{_SIZE.value}"
    if not (sets / "jpeg-q90" / "manifest.json").is_file():
        width, height = map(int, _SIZE.value.split("x"))
        data = workdir / f"data-{_SIZE.value}"
        synthetic.make_frames(data, count=160, width=width, height=height, seed=0)
        records.convert(data / "frames", data / "labels", sets, codec="jpeg", qualities=(90,), val_fraction=0.1,
                        split_by=r"^(seq\d+)/", num_shards=4, measure="none")
    path = workdir / (template + (f"-batch{batch}" if batch else "") + ".config")
    pipeline_config.make(template, sets / "jpeg-q90", path, overrides=changes, batch_size=batch)
    return path


def worker(what, path, onednn):
    """What a process of its own measured."""
    arguments = [f"--workdir={_WORKDIR.value}", f"--worker={what},{path}", f"--rounds={_ROUNDS.value}",
                 f"--steps={_STEPS.value}"]
    done = subprocess.run([sys.executable, "-m", "benchmarks.training", *arguments], capture_output=True, text=True,
                          env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn})
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        raise RuntimeError(f"{what} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return json.loads(lines[0].removeprefix(MARK))


def report_first(path):
    found = {side: worker(f"first_{side}", path, "0") for side in ("ours", "stock")}
    print(f"{path.stem}: to the first finished step")
    for kind, column in (("wall", 0), ("processor", 1)):
        for side, result in found.items():
            parts = ", ".join(f"{name} {times[column]:.1f}" for name, times in result["parts"].items())
            total = sum(times[column] for times in result["parts"].values())
            print(f"  {kind:9} {side:5} {total:7.1f} s ({parts})")
        ours, stock = ([result["parts"][name][column] for name in ("tracing", "first step")]
                       for result in found.values())
        everything = [sum(times[column] for times in result["parts"].values()) for result in found.values()]
        print(f"  {kind:9} ours takes {sum(ours) / sum(stock):.3f} of stock's tracing and first step, "
              f"{everything[0] / everything[1]:.3f} with import and build")
    print(f"  graph nodes: ours {found['ours']['nodes']}, stock {found['stock']['nodes']}", flush=True)


def report_rates(name, onednn, result):
    print(f"{name}, oneDNN {'on' if onednn == '1' else 'off'}: ms a step, wall (processor)")
    for side in ("ours", "stock"):
        parts = ", ".join(f"{part} {1000 * wall:.0f} ({1000 * cpu:.0f})" for part, (wall, cpu)
                          in result[side].items())
        print(f"  {side:5} {parts}")
    ours, stock = result["ours"]["step"], result["stock"]["step"]
    print(f"  ours makes {stock[0] / ours[0]:.3f} times the steps per second of stock (processor time "
          f"{stock[1] / ours[1]:.3f}); {1 / ours[0]:.2f} steps/s", flush=True)


class Clock:
    """Seconds of wall and processor time since the last look."""

    def __init__(self, wall=None, processor=0.0):
        self._wall, self._processor = wall or time.time(), processor

    def __call__(self):
        now = time.time(), time.process_time()
        spent = now[0] - self._wall, now[1] - self._processor
        self._wall, self._processor = now
        return spent


def first_step(side, path):
    """Seconds of each part until a first step is done, and the nodes of its graph."""
    clock = Clock(START)
    from tfod_compress.tasks.detection import odapi

    odapi.install()
    parts = {"import": clock()}
    build = Side(side, path)
    parts["build"] = clock()
    iterator = iter(build.batches())
    # Tracing apart from running: the concrete function is what the call would make.
    concrete = build.train_step.get_concrete_function(iterator)
    parts["tracing"] = clock()
    {name: float(loss) for name, loss in build.train_step(iterator).items()}
    parts["first step"] = clock()
    graph = concrete.graph.as_graph_def()
    return {"parts": parts,
            "nodes": len(graph.node) + sum(len(function.node_def) for function in graph.library.function)}


def rates(path):
    """{side: {part: (wall, processor) seconds a step}}."""
    from tfod_compress.tasks.detection import odapi

    odapi.install()
    sides = {side: Side(side, path) for side in ("ours", "stock")}
    runs = {}
    for name, side in sides.items():
        iterator, other = iter(side.batches()), iter(side.batches())
        batch = next(other)
        runs[name] = {"step": lambda side=side, iterator=iterator: side.train_step(iterator),
                      "input alone": lambda other=other: next(other),
                      "forward": lambda side=side, batch=batch: side.forward(*batch),
                      "forward and losses": lambda side=side, batch=batch: side.losses(*batch)}
        for run in runs[name].values():
            run()
    times = {name: {part: [] for part in runs[name]} for name in runs}
    for _ in range(_ROUNDS.value):
        for part in ("step", "input alone", "forward", "forward and losses"):
            for name in runs:
                # Batches that were made during another part are worth nothing after a few.
                steps = 8 * _STEPS.value if part == "input alone" else _STEPS.value
                clock = Clock(processor=time.process_time())
                for _ in range(steps):
                    done(runs[name][part]())
                times[name][part].append([each / steps for each in clock()])
    return {name: {part: [statistics.median(column) for column in zip(*measured, strict=True)]
                   for part, measured in parts.items()} for name, parts in times.items()}


def done(result):
    """Waits for what a function returned."""
    import tensorflow as tf

    for tensor in tf.nest.flatten(result):
        if tensor.dtype != tf.string:
            tensor.numpy()


class Side:
    """A detector, its data and its step: ours, or as model_lib_v2.train_loop makes them."""

    def __init__(self, side, path):
        import tensorflow as tf
        from object_detection.builders import model_builder, optimizer_builder

        from tfod_compress.tasks.detection.config import pipeline_config
        from tfod_compress.tasks.detection.odapi import batched_losses

        self.side, self.config = side, pipeline_config.read(path)
        train_config = self.train_config = self.config.train_config
        tf.keras.utils.set_random_seed(0)
        self.model = model = model_builder.build(self.config.model, is_training=True)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.optimizer, _ = optimizer_builder.build(train_config.optimizer, global_step=self.step)
        self._build()
        self.train_step = self._ours() if side == "ours" else self._stock()

        @tf.function(autograph=side == "stock")
        def forward(features, labels):
            batched_losses.provide(model, labels, train_config.unpad_groundtruth_tensors, self.step)
            return model.predict(features["image"], features["true_image_shape"])["class_predictions_with_background"]

        def our_losses(features, labels):
            from tfod_compress.tasks.detection import losses

            return losses.losses_of(model, features, labels, train_config, self.step)

        def stock_losses(features, labels):
            from object_detection import model_lib, model_lib_v2

            labels = model_lib.unstack_batch(labels, train_config.unpad_groundtruth_tensors)
            return model_lib_v2._compute_losses_and_predictions_dicts(model, features, labels, self.step)[0]

        self.forward = forward
        self.losses = tf.function(our_losses if side == "ours" else stock_losses, autograph=side == "stock")

    def _build(self):
        """Makes the variables: ours eagerly, as our loop does; stock in a tf.function, as its loop does."""
        import tensorflow as tf
        from object_detection.utils import config_util

        self.model._is_training = False
        tf.keras.backend.set_learning_phase(False)
        height, width = config_util.get_spatial_image_size(
            config_util.get_image_resizer_config(self.config.model))
        predict = lambda: self.model.predict(*self.model.preprocess(tf.zeros([1, height, width, 3])))  # noqa: E731
        (predict if self.side == "ours" else tf.function(predict))()
        self.model._is_training = True
        tf.keras.backend.set_learning_phase(True)

    def batches(self):
        from object_detection import inputs

        from tfod_compress.tasks.detection.odapi import input_transform
        from tfod_compress.training import batches as input_pipeline
        from tfod_compress.training import checks
        from tfod_compress.training import order as training_order

        if self.side == "stock":
            return inputs.train_input(self.train_config, self.config.train_input_reader, self.config.model,
                                      model=self.model).repeat()
        frames, _ = checks.frames(self.config, "benchmark", 1)
        order = training_order.Order(len(frames), self.train_config.batch_size, 0)
        return input_pipeline.batches(input_transform.for_training(self.config, self.model), frames, order)

    def _ours(self):
        from tfod_compress.tasks.detection.trainable import TrainableDetector
        from tfod_compress.training import step as train_step

        return train_step.build(TrainableDetector(self.model, self.optimizer, self.train_config, self.step), 0)

    def _stock(self):
        import tensorflow as tf
        from object_detection import model_lib_v2

        config = self.train_config

        @tf.function
        def step(iterator):
            features, labels = next(iterator)
            losses = model_lib_v2.eager_train_step(
                self.model, features, labels, config.unpad_groundtruth_tensors, self.optimizer, self.step,
                add_regularization_loss=config.add_regularization_loss,
                clip_gradients_value=config.gradient_clipping_by_norm or None)
            self.step.assign_add(1)
            return losses

        return step


if __name__ == "__main__":
    command.run(main)
