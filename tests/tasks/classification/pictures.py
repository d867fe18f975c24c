"""Small folders of pictures with classes, for tests of image classification."""

from PIL import Image

from tests import records_data

CLASSES = {"stop": 8, "turn left": 6, "yield": 7}  # pictures of each


def make(folder):
    """frames/CLASS/TRACK_NUMBER.png below `folder`, two pictures a track; returns the folder."""
    seed = 0
    for name, count in CLASSES.items():
        (folder / "frames" / name).mkdir(parents=True)
        for index in range(count):
            picture = Image.fromarray(records_data.scene(seed, 24, 20))
            picture.save(folder / "frames" / name / f"{index // 2:02d}_{index:03d}.png")
            seed += 1
    return folder


def paths(folder):
    """[path below frames, with forward slashes] of all pictures, sorted."""
    return sorted(path.relative_to(folder / "frames").as_posix() for path in (folder / "frames").rglob("*.png"))


def arguments(folder, *more):
    """Flags of make_tfrecords for pictures made by `make`."""
    return ["--task", "classification", "--frames", folder / "frames", "--output", folder / "tfrecords", "--workers", 1,
            *more]
