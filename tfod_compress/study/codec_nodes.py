"""The nodes of learned codecs: their training, the record sets made with them, and their tuning through a detector."""

import dataclasses
import pathlib

from tfod_compress.learned import model_folder
from tfod_compress.study.nodes import Item, Node


@dataclasses.dataclass(frozen=True)
class Given:
    """What all commands that make record sets have in common.

    Attributes:
      arguments: of tools.make_tfrecords.
      needs: names of nodes.
      pixels: of all frames; None if unknown.
    """

    arguments: tuple
    needs: tuple
    pixels: int | None


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What a model's training has more where a codec is in front of the detector.

    Attributes:
      flags: of tools.model_main_tf2.
      needs: names of nodes, besides its config.
      results: (Item, …): the files that are whole when it is done.
      kind: the codec, for the time that a step takes.
      records: the Node of the tuned codec's record set.
    """

    flags: list
    needs: tuple
    results: tuple
    kind: str
    records: Node


def trained(study, workdir, given, makers):
    """Nodes of the codecs that a study trains, and of their record sets.

    Args:
      study: schema.Study.
      workdir: the study's folder, a Path.
      given: `Given`.
      makers: {record set: name of the node that makes it} of the other record sets.

    Returns:
      [Node].
    """
    nodes = []
    for codec in study.codecs:
        frames = workdir / "tfrecords" / study.lossless.record_set
        first = codec.lmbdas[0]
        for lmbda in codec.lmbdas:
            steps = codec.steps if lmbda == first else codec.further_steps
            flags = {"--codec": codec.codec, "--lmbda": f"{lmbda:g}", "--frames": frames,
                     "--output": _trained_folder(workdir, codec.name, lmbda), "--steps": steps,
                     "--num_filters": codec.num_filters, "--num_latents": codec.num_latents,
                     "--batch_size": codec.batch_size, "--crop": codec.crop,
                     "--learning_rate": f"{codec.learning_rate:g}", "--seed": study.seeds[0],
                     "--start_from": None if lmbda == first else _trained_folder(workdir, codec.name, first)}
            needs = [makers[study.lossless.record_set]]
            needs += [] if lmbda == first else [_trainer(codec.name, first)]
            kind = f"codec {_size(codec)} crops {codec.batch_size}x{codec.crop}"
            nodes.append(Node(
                _trainer(codec.name, lmbda), "train_codec",
                tuple(part for flag, value in flags.items() if value is not None for part in (flag, value)),
                tuple(needs), flags["--output"] / model_folder.DESCRIPTION, work=(kind, steps, "steps")))
    for entry in study.records:
        for setting in entry.settings if entry.is_trained_here else ():
            nodes.append(_records(workdir, given, entry.coder, _size(_trained_codec(study, entry)),
                                  _trained_folder(workdir, entry.model, setting.number), setting.record_set,
                                  _trainer(entry.model, setting.number)))
    return nodes


def tuned(study, workdir, row, given):
    """`Tuned` of a point whose codec is tuned.

    Args:
      study: schema.Study.
      workdir: the study's folder, a Path.
      row: a points.Point.
      given: `Given`.
    """
    entry, setting = next((entry, setting) for entry in study.records for setting in entry.settings
                          if setting.record_set == row.tuned_from)
    if entry.is_trained_here:
        base, needs = _trained_folder(workdir, entry.model, setting.number), (_trainer(entry.model, setting.number),)
        size = _size(_trained_codec(study, entry))
    else:
        found = next(model for model in model_folder.find(entry.model, entry.codec) if model.lmbda == setting.number)
        base, needs, size = found.folder, (), _size(found)
    model_dir = workdir / "models" / row.model
    flags = ["--codec_model", base, "--codec_regime", row.regime, "--codec_beta", f"{row.beta:g}"]
    flags += ["--codec_lmbda", f"{row.lmbda:g}"] if row.lmbda else []
    results = (Item("", model_dir / "checkpoint"), Item("", model_dir / "codec" / model_folder.DESCRIPTION))
    records = _records(workdir, given, entry.coder, size, model_dir / "codec", row.record_set,
                       f"train {row.model}")
    return Tuned(flags, needs, results, f"{row.regime} {size}", records)


def _records(workdir, given, coder, size, folder, record_set, made_by):
    """The node of a record set that is made with one model, under a name that does not depend on its weights."""
    arguments = (*given.arguments, "--codec", coder, "--codec_model", folder, "--record_set", record_set)
    return Node(f"records {record_set}", "make_tfrecords", arguments, (*given.needs, made_by),
                items=(Item("", workdir / "tfrecords" / record_set / "manifest.json"),),
                work=(f"records {size}", given.pixels, "pixels"))


def _trained_codec(study, entry):
    return next(codec for codec in study.codecs if codec.name == entry.model)


def _trained_folder(workdir, name, lmbda):
    return pathlib.Path(workdir) / "codecs" / name / f"lmbda-{lmbda:g}"


def _trainer(name, lmbda):
    return f"codec {name} lmbda {lmbda:g}"


def _size(codec):
    """The codec and its channels, for the time that it takes."""
    return f"{codec.codec} {codec.num_filters or 'N'}x{codec.num_latents or 'M'}"
