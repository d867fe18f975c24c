"""Flags of the commands that train a model with a learned codec in front; adopted with flags.adopt_module_key_flags.

They go with those of training_flags.
"""

from absl import flags

from tools import command

_CODEC = flags.DEFINE_string("codec_model", None, "Folder of one learned codec's model (tools.train_codec), which is "
                             "put in front of the model.")
_REGIME = flags.DEFINE_enum("codec_regime", None, ["task_ft", "codec_ft", "joint_ft", "fixed_decoder",
                                                   "task_decoder"], "What is trained with --codec_model.")
_BETA = flags.DEFINE_float("codec_beta", None, "Weight of the bits per pixel in the loss.", lower_bound=0.0)
_LMBDA = flags.DEFINE_float("codec_lmbda", 0.0, "Weight of the mean squared error in the loss.", lower_bound=0.0)


def check(*, evaluates=False):
    """Raises UsageError where flags do not go together; `evaluates`: whether the command does that and no training."""
    needed = {"--codec_regime": _REGIME.value, "--codec_beta": _BETA.value}
    if _CODEC.value is None:
        if any(value is not None for value in needed.values()) or _LMBDA.value:
            raise command.UsageError("--codec_regime, --codec_beta and --codec_lmbda go with --codec_model")
        return
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise command.UsageError(f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing: --codec_model "
                                 "needs both")
    if flags.FLAGS.eval_every or evaluates:
        raise command.UsageError("--codec_model only trains, as the rate that counts is that of real streams: make "
                                 "record sets with MODEL_DIR/codec, then run tools.evaluate on them")
    if flags.FLAGS.mixed_precision != "float32" or flags.FLAGS.num_workers > 1:
        raise command.UsageError("--codec_model: on one machine and in float32 alone")


def tuning():
    """codec_tuning.CodecTuning of the flags, or None."""
    if _CODEC.value is None:
        return None
    from tfod_compress.training import codec_tuning

    return codec_tuning.CodecTuning(codec_tuning.one_model(_CODEC.value), _REGIME.value, _BETA.value, _LMBDA.value)
