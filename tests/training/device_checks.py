"""Training steps on two virtual CPU devices, in parts, in other precisions: python -m tests.training.device_checks OUT.

A process of its own, because devices have to be divided before TensorFlow's first op. Writes JSON:
{case: {"losses": [{name: value}, …], "weights": largest difference from one device's weights, "moved": …}}.
"""

import json
import sys

STEPS, BATCH = 2, 4
FROZEN = "model { ssd { freeze_batchnorm: true } } "
CLIPPED = "train_config { gradient_clipping_by_norm: 0.5 } "


def main(output):
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tfod_compress.tasks.detection import odapi
    from tfod_compress.training import devices

    odapi.install()
    from tests.training import test_training_parity as parity

    def run(config, start=None, strategy=None, **options):
        """(losses of each step, weights before, weights after)."""
        scope = strategy or tf.distribute.get_strategy()
        with scope.scope():
            trained = parity.Trained(config)
        if start is None:
            start = [variable.numpy() for variable in trained.model.variables]
        for variable, value in zip(trained.model.variables, start, strict=True):
            variable.assign(value)
        from tfod_compress.tasks.detection.trainable import TrainableDetector
        from tfod_compress.training import step as train_step

        detector = TrainableDetector(trained.model, trained.optimizer, trained.config, trained.step)
        step = train_step.build(detector, 5, strategy=strategy, **options)
        losses = []
        for number in range(STEPS):
            batch = tf.data.Dataset.from_tensor_slices(trained.batch(number, BATCH))
            shares = scope.distribute_datasets_from_function(
                lambda context, batch=batch: batch.batch(context.get_per_replica_batch_size(BATCH)))
            losses.append({name: float(loss) for name, loss in step(iter(shares)).items()})
        return losses, start, [variable.numpy() for variable in trained.model.variables]

    def largest(one, other):
        return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))

    report, starts = {}, {}

    def found_out(case, **results):
        report[case] = results
        with open(output, "w", encoding="utf-8") as file:
            json.dump(report, file)

    # One for all: a second one's collective operations would be taken for those of the first.
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in ("hard mining", "focal loss, unpadded, not normalised"):
        template, changes = parity.SSD[name]
        config = parity.ssd_config(template, changes + FROZEN + CLIPPED)
        losses, start, weights = run(config)
        starts[name] = start
        found_out(name, losses=losses, moved=largest(start, weights))
        others = {"two devices": {"strategy": mirrored}, "two parts": {"accumulate": 2}}
        if name == "hard mining":
            others["four parts on two devices"] = {**others["two devices"], "accumulate": 2}
        for other, options in others.items():
            found, _, after = run(config, start, **options)
            found_out(f"{name}, {other}", losses=found, weights=largest(weights, after))
    config, start = parity.ssd_config(*parity.SSD["hard mining"]), starts["hard mining"]
    losses, _, weights = run(config, start)
    found_out("float32", losses=losses, moved=largest(start, weights))
    devices.set_precision("bfloat16")
    losses, start, weights = run(config, start)
    found_out("bfloat16", losses=losses, moved=largest(start, weights))
    scale = devices.set_precision("float16")
    losses, start, weights = run(config, start, loss_scale=scale)
    found_out("float16", losses=losses, moved=largest(start, weights), scale=float(scale.value))


if __name__ == "__main__":
    main(sys.argv[1])
