"""Where a run computes, and in which precision: one device, all GPUs of a machine, or several machines."""

import contextlib
import json
import os
import pathlib

import tensorflow as tf

from tfod_compress.support.errors import InputError

PRECISIONS = ("float32", "float16", "bfloat16")
LOST_AFTER = 20  # seconds without a heartbeat after which a worker counts as lost


def strategy(num_workers=1):
    """The strategy of a run; call it before anything else of TensorFlow.

    Args:
      num_workers: more than 1 for several machines (or processes), which the variable TF_CONFIG names.

    Returns:
      MultiWorkerMirroredStrategy, MirroredStrategy over all GPUs where there are several, else the default one:
      MirroredStrategy on a single device only adds copies.

    Raises:
      InputError: TF_CONFIG does not describe as many workers.
    """
    if num_workers > 1:
        _check_cluster(num_workers)
        _watch_workers(num_workers)
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _check_cluster(num_workers):
    cure = ('set it as {"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}, '
            "with another index on each machine")
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        workers, task = config["cluster"]["worker"], config["task"]
        known = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"TF_CONFIG: does not describe a cluster of workers; {cure}") from error
    if len(workers) != num_workers or not known or len(config["cluster"]) > 1:
        raise InputError(f"TF_CONFIG: --num_workers {num_workers} does not fit its {len(workers)} workers and "
                         f"task {task}; {cure}")


def _watch_workers(num_workers):
    """Sets up the coordination service, which MultiWorkerMirroredStrategy would start with timeouts of its own."""
    from tensorflow.python.eager import context
    from tensorflow.tsl.protobuf.coordination_config_pb2 import CoordinatedJob

    context.context().configure_coordination_service(
        "standalone", "/job:worker/replica:0/task:0", heartbeat_timeout_in_ms=1000 * LOST_AFTER,
        coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=num_workers)])


def own_folder(model_dir, strategy):
    """Where this process writes: the model folder for the first worker, a folder in it for each other one.

    All workers have to take part in saving, but only one set of files is wanted.
    """
    model_dir = pathlib.Path(model_dir)
    if strategy is None or strategy.extended.should_checkpoint:
        return model_dir
    return model_dir / "workers" / str(strategy.cluster_resolver.task_id)


@contextlib.contextmanager
def lost_workers(model_dir, strategy):
    """Turns TensorFlow's errors about a worker that does not answer into one that says what to do."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError, tf.errors.InternalError, tf.errors.CancelledError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        # The message begins with the Python stack of the collective op; what happened stands in one line of it.
        lines = [line.strip() for line in str(error.message).splitlines()]
        words = ("abort", "heartbeat", "closed", "reset")
        told = [line for line in lines if any(word in line.lower() for word in words)]
        reason = (told or [type(error).__name__])[0][:200]
        raise InputError(f"{model_dir}: another worker is lost ({reason}); start all of them again, and the run goes "
                         "on from its newest checkpoint") from error


def set_precision(name):
    """Sets what the layers of models that are built from now on compute in; their weights stay float32.

    Args:
      name: one of PRECISIONS. float16 is for GPUs, bfloat16 for GPUs from Ampere on and processors that know it.

    Returns:
      step.LossScale for float16, whose small gradients would vanish, else None.
    """
    from tfod_compress.training.step import LossScale

    tf.keras.mixed_precision.set_global_policy(name if name == "float32" else f"mixed_{name}")
    return LossScale() if name == "float16" else None


def compile_with_xla():
    """Lets TensorFlow compile clusters of a GPU's ops with XLA; call it before the first op runs.

    Raises:
      InputError: there is no GPU. Clusters for a CPU would take in ops of the input pipeline, which then fails.
    """
    if not tf.config.list_physical_devices("GPU"):
        raise InputError("--xla: there is no GPU here, and on a CPU TensorFlow's input pipeline breaks; leave it "
                         "out")
    tf.config.optimizer.set_jit("autoclustering")
