"""Draw seeded road scenes through a 120-degree fisheye: BMP frames with Pascal VOC labels of seven classes; or signs.

Writes OUTPUT/frames/seq003/000012.bmp and OUTPUT/labels/seq003/000012.xml. With --task classification it draws
crops of traffic signs, a folder for each class: OUTPUT/frames/stop/00003_00002.png is frame 2 of track 3, and a
track is one sign. The same flags give the same bytes; run again after an interruption, it makes what is missing.

Examples:
  python -m tools.make_demo_frames
  python -m tools.make_demo_frames --output runs/demo/data --count 2500 --size 256x160 --seed 1
  python -m tools.make_demo_frames --task classification --count 600 --size 32x32
"""

import re

from absl import flags

from tools import command

_TASK = flags.DEFINE_enum("task", "detection", ["detection", "classification"],
                          "What is drawn: road scenes with boxes, or traffic signs of fifteen classes.")
_OUTPUT = flags.DEFINE_string("output", "data", "Folder that gets frames/ and, for detection, labels/.")
_COUNT = flags.DEFINE_integer("count", 300, "Number of whole frames.", lower_bound=1)
_SIZE = flags.DEFINE_string("size", "1820x940", "WIDTHxHEIGHT of a frame in pixels, 64 to 8192 each; for "
                           "classification 16 to 512 each, 32x32 unless given.")
_BROKEN = flags.DEFINE_integer(
    "broken", 4, "Number of further frames that are damaged (truncated, empty, bad header in turn).", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Another seed, other scenes.", lower_bound=0)
_SEQUENCE_LENGTH = flags.DEFINE_integer("sequence_length", 5, "Consecutive frames of one scene, or of one sign.",
                                        lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", None, "Processes; one a core unless given.", lower_bound=1)
_OBJECTS = flags.DEFINE_list("objects", None, "Fewest and most road users of a scene, such as 3,6.")
_OBJECT_HEIGHT = flags.DEFINE_list(
    "object_height", None, "Least and greatest height of a box as a share of the frame's, such as 0.07,0.7.")
_OPACITY = flags.DEFINE_list(
    "opacity", None, "Least and greatest share of an object's own colour in its pixels, such as 0.45,0.9.")
_NOISE = flags.DEFINE_list(
    "noise", None, "Least and greatest deviation of the sensor's noise in grey levels, such as 2,6; scenes and signs.")
_TEXTURE = flags.DEFINE_float("texture", None, "Deviation of the surfaces' texture as a factor, such as 0.12.")
_CLASS_SHARES = flags.DEFINE_list(
    "class_shares", None, "Shares of PassengerCar, Truck, Van, Bus, Pedestrian, Bicycle and Motorbike, such as "
    "0.55,0.08,0.09,0.06,0.12,0.05,0.05.")
_IMBALANCE_FACTOR = flags.DEFINE_float(
    "imbalance_factor", None, "For classification: signs of the most frequent class for one of the rarest, such as 10; "
    "all alike unless given.")
_OF_SCENES = {"objects": (_OBJECTS, int), "object_height": (_OBJECT_HEIGHT, float), "opacity": (_OPACITY, float),
              "texture": (_TEXTURE, float), "class_shares": (_CLASS_SHARES, float)}
_OF_SIGNS = {"imbalance_factor": (_IMBALANCE_FACTOR, float)}
_OF_BOTH = {"noise": (_NOISE, float)}


def main():
    signs = _TASK.value == "classification"
    for name, (flag, _) in (_OF_SCENES if signs else _OF_SIGNS).items():
        if flag.value is not None:
            raise command.UsageError(f"--{name} is of {'road scenes' if signs else 'signs'}; leave it out"
                                     f"{'' if signs else ', or add --task classification'}")
    width, height = _size(16, 512, "32x32") if signs else _size(64, 8192, "1820x940")
    changed = {name: _numbers(name, flag.value, kind)
               for name, (flag, kind) in (_OF_BOTH | (_OF_SIGNS if signs else _OF_SCENES)).items()
               if flag.value is not None}

    from tfod_compress import synthetic
    from tfod_compress.support.errors import InputError
    from tfod_compress.support.progress import Bar

    try:
        made_of = {"parameters": synthetic.SignParameters(**changed)} if signs else {
            "scene": synthetic.SceneParameters(**changed)}
    except InputError as error:
        raise command.UsageError(f"--{error}") from None
    make = synthetic.make_sign_frames if signs else synthetic.make_frames
    with Bar("drawing", _COUNT.value + _BROKEN.value) as bar:
        made = make(
            _OUTPUT.value, count=_COUNT.value, width=width, height=height, broken=_BROKEN.value, seed=_SEED.value,
            sequence_length=_SEQUENCE_LENGTH.value, **made_of, workers=_WORKERS.value,
            progress=lambda done, total: bar.update(done))
    print(f"{_OUTPUT.value}: {_COUNT.value} frames of {width}x{height} and {_BROKEN.value} broken ones "
          f"({made} made now), {'a folder for each class' if signs else 'with labels'}")


def _size(least, most, usual):
    """(width, height) of --size, or of `usual` where it is not given."""
    text = _SIZE.value if _SIZE.present else usual
    size = re.fullmatch(r"(\d{2,4})[xX](\d{2,4})", text)
    if not size or not all(least <= int(side) <= most for side in size.groups()):
        raise command.UsageError(f"--size {text!r}: give WIDTHxHEIGHT, each {least} to {most}, such as {usual}")
    return tuple(map(int, size.groups()))


def _numbers(name, value, kind):
    try:
        return tuple(kind(part) for part in value) if isinstance(value, list) else kind(value)
    except ValueError:
        raise command.UsageError(f"--{name} {','.join(value)}: give numbers with commas between them") from None


if __name__ == "__main__":
    command.run(main)
