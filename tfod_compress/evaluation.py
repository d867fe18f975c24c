"""Checkpoint + record sets -> detections.json and metrics.json.

Whatever can be wrong with the inputs is found before the model is built, and TensorFlow is imported only if there
is something left to run.
"""

import csv
import hashlib
import json
import pathlib

import numpy as np

from tfod_compress import metrics, pipeline_config
from tfod_compress.errors import InputError
from tfod_compress.files import write_json
from tfod_compress.labels import label_map as label_maps
from tfod_compress.metrics.boxes import listed
from tfod_compress.progress import Bar


def evaluate(pipeline_config_path, checkpoint, record_sets, output, *, split="val", score_threshold=0.5,
             batch_size=8, resamples=1000, seed=0, detector=None):
    """Evaluates one checkpoint on several record sets, building and tracing the model once.

    Args:
      pipeline_config_path: the model's pipeline.config.
      checkpoint: a model folder (its newest checkpoint) or a prefix.
      record_sets: folders of record sets, or RecordSets.
      output: folder that receives `<record set name>/metrics.json` and `detections.json`. What is there already,
        of the same weights, model, record set and settings, is not done again.
      split: "val", "train", or another that the record sets have, such as "fold0".
      score_threshold: of precision, recall and F1.
      batch_size: images run together; changes no number.
      resamples: bootstrap resamples.
      seed: of the resampling.
      detector: a Detector of this config to use (for several checkpoints), or None to build one if needed.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others.
    """
    config = pipeline_config.read(pipeline_config_path)
    prefix = pipeline_config.latest_checkpoint(checkpoint)
    record_sets = _open_all(record_sets)
    for record_set in record_sets:
        check_label_map(config, pipeline_config_path, record_set)
    weights = {"checkpoint": _sha256(f"{prefix}.index"),  # holds the checksum of every weight
               "model": hashlib.sha256(config.model.SerializeToString(deterministic=True)).hexdigest()}
    if pipeline_config.uses_moving_average(config):
        weights["moving_average"] = True

    def ready():
        from tfod_compress.detector import Detector
        built = detector or Detector(pipeline_config_path)
        built.restore(prefix)
        return built

    return _evaluate(ready, {"checkpoint": prefix}, weights, record_sets, output, split, score_threshold, batch_size,
                     resamples, seed)


def evaluate_saved_model(saved_model, record_sets, output, *, split="val", score_threshold=0.5, resamples=1000, seed=0):
    """As `evaluate`, for a detector exported as a SavedModel (the OD API's exporter_main_v2 or ours).

    Args:
      saved_model: the folder with saved_model.pb, or the one above it. A pipeline.config beside it is checked
        against the record sets' label maps.
      record_sets: folders of record sets, or RecordSets.
      output: as for `evaluate`.
      split: likewise.
      score_threshold: likewise.
      resamples: likewise.
      seed: likewise.

    Returns:
      {record set name: the content of its metrics.json}.

    Raises:
      InputError: an input is missing, empty or does not fit the others.
    """
    folder = pathlib.Path(saved_model)
    folder = folder if (folder / "saved_model.pb").is_file() else folder / "saved_model"
    if not (folder / "saved_model.pb").is_file():
        raise InputError(f"{saved_model}: holds no saved_model.pb; give the folder that an export wrote")
    record_sets = _open_all(record_sets)
    beside = folder.parent / "pipeline.config"
    if beside.is_file():
        config = pipeline_config.read(beside)
        for record_set in record_sets:
            check_label_map(config, beside, record_set)
    weights = {"saved_model": _sha256(folder / "saved_model.pb"),
               "variables": _sha256(folder / "variables" / "variables.index")}

    def ready():
        from tfod_compress.saved_model import SavedModelDetector
        return SavedModelDetector(folder)

    return _evaluate(ready, {"checkpoint": str(folder.resolve())}, weights, record_sets, output, split, score_threshold,
                     1, resamples, seed)


def _evaluate(ready, described, weights, record_sets, output, split, score_threshold, batch_size, resamples, seed):
    """What evaluating has in common; `ready` gives the detector, and is called only if there is something to run."""
    results, jobs = {}, []
    for record_set in record_sets:
        if split not in record_set.splits:
            raise InputError(f"{record_set.path}: has no frames of the split {split!r} (--split); it has "
                             f"{', '.join(record_set.splits)}")
        folder = pathlib.Path(output) / record_set.name
        made_from = {**weights, "record_set": _sha256(pathlib.Path(record_set.path) / "manifest.json"), "split": split,
                     "score_threshold": score_threshold, "resamples": resamples, "seed": seed}
        results[record_set.name] = done = _finished(folder, made_from)
        if not done:
            truth = metrics.record_set_ground_truth(record_set, split)
            jobs.append((record_set, folder, truth, coded_size(record_set, split, truth), made_from))
    detector = ready() if jobs else None
    for record_set, folder, truth, size, made_from in jobs:
        detections = run(detector, record_set.files(split), truth, batch_size, record_set.name)
        metrics.write_detections(folder / "detections.json", truth.image_ids, detections)
        # What is written is what is measured, so that the file alone gives the same numbers again.
        detections = metrics.load_detections(folder / "detections.json", truth)
        result = {"record_set": record_set.name, **described, "split": split, **size,
                  **metrics.summarise(truth, detections, score_threshold, resamples, seed), "made_from": made_from}
        write_json(folder / "metrics.json", result)
        results[record_set.name] = result
    return results


def evaluate_checkpoints(pipeline_config_path, checkpoints, record_sets, output, *, split="val", score_threshold=0.5,
                         batch_size=8, resamples=1000, seed=0):
    """Evaluates several checkpoints of one model.

    Args:
      pipeline_config_path: the model's pipeline.config; it is built and traced once.
      checkpoints: model folders or prefixes.
      record_sets: folders of record sets.
      output: as for `evaluate` with one checkpoint; with more, every one gets a folder in it by its own name
        (`model` for a folder, `model-ckpt-3` for a prefix).
      split: as for `evaluate`.
      score_threshold: likewise.
      batch_size: likewise.
      resamples: likewise.
      seed: likewise.

    Returns:
      [(name of the checkpoint's folder, or "" with one checkpoint; the content of one metrics.json)].
    """
    def results(checkpoint, folder, detector=None):
        return evaluate(pipeline_config_path, checkpoint, record_sets, folder, split=split,
                        score_threshold=score_threshold, batch_size=batch_size, resamples=resamples, seed=seed,
                        detector=detector).values()

    if len(checkpoints) == 1:
        return [("", result) for result in results(checkpoints[0], output)]
    paths = [pathlib.Path(checkpoint) for checkpoint in checkpoints]
    names = [path.resolve().name if path.is_dir() else f"{path.resolve().parent.name}-{path.name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"checkpoints {listed(names)}: two have one name, so their results would share a folder")
    for path in paths:
        pipeline_config.latest_checkpoint(path)
    from tfod_compress.detector import Detector
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


def metrics_from(detections, ground_truth, output, *, split="val", score_threshold=0.5, resamples=1000, seed=0):
    """Computes every metric of a detections file; no model is needed.

    Args:
      detections: a file in COCO's results format.
      ground_truth: a record set's folder or a COCO JSON.
      output: folder that receives metrics.json.
      split: of the record set.
      score_threshold: of precision, recall and F1.
      resamples: bootstrap resamples.
      seed: of the resampling.

    Returns:
      The content of metrics.json; "bpp" and "coded_bytes" are None for a COCO JSON.

    Raises:
      InputError: the files are missing, malformed, or do not belong together.
    """
    truth = metrics.load_ground_truth(ground_truth, split)
    found = metrics.load_detections(detections, truth)
    size = {"bpp": None, "coded_bytes": None, "pixels": int(truth.sizes.prod(axis=1).sum())}
    name = pathlib.Path(ground_truth).name
    if pathlib.Path(ground_truth).is_dir():
        size = coded_size(_open(ground_truth), split, truth)
    result = {"record_set": name, "checkpoint": None, "detections": str(detections), "split": split, **size,
              **metrics.summarise(truth, found, score_threshold, resamples, seed)}
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
    try:
        result = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("made_from") == made_from and (folder / "detections.json").is_file() else None


def _sha256(path):
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
