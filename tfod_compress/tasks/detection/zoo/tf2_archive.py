"""An archive of the TF2 detection zoo: its weights are taken as they are, of its pipeline.config the model alone.

No TensorFlow: whether the weights fit the model is seen where it is built (`verification`).
"""

import pathlib
import shutil

from google.protobuf import text_format

from tfod_compress import __version__
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.zoo import old_config, tf2_catalogue

SOURCE = "pipeline.config"


def stage(contents, known, folder, about):
    """Leaves the checkpoint and a pipeline.config in a folder.

    Args:
      contents: `archive.Contents`.
      known: its `tf2_catalogue.Tf2Archive`.
      folder: an existing one; gets ckpt-0.*, checkpoint and pipeline.config.
      about: entries for conversion.json that tell where it came from.

    Returns:
      conversion.json's contents, but for the variables and the verification.

    Raises:
      InputError: the config does not describe this name's detector.
    """
    model, num_classes = read_model(contents.pipeline_config, known)
    prefix = pathlib.Path(contents.checkpoint)
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        shutil.move(path, folder / path.name)
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{prefix.name}"\n'
                                       f'all_model_checkpoint_paths: "{prefix.name}"\n', encoding="utf-8")
    (folder / "pipeline.config").write_text(text_format.MessageToString(model), encoding="utf-8")
    return {"name": known.name, **about, "variables_from": f"checkpoint/{prefix.name}", "version": __version__,
            "pipeline_config": {"from": SOURCE, "dropped_fields": [], "changed": [
                "all but the model was left out: the rest belongs to the machine it was trained on"]},
            "num_classes": num_classes, "checkpoint": prefix.name, "left_over": {},
            "published": {"coco_map": known.published_map, "page": tf2_catalogue.PAGE}}


def read_model(path, known):
    """The model of an archive's config.

    Args:
      path: the pipeline.config. What it says besides the model is not read: public ones have extensions there that
        no OD API outside knows.
      known: its `tf2_catalogue.Tf2Archive`.

    Returns:
      (TrainEvalPipelineConfig with nothing but the model, its number of classes).

    Raises:
      InputError: it has no model that this OD API knows in full, or another than the name says.
    """
    from object_detection.protos import pipeline_pb2

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{SOURCE}: not a text ({error})") from error
    config = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        text_format.Parse(old_config.only_field(text, "model", SOURCE), config)
    except text_format.ParseError as error:
        raise InputError(f"{SOURCE}: its model is none that this OD API knows in full: {error}") from error
    architecture = config.model.WhichOneof("model")
    if architecture not in ("ssd", "faster_rcnn", "center_net"):
        raise InputError(f"{SOURCE}: its model is {architecture}, none of ssd, faster_rcnn and center_net")
    message = getattr(config.model, architecture)
    if not message.feature_extractor.type.startswith(known.extractor):
        raise InputError(f"{SOURCE}: its feature extractor is {message.feature_extractor.type!r}, but this name's is "
                         f"{known.extractor!r}; give the name that belongs to the archive")
    return config, message.num_classes
