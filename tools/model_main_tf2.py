"""Train a detector: the OD API's command line with our loop behind it.

Also installed as model_main_tf2.py. Run again, it goes on where it stopped. With --checkpoint_dir it evaluates the
checkpoints of that folder as they appear, as the stock program does.

Examples:
  model_main_tf2.py --pipeline_config_path pipeline_configs/generated/ssd-q20.config --model_dir runs/ssd-q20
  python -m tools.model_main_tf2 --pipeline_config F --model_dir D --num_train_steps 500
  tensorboard --logdir runs
"""

from absl import flags

from tools import command

_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The pipeline.config.")
flags.DEFINE_alias("pipeline_config", "pipeline_config_path")
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "The folder for checkpoints and logs.", required=True)
_STEPS = flags.DEFINE_integer("num_train_steps", None, "Steps, instead of the config's num_steps.")
_EVERY = flags.DEFINE_integer("checkpoint_every_n", 1000, "Steps between checkpoints.", lower_bound=1)
_KEEP = flags.DEFINE_integer("keep_checkpoints", 7, "How many of the newest checkpoints to keep.", lower_bound=1)
_SUMMARIES = flags.DEFINE_bool("record_summaries", True, "Training pictures in TensorBoard; losses always are.")
_SEED = flags.DEFINE_integer("seed", None, "Seed of the initial weights and of the data order.")
_WORKERS = flags.DEFINE_integer("num_workers", 1, "More than 1: MultiWorkerMirroredStrategy, from TF_CONFIG.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, "Evaluate the checkpoints of this folder, do not train.")
_TIMEOUT = flags.DEFINE_integer("eval_timeout", 3600, "Seconds that evaluation waits for a new checkpoint.")
_ONE_OF = flags.DEFINE_integer("sample_1_of_n_eval_examples", None, "Evaluate one of every n frames.")
_ON_TRAIN = flags.DEFINE_bool("eval_on_train_data", False, "As in the stock program, where it has no effect either.")
_ONE_OF_TRAIN = flags.DEFINE_integer("sample_1_of_n_eval_on_train_examples", 5, "As in the stock program.")
_TPU = flags.DEFINE_bool("use_tpu", False, "Not supported here.")
_TPU_NAME = flags.DEFINE_string("tpu_name", None, "Not supported here.")


def main():
    if not _CONFIG.value:
        raise command.UsageError("flag --pipeline_config_path is required")
    if _TPU.value or _TPU_NAME.value:
        raise command.UsageError("--use_tpu: not supported here; use the stock program for TPUs")
    from tfod_compress import pipeline_config

    pipeline_config.read(_CONFIG.value)  # a mistake here is told before TensorFlow's slow import
    import tensorflow as tf

    if _CHECKPOINT_DIR.value:
        _evaluate_as_they_appear()
        return
    from tfod_compress import training

    strategy = tf.distribute.MultiWorkerMirroredStrategy() if _WORKERS.value > 1 else _local_strategy(tf)
    training.train(_CONFIG.value, _MODEL_DIR.value, num_train_steps=_STEPS.value, checkpoint_every_n=_EVERY.value,
                   keep_checkpoints=_KEEP.value, record_summaries=_SUMMARIES.value, seed=_SEED.value,
                   strategy=strategy)


def _local_strategy(tf):
    """All GPUs, or plain single-device training: MirroredStrategy on one CPU only adds copies."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _evaluate_as_they_appear():
    from tfod_compress import odapi

    odapi.install()
    from object_detection import model_lib_v2

    model_lib_v2.eval_continuously(
        pipeline_config_path=_CONFIG.value, model_dir=_MODEL_DIR.value, train_steps=_STEPS.value,
        sample_1_of_n_eval_examples=_ONE_OF.value, sample_1_of_n_eval_on_train_examples=_ONE_OF_TRAIN.value,
        checkpoint_dir=_CHECKPOINT_DIR.value, wait_interval=10, timeout=_TIMEOUT.value)


def entry():
    """What the installed model_main_tf2.py calls."""
    command.run(main)


if __name__ == "__main__":
    entry()
