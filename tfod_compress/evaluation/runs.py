"""Detector + record sets -> detections.json and metrics.json.

Whatever can be wrong with the inputs is found before the model is built, and TensorFlow is imported only if there
is something left to run.
"""

import csv
import dataclasses
import functools
import hashlib
import pathlib

import numpy as np

from tfod_compress.evaluation import trained_frames
from tfod_compress.labels import label_map as label_maps
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, sha256, write_json
from tfod_compress.support.progress import Bar
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection import metrics, outside_detector, trained_model
from tfod_compress.tasks.detection.config import pipeline_config
from tfod_compress.tasks.detection.metrics import classes

_NOTHING = classes.Given()


def evaluate(pipeline_config_path, checkpoint, record_sets, output, *, split="val", score_threshold=0.5,
             batch_size=8, detector=None, given=_NOTHING, allow_training_frames=False):
    """Evaluates one checkpoint on several record sets, building and tracing the model once.

    Where its label map differs from a record set's, classes are matched by name or by a class map, and the metrics are
    over those that both have; "classes" of metrics.json says which.

    Args:
      pipeline_config_path: the model's pipeline.config; None for the one beside the checkpoint.
      checkpoint: a model folder (its newest checkpoint) or a prefix.
      record_sets: folders of record sets, or RecordSets.
      output: folder that receives `<record set name>/metrics.json` and `detections.json`. What is there already,
        of the same weights, model, record set and settings, is not done again.
      split: "val", "train", or another that the record sets have, such as "fold0".
      score_threshold: of precision, recall and F1.
      batch_size: images run together; changes no number.
      detector: a Detector of this config to use (for several checkpoints), or None to build one if needed.
      given: classes.Given, what the user says of the detector's classes.
      allow_training_frames: whether frames that the checkpoint, or one that it started from, was trained on may be
        among those of a split other than "train"; "training_frames" of metrics.json counts them.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others; frames were trained on.
    """
    model = trained_model.find(checkpoint, config=pipeline_config_path)
    config, prefix = pipeline_config.read(model.config), model.weights
    weights = {"checkpoint": _sha256(f"{prefix}.index"),  # holds the checksum of every weight
               "model": hashlib.sha256(config.model.SerializeToString(deterministic=True)).hexdigest()}
    if pipeline_config.uses_moving_average(config):
        weights["moving_average"] = True

    def ready():
        from tfod_compress.tasks.detection.detector import Detector
        built = detector or Detector(model.config)
        built.restore(prefix)
        return built

    record_sets = _open_all(record_sets)
    seen = training_frames(trained_frames.of_checkpoint(prefix, model.config), record_sets, split, prefix,
                           allow_training_frames)
    return _evaluate(_of_model(ready, batch_size), functools.partial(_match, model, given), {"checkpoint": prefix},
                     weights, record_sets, output, split, score_threshold, seen)


def evaluate_saved_model(saved_model, record_sets, output, *, split="val", score_threshold=0.5,
                         given=_NOTHING):
    """As `evaluate`, for a detector exported as a SavedModel (the OD API's exporter_main_v2 or ours).

    Args:
      saved_model: the folder with saved_model.pb, or the one above it. Its label map is label_map.pbtxt beside it, or
        what a pipeline.config beside it names; without either, the record sets'.
      record_sets: folders of record sets, or RecordSets.
      output: as for `evaluate`.
      split: likewise.
      score_threshold: likewise.
      given: likewise.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others.
    """
    model = trained_model.find(saved_model=saved_model)
    folder = pathlib.Path(model.weights)
    weights = {"saved_model": _sha256(folder / "saved_model.pb"),
               "variables": _sha256(folder / "variables" / "variables.index")}

    return _evaluate(_of_model(model.load, 1), functools.partial(_match, model, given),
                     {"checkpoint": str(folder.resolve())}, weights, record_sets, output, split, score_threshold)


def evaluate_command(command, record_sets, output, *, split="val", score_threshold=0.5,
                     given=_NOTHING, keep_frames=False):
    """As `evaluate`, for a detector of any framework behind a command, which runs once for each record set.

    Args:
      command: such as "python detect.py {frames} {output}"; see `outside_detector`.
      record_sets: as for `evaluate`.
      output: likewise. The frames lie below it while the command runs.
      split: likewise.
      score_threshold: likewise.
      given: likewise; without a label map in it, the command is to use the record sets' own.
      keep_frames: whether the frames stay.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: as `evaluate`; the command fails, or its results are none.
    """
    outside_detector.split(command)

    def found(record_set, truth, split):
        folder = pathlib.Path(output) / record_set.name / "detector_command"
        return outside_detector.detect(command, record_set, split, truth, given.label_map or record_set.label_map,
                                       folder, keep_frames)

    def match(record_set):
        return classes.match(given.label_map or record_set.label_map, record_set.label_map, given,
                             "the detector", record_set.path)

    described = {"checkpoint": None, "detector_command": command}
    return _evaluate(found, match, described, {"detector_command": command}, record_sets, output, split,
                     score_threshold)


def training_frames(trained, record_sets, split, checkpoint, allowed=False):
    """{record set name: what its metrics.json says of frames that were trained on}.

    Args:
      trained: trained_frames.TrainedFrames.
      record_sets: [RecordSet].
      split: that is evaluated.
      checkpoint: what was trained, for the message.
      allowed: whether there may be some.

    Raises:
      InputError: there are some, in a split that is not for training, and that is not allowed.
    """
    found = {}
    for record_set in record_sets:
        seen = trained.among(record_set, split) if split in record_set.splits else []
        if seen and split != "train" and not allowed:
            raise InputError(f"{record_set.path}: {len(seen)} of its {record_set.manifest['frames'][split]} {split} "
                             f"frames, such as {seen[0]}, are among those that {checkpoint} was trained on "
                             f"({listed(dict.fromkeys(trained.frames.values()), 2)}); evaluate on frames that it has "
                             "not seen, or --allow_training_frames, which marks the numbers")
        found[record_set.name] = {**({"training_frames": len(seen)} if seen else {}),
                                  **({"training_frames_unknown": list(trained.unknown)} if trained.unknown else {})}
    return found


def _evaluate(found, match, described, weights, record_sets, output, split, score_threshold, more=None):
    """What evaluating has in common: `found` gives Detections on a RecordSet, `match` its ClassMatch.

    `more` is {record set name: further entries of its metrics.json}.
    """
    results, jobs = {}, []
    for record_set in _open_all(record_sets):
        if split not in record_set.splits:
            raise InputError(f"{record_set.path}: has no frames of the split {split!r} (--split); it has "
                             f"{', '.join(record_set.splits)}")
        folder, matched = pathlib.Path(output) / record_set.name, match(record_set)
        made_from = {**weights, "record_set": _sha256(pathlib.Path(record_set.path) / "manifest.json"), "split": split,
                     "score_threshold": score_threshold}
        if matched.differs:
            made_from["classes"] = {"ids": {str(number): to for number, to in matched.ids.items()},
                                    "nms_iou": matched.nms_iou}
        results[record_set.name] = done = _finished(folder, made_from)
        if not done:
            truth = metrics.record_set_ground_truth(record_set, split)
            jobs.append((record_set, folder, matched, matched.restrict(truth), coded_size(record_set, split, truth),
                         made_from))
    for record_set, folder, matched, truth, size, made_from in jobs:
        detections = matched.translate(found(record_set, truth, split))
        dropped = {"dropped_detections": detections.dropped} if matched.differs or detections.dropped else {}
        metrics.write_detections(folder / "detections.json", truth.image_ids, detections)
        # What is written is what is measured, so that the file alone gives the same numbers again.
        detections = metrics.load_detections(folder / "detections.json", truth)
        result = {"record_set": record_set.name, **described, "split": split, **size,
                  **metrics.summarise(truth, detections, score_threshold),
                  **({"classes": matched.described()} if matched.differs else {}), **dropped,
                  **(more or {}).get(record_set.name, {}), "made_from": made_from}
        write_json(folder / "metrics.json", result)
        results[record_set.name] = result
    return results


def notes(result):
    """Lines for a person about a metrics.json: its classes, and frames that the detector was trained on."""
    made, seen, unknown = classes.notes(result), result.get("training_frames"), result.get("training_frames_unknown")
    if seen:
        made.append(f"{result['record_set']}: the detector was trained on {seen} of these {result['images']} frames; "
                    "the numbers say nothing about frames that it has not seen")
    if unknown:
        made.append(f"{listed(unknown, 2)}, which the detector was trained on, is not there any more: whether its "
                    "frames are among these is not known")
    return made


def _of_model(ready, batch_size):
    """Detections of a model on a RecordSet, as `_evaluate` wants them; `ready` gives the Detector when it is needed."""
    ready = functools.cache(ready)
    return lambda record_set, truth, split: run(ready(), record_set.files(split), truth, batch_size, record_set.name)


def _match(model, given, record_set):
    """The ClassMatch of a TrainedModel and a RecordSet."""
    ours, count = record_set.label_map, model.num_classes()
    theirs = given.label_map or model.class_names()
    name = model.config or model.folder
    if not theirs:
        named = model.named_label_maps()
        if named or count not in (None, max(ours)):
            why = f"{named[0]} is not there" if named else f"num_classes is {count}, but {record_set.path}/" \
                f"label_map.pbtxt has ids up to {max(ours)}"
            raise InputError(f"{name}: its label map is not known ({why}): give --detector_label_map")
        theirs = ours
    if count is not None and max(theirs) > count:
        raise InputError(f"{name}: num_classes is {count}, but its label map has ids up to {max(theirs)} "
                         "(--detector_label_map)")
    nms_iou = model.nms_iou() if given.nms_iou is None else given.nms_iou
    return classes.match(theirs, ours, dataclasses.replace(given, nms_iou=nms_iou), name, record_set.path)


def evaluate_checkpoints(pipeline_config_path, checkpoints, record_sets, output, *, split="val", score_threshold=0.5,
                         batch_size=8, given=_NOTHING, allow_training_frames=False):
    """Evaluates several checkpoints of one model.

    Args:
      pipeline_config_path: the model's pipeline.config, or None for the one beside the first checkpoint; it is built
        and traced once.
      checkpoints: model folders or prefixes.
      record_sets: folders of record sets.
      output: as for `evaluate` with one checkpoint; with more, every one gets a folder in it by its own name
        (`model` for a folder, `model-ckpt-3` for a prefix).
      split: as for `evaluate`.
      score_threshold: likewise.
      batch_size: likewise.
      given: likewise.
      allow_training_frames: likewise.

    Returns:
      [(name of the checkpoint's folder, or "" with one checkpoint; the content of one metrics.json)].
    """
    def results(checkpoint, folder, detector=None):
        return evaluate(pipeline_config_path, checkpoint, record_sets, folder, split=split,
                        score_threshold=score_threshold, batch_size=batch_size,
                        detector=detector, given=given, allow_training_frames=allow_training_frames).values()

    if len(checkpoints) == 1:
        return [("", result) for result in results(checkpoints[0], output)]
    paths = [pathlib.Path(checkpoint) for checkpoint in checkpoints]
    names = [path.resolve().name if path.is_dir() else f"{path.resolve().parent.name}-{path.name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"checkpoints {listed(names)}: two have one name, so their results would share a folder")
    models = [trained_model.find(path, config=pipeline_config_path) for path in paths]
    pipeline_config_path = models[0].config
    from tfod_compress.tasks.detection.detector import Detector
    detector = Detector(pipeline_config_path)
    return [(name, result) for name, path in zip(names, paths, strict=True)
            for result in results(path, pathlib.Path(output) / name, detector)]


def run(detector, files, ground_truth, batch_size, title):
    """Detections of a Detector on the images of TFRecord files, with a progress bar.

    Args:
      detector: Detector.
      files: TFRecord files.
      ground_truth: GroundTruth of exactly their images.
      batch_size: images run together.
      title: shown in the bar.

    Returns:
      metrics.Detections.

    Raises:
      InputError: the files hold other images than the ground truth, or of other sizes than they say.
    """
    index = ground_truth.image_index
    images, boxes, classes, scores = [], [], [], []
    with Bar(f"evaluating {title}", len(index)) as bar:
        for source_id, size, found, class_ids, score in detector.detect(files, batch_size):
            image = index.pop(source_id, None)
            if image is None:
                raise InputError(f"{ground_truth.name}: image {source_id} comes twice or has no labels")
            if tuple(ground_truth.sizes[image]) != size:
                raise InputError(f"{ground_truth.name}: {source_id} is {size[1]}x{size[0]} pixels, but its example "
                                 f"says {ground_truth.sizes[image][1]}x{ground_truth.sizes[image][0]}")
            images.append(np.full(len(score), image, np.int64))
            boxes.append(metrics.to_pixels(found, np.tile(size, (len(score), 1))))
            classes.append(class_ids)
            scores.append(score)
            bar.advance()
    if index:
        raise InputError(f"{ground_truth.name}: images {listed(index)} were not run")
    boxes = np.concatenate(boxes)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0.0)  # clipping to the frame may leave -1e-6
    return metrics.Detections(np.concatenate(images), boxes, np.concatenate(classes).astype(np.int64),
                              np.clip(np.concatenate(scores).astype(np.float64), 0.0, 1.0), title)


def metrics_from(detections, ground_truth, output, *, split="val", score_threshold=0.5):
    """Computes every metric of a detections file; no model is needed.

    Of a file with the metrics.json of its evaluation beside it, over the classes that count there.

    Args:
      detections: a file in COCO's results format.
      ground_truth: a record set's folder or a COCO JSON.
      output: folder that receives metrics.json.
      split: of the record set.
      score_threshold: of precision, recall and F1.

    Returns:
      The content of metrics.json; "bpp" and "coded_bytes" are None for a COCO JSON.

    Raises:
      InputError: the files are missing, malformed, or do not belong together.
    """
    everything = metrics.load_ground_truth(ground_truth, split)
    truth, (found,) = metrics.load_together([detections], everything)
    size = {"bpp": None, "coded_bytes": None, "pixels": int(truth.sizes.prod(axis=1).sum())}
    name = pathlib.Path(ground_truth).name
    if pathlib.Path(ground_truth).is_dir():
        size = coded_size(_open(ground_truth), split, truth)
    more = {"classes": classes.beside(detections)} if truth is not everything else {}
    more |= {"dropped_detections": found.dropped} if found.dropped else {}
    result = {"record_set": name, "checkpoint": None, "detections": str(detections), "split": split, **size,
              **metrics.summarise(truth, found, score_threshold), **more}
    write_json(pathlib.Path(output) / "metrics.json", result)
    return result


def coded_size(record_set, split, ground_truth):
    """{"bpp", "coded_bytes", "pixels"} of the evaluated images, from images.csv.

    Raises:
      InputError: images.csv is missing, or lacks an image.
    """
    path = pathlib.Path(record_set.path) / "images.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = {row["source_id"]: row for row in csv.DictReader(file) if row["split"] == split}
            coded = [int(rows[name]["coded_bytes"]) for name in ground_truth.image_ids]
    except FileNotFoundError:
        raise InputError(f"{path}: missing; make the record set again") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: does not belong to this record set's {split} frames ({error}); make the record "
                         "set again") from error
    pixels = int(ground_truth.sizes.prod(axis=1).sum())
    return {"bpp": 8 * sum(coded) / pixels, "coded_bytes": sum(coded), "pixels": pixels}


def check_label_map(config, path, record_set):
    """Raises InputError unless a record set has the classes that a pipeline.config's model was made for.

    Args:
      config: the TrainEvalPipelineConfig.
      path: its file, for the message.
      record_set: RecordSet.
    """
    ours = dict(record_set.label_map)
    classes = getattr(config.model, config.model.WhichOneof("model")).num_classes
    if max(ours) != classes:
        raise InputError(f"{path}: num_classes is {classes}, but {record_set.path}/label_map.pbtxt has ids up to "
                         f"{max(ours)}")
    readers = [config.train_input_reader, *config.eval_input_reader]
    for name in dict.fromkeys(reader.label_map_path for reader in readers if reader.label_map_path):
        theirs = read_label_map(name, path)
        if theirs != ours:
            differing = [f"{number}: {theirs.get(number)} / {ours.get(number)}" for number in sorted({*theirs, *ours})
                         if theirs.get(number) != ours.get(number)]
            raise InputError(f"{record_set.path}/label_map.pbtxt differs from {name}, which {path} was made with "
                             f"({listed(differing)}); evaluate on a record set of the same classes")


def read_label_map(path, named_by):
    """{id: shown name} of the label_map.pbtxt that a config names. Raises InputError, which names the config too."""
    return label_maps.read(path, f"{named_by} names it")


def _open(path):
    from tfod_compress.records import RecordSet

    return RecordSet(path)


def _open_all(record_sets):
    record_sets = [item if hasattr(item, "examples") else _open(item) for item in record_sets]
    names = [record_set.name for record_set in record_sets]
    if len(set(names)) < len(names):
        raise InputError(f"record sets {listed(names)}: two have one name, so their results would share a folder")
    return record_sets


def _finished(folder, made_from):
    """The metrics in `folder` if they were made from the same inputs and settings, else None."""
    result = read_json(folder / "metrics.json")
    if result is None:
        return None
    # Earlier versions resampled, with a number of resamples and a seed; what they finished stays.
    earlier = ("resamples", "seed")
    found = {name: value for name, value in (result.get("made_from") or {}).items() if name not in earlier}
    return result if found == made_from and (folder / "detections.json").is_file() else None


def _sha256(path):
    try:
        return sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
