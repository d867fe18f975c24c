"""Ground truth from a record set or a COCO JSON, detections from and to COCO's results format."""

import dataclasses
import json
import math
import pathlib

import numpy as np

from tfod_compress.records import sequences
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.text import listed
from tfod_compress.tasks.detection.metrics.boxes import Detections, GroundTruth, listed_classes


def record_set_ground_truth(record_set, split):
    """GroundTruth of one split of a record set, in pixels of the original frames.

    Args:
      record_set: tfod_compress.records.RecordSet (or anything with its name, manifest, label_map, examples).
      split: "train" or "val".

    Raises:
      InputError: for an empty split, a source_id that occurs twice, or a class missing from the label map.
    """
    name = f"{record_set.path} ({split})"
    examples = [_labels_of(example) for example in record_set.examples(split)]
    examples.sort(key=lambda labels: labels["source_id"])
    ids = tuple(labels["source_id"] for labels in examples)
    sizes = np.array([labels["size"] for labels in examples], np.int64).reshape(-1, 2)
    image = np.repeat(np.arange(len(ids)), [len(labels["boxes"]) for labels in examples])
    boxes = _stack([labels["boxes"] for labels in examples], np.float64, (0, 4))
    pixels = to_pixels(boxes, sizes[image])
    areas = pixels[:, 2] * pixels[:, 3]
    if record_set.has_areas:
        areas = _stack([labels["areas"] for labels in examples], np.float64)
    return GroundTruth(
        image_ids=ids, sizes=sizes, class_names=dict(record_set.label_map), image=image, boxes=pixels,
        class_ids=_stack([labels["class_ids"] for labels in examples], np.int64),
        difficult=_stack([labels["difficult"] for labels in examples], bool),
        is_crowd=_stack([labels["is_crowd"] for labels in examples], bool),
        areas=areas, groups=sequences.numbers(ids, sequences.of_manifest(record_set.manifest)), name=name)


def to_pixels(boxes, sizes):
    """Normalised (ymin, xmin, ymax, xmax) [N, 4] to (x, y, width, height) in pixels of sizes [N, 2] (h, w)."""
    boxes = boxes.astype(np.float64)
    height, width = sizes[:, 0], sizes[:, 1]
    y, x = boxes[:, 0] * height, boxes[:, 1] * width
    return np.stack([x, y, boxes[:, 3] * width - x, boxes[:, 2] * height - y], axis=1).reshape(-1, 4)


def coco_ground_truth(path):
    """GroundTruth of a COCO instances JSON. Raises InputError where it is not one."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list)
                                                for key in ("images", "annotations", "categories")):
        raise InputError(f"{path}: not a COCO ground truth (an object with images, annotations and categories)")
    try:
        class_names = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        images = sorted((image["id"], int(image["height"]), int(image["width"])) for image in content["images"])
        ids = tuple(image[0] for image in images)
        index = {image_id: number for number, image_id in enumerate(ids)}
        annotations = content["annotations"]
        strange = [a["image_id"] for a in annotations if a["image_id"] not in index]
        if strange:
            raise InputError(f"{path}: annotations name images that are not in \"images\": {listed(strange)}")
        numbers = [a["id"] for a in annotations if "id" in a]
        if len(set(numbers)) < len(numbers):
            raise InputError(f"{path}: annotation ids occur twice; every annotation needs its own")
        boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
        return GroundTruth(
            image_ids=ids, sizes=np.array([image[1:] for image in images], np.int64).reshape(-1, 2),
            class_names=class_names, image=np.array([index[a["image_id"]] for a in annotations], np.int64),
            boxes=boxes, class_ids=np.array([a["category_id"] for a in annotations], np.int64),
            difficult=np.array([bool(a.get("difficult", 0)) for a in annotations], bool),
            is_crowd=np.array([bool(a.get("iscrowd", 0)) for a in annotations], bool),
            areas=np.array([a.get("area", a["bbox"][2] * a["bbox"][3]) for a in annotations], np.float64),
            name=str(path))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a COCO ground truth ({type(error).__name__}: {error})") from error


def load_ground_truth(path, split="val"):
    """GroundTruth of a record set's folder, or of a COCO JSON file. Raises InputError."""
    path = pathlib.Path(path)
    if path.suffix == ".json" and not path.is_dir():
        return coco_ground_truth(path)
    from tfod_compress.records import RecordSet
    return record_set_ground_truth(RecordSet(path), split)


def load_detections(path, ground_truth):
    """Detections of a COCO results file (a list of image_id, category_id, bbox, score), as `parse_detections`."""
    return parse_detections(read_json(path), ground_truth, str(path))


def parse_detections(results, ground_truth, name="detections", image_ids=None, label_map=None):
    """Detections from COCO results (list of dicts, as json.load gives them) on a ground truth's images.

    Args:
      results: the list.
      ground_truth: GroundTruth.
      name: where they came from, for error messages.
      image_ids: {image_id: the ground truth's}; None where those are the same.
      label_map: {id: name} that every category_id must come from, instead of the ground truth's classes. None: those
        that the ground truth lacks are left out and counted in `dropped`, unless that leaves nothing.

    Raises:
      InputError: naming the images or classes that there are not, or what is malformed.
    """
    if not isinstance(results, list):
        raise InputError(f"{name}: not COCO results (a list of image_id, category_id, bbox, score)")
    index = ground_truth.image_index
    if image_ids is not None:
        index = {number: index[image_id] for number, image_id in image_ids.items()}
    try:
        images = [result["image_id"] for result in results]
        boxes = np.array([result["bbox"] for result in results], np.float64)
        classes = np.array([result["category_id"] for result in results])
        scores = np.array([result["score"] for result in results], np.float64)
        strange = [image for image in images if image not in index]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: not COCO results, every one needs image_id, category_id, bbox and score "
                         f"({type(error).__name__}: {error})") from error
    if len(results) and (boxes.ndim != 2 or boxes.shape[1] != 4 or classes.dtype.kind != "i"):
        raise InputError(f"{name}: not COCO results, bbox must be [x, y, width, height] and category_id a whole number")
    if strange:
        raise InputError(f"{name}: detections on {len(set(strange))} images that {ground_truth.name} lacks: "
                         f"{listed(strange)}")
    detections = Detections(np.array([index[image] for image in images], np.int64), boxes.reshape(-1, 4),
                            classes.astype(np.int64).reshape(-1), scores, name)
    detections.check_numbers(ground_truth)
    allowed, whose = (ground_truth.class_names, "ground truth's") if label_map is None else (label_map, "categories")
    known = np.isin(detections.class_ids, list(allowed))
    if not known.all() and (label_map is not None or not known.any()):
        raise InputError(f"{name}: class ids {listed(np.unique(detections.class_ids[~known]).tolist())} are not among "
                         f"the {whose} ({listed_classes(allowed)})")
    return dataclasses.replace(detections.take(known), dropped=int((~known).sum()))


def write_detections(path, image_ids, detections):
    """Writes COCO results; boxes to 1e-4 of a pixel, scores to float32's nine digits."""
    with atomic_file(path, "w") as file:
        file.write("[")
        rows = zip(detections.image.tolist(), detections.class_ids.tolist(), detections.boxes.round(4).tolist(),
                   detections.scores.tolist(), strict=True)
        for number, (image, class_id, box, score) in enumerate(rows):
            file.write(",\n" if number else "\n")
            file.write(json.dumps({"image_id": image_ids[image], "category_id": class_id, "bbox": box,
                                   "score": float(f"{score:.9g}")}, allow_nan=False))
        file.write("\n]\n")


def images_without(detections, ground_truth):
    """The ids of images that have no detection at all: the other side of a mismatch, or nothing found there."""
    present = np.zeros(len(ground_truth.image_ids), bool)
    present[detections.image] = True
    return [image_id for image_id, found in zip(ground_truth.image_ids, present, strict=True) if not found]


def _labels_of(example):
    """The labels alone: the pixels of a whole record set must not be held."""
    return {"source_id": example.source_id, "size": (example.height, example.width),
            "boxes": np.asarray(example.boxes, np.float64).reshape(-1, 4), "class_ids": example.class_ids,
            "areas": example.areas, "difficult": example.difficult, "is_crowd": example.is_crowd}


def _stack(arrays, dtype, empty=(0,)):
    return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(empty, dtype)


def read_json(path):
    """The content of a JSON file, NaN as math.nan; InputError where there is none."""
    def refuse(constant):
        return math.nan  # named later, with the images it stands on

    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, parse_constant=refuse)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
