"""An experiment of tf-models-official, configured as its users do, and which of its fields this kit honours.

The model, its losses, the optimizer and its schedule are the experiment's. Pictures come from a record set through this
kit's input pipeline, and the loop is this kit's: fields that speak of the stock ones are refused, so that no number is
made by other means than its config says.
"""

from __future__ import annotations

import copy
import dataclasses
import pathlib
from typing import Any

import yaml

from tfod_compress.labels.label_map import nearest
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.text import listed
from tfod_compress.tasks.classification import params_file

# Fields that are read; a name stands for all below it.
HONOURED = (
    params_file.OFFSET,
    *(f"task.model.{name}" for name in (
        "num_classes", "input_size", "backbone", "dropout_rate", "norm_activation", "add_head_batch_norm",
        "kernel_initializer")),
    *(f"task.losses.{name}" for name in (
        "loss_weight", "one_hot", "label_smoothing", "l2_weight_decay", "use_binary_cross_entropy")),
    *(f"task.train_data.{name}" for name in (
        "input_path", "global_batch_size", "aug_rand_hflip", "aug_crop", "crop_area_range", "tf_resize_method")),
    *(f"task.validation_data.{name}" for name in ("aug_crop", "center_crop_fraction", "tf_resize_method")),
    "task.init_checkpoint", "task.init_checkpoint_modules", "task.freeze_backbone",
    "trainer.train_steps",
    *(f"trainer.optimizer_config.{name}" for name in ("optimizer", "learning_rate", "warmup")),
)
# Fields that change what is trained, of which only one value is done here, whoever set them.
FIXED = {
    "task.losses.soft_labels": False,
    "task.model.output_softmax": False,
    **{f"task.train_data.{name}": value for name, value in (
        ("aug_type", None), ("aug_policy", None), ("color_jitter", 0.0), ("random_erasing", None),
        ("mixup_and_cutmix", None), ("repeated_augment", None), ("three_augment", False), ("is_multilabel", False),
        ("tfds_name", ""), ("weights", None), ("dtype", "float32"))},
    "task.differential_privacy_config": None,
    "trainer.optimizer_config.ema": None,
}
OVERRIDES = pathlib.Path("--params_override")
# What does instead what a refused field asks for.
CURES = {
    "runtime.enable_xla": "--xla",
    "runtime.mixed_precision_dtype": "--mixed_precision",
    "task.train_data.seed": "--seed",
    "task.validation_data.input_path": "--eval_records",
    "trainer.best_checkpoint_eval_metric": "--best_metric",
    "trainer.checkpoint_interval": "--checkpoint_every_n",
    "trainer.max_to_keep": "--keep_checkpoints",
    "trainer.validation_interval": "--eval_every",
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A configured experiment.

    Attributes:
      params: official.core.config_definitions.ExperimentConfig.
      label_offset: class id + label_offset - 1 is the class's place in the model's output; 1 for models whose first
        output is a background class, such as those of 1001 classes.
      written: dotted names of the fields that the user wrote.
      source: the file that they stand in, for messages.
    """

    params: Any
    label_offset: int
    written: frozenset[str]
    source: pathlib.Path

    def for_classes(self, label_map: dict[int, str]) -> Experiment:
        """The same for the classes of a record set, whose number is set where the user wrote none.

        Raises:
          InputError: the user wrote another number.
        """
        classes = max(label_map) + self.label_offset
        asked = self.params.task.model.num_classes
        if "task.model.num_classes" in self.written and asked != classes:
            more = f" and label_offset {self.label_offset}" if self.label_offset else ""
            raise InputError(f"{self.source}: task.model.num_classes is {asked}, but the records' label map with ids "
                             f"up to {max(label_map)}{more} makes {classes}; leave it out, or set {params_file.OFFSET}")
        params = copy.deepcopy(self.params)
        params.task.model.num_classes = classes
        return dataclasses.replace(self, params=params)

    def write(self, folder: str | pathlib.Path) -> None:
        """Leaves the experiment as params.yaml in a folder, for `of_folder`."""
        own = {params_file.OFFSET: self.label_offset} if self.label_offset else {}
        with atomic_file(pathlib.Path(folder) / params_file.NAME, "w") as file:
            yaml.safe_dump({**_plain(self.params.as_dict()), **own}, file, sort_keys=True)


def read(name: str, files: list[str | pathlib.Path], overrides: str = "") -> Experiment:
    """An experiment by its name, with files and overrides in the order that they are given.

    Args:
      name: such as "resnet_imagenet".
      files: YAML files of nested fields, or names of pipeline_configs/classifiers/.
      overrides: "task.model.input_size=[32,32,3],…", or YAML or JSON of nested fields.

    Raises:
      InputError: an unknown experiment or field, a value of another type, or a field that is not honoured.
    """
    params = _registered(name)
    given = [(path, params_file.read(path)) for path in map(params_file.find, files)]
    if overrides:
        given.append((OVERRIDES, _parsed_overrides(overrides)))
    before, written, offset = copy.deepcopy(params), {}, 0
    for source, fields in given:
        offset = fields.pop(params_file.OFFSET, offset)
        if offset not in (0, 1):
            raise InputError(f"{source}: {params_file.OFFSET} is {offset!r}; it is 0 or 1")
        _check_fields(params, fields, source)
        try:
            params.override(copy.deepcopy(fields), is_strict=True)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{source}: {' '.join(str(error).split())[:200]}") from error
        written |= dict.fromkeys(_leaves(fields), source)
    source = given[-1][0] if given else pathlib.Path(name)
    _check_choices(params, written, source)
    _refuse_unhonoured(params, before, written, source)
    return Experiment(params, offset, frozenset(written), next((path for path, _ in given), source))


def of_folder(folder: str | pathlib.Path) -> Experiment:
    """The experiment of a trained model's folder, this kit's or the stock program's.

    Raises:
      InputError: it holds no params.yaml, or one of another task.
    """
    path = pathlib.Path(folder) / params_file.NAME
    fields = params_file.read(path)
    offset, params = fields.pop(params_file.OFFSET, 0), _registered("image_classification")
    _check_fields(params, fields, path)
    params.override(fields, is_strict=False)
    return Experiment(params, offset, frozenset(_leaves(fields)), path)


def _registered(name):
    from official.core import exp_factory
    from official.vision.configs import image_classification

    try:
        params = exp_factory.get_exp_config(name)
    except LookupError:
        known = [each for each in exp_factory._REGISTERED_CONFIGS if _classifies(each)]
        raise InputError(f"--experiment {name}: unknown{nearest(name, known)}; of image classification there are "
                         f"{', '.join(sorted(known))}") from None
    if not isinstance(params.task, image_classification.ImageClassificationTask):
        raise InputError(f"--experiment {name}: not one of image classification")
    return params


def _classifies(name):
    from official.core import exp_factory
    from official.vision.configs import image_classification

    return isinstance(exp_factory.get_exp_config(name).task, image_classification.ImageClassificationTask)


def _parsed_overrides(text):
    from official.modeling.hyperparams import params_dict

    if not text.lstrip().startswith("{") and "=" in text:
        try:
            text = params_dict.nested_csv_str_to_json_str(text)
        except ValueError as error:
            raise InputError(f"--params_override: {' '.join(str(error).split())[:200]}") from error
    return params_file.parse(text, "--params_override")


def _check_fields(node, fields, source, path=""):
    """Refuses names that a config does not have, and values of another kind than its own."""
    known = [name for name in vars(node) if name not in node.RESERVED_ATTR]
    for name, value in fields.items():
        if name not in known:
            raise InputError(f"{source}: no field {path}{name}{nearest(str(name), known)}; there are "
                             f"{listed(known, 12)}")
        has = getattr(node, name)
        if isinstance(value, dict) and hasattr(has, "as_dict"):
            _check_fields(has, value, source, f"{path}{name}.")
        elif not _fits(value, has):
            raise InputError(f"{source}: {path}{name} is {value!r}, where the experiment has {_shown(has)}")


def _fits(value, has):
    if has is None or value is None:
        return True
    if hasattr(has, "as_dict"):
        return False
    if isinstance(has, bool) or isinstance(value, bool):
        return isinstance(has, bool) and isinstance(value, bool)
    if isinstance(has, (int, float)):
        return isinstance(value, (int, float)) and (isinstance(has, float) or isinstance(value, int) or value % 1 != 0)
    if isinstance(has, (list, tuple)):
        return isinstance(value, (list, tuple))
    return isinstance(value, (str, list)) if isinstance(has, str) else True


def _shown(value):
    return "fields" if hasattr(value, "as_dict") else repr(value)


def _check_choices(node, written, source, path=""):
    """Refuses a type that there is not, and fields of a type that is not chosen where they were written.

    Overrides may choose another type than the file that they go over.
    """
    for name, value in vars(node).items():
        if name in node.RESERVED_ATTR or not hasattr(value, "as_dict"):
            continue
        below = f"{path}{name}."
        if hasattr(value, "get") and hasattr(value, "type"):
            choices = [choice for choice in vars(value) if choice not in value.RESERVED_ATTR and choice != "type"]
            if value.type is not None and value.type not in choices:
                raise InputError(f"{written.get(f'{below}type', source)}: {below}type is {value.type!r}"
                                 f"{nearest(str(value.type), choices)}; there are {', '.join(choices)}")
            chosen_by = written.get(f"{below}type")
            for field, where in written.items():
                choice = field[len(below):].split(".")[0]
                if chosen_by == OVERRIDES and where != OVERRIDES:
                    continue
                if field.startswith(below) and choice not in ("type", value.type):
                    raise InputError(f"{where}: {field} is without effect, as {below}type is {value.type}")
        _check_choices(value, written, source, below)


def _refuse_unhonoured(params, before, written, source):
    now, then = (_leaves(_plain(each.as_dict())) for each in (params, before))
    for field, only in FIXED.items():
        value = _at(params, field)
        if value != only and not (not value and not only):
            raise InputError(f"{written.get(field, source)}: {field} is not honoured; set it to {_yaml(only)}, which "
                             "trains without it")
    for field, where in written.items():
        if any(field == each or field.startswith(f"{each}.") for each in (*HONOURED, *FIXED)):
            continue
        if field in then and now.get(field) == then[field]:
            continue  # as the experiment has it anyway: a params.yaml, which holds every field, can be given again
        cure = f"use {CURES[field]}" if field in CURES else "leave it out"
        raise InputError(f"{where}: {field} is not honoured; {cure}")


def _at(node, field):
    for name in field.split("."):
        node = getattr(node, name, None)
    return node


def _leaves(fields, path=""):
    """{dotted name: value} of nested fields."""
    found = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            found |= _leaves(value, f"{path}{name}.")
        else:
            found[f"{path}{name}"] = value
    return found


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _yaml(value):
    return {None: "null", False: "false", "": "''"}.get(value, value)
