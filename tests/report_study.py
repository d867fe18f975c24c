"""A finished study's folder without any training: drawn frames, detections that get worse as the quality falls."""

import io
import json

import numpy as np
from PIL import Image

from tfod_compress.records import example, framing
from tfod_compress.tasks.detection import features, metrics
from tfod_compress.tasks.detection.boxes import Boxes
from tfod_compress.tasks.detection.metrics.classes import restrict

NAMES = {1: "PassengerCar", 2: "Truck", 3: "Van", 4: "Bus", 5: "Pedestrian", 6: "Bicycle", 7: "Motorbike"}
QUALITIES = (100, 40, 20, 10, 5)
FOUND = {100: 0.85, 40: 0.82, 20: 0.74, 10: 0.55, 5: 0.35}  # share of the objects that the made-up detector finds
REGIMES = {"off_the_shelf": 1.0, "task_ft": 1.55, "control_ft": 1.05}  # by how much a regime changes that at quality 5
DETECTOR = "ssd_inception_v2_demo"


def write(folder, frames=16, size=(96, 160), qualities=QUALITIES, regimes=tuple(REGIMES), names=NAMES, seeds=(0,),
          record_sets=True, classes=None, dropped=0, manifest=None):
    """Writes results.json, study.yaml, tfrecords/, models/*/metrics.jsonl and evaluations/ below `folder`.

    Args:
      folder: the study's path.
      frames: how many validation frames.
      size: (height, width) in pixels.
      qualities: of JPEG, best first; the last is the one that is trained for.
      regimes: of REGIMES, or ("published",): a detector that is tested at every quality and trained at none.
      names: {class id: name}; ids may have gaps.
      seeds: training seeds.
      record_sets: whether to write the frames too.
      classes: "classes" of every metrics.json: how the classes of a published detector were matched.
      dropped: "dropped_detections" of every metrics.json.
      manifest: more of every manifest.json.

    Returns:
      The folder.
    """
    images, labels = _frames(frames, size, names)
    truth = _truth(images, labels, names)
    missing = (classes or {}).get("not_in_detector", ())
    truth = restrict(truth, {number for number, name in names.items() if name not in missing})
    reference = "published" if "published" in regimes else "off_the_shelf"
    more = ({"classes": classes} if classes else {}) | ({"dropped_detections": dropped} if dropped else {})
    points, found = [], {}
    for quality in qualities:
        path = folder / "tfrecords" / f"jpeg-q{quality}"
        if record_sets:
            _record_set(path, images, labels, quality, names, manifest or {})
        for regime in regimes:
            for seed in seeds if regime == reference or quality == qualities[-1] else ():
                trained_on = quality if regime == "task_ft" else qualities[0]
                model = f"{DETECTOR}-{regime}-jpeg-q{trained_on}-s{seed}"
                trained = {"trained_on": trained_on, "model": model}
                if regime == "published":
                    model = f"{DETECTOR}-published"
                    trained = {"trained_on": None, "template": None, "steps": 0, "model": model}
                points.append({"codec": "jpeg", "quality": quality, "record_set": f"jpeg-q{quality}", "seed": seed,
                               "detector": DETECTOR, "regime": regime, **trained,
                               "evaluation": f"evaluations/{model}/jpeg-q{quality}"})
                share = FOUND[quality] * (REGIMES.get(regime, 1) if quality == qualities[-1] else 1)
                found[regime, quality, seed] = _detections(truth, share, seed)
                _evaluation(folder / points[-1]["evaluation"], truth, found[regime, quality, seed], quality,
                            more)
    for model in {point["model"] for point in points if point["trained_on"] is not None}:
        _training(folder / "models" / model)
    (folder / "study.yaml").write_text("title: made up\nregimes: [off_the_shelf]\n")
    (folder / "results.json").write_text(json.dumps({
        "study": folder.name, "title": "Drawn frames, JPEG 100 to 5", "version": "0.0",
        "created": "2020-01-02T03:04:05+00:00", "class_names": list(names.values()),
        "commands": ["python -m tools.make_tfrecords --quality 100,40,20,10,5"],
        "regime_training": {"training": {"steps": 1500}, "fine_tuning": {"steps": 500}}, "points": points,
        "comparisons": _comparisons(truth, found, reference, qualities, seeds),
        "timings": [{"stage": "records", "seconds": 20.5}, {"stage": "train", "seconds": 600}]}))
    return folder


def _frames(count, size, names):
    """Flat objects of several sizes on a noisy road, and their boxes."""
    rng = np.random.default_rng(3)
    height, width = size
    images, labels = {}, {}
    for number in range(count):
        ramp = np.linspace(150, 70, height)[:, None, None] * np.array([1.0, 1.0, 0.95])
        image = np.broadcast_to(ramp, (height, width, 3)) + rng.normal(0, 9, (height, width, 3))
        boxes = []
        for _ in range(rng.integers(1, 6)):
            h = int(rng.uniform(0.1, 0.45) * height)
            w = int(min(h * rng.uniform(0.5, 1.6), width * 0.4))
            top, left = rng.integers(0, height - h), rng.integers(0, width - w)
            kind = list(names)[min(int(rng.exponential(1.6 * max(1, len(names) / 7))), len(names) - 1)]
            image[top:top + h, left:left + w] = rng.uniform(20, 235, 3)
            image[top + h // 6:top + h // 2, left + w // 6:left + w - w // 6] *= 0.5
            boxes.append((top / height, left / width, (top + h) / height, (left + w) / width, kind))
        source_id = f"seq{number // 3:03d}/{number:06d}"
        images[source_id], labels[source_id] = np.clip(image, 0, 255).astype(np.uint8), boxes
    return images, labels


def _record_set(folder, images, labels, quality, names, manifest):
    """The frames as JPEG in one shard."""
    folder.mkdir(parents=True)
    with open(folder / "val-00000-of-00001.tfrecord", "wb") as file:
        for source_id, image in images.items():
            coded = io.BytesIO()
            Image.fromarray(image).save(coded, "JPEG", quality=quality)
            table = np.array(labels[source_id], np.float32).reshape(-1, 5)
            none = np.zeros(len(table), bool)
            boxes = Boxes(table[:, :4], table[:, 4].astype(np.int64), none, none, None, None, [], 0, 0)
            height, width = image.shape[:2]
            part = example.features_of_frame(source_id, f"{source_id}.bmp", width, height,
                                             features.write(boxes, width, height, names))
            data = example.build(part, coded.getvalue(), "jpeg", coded.tell())
            header, footer = framing.frame(data)
            file.write(header + data + footer)
    (folder / "label_map.pbtxt").write_text("".join(
        f'item {{\n  id: {number}\n  name: "{name}"\n}}\n' for number, name in names.items()))
    (folder / "manifest.json").write_text(json.dumps({
        "codec": "jpeg", "codec_version": "made up", "quality": quality, "frames": {"train": 0, "val": len(images)},
        "psnr_db": 20 + quality / 5, "split_by": r"^(seq\d+)/", "files": {"val-00000-of-00001.tfrecord": ""},
        **manifest}))


def _truth(images, labels, names):
    ids = tuple(sorted(images))
    rows = [(i, *box) for i, name in enumerate(ids) for box in labels[name]]
    sizes = np.array([images[name].shape[:2] for name in ids])
    table = np.array(rows, np.float64)
    image = table[:, 0].astype(np.int64)
    height, width = sizes[image].T
    boxes = np.stack([table[:, 2] * width, table[:, 1] * height, (table[:, 4] - table[:, 2]) * width,
                      (table[:, 3] - table[:, 1]) * height], 1)
    none = np.zeros(len(rows), bool)
    return metrics.GroundTruth(ids, sizes, dict(names), image, boxes, table[:, 5].astype(np.int64), none, none,
                               boxes[:, 2] * boxes[:, 3], np.arange(len(ids)) // 3)


def _detections(truth, share, seed):
    """Objects are found in the same order at every quality, the large ones first; a tenth as many are wrong."""
    rng = np.random.default_rng(100 + seed)
    ease = 0.5 * rng.random(len(truth.boxes)) + 0.5 * np.argsort(np.argsort(truth.areas)) / len(truth.boxes)
    chosen = ease > np.quantile(ease, 1 - min(share, 0.97))
    jitter = rng.normal(0, 0.04, truth.boxes.shape) * truth.boxes[:, [2, 3, 2, 3]]
    astray = rng.random(len(truth.boxes)) < 0.12
    boxes = np.concatenate([(truth.boxes + jitter)[chosen], (truth.boxes * [0.5, 0.6, 0.8, 0.7])[astray]])
    scores = np.concatenate([0.4 + 0.6 * ease[chosen], 0.3 + 0.4 * rng.random(astray.sum())])
    return metrics.Detections(np.concatenate([truth.image[chosen], truth.image[astray]]), boxes,
                              np.concatenate([truth.class_ids[chosen], truth.class_ids[astray]]), scores)


def _evaluation(folder, truth, detections, quality, more):
    folder.mkdir(parents=True)
    metrics.write_detections(folder / "detections.json", truth.image_ids, detections)
    coded = {100: 19_000, 40: 3_900, 20: 2_400, 10: 1_500, 5: 900}[quality] * len(truth.image_ids)
    pixels = int(truth.sizes.prod(axis=1).sum())
    numbers = metrics.summarise(truth, detections, 0.3)
    (folder / "metrics.json").write_text(json.dumps({**numbers, "bpp": 8 * coded / pixels, "coded_bytes": coded,
                                                     **more}))


def _comparisons(truth, found, reference, qualities, seeds):
    last, best = qualities[-1], qualities[0]
    pairs = [((reference, quality), (reference, best)) for quality in qualities[1:]]
    pairs += [(("task_ft", last), (reference, last)), (("task_ft", last), ("control_ft", last))]
    made = []
    for a, b in pairs:
        for seed in seeds:
            if (*a, seed) in found and (*b, seed) in found:
                result = metrics.paired_difference(truth, found[(*a, seed)], found[(*b, seed)])
                sides = {side: {"regime": regime, "record_set": f"jpeg-q{quality}", "quality": quality, "seed": seed}
                         for side, (regime, quality) in (("a", a), ("b", b))}
                made.append({"metric": "weighted_map", "detector": DETECTOR, **sides, **result})
    return made


def _training(folder):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    steps = range(10, 501, 10)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(
        {"step": step, "Loss/total_loss": 4 * step ** -0.4 + 0.1 * rng.random(), "learning_rate": 0.001}) + "\n"
        for step in steps))
