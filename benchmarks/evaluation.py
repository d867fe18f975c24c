"""Our evaluation against the stock one: seconds for several record sets of one checkpoint, and the same detections.

Draws frames, makes record sets of several JPEG qualities and a detector of random weights (a detector that finds
something everywhere, which is the most work for suppression and metrics), then times

  ours   `python -m tools.evaluate`, one run with all record sets, intervals and error split included;
  stock  the OD API's eval_continuously, repaired, one process for each record set, as its command does it.

Wall time and processor time are both shown; on a shared machine the second is the one to trust.

Example:
  python -m benchmarks.evaluation --workdir /tmp/benchmark --sets 5 --stock_runs 5
"""

import json
import pathlib
import resource
import subprocess
import sys
import time

from absl import flags

from tools import command

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for frames, record sets and results; reused.", required=True)
_SETS = flags.DEFINE_integer("sets", 5, "Record sets.", lower_bound=1, upper_bound=15)
_FRAMES = flags.DEFINE_integer("frames", 150, "Frames in each.", lower_bound=5)
_STOCK_RUNS = flags.DEFINE_integer("stock_runs", 5, "Stock runs to time; their mean stands for the others.",
                                   lower_bound=1)
_DETECTOR = flags.DEFINE_string("detector", "ssd_inception_v2_demo", "Template in pipeline_configs/.")
_STOCK = flags.DEFINE_string("stock_config", None, "Internal: evaluate this config the stock way and stop.")

QUALITIES = (100, 40, 20, 10, 5, 95, 90, 80, 70, 60, 50, 30, 25, 15, 8)


def main():
    workdir = pathlib.Path(_WORKDIR.value)
    if _STOCK.value:
        return stock_evaluation(_STOCK.value, workdir)
    configs = prepare(workdir, QUALITIES[:_SETS.value])
    sets = [workdir / "tfrecords" / name for name in configs]
    output = workdir / f"ours-{time.time():.0f}"
    arguments = ["-m", "tools.evaluate", "--pipeline_config_path", next(iter(configs.values())), "--checkpoint",
                 workdir / "model", "--output", output]
    ours = timed([*arguments, *(part for folder in sets for part in ("--records", folder))])
    stock, difference = [], 0.0
    for number in range(min(_STOCK_RUNS.value, len(sets))):
        name, config = list(configs.items())[number]
        stock.append(timed(["-m", "benchmarks.evaluation", "--workdir", workdir / "stock" / name, "--stock_config",
                            config]))
        difference = max(difference, largest_difference(workdir / "stock" / name, output / name))
    print(f"{len(sets)} record sets of about {_FRAMES.value} frames, {_DETECTOR.value}")
    for kind, column in (("wall", 0), ("processor", 1)):
        mean = sum(run[column] for run in stock) / len(stock)
        print(f"  {kind:9}  ours {ours[column]:7.1f} s   stock {mean:6.1f} s a run ({len(stock)} timed), "
              f"{mean * len(sets):7.1f} s   ratio {mean * len(sets) / ours[column]:.2f}")
    print(f"  largest difference between detections (boxes normalised, and scores): {difference:.1e}")
    return 0


def timed(arguments):
    """(wall seconds, processor seconds) of a Python process; raises if it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.time() - start, used


def prepare(workdir, qualities):
    """Makes what is missing; returns {record set name: its pipeline.config}."""
    from tfod_compress import records, synthetic
    from tfod_compress.tasks.detection import odapi
    from tfod_compress.tasks.detection.config import pipeline_config

    odapi.install()
    synthetic.make_frames(workdir / "data", count=2 * _FRAMES.value, width=256, height=160, seed=0)
    records.convert(workdir / "data" / "frames", workdir / "data" / "labels", workdir / "tfrecords", codec="jpeg",
                    qualities=qualities, val_fraction=0.5, split_by=r"^(seq\d+)/", num_shards=1, measure="none")
    configs = {}
    for quality in qualities:
        name = f"jpeg-q{quality}"
        configs[name] = workdir / "configs" / f"{name}.config"
        pipeline_config.make(_DETECTOR.value, workdir / "tfrecords" / name, configs[name])
    if not (workdir / "model" / "ckpt-1.index").is_file():
        import tensorflow as tf
        from object_detection.builders import model_builder
        from object_detection.utils import config_util

        tf.keras.utils.set_random_seed(0)
        config = pipeline_config.read(next(iter(configs.values()))).model
        model = model_builder.build(config, is_training=True)
        height, width = config_util.get_spatial_image_size(config_util.get_image_resizer_config(config))
        image, shapes = model.preprocess(tf.zeros([1, height, width, 3]))
        model.predict(image, shapes)
        tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(workdir / "model"), 1).save()
    return configs


def stock_evaluation(config, output):
    """Evaluates the config's own eval records in this process and keeps the detections, for the comparison."""
    from tfod_compress.tasks.detection import odapi

    odapi.install()
    import numpy as np
    from object_detection import model_lib_v2
    from object_detection.utils.object_detection_evaluation import ObjectDetectionEvaluator

    kept, original = [], ObjectDetectionEvaluator.add_single_detected_image_info

    def keeping(self, image_id, detections):
        kept.append(tuple(np.asarray(detections[f"detection_{key}"]) for key in ("boxes", "scores", "classes")))
        return original(self, image_id, detections)

    ObjectDetectionEvaluator.add_single_detected_image_info = keeping
    # It waits a second for another checkpoint and ends.
    model_lib_v2.eval_continuously(config, model_dir=str(output), checkpoint_dir=str(output.parent.parent / "model"),
                                   wait_interval=1, timeout=1)
    boxes, scores, classes = (np.stack(column) for column in zip(*kept, strict=True))
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "detections.npz", boxes=boxes, scores=scores, classes=classes)
    return 0


def largest_difference(stock, ours):
    """The largest distance from one of our detections to the nearest stock one of its class and image.

    Boxes are compared in normalised coordinates and scores as they are. Images come in the records' order; the stock
    evaluation drops what does not fill its last batch (drop_remainder), so these images cannot be compared.
    """
    import numpy as np

    from tfod_compress.records import RecordSet

    theirs = np.load(stock / "detections.npz")
    results = json.loads((ours / "detections.json").read_text())
    by_image = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)
    examples = list(RecordSet(stock.parent.parent / "tfrecords" / stock.name).examples("val"))
    examples = examples[:len(theirs["boxes"])]
    largest = 0.0
    for example, boxes, scores, classes in zip(examples, theirs["boxes"], theirs["scores"], theirs["classes"],
                                               strict=True):
        scale = np.array([example.height, example.width] * 2)
        for result in by_image[example.source_id]:
            x, y, width, height = result["bbox"]
            box = np.array([y, x, y + height, x + width]) / scale
            apart = np.maximum(np.abs(boxes / scale - box).max(axis=1), np.abs(scores - result["score"]))
            largest = max(largest, float(apart[classes == result["category_id"]].min(initial=1.0)))
    return largest


if __name__ == "__main__":
    command.run(main)
