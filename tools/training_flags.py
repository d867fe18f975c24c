"""Flags of the commands that train, whatever they train; a command adopts them with flags.adopt_module_key_flags."""

import os

from absl import flags

from tools import command

_STEPS = flags.DEFINE_integer("num_train_steps", None, "Steps, instead of the config's number.")
_EVERY = flags.DEFINE_integer("checkpoint_every_n", 1000, "Steps between checkpoints.", lower_bound=1)
_KEEP = flags.DEFINE_integer("keep_checkpoints", 7, "How many of the newest checkpoints to keep.", lower_bound=1)
_SUMMARIES = flags.DEFINE_bool("record_summaries", True, "Training pictures in TensorBoard; losses always are.")
_SEED = flags.DEFINE_integer("seed", None, "Seed of the initial weights, the data order and the augmentation; without, "
                             "a run that goes on keeps its own and a new one draws one (run.json has it).",
                             lower_bound=0, upper_bound=2**31 - 1)
_DETERMINISTIC = flags.DEFINE_bool("deterministic", False, "The same bits each time, also after a kill; slower.")
_HOURS = flags.DEFINE_float("max_hours", None, "Stop with a checkpoint after so many hours; run again to go on.",
                            lower_bound=0.0)
_BALANCE = flags.DEFINE_bool("balance_classes", False, "Sample frames of rare classes more often; the class shares "
                             "are printed before the start.")
_EVAL_EVERY = flags.DEFINE_integer("eval_every", None, "Steps between evaluations on --eval_records; the last step is "
                                   "evaluated too.", lower_bound=1)
_EVAL_RECORDS = flags.DEFINE_multi_string("eval_records", [], "A record set whose val frames are evaluated while "
                                          "training; may be repeated.")
_BEST = flags.DEFINE_string("best_metric", None, "What the checkpoint in best/ is chosen by: a metric of the first of "
                            "--eval_records, or 'SET:METRIC'. Of detectors weighted_map (the default), map, f1, "
                            "precision, recall, coco/AP, coco/AP50 or coco/AP75; of classifiers top1 (the default), "
                            "top5 or mean_class_accuracy.")
_PATIENCE = flags.DEFINE_integer("patience", None, "Stop after so many evaluations without a better one.",
                                 lower_bound=1)
_HPARAMS = flags.DEFINE_list("hparams", [], "name=value, ... for TensorBoard's HPARAMS tab, besides codec, quality, "
                             "model, record set and seed.")
_WORKERS = flags.DEFINE_integer("num_workers", 1, "More than 1: as many machines train together, which the variable "
                                "TF_CONFIG names; needs --seed and a model_dir that all of them see.")
_PRECISION = flags.DEFINE_enum("mixed_precision", "float32", ["float32", "float16", "bfloat16"], "What layers compute "
                               "in; weights and losses stay float32. float16 is for one GPU, bfloat16 for newer ones.")
_XLA = flags.DEFINE_bool("xla", False, "Compile with XLA, on a GPU.")
_ACCUMULATE = flags.DEFINE_integer("accumulate", 1, "Parts that each device's batch is cut into, worked on one after "
                                   "another: less memory, the same gradient, except that batch normalisation takes "
                                   "its statistics from each part (freeze it, or take large parts).", lower_bound=1)


def check():
    """Raises UsageError where flags do not go together."""
    if _WORKERS.value > 1 and _SEED.value is None:
        raise command.UsageError("--num_workers: needs --seed, the same for all workers")
    if bool(_EVAL_EVERY.value) != bool(_EVAL_RECORDS.value):
        raise command.UsageError("--eval_every and --eval_records go together")
    if _PATIENCE.value and not _EVAL_EVERY.value:
        raise command.UsageError("--patience needs --eval_every and --eval_records")


def prepare():
    """Sets what must be set before TensorFlow is imported."""
    if _PRECISION.value == "bfloat16":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its gradients of bfloat16 convolutions are NaN (TensorFlow 2.14)


def strategy():
    """The tf.distribute.Strategy; call it before anything else of TensorFlow."""
    from tfod_compress.training import devices

    if _XLA.value:
        devices.compile_with_xla()
    return devices.strategy(_WORKERS.value)


def options():
    """training.options.Options of the flags."""
    from tfod_compress.training.options import Options

    return Options(
        num_train_steps=_STEPS.value, checkpoint_every_n=_EVERY.value, keep_checkpoints=_KEEP.value,
        record_summaries=_SUMMARIES.value, seed=_SEED.value, deterministic=_DETERMINISTIC.value,
        max_hours=_HOURS.value, balance_classes=_BALANCE.value, eval_every=_EVAL_EVERY.value,
        eval_records=_EVAL_RECORDS.value, best_metric=_BEST.value, patience=_PATIENCE.value, hparams=_hparams(),
        mixed_precision=_PRECISION.value, accumulate=_ACCUMULATE.value)


def _hparams():
    """{name: value} of --hparams; numbers as numbers."""
    found = {}
    for item in _HPARAMS.value:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise command.UsageError(f"--hparams {item!r}: give name=value")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found
