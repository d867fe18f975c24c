"""A scene: one street, one light, one moving camera and the road users of one sequence."""

import dataclasses

import cv2
import numpy as np

from tfod_compress.synthetic import riders, surroundings, vehicles
from tfod_compress.synthetic.fisheye import FisheyeCamera
from tfod_compress.synthetic.parameters import CLASS_NAMES
from tfod_compress.synthetic.solids import Light, Solid, placement

_MODELS = dict(zip(CLASS_NAMES, (vehicles.passenger_car, vehicles.truck, vehicles.van, vehicles.bus, riders.pedestrian,
                                 riders.bicycle, riders.motorbike), strict=True))
_TRIES = 120
_BATCH = 20  # positions tried before another shape and size are drawn
_SPEED = {"Pedestrian": 0.1, "Bicycle": 0.3}  # metres a frame; vehicles: _VEHICLE_SPEED
_VEHICLE_SPEED = 0.6


@dataclasses.dataclass(frozen=True)
class Actor:
    """A road user: its class, shape, way and look.

    Attributes:
      name: one of CLASS_NAMES.
      solid: its shape.
      position: (x, y, 0) in metres in the middle frame of the sequence.
      heading: radians; 0 is along the road.
      speed: metres a frame along its heading.
      opacity: share of its own colour, see SceneParameters.
      spot: two numbers in [0, 1): where its texture is cut from.
      box: (left, top, right, bottom) in pixels in the middle frame, unclipped.
      footprint: float32 [4, 2] in metres, in the middle frame.
    """

    name: str
    solid: Solid
    position: tuple
    heading: float
    speed: float
    opacity: float
    spot: tuple
    box: tuple
    footprint: np.ndarray

    def at(self, time):
        """Position (x, y, 0) `time` frames after the middle one."""
        step = time * self.speed
        return (self.position[0] + step * np.sin(self.heading), self.position[1] + step * np.cos(self.heading), 0.0)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What all frames of a sequence share; `camera` is that of the middle frame, `speed` in metres a frame."""

    street: surroundings.Street
    light: Light
    kind: str
    camera: FisheyeCamera
    speed: float
    backdrop: list
    actors: list
    noise: float
    blur: float
    contrast: float
    vignette: float

    def camera_at(self, time):
        """The camera `time` frames after the middle one."""
        x, y, z = self.camera.position
        return dataclasses.replace(self.camera, position=(x, y + time * self.speed, z))


def sample_scene(rng, width, height, parameters):
    """Draws a Scene from the generator `rng` for pictures of width x height pixels; `parameters`: SceneParameters."""
    street = surroundings.Street(rng)
    kind, light = surroundings.sample_light(rng, parameters)
    sideways = rng.random() < 0.5
    yaw = rng.choice([-1, 1]) * rng.uniform(0.6, 1.7) if sideways else rng.normal(0, 0.2)
    # A camera that looks across the road stands at its other side, as one on a parked or slow car does.
    x = -np.sign(yaw) * rng.uniform(0.2, 1.0) * street.half if sideways else rng.uniform(-0.6, 0.6) * street.half
    camera = FisheyeCamera(width, height, parameters.field_of_view, (float(x), 0.0, rng.uniform(1.1, 1.9)), float(yaw),
                           rng.uniform(0.02, 0.16), rng.normal(0, 0.015))
    backdrop = surroundings.sample_backdrop(rng, street, light, camera)
    actors = []
    for _ in range(rng.integers(parameters.objects[0], parameters.objects[1] + 1)):
        actor = _place(rng, street, camera, parameters, actors)
        if actor is not None:
            actors.append(actor)
    noise = rng.uniform(*parameters.noise) * (1.3 if kind == "dusk" else 1.0)
    contrast = {"day": rng.uniform(0.9, 1.15), "overcast": rng.uniform(0.75, 1.0), "dusk": rng.uniform(0.8, 1.05)}[kind]
    return Scene(street, light, kind, camera, rng.uniform(0.0, 0.35), backdrop, actors, float(noise),
                 rng.uniform(*parameters.blur), contrast, rng.uniform(0.15, 0.4))


def _place(rng, street, camera, parameters, others):
    """One more Actor where its box has the height drawn for it and it neither meets nor hides another; or None."""
    shares = np.array(parameters.class_shares) / sum(parameters.class_shares)
    name = CLASS_NAMES[rng.choice(len(CLASS_NAMES), p=shares)]
    smallest, largest = parameters.object_height
    for attempt in range(_TRIES):
        if attempt % _BATCH == 0:  # a long vehicle may not fit at the height first drawn
            solid = _MODELS[name](rng)
            share = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
        angle = share * camera.height / camera.focal  # seen under this angle from top to bottom
        # Its near side is what looks tallest.
        away = solid.high[2] / (2 * np.tan(min(angle, 1.4) / 2)) + 0.3 * solid.high[rng.integers(2)]
        azimuth = camera.yaw + rng.uniform(-0.85, 0.85) * np.radians(camera.field_of_view / 2)
        position = (camera.position[0] + away * np.sin(azimuth), camera.position[1] + away * np.cos(azimuth), 0.0)
        heading = _heading(rng, street, name, position)
        if heading is None or not _free(solid, position, heading, camera, others):
            continue
        box = _box(solid, position, heading, camera)
        tall = (box[3] - box[1]) / camera.height
        if not 0.9 * smallest <= tall <= largest or box[2] - box[0] > 0.85 * camera.width:
            continue
        if abs(np.log(tall / share)) > 0.35 or _outside(box, camera) > 0.7 * parameters.most_outside:
            continue
        if any(_overlap(box, other.box) > 0.4 for other in others):
            continue
        speed = _SPEED.get(name, _VEHICLE_SPEED) * rng.uniform(0, 1) * min(1.0, away / 12)
        return Actor(name, solid, position, heading, speed, rng.uniform(*parameters.opacity), tuple(rng.random(2)), box,
                     _footprint(solid, position, heading))
    return None


def _heading(rng, street, name, position):
    """A plausible direction of a road user at `position`, or None where it has no business."""
    x, y = abs(position[0]), position[1]
    along = rng.choice([0.0, np.pi]) + rng.normal(0, 0.06)
    on_road = x < street.half - 0.2
    on_crossing = street.crossing is not None and abs(y - street.crossing) < 3.3 and x < 30
    if name == "Pedestrian":
        if street.half + 0.2 < x < street.outer + 0.5 * street.grass:
            return rng.choice([along, rng.uniform(0, 2 * np.pi)], p=[0.7, 0.3])
        return rng.uniform(0, 2 * np.pi) if (on_road and rng.random() < 0.5) else None
    if name == "Bicycle" and street.half < x < street.outer:
        return along
    if on_crossing and not (on_road and rng.random() < 0.3):
        return rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.06)
    if x < street.half - (0.4 if name in ("Bicycle", "Motorbike") else 0.95):
        return rng.uniform(0, 2 * np.pi) if rng.random() < 0.2 else along
    return None


def _footprint(solid, position, heading, margin=0.0):
    rotation, offset = placement(position, heading)
    low, high = solid.low - margin, solid.high + margin
    corners = np.array([[low[0], low[1], 0], [high[0], low[1], 0], [high[0], high[1], 0], [low[0], high[1], 0]])
    return (corners @ rotation + offset)[:, :2].astype(np.float32)


def _free(solid, position, heading, camera, others):
    """Whether the footprint keeps clear of the camera and of the other actors, in the middle frame."""
    mine = _footprint(solid, position, heading, 0.15)
    if cv2.pointPolygonTest(mine, (camera.position[0], camera.position[1]), True) > -0.7:
        return False
    return all(cv2.intersectConvexConvex(mine, other.footprint)[0] <= 0 for other in others)


def _box(solid, position, heading, camera):
    """(left, top, right, bottom) in pixels, unclipped, from the solid's points."""
    rotation, offset = placement(position, heading)
    pixels, _ = camera.project(solid.points @ rotation + offset)
    return (*pixels.min(axis=0), *pixels.max(axis=0))


def _area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _outside(box, camera):
    """Share of the box's area outside the picture."""
    inside = (max(box[0], 0), max(box[1], 0), min(box[2], camera.width), min(box[3], camera.height))
    return 1 - _area(inside) / max(_area(box), 1e-9)


def _overlap(a, b):
    """Area shared by two boxes over that of the smaller one."""
    shared = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return _area(shared) / max(min(_area(a), _area(b)), 1e-9)
