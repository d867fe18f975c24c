"""One archive of the TF1 detection zoo -> a TF2 checkpoint, its pipeline.config and a record of the conversion."""

import contextlib
import os
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from tfod_compress import __version__
from tfod_compress.labels import label_map as label_maps
from tfod_compress.support import download, files
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file, write_json
from tfod_compress.tasks.detection import odapi
from tfod_compress.tasks.detection.odapi import tf1_names
from tfod_compress.tasks.detection.zoo import archive as archives
from tfod_compress.tasks.detection.zoo import catalogue, old_config, tf1_variables

RECORD = "conversion.json"
LABEL_MAP = "label_map.pbtxt"
PREFIX = "ckpt-0"
_UNTOUCHED = -12345.678  # no weight has this value


def fetch(name, output, *, archive=None, downloads=None, address=catalogue.ADDRESS):
    """Gets a detector of the TF1 zoo and converts it.

    Args:
      name: of the archive, with its date or without; see `catalogue.find`.
      output: the folder that gets ckpt-0.*, checkpoint, pipeline.config, conversion.json and, where the archive's
        classes are as many as its name says, label_map.pbtxt.
      archive: the .tar.gz on disk, or None to download it.
      downloads: the folder for unfinished downloads and remembered hashes; None for the user's cache.
      address: where the zoo is.

    Returns:
      What was written to conversion.json.

    Raises:
      InputError: the name is unknown, the archive cannot be had or is not safe, the download differs from an earlier
        one, some variable of the model or of the archive has no counterpart, or `output` holds something else.
    """
    known = catalogue.find(name)
    output = pathlib.Path(output)
    _check_output(output, known)
    if archive is None:
        url = f"{address.rstrip('/')}/{known.file}"
        path = download.fetch(url, downloads or download.default_folder(),
                              "get the archive in another way and give it with --archive")
    else:
        url, path = None, pathlib.Path(archive)
        if not path.is_file():
            raise InputError(f"{path}: no such archive")
    with tempfile.TemporaryDirectory(prefix="tfod_compress-") as folder:
        contents = _extract(path, folder, downloaded=url is not None)
        about = {"archive": {"file": path.name, "url": url, "sha256": contents.sha256, "bytes": contents.size}}
        record = convert(contents, known, output, about)
    if url:
        download.remember(path, contents.sha256)
        path.unlink()  # what is needed of it lies in `output` now
    return record


def _extract(path, folder, downloaded):
    """A download must be the one that was seen before, and does not stay where it is no archive."""
    if not downloaded:
        return archives.extract(path, folder)
    try:
        return archives.extract(path, folder, check=lambda sha256: download.check(path, sha256))
    except InputError:
        path.unlink(missing_ok=True)
        raise


def convert(contents, known, output, about):
    """Converts what was taken out of an archive.

    Args:
      contents: `archive.Contents`.
      known: its `catalogue.Archive`.
      output: see `fetch`.
      about: entries for conversion.json that tell where it came from.

    Returns:
      What was written to conversion.json.

    Raises:
      InputError: see `fetch`.
    """
    config = _config(contents, known)
    model = build(config.pipeline.model, config.source)
    ours = tf1_names.detector(model)
    source = (tf1_variables.Checkpoint(contents.checkpoint) if contents.checkpoint
              else tf1_variables.FrozenGraph(contents.frozen_graph))
    found, left_over = tf1_variables.select(source, {name: list(v.shape) for name, v in ours.items()})
    pairs, values = [], {}
    for name, variable in ours.items():
        value = source.read(found[name])
        if not np.isfinite(value).all():
            raise InputError(f"{source.name}: {found[name]} holds NaN or infinity")
        variable.assign(value)
        values[name] = value
        pairs.append({"tf1": found[name], "tf2": variable.name.removesuffix(":0"), "shape": list(value.shape),
                      "mean": float(value.mean()), "std": float(value.std()), "min": float(value.min()),
                      "max": float(value.max())})
    record = {
        "name": known.name, **about, "variables_from": source.name, "version": __version__,
        "tensorflow": tf.__version__,
        "pipeline_config": {"from": config.source, "dropped_fields": config.dropped, "changed": config.changed},
        "num_classes": config.model.num_classes, "checkpoint": PREFIX, "left_over": left_over, "variables": pairs}
    label_map = known.label_map if max(known.label_map) == config.model.num_classes else None
    _write(output, model, config.pipeline, label_map, record, ours, values)
    return record


def build(model_config, name):
    """The detector of a config, with its variables made, ready to take weights.

    Args:
      model_config: DetectionModel message.
      name: of the config, for messages.

    Raises:
      InputError: the OD API cannot build it.
    """
    odapi.install()
    from object_detection.builders import model_builder

    small = type(model_config)()
    small.CopyFrom(model_config)
    if small.WhichOneof("model") == "faster_rcnn":
        small.faster_rcnn.first_stage_max_proposals = 1  # no variable depends on it, the time of a prediction does
    try:
        model = model_builder.build(small, is_training=False)
        model.predict(tf.zeros([1, 64, 64, 3]), tf.constant([[64, 64, 3]]))
    except ValueError as error:
        raise InputError(f"{name}: the model cannot be built: {error}") from error
    return model


def _config(contents, known):
    """The archive's own config, or where it has none (2017), the one of the zoo's samples."""
    if contents.pipeline_config is None:
        return old_config.convert(f"model {{ {known.model} }}", f"the zoo's sample config ({catalogue.SAMPLES})",
                                  known.extractor)
    try:
        text = contents.pipeline_config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"pipeline.config: not a text ({error})") from error
    return old_config.convert(text, "pipeline.config", known.extractor)


def _check_output(output, known):
    """Refuses to write into a folder with another model's files; a conversion of the same name is replaced."""
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"--output {output}: is a file; name a folder")
    there = sorted(path.name for path in output.glob("ckpt-*.index"))
    if not there:
        return
    name = (files.read_json(output / RECORD) or {}).get("name")
    if name != known.name:
        raise InputError(f"--output {output}: holds another model ({there[0]}, {name or f'no {RECORD}'}); name an "
                         "empty folder")


def _write(output, model, pipeline, label_map, record, ours, values):
    """Writes the files; until the index is there, nothing takes the folder for a checkpoint."""
    output.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=".converting-", dir=output))
    try:
        # Both roots that the stock restore looks for: `model` (detection, full), `feature_extractor` (classification).
        checkpoint = tf.train.Checkpoint(model=model, feature_extractor=model.feature_extractor.classification_backbone)
        tf.train.CheckpointManager(checkpoint, str(staging), max_to_keep=1).save(checkpoint_number=0)
        _verify(model, str(staging / PREFIX), ours, values)
        for name in (f"{PREFIX}.index", "checkpoint", RECORD, LABEL_MAP):
            (output / name).unlink(missing_ok=True)
        for path in staging.glob(f"{PREFIX}.data-*"):
            os.replace(path, output / path.name)
        with atomic_file(output / "pipeline.config", "w") as file:
            file.write(text_format.MessageToString(pipeline))
        if label_map:
            with atomic_file(output / LABEL_MAP, "w") as file:
                file.write(label_maps.text(label_map))
        write_json(output / RECORD, record)
        for name in (f"{PREFIX}.index", "checkpoint"):
            os.replace(staging / name, output / name)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(staging)


def _verify(model, prefix, ours, values):
    """Reads the checkpoint back into a model that has forgotten every weight."""
    for variable in ours.values():
        variable.assign(tf.fill(variable.shape, _UNTOUCHED))
    tf.train.Checkpoint(model=model).read(prefix).expect_partial().assert_existing_objects_matched()
    for name, variable in ours.items():
        if not np.array_equal(variable.numpy(), values[name]):
            raise AssertionError(f"{name} came back from the checkpoint with other values")
