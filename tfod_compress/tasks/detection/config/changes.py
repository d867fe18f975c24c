"""What a user changes in a detector's template: single settings, and the learning rate with the batch size."""

import re

from google.protobuf import text_format

from tfod_compress.support.errors import InputError

_SHORT = re.compile(r"\s*([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+)\s*([:{])(.*)", re.DOTALL | re.IGNORECASE)

# Fields of the config that neither our training nor what it runs of the OD API reads (tests/training/test_training.py
# watches them), with what to set instead. The end of a path, or a field of the config itself.
IGNORED = {
    "graph_rewriter": "quantisation-aware training is TF1's",
    "train_config.batch_queue_capacity": "set train_input_reader.num_prefetch_batches",
    "train_config.bias_grad_multiplier": "TF1's trainer alone had it",
    "train_config.freeze_variables": "TF1's trainer alone had it",
    "train_config.from_detection_checkpoint": "set train_config.fine_tune_checkpoint_type",
    "train_config.keep_checkpoint_every_n_hours": "use model_main_tf2.py --checkpoint_every_n",
    "train_config.load_all_detection_checkpoint_vars": "set train_config.fine_tune_checkpoint_type",
    "train_config.max_number_of_boxes": "set train_input_reader.max_number_of_boxes",
    "train_config.num_batch_queue_threads": "set train_input_reader.num_parallel_map_calls",
    "train_config.prefetch_queue_capacity": "set train_input_reader.num_prefetch_batches",
    "train_config.replicas_to_aggregate": "TF2 trains synchronously on all replicas",
    "train_config.run_fine_tune_checkpoint_dummy_computation": "our loop always builds the model first",
    "train_config.startup_delay_steps": "TF2 trains synchronously on all replicas",
    "train_config.summarize_gradients": "TF1's trainer alone had it",
    "train_config.sync_replicas": "TF2 trains synchronously on all replicas",
    "train_config.update_trainable_variables": "TF1's trainer alone had it",
    "train_input_reader.min_after_dequeue": "set train_input_reader.shuffle_buffer_size",
    "train_input_reader.prefetch_size": "set train_input_reader.num_prefetch_batches",
    "train_input_reader.queue_capacity": "set train_input_reader.shuffle_buffer_size",
    "batch_norm.train": "set model.ssd.freeze_batchnorm",
    "convolutional_box_predictor.apply_sigmoid_to_scores": "set model.ssd.post_processing.score_converter",
    "faster_rcnn.feature_extractor.pad_to_multiple": "set the size with image_resizer",
}
# What our own extractors do not take.
_NOT_TAKEN = {
    "ssd": ("fpn", "bifpn", "spaghettinet_arch_name", "replace_preprocessor_with_placeholder"),
    "faster_rcnn": ("fpn", "conv_hyperparams", "override_base_feature_extractor_hyperparams"),
}
_OURS = re.compile(r"(ssd|faster_rcnn)_inception_v2(_narrow)?_keras|faster_rcnn_resnet(50|101)_slim_keras")
_RATES = {
    "constant_learning_rate": ("learning_rate",),
    "exponential_decay_learning_rate": ("initial_learning_rate", "burnin_learning_rate", "min_learning_rate"),
    "manual_step_learning_rate": ("initial_learning_rate",),
    "cosine_decay_learning_rate": ("learning_rate_base", "warmup_learning_rate"),
}


def nested(override):
    """Turns "a.b.c: 1" into "a { b { c: 1 } }", "a.b { c: 1 }" likewise; any other text is returned as it is."""
    match = _SHORT.fullmatch(override)
    if not match:
        return override
    names, mark, rest = match[1].split("."), match[2], match[3].strip()
    inner = f"{names[-1]}: {rest}" if mark == ":" else f"{names[-1]} {{ {rest}"
    return " { ".join(names[:-1]) + " { " + inner + " }" * (len(names) - 1)


def override(config, text):
    """Merges one override into a config. A list that it names replaces the template's; nothing is appended.

    Args:
      config: object_detection.protos.TrainEvalPipelineConfig, changed in place.
      text: such as "train_config.batch_size: 8" or "train_config { batch_size: 8 }".

    Raises:
      InputError: it is no pipeline text, takes another kind of model than the template's, or sets what nothing
        reads (`unread`).
    """
    changes = type(config)()
    try:
        text_format.Parse(nested(text), changes)
    except text_format.ParseError as error:
        raise InputError(f"--set {text!r}: not a pipeline config: {error}") from error
    kind = config.model.WhichOneof("model")
    if changes.model.WhichOneof("model") not in (None, kind):
        raise InputError(f"--set {text!r}: the template's model is {kind}, not {changes.model.WhichOneof('model')}")
    _merge(config, changes)
    for path in paths(changes):
        why = unread(config, path)
        if why:
            raise InputError(f"--set {text!r}: nothing would read {path}: {why}")


def paths(message, prefix=""):
    """The dotted paths of all fields that are set in a message, without the messages around them."""
    for field, value in message.ListFields():
        name = prefix + field.name
        if field.message_type is None:
            yield name
            continue
        several = value if field.label == field.LABEL_REPEATED else [value]
        inner = [path for one in several for path in paths(one, f"{name}.")]
        yield from inner or [name]


def unread(config, path):
    """Why nothing would read a field; None where something does.

    Checked: `IGNORED`, what our feature extractors do not take, and fields that another one switches off. Not
    checked: settings of data augmentation, losses and post-processing.

    Args:
      config: the TrainEvalPipelineConfig with the field set.
      path: dotted.
    """
    for name, why in IGNORED.items():
        if f".{name}." in f".{path}." if "." in name else path.split(".")[0] == name:
            return why
    if path.startswith("train_config.optimizer.moving_average_decay"):
        used = config.train_config.optimizer.use_moving_average
        return None if used else "train_config.optimizer.use_moving_average is false"
    kind = config.model.WhichOneof("model")
    inside = f"model.{kind}."
    if kind not in _NOT_TAKEN or not path.startswith(inside):
        return None
    model, own = getattr(config.model, kind), path.removeprefix(inside)
    if own.startswith("feature_extractor.") and _OURS.fullmatch(model.feature_extractor.type):
        name = own.split(".")[1]
        if name in _NOT_TAKEN[kind]:
            return f"{model.feature_extractor.type} does not take {name}"
    if kind == "ssd":
        generator = model.anchor_generator.ssd_anchor_generator
        if generator.scales and own.split(".")[-1] in ("min_scale", "max_scale") and "ssd_anchor_generator" in own:
            return "its scales are set one by one"
    elif model.HasField("hard_example_miner") and own in ("second_stage_batch_size", "second_stage_balance_fraction"):
        return "the hard_example_miner chooses the examples"
    return None


def _merge(config, changes):
    """As config.MergeFrom(changes), but lists are replaced, and the readers of evaluation changed one by one."""
    for field, value in changes.ListFields():
        if field.label == field.LABEL_REPEATED:
            own = getattr(config, field.name)
            if field.name == "eval_input_reader":
                for index, reader in enumerate(value):
                    _merge(own[index] if index < len(own) else own.add(), reader)
                continue
            del own[:]
            own.extend(value)
        elif field.message_type is not None:
            getattr(config, field.name).SetInParent()
            _merge(getattr(config, field.name), value)
        else:
            setattr(config, field.name, value)


def learning_rates(config):
    """[(message, field name)] of every learning rate in a config's schedule.

    Raises:
      InputError: the config has no optimizer with a schedule.
    """
    optimizer = config.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    schedule = getattr(optimizer, kind).learning_rate if kind else None
    if kind is None or schedule.WhichOneof("learning_rate") is None:
        raise InputError("train_config.optimizer: has no learning rate; set one with --set")
    name = schedule.WhichOneof("learning_rate")
    own = getattr(schedule, name)
    steps = own.schedule if name == "manual_step_learning_rate" else []
    return [(own, field) for field in _RATES[name]] + [(step, "learning_rate") for step in steps]


def scale_learning_rate(config, factor):
    """Multiplies every learning rate of a config's schedule.

    The linear rule (Goyal et al., https://arxiv.org/abs/1706.02677, section 2.1): k times the batch, k times the
    rate. It was derived for SGD; RMSprop with the zoo's epsilon of 1.0 behaves like it, Adam less so.

    Args:
      config: TrainEvalPipelineConfig, changed in place.
      factor: k.
    """
    for message, field in learning_rates(config):
        value = getattr(message, field)
        if value:
            setattr(message, field, value * factor)
