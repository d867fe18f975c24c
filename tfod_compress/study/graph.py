"""The graph of commands that makes a study's points.

    frames -> record sets ----------> (config ->) training -> evaluation of one model on all its record sets
              checkpoint from the zoo ---^  ^--- for fine-tuning, the training of the off-the-shelf model

    lossless record set -> learned codec -> its record sets          (a codec that the study trains)
    config -> training with a codec in front -> record set of the tuned codec -> evaluation on it

    record sets, checkpoint from the zoo -> evaluation of a published model, as it is

What a model's own commands are is its task's affair (`kinds`).
"""

import pathlib

from tfod_compress import tasks
from tfod_compress.study import codec_nodes
from tfod_compress.study.kinds import Job
from tfod_compress.study.nodes import Item, Node
from tfod_compress.study.points import by_model, model_name
from tfod_compress.study.regimes import LEARNED, PUBLISHED, TUNED


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
    fetching = {node.name: node for detector in study.detectors if (node := study.kind.fetching(detector))}
    nodes += fetching.values()
    for rows in by_model(study).values():
        nodes += _model_nodes(study, workdir, rows, given, makers)
    return nodes


def _frames_node(study, workdir):
    make, task = study.data.make, tasks.get(study.task)
    extra = [part for name, value in make.flags.items() for part in (f"--{name}", value)]
    extra += [] if task.name == tasks.DEFAULT else ["--task", task.name]
    return Node(
        "frames", "make_demo_frames",
        ("--output", workdir / "data", "--count", make.count, "--size", make.size, "--broken", make.broken,
         "--seed", make.seed, *extra), result=workdir / "data" / ("labels" if task.labels else "frames"),
        work=(f"frames {make.size}", make.count, "frames"))


def _frames_given(study, workdir):
    """`codec_nodes.Given` of all commands that make record sets."""
    data, split = study.data, study.split
    has_labels = tasks.get(study.task).labels
    frames, labels, pixels, needs = data.frames or "FRAMES", data.labels or (has_labels and "LABELS"), None, ()
    if data.make:
        frames, labels, needs = workdir / "data" / "frames", has_labels and workdir / "data" / "labels", ("frames",)
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


def _model_nodes(study, workdir, rows, given, makers):
    """Config, training and evaluation of one model, and where its codec is tuned, the record set of that.

    Of what is published, its evaluation alone.
    """
    row, kind = rows[0], study.kind
    entry = next(one for one in study.detectors if one.name == row.detector)
    fetching = kind.fetching(entry)
    checkpoint = fetching.result.parent if fetching else getattr(entry, "checkpoint", None)
    needs = (fetching.name,) if fetching else ()
    if row.regime == PUBLISHED:
        as_it_is = kind.evaluated_as_it_is(entry, checkpoint)
        return [_evaluation_node(study, workdir, rows, makers, as_it_is, needs, str(as_it_is[1]))]
    needs = (makers[row.trained_on], *needs)
    if row.regime in (*TUNED, *LEARNED):
        base = model_name(entry, "off_the_shelf", study.best, row.seed, row.fold)
        checkpoint, needs = workdir / "models" / base, (*needs, f"train {base}")
    steps, changes = study.training_of(entry, row.regime)
    with_codec = codec_nodes.tuned(study, workdir, row, given) if row.regime in LEARNED else None
    if with_codec:
        makers = {**makers, row.model: with_codec.records.name}
    job = Job(entry, row, workdir / "tfrecords" / row.trained_on, workdir / "configs" / f"{row.model}.config",
              workdir / "models" / row.model, steps, changes, checkpoint, needs, study.balance_classes, with_codec)
    return [*kind.train_nodes(job), *([with_codec.records] if with_codec else []),
            _evaluation_node(study, workdir, rows, makers, kind.evaluated(job), (f"train {row.model}",),
                             entry.trained_by)]


def _evaluation_node(study, workdir, rows, makers, arguments, needs, kind):
    """Evaluation of one model, which `arguments` name, on all its record sets."""
    row = rows[0]
    sets = tuple(Item(str(workdir / "tfrecords" / point.record_set),
                      workdir / point.evaluation / "metrics.json", makers[point.record_set]) for point in rows)
    split = ("--split", row.split) if row.fold is not None else ()
    frames = study.data.make and study.split.val_fraction and round(
        study.data.make.count * study.split.val_fraction) * len(rows)
    return Node(f"evaluate {row.model}", "evaluate",
                (*arguments, *split, "--output", workdir / "evaluations" / row.model, *study.kind.measured(study)),
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
