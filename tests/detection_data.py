"""Random ground truth and detections for the tests of metrics."""

import numpy as np

from tfod_compress.tasks.detection.metrics import Detections, GroundTruth

NAMES = {1: "PassengerCar", 2: "Truck", 3: "Van", 4: "Bus", 5: "Pedestrian", 6: "Bicycle", 7: "Motorbike"}


def make(seed, images=20, classes=4, objects=6, found=8, crowd=0.0, difficult=0.0, empty=0.1, ties=False,
         jitter=0.12, groups=None, grid=0):
    """(GroundTruth, Detections): boxes of 5 to 300 pixels, detections near objects, of other classes, and astray.

    With `grid`, boxes begin and end at multiples of it: overlaps are often equal, or exactly at a threshold.
    """
    rng = np.random.default_rng(seed)
    names = {number: NAMES[number] for number in range(1, classes + 1)}
    ids = tuple(f"seq{number // 4:04d}/{number:05d}" for number in range(images))
    image, boxes, class_ids = [], [], []
    d_image, d_boxes, d_class = [], [], []
    for number in range(images):
        if rng.random() >= empty:
            for _ in range(rng.integers(0, 2 * objects) if objects > 1 else 1):
                image.append(number)
                boxes.append(_box(rng))
                class_ids.append(rng.integers(1, classes + 1))
        mine = [k for k, i in enumerate(image) if i == number]
        for _ in range(rng.integers(0, 2 * found + 1)):
            d_image.append(number)
            if mine and rng.random() < 0.75:
                k = rng.choice(mine)
                size = np.tile(boxes[k][2:], 2)
                d_boxes.append(np.maximum(boxes[k] + rng.normal(0, jitter, 4) * size, 0.5))
                d_class.append(class_ids[k] if rng.random() < 0.8 else rng.integers(1, classes + 1))
            else:
                d_boxes.append(_box(rng))
                d_class.append(rng.integers(1, classes + 1))
    boxes, d_boxes = np.array(boxes).reshape(-1, 4), np.array(d_boxes).reshape(-1, 4)
    if grid:
        boxes, d_boxes = (np.maximum(np.round(b / grid) * grid, [0, 0, grid, grid]) for b in (boxes, d_boxes))
    scores = rng.random(len(d_boxes))
    if ties:
        scores = np.round(scores, 1)
    count = len(boxes)
    truth = GroundTruth(
        image_ids=ids, sizes=np.tile([480, 640], (images, 1)), class_names=names, image=np.array(image, np.int64),
        boxes=boxes, class_ids=np.array(class_ids, np.int64), difficult=rng.random(count) < difficult,
        is_crowd=rng.random(count) < crowd, areas=boxes[:, 2] * boxes[:, 3], groups=groups)
    return truth, Detections(np.array(d_image, np.int64), d_boxes, np.array(d_class, np.int64), scores)


def perfect(truth):
    """Every object found once, exactly."""
    scores = np.linspace(0.9, 0.6, len(truth.boxes))
    return Detections(truth.image, truth.boxes, truth.class_ids, scores)


def take(truth, detections, images):
    """The evaluation of a list of image indices, drawn with repetition, every copy as an image of its own."""
    def rows(of_image):
        found = [np.nonzero(of_image == image)[0] for image in images]
        return np.concatenate(found), np.repeat(np.arange(len(images)), [len(f) for f in found])

    g, g_image = rows(truth.image)
    d, d_image = rows(detections.image)
    again = GroundTruth(
        image_ids=tuple(f"{copy:06d}" for copy in range(len(images))), sizes=truth.sizes[images],
        class_names=truth.class_names, image=g_image, boxes=truth.boxes[g], class_ids=truth.class_ids[g],
        difficult=truth.difficult[g], is_crowd=truth.is_crowd[g], areas=truth.areas[g])
    return again, Detections(d_image, detections.boxes[d], detections.class_ids[d], detections.scores[d])


def coco_json(truth):
    """The ground truth as a COCO instances dict with image ids 1, 2, ..."""
    return {
        "images": [{"id": i + 1, "height": int(h), "width": int(w), "file_name": f"{name}.png"}
                   for i, (name, (h, w)) in enumerate(zip(truth.image_ids, truth.sizes, strict=True))],
        "annotations": [
            {"id": k + 1, "image_id": int(truth.image[k]) + 1, "category_id": int(truth.class_ids[k]),
             "bbox": truth.boxes[k].tolist(), "area": float(truth.areas[k]), "iscrowd": int(truth.is_crowd[k])}
            for k in range(len(truth.boxes))],
        "categories": [{"id": number, "name": name} for number, name in truth.class_names.items()],
    }


def coco_results(detections):
    """The detections as COCO results with image ids 1, 2, ..."""
    return [{"image_id": int(image) + 1, "category_id": int(class_id), "bbox": box.tolist(), "score": float(score)}
            for image, class_id, box, score in zip(detections.image, detections.class_ids, detections.boxes,
                                                   detections.scores, strict=True)]


def _box(rng):
    width, height = np.exp(rng.uniform(np.log(5), np.log(300), 2))
    return np.array([rng.uniform(0, 640 - width), rng.uniform(0, 480 - height), width, height])
