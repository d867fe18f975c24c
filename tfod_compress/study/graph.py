"""The graph of commands that makes a study's points.

    frames -> record sets ----------> config -> training -> evaluation of one model on all its record sets
              checkpoint from the zoo ---^  ^--- for fine-tuning, the training of the off-the-shelf model

    lossless record set -> learned codec -> its record sets          (a codec that the study trains)
    config -> training with a codec in front -> record set of the tuned codec -> evaluation on it

    record sets, checkpoint from the zoo -> evaluation of a published detector, as it is
"""

import pathlib

from tfod_compress import tasks
from tfod_compress.study import codec_nodes, published
from tfod_compress.study.nodes import Item, Node
from tfod_compress.study.points import by_model, model_name
from tfod_compress.study.reading import is_zoo_name
from tfod_compress.study.schema import LEARNED, PUBLISHED, TUNED
from tfod_compress.tasks.detection.config import pipeline_config

CHECKPOINTS = pathlib.Path("checkpoints")  # of the zoo; shared by all studies


def graph(study, workdir):
    """The nodes of a study, each after those it needs.

    Args:
      study: schema.Study.
      workdir: the study's folder.

    Returns:
      [Node].
    """
    workdir = pathlib.Path(workdir)
    given, nodes = _frames_given(study, workdir), []
    if study.data.make:
        nodes.append(_frames_node(study, workdir))
    nodes += _record_nodes(study, workdir, given)
    makers = {item.result.parent.name: node.name for node in nodes for item in node.items}
    learned = codec_nodes.trained(study, workdir, given, makers)
    makers |= {item.result.parent.name: node.name for node in learned for item in node.items}
    nodes += learned
    fetched = {}
    for detector in study.detectors:
        if detector.checkpoint and is_zoo_name(detector.checkpoint) and detector.checkpoint not in fetched:
            folder = CHECKPOINTS / detector.checkpoint
            nodes.append(Node(f"checkpoint {detector.checkpoint}", "fetch_checkpoint",
                              (detector.checkpoint, "--output", folder), result=folder / "conversion.json"))
            fetched[detector.checkpoint] = nodes[-1].name
    for model, rows in by_model(study).items():
        nodes += _model_nodes(study, workdir, model, rows, given, makers, fetched)
    return nodes


def _frames_node(study, workdir):
    make = study.data.make
    extra = [part for name, value in make.flags.items() for part in (f"--{name}", value)]
    return Node(
        "frames", "make_demo_frames",
        ("--output", workdir / "data", "--count", make.count, "--size", make.size, "--broken", make.broken,
         "--seed", make.seed, *extra), result=workdir / "data" / "labels",
        work=(f"frames {make.size}", make.count, "frames"))


def _frames_given(study, workdir):
    """`codec_nodes.Given` of all commands that make record sets."""
    data, split = study.data, study.split
    frames, labels, pixels, needs = data.frames or "FRAMES", data.labels or "LABELS", None, ()
    if data.make:
        frames, labels, needs = workdir / "data" / "frames", workdir / "data" / "labels", ("frames",)
        width, height = map(int, data.make.size.split("x"))
        pixels = data.make.count * width * height
    task = None if study.task == tasks.DEFAULT else study.task
    given = {"--task": task, "--frames": frames, "--labels": labels, "--label_format": data.label_format,
             "--label_map": data.label_map, "--class_map": data.class_map, "--names": data.names,
             "--max_frames": data.max_frames, "--sequence_by": data.sequence_by,
             "--unlabelled": data.unlabelled if data.unlabelled != "fail" else None,
             "--val_fraction": split.val_fraction, "--split_by": split.split_by, "--split_files": split.split_files,
             "--folds": split.folds, "--seed": split.seed or None, "--num_shards": split.num_shards,
             "--output": workdir / "tfrecords"}
    arguments = tuple(part for flag, value in given.items() if value is not None for part in (flag, value))
    return codec_nodes.Given(arguments, needs, pixels)


def _record_nodes(study, workdir, given):
    """A node for each codec that is not trained here; for each rate, which may be out of a codec's reach."""
    nodes, (common, needs, pixels) = [], (given.arguments, given.needs, given.pixels)
    for entry in study.records:
        if entry.is_trained_here:
            continue
        arguments = (*common, "--codec", entry.coder)
        arguments += ("--codec_model", entry.model) if entry.model else ()
        made = [(setting, workdir / "tfrecords" / setting.record_set / "manifest.json") for setting in entry.settings]
        work = f"records {entry.coder}"
        if entry.rates:
            more = ("--rate_per_frame",) if entry.rate_per_frame else ()
            nodes += [Node(f"records {setting.record_set}", "make_tfrecords", (*arguments, *more), needs,
                           flag="--target_bpp", items=(Item(f"{setting.target_bpp:g}", path),),
                           work=(f"{work} at a rate", pixels, "pixels")) for setting, path in made]
            continue
        # A lossless codec has no quality to name: its one record set is the node's own result.
        name = f"records {entry.coder}"
        name += f" {entry.model}" if entry.model else ""
        items = tuple(Item("" if setting.number is None else f"{setting.number:g}", path) for setting, path in made)
        nodes.append(Node(name, "make_tfrecords", arguments, needs, joined=True, items=items,
                          flag="--quality" if entry.qualities else "",
                          work=(work, pixels and pixels * len(made), "pixels")))
    return nodes


def _model_nodes(study, workdir, model, rows, given, makers, fetched):
    """Config, training and evaluation of one model, and where its codec is tuned, the record set of that.

    Of what is published, its evaluation alone.
    """
    row = rows[0]
    detector = next(one for one in study.detectors if one.name == row.detector)
    if row.regime == PUBLISHED:
        fetching = fetched.get(detector.checkpoint)
        checkpoint = CHECKPOINTS / detector.checkpoint if fetching else detector.checkpoint
        kind = detector.checkpoint or detector.saved_model or detector.command
        return [_evaluation_node(study, workdir, rows, makers, published.arguments(detector, checkpoint),
                                 (fetching,) if fetching else (), kind)]
    steps, changes = study.training_of(detector, row.regime)
    config, model_dir = workdir / "configs" / f"{model}.config", workdir / "models" / model
    start, needs = detector.checkpoint, [makers[row.trained_on]]
    if start in fetched:
        needs.append(fetched[start])
        start = CHECKPOINTS / start
    if row.regime in (*TUNED, *LEARNED):
        base = model_name(detector, "off_the_shelf", study.best, row.seed, row.fold)
        start = workdir / "models" / base
        needs.append(f"train {base}")
    arguments = ["--detector", detector.template, "--records", workdir / "tfrecords" / row.trained_on]
    arguments += ["--checkpoint", start] if start else []
    arguments += ["--batch_size", detector.batch_size] if detector.batch_size else []
    arguments += ["--scale_learning_rate"] if detector.scale_learning_rate else []
    arguments += ["--fold", row.fold] if row.fold is not None else []
    for setting in (f"train_config.num_steps: {steps}", *changes):
        arguments += ["--set", setting]
    hparams = {name: getattr(row, name) for name in ("detector", "regime", "fold")}
    hparams = {name: value for name, value in hparams.items() if value is not None}
    balance = ("--balance_classes",) if study.balance_classes else ()
    with_codec = codec_nodes.tuned(study, workdir, row, given) if row.regime in LEARNED else None
    if with_codec:
        makers = {**makers, model: with_codec.records.name}
    kind = " ".join([detector.template, *changes, *([f"batch {detector.batch_size}"] if detector.batch_size else [])])
    result, train_needs = {"result": model_dir / "checkpoint"}, (f"config {model}",)
    arguments_of_training = ["--pipeline_config_path", config, "--model_dir", model_dir, "--seed", row.seed,
                             "--hparams", ",".join(f"{name}={value}" for name, value in hparams.items()), *balance]
    if with_codec:
        arguments_of_training += with_codec.flags
        result, train_needs = {"items": with_codec.results}, (*train_needs, *with_codec.needs)
        kind = f"{kind} {with_codec.kind}"
    return [
        Node(f"config {model}", "make_pipeline_config", (*arguments, "--output", config), tuple(needs), config,
             templates=(detector.template,)),
        Node(f"train {model}", "model_main_tf2", tuple(arguments_of_training), train_needs,
             work=(f"train {kind}", steps, "steps"), **result),
        *([with_codec.records] if with_codec else []),
        _evaluation_node(study, workdir, rows, makers, ("--pipeline_config_path", model_dir / "pipeline.config",
                                                        "--checkpoint", model_dir), (f"train {model}",),
                         detector.template),
    ]


def _evaluation_node(study, workdir, rows, makers, arguments, needs, kind):
    """Evaluation of one model, the detector that `arguments` name, on all its record sets."""
    row = rows[0]
    sets = tuple(Item(str(workdir / "tfrecords" / point.record_set),
                      workdir / point.evaluation / "metrics.json", makers[point.record_set]) for point in rows)
    split = ("--split", row.split) if row.fold is not None else ()
    frames = study.data.make and study.split.val_fraction and round(
        study.data.make.count * study.split.val_fraction) * len(rows)
    return Node(f"evaluate {row.model}", "evaluate",
                (*arguments, *split, "--output", workdir / "evaluations" / row.model,
                 "--score_threshold", study.evaluation.score_threshold, "--resamples", study.evaluation.resamples),
                needs, flag="--records", items=sets, work=(f"evaluate {kind}", frames or None, "frames"))


def chosen(nodes, study, index, count):
    """The nodes of one slice of the models, for a job array, with all that they need.

    Args:
      nodes: of `graph`.
      study: schema.Study.
      index: from 1.
      count: how many slices there are.

    Returns:
      [Node], in their order.
    """
    mine = list(by_model(study))[index - 1::count]
    wanted, by_name = [f"evaluate {model}" for model in mine], {node.name: node for node in nodes}
    seen = set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            node = by_name[name]
            wanted += [*node.needs, *(item.needs for item in node.items if item.needs)]
    return [node for node in nodes if node.name in seen]


def template_text(name):
    """The text of a detector template."""
    return (pipeline_config.TEMPLATES / f"{name}.config").read_text(encoding="utf-8")
