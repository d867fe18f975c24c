"""Train a detector: the OD API's command line with our loop behind it.

Also installed as model_main_tf2.py. Run again, it goes on where it stopped. With --checkpoint_dir it evaluates the
checkpoints of that folder as they appear, as the stock program does. MODEL_DIR gets ckpt-*, pipeline.config, run.json
(what it takes to repeat the run), metrics.jsonl, restored.json and TensorBoard's events; with --eval_every also
evaluations/ and best/. A study reports the last checkpoint: report the best one only if frames that are in neither
train nor the val split that chose it are evaluated.

With --codec_model a learned codec stands in front of the detector, which sees decoded pictures; the loss is the
detector's + beta * bits per pixel + lmbda * mean squared error (0 to 255). --codec_regime says what is trained: task_ft
the detector, codec_ft the codec through the frozen detector, joint_ft both, fixed_decoder the codec's encoder side,
task_decoder its synthesis and the detector. MODEL_DIR/codec gets the tuned codec, for make_tfrecords --codec_model.

Examples:
  model_main_tf2.py --pipeline_config_path pipeline_configs/generated/ssd-q20.config --model_dir runs/ssd-q20
  python -m tools.model_main_tf2 --pipeline_config F --model_dir D --num_train_steps 500 --seed 0 --deterministic
  python -m tools.model_main_tf2 --pipeline_config F --model_dir D --eval_every 500 --eval_records tfrecords/jpeg-q20 \\
      --eval_records tfrecords/jpeg-q5 --patience 5 --hparams regime=task_ft
  model_main_tf2.py --pipeline_config_path F --model_dir D/eval --checkpoint_dir D --eval_timeout 600
  model_main_tf2.py --pipeline_config_path F --model_dir D --codec_model runs/bmshj2018 --codec_regime joint_ft \\
      --codec_beta 0.5
  tensorboard --logdir runs
"""

from absl import flags

from tools import codec_flags, command, training_flags

_CONFIG = flags.DEFINE_string("pipeline_config_path", None, "The pipeline.config.")
flags.DEFINE_alias("pipeline_config", "pipeline_config_path")
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "The folder for checkpoints and logs.", required=True)
_HEADS = flags.DEFINE_bool("restore_heads", False, "With fine_tune_checkpoint_type detection: restore the box heads "
                           "that fit, too, as those of a detector of other classes.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, "Evaluate the checkpoints of this folder, do not train.")
_TIMEOUT = flags.DEFINE_integer("eval_timeout", 3600, "Seconds that evaluation waits for a new checkpoint.")
_ONE_OF = flags.DEFINE_integer("sample_1_of_n_eval_examples", None, "Evaluate one of every n frames.")
_ON_TRAIN = flags.DEFINE_bool("eval_on_train_data", False, "Refused: the stock program accepts it and ignores it.")
_ONE_OF_TRAIN = flags.DEFINE_integer("sample_1_of_n_eval_on_train_examples", 5, "No effect without "
                                     "--eval_on_train_data, as in the stock program.")
_TPU = flags.DEFINE_bool("use_tpu", False, "Refused: never tried on a TPU.")
_TPU_NAME = flags.DEFINE_string("tpu_name", None, "Refused: never tried on a TPU.")
flags.adopt_module_key_flags(training_flags)
flags.adopt_module_key_flags(codec_flags)


def main():
    _check_flags()
    training_flags.prepare()
    from tfod_compress.tasks.detection.config import pipeline_config

    pipeline_config.read(_CONFIG.value)  # a mistake here is told before TensorFlow's slow import
    options, codec = training_flags.options(), codec_flags.tuning()
    if _CHECKPOINT_DIR.value:
        from tfod_compress.evaluation import continuous

        continuous.run(_CONFIG.value, _MODEL_DIR.value, _CHECKPOINT_DIR.value, timeout=_TIMEOUT.value,
                       train_steps=options.num_train_steps, one_of=_ONE_OF.value)
        return
    from tfod_compress.training import loop
    from tfod_compress.training.detection import DetectionRun

    run = DetectionRun(_CONFIG.value, restore_heads=_HEADS.value, codec=codec)
    loop.train(run, _MODEL_DIR.value, options, training_flags.strategy())


def _check_flags():
    if not _CONFIG.value:
        raise command.UsageError("flag --pipeline_config_path is required")
    if _TPU.value or _TPU_NAME.value:
        raise command.UsageError("--use_tpu: never tried here; use the stock program for TPUs")
    if _ON_TRAIN.value:
        raise command.UsageError("--eval_on_train_data: the stock program ignores it; to evaluate on training frames, "
                                 "run tools.evaluate --split train")
    training_flags.check()
    if _CHECKPOINT_DIR.value and flags.FLAGS.eval_every:
        raise command.UsageError("--checkpoint_dir only evaluates; --eval_every evaluates while training")
    codec_flags.check(evaluates=bool(_CHECKPOINT_DIR.value))


def entry():
    """What the installed model_main_tf2.py calls."""
    command.run(main)


if __name__ == "__main__":
    entry()
