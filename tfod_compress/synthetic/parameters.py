"""What of a demo scene can be set: every number that changes the data and that a study may want to vary."""

import dataclasses

from tfod_compress.support.errors import InputError

CLASS_NAMES = ("PassengerCar", "Truck", "Van", "Bus", "Pedestrian", "Bicycle", "Motorbike")


@dataclasses.dataclass(frozen=True)
class SceneParameters:
    """The demo scenes' settings. Pairs are (lowest, highest).

    Attributes:
      class_shares: how often each of `CLASS_NAMES` is drawn, in that order; need not add up to 1.
      objects: number of road users placed in a sequence, integers; some leave the frame or are hidden.
      object_height: height of an object's box when placed, as a share of the frame's height; drawn
        uniformly in its logarithm, so that small ones are as frequent as in traffic.
      smallest: objects whose box is lower than this share of the frame's height are left out.
      most_hidden: objects of which more than this share is hidden by nearer things are left out.
      most_outside: objects whose box lies outside the frame by more than this share are left out.
      opacity: share of an object's own colour in its pixels; the rest is the (blurred) scene behind it, as
        haze and low light do. Lower is harder.
      texture: strength of the surfaces' texture, as the standard deviation of a factor (0.1: 10 %).
      noise: standard deviation of the sensor noise in grey levels of 255, at the lowest and highest draw.
      blur: standard deviation of the lens blur in pixels.
      field_of_view: horizontal field of view in degrees of the equidistant fisheye, r = f * theta.
      day, overcast, dusk: how often each light is drawn; need not add up to 1.
    """

    class_shares: tuple = (0.55, 0.08, 0.09, 0.06, 0.12, 0.05, 0.05)
    objects: tuple = (3, 6)
    object_height: tuple = (0.07, 0.70)
    smallest: float = 0.06
    most_hidden: float = 0.6
    most_outside: float = 0.4
    opacity: tuple = (0.45, 0.9)
    texture: float = 0.12
    noise: tuple = (2.0, 6.0)
    blur: tuple = (0.3, 0.6)
    field_of_view: float = 120.0
    day: float = 0.5
    overcast: float = 0.3
    dusk: float = 0.2

    def __post_init__(self):
        """Raises InputError, naming the setting, when a value is out of its range."""
        for name in ("class_shares", "objects", "object_height", "opacity", "noise", "blur"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if (len(self.class_shares) != len(CLASS_NAMES) or min(self.class_shares) < 0
                or not sum(self.class_shares) > 0):
            raise InputError(f"class_shares {self.class_shares}: give {len(CLASS_NAMES)} shares of 0 or more, "
                             f"in the order {', '.join(CLASS_NAMES)}")
        limits = {"objects": (1, 50), "object_height": (0.02, 1.0), "opacity": (0.05, 1.0), "noise": (0.0, 100.0),
                  "blur": (0.0, 10.0)}
        for name, (least, most) in limits.items():
            pair = getattr(self, name)
            if len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
                raise InputError(f"{name} {pair}: give a lowest and a highest value between {least} and {most}")
        limits = {"smallest": (0.01, 1.0), "most_hidden": (0.0, 0.95), "most_outside": (0.0, 0.95),
                  "texture": (0.0, 1.0), "field_of_view": (40.0, 170.0), "day": (0.0, 1e6), "overcast": (0.0, 1e6),
                  "dusk": (0.0, 1e6)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{name} {getattr(self, name)}: give a value between {least} and {most}")
        if not self.day + self.overcast + self.dusk > 0:
            raise InputError("day, overcast and dusk are all 0: give at least one of them a share")
