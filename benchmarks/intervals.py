"""What the intervals of all four metrics cost on random detections.

The bound to keep: 5,000 images, 7 classes, 20 detections an image in under a minute on two cores.

Example:
  python -m benchmarks.intervals --images 5000 --detections 20
"""

import time

from absl import flags

from tools import command

_IMAGES = flags.DEFINE_integer("images", 5000, "Images.", lower_bound=1)
_DETECTIONS = flags.DEFINE_integer("detections", 20, "Detections on each.", lower_bound=1)
_OBJECTS = flags.DEFINE_integer("objects", 6, "Objects on each.", lower_bound=1)
_CLASSES = flags.DEFINE_integer("classes", 7, "Classes.", lower_bound=1)


def main():
    from tfod_compress.tasks.detection import metrics

    truth, detections = random_data(_IMAGES.value, _OBJECTS.value, _DETECTIONS.value, _CLASSES.value)
    start = time.time()
    result = metrics.evaluated(truth, detections)
    print(f"{_IMAGES.value} images, {len(detections.image)} detections, {_CLASSES.value} classes: "
          f"{time.time() - start:.1f} s, matching included")
    for name, value in result.items():
        print(f"  {name:12} {value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]")
    return 0


def random_data(images, objects, found, classes):
    """(GroundTruth, Detections): half of the detections lie near an object, the others anywhere."""
    import numpy as np

    from tfod_compress.tasks.detection import metrics

    rng = np.random.default_rng(0)

    def boxes(count):
        size = np.exp(rng.uniform(np.log(8), np.log(200), (count, 2)))
        return np.concatenate([rng.random((count, 2)) * ([640, 480] - size), size], axis=1)

    image = np.repeat(np.arange(images), objects)
    place, class_ids = boxes(images * objects), rng.integers(1, classes + 1, images * objects)
    none = np.zeros(len(image), bool)
    truth = metrics.GroundTruth(
        image_ids=tuple(f"{number:06d}" for number in range(images)), sizes=np.tile([480, 640], (images, 1)),
        class_names={number: f"class {number}" for number in range(1, classes + 1)}, image=image, boxes=place,
        class_ids=class_ids, difficult=none, is_crowd=none, areas=place[:, 2] * place[:, 3])
    d_image = np.repeat(np.arange(images), found)
    about = d_image * objects + rng.integers(objects, size=len(d_image))
    near = rng.random(len(d_image)) < 0.5
    shifted = place[about] + rng.normal(0, 0.1, (len(d_image), 4)) * np.tile(place[about][:, 2:], 2)
    d_boxes = np.where(near[:, None], np.maximum(shifted, 0.5), boxes(len(d_image)))
    d_class = np.where(near, class_ids[about], rng.integers(1, classes + 1, len(d_image)))
    scores = rng.random(len(d_image)) * np.where(near, 1.0, 0.6)
    return truth, metrics.Detections(d_image, d_boxes, d_class, scores)


if __name__ == "__main__":
    command.run(main)
