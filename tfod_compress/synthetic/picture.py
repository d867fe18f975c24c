"""From a scene and a moment to a picture and its labels."""

import dataclasses
import functools

import cv2
import numpy as np

from tfod_compress.synthetic import surroundings
from tfod_compress.synthetic.solids import paint, placement

_SPARE = 256  # rows and columns of noise beyond a picture's


@dataclasses.dataclass(frozen=True)
class LabelledObject:
    """A road user in a picture.

    Attributes:
      name: one of CLASS_NAMES.
      box: (xmin, ymin, xmax, ymax) in whole pixels: the tightest that holds every pixel it covers, those
        hidden by nearer things too; edges, so that xmax - xmin is the width.
      truncated: whether some of it lies outside the picture.
      occluded: whether nearer things hide more than a tenth of it.
      difficult: whether they hide more than half.
    """

    name: str
    box: tuple
    truncated: bool
    occluded: bool
    difficult: bool


class Painter:
    """Paints the frames of one scene; what they share is computed once.

    Args:
      scene: a Scene.
      parameters: its SceneParameters.
    """

    def __init__(self, scene, parameters, rng):
        self._scene, self._parameters = scene, parameters
        camera = scene.camera
        self._scale = canvas_scale(camera.width)
        self._tile, self._surface = _textures(camera.width * self._scale, camera.height * self._scale)
        rays = camera.rays()
        # Sky and vignette are smooth: a coarser picture of them, enlarged, does.
        step = max(camera.width // 600, 1)
        coarse = cv2.resize(rays, (camera.width // step, camera.height // step), interpolation=cv2.INTER_AREA)
        size = (camera.width, camera.height)
        self._sky = cv2.resize(surroundings.paint_sky(coarse, scene.light, scene.kind, self._tile, rng), size)
        self._ground = surroundings.Ground(camera, rays, scene.street, scene.light, self._tile, parameters.texture)
        angle = np.arccos(np.clip(coarse @ camera.rotation[2].astype(np.float32), -1, 1))
        gain = scene.contrast * (1 - scene.vignette * (angle / np.radians(70)) ** 4)
        self._gain = cv2.resize(np.repeat(gain.astype(np.float32)[..., None], 3, axis=2), size)
        self._offset = 118 * (1 - scene.contrast)
        self._spots = rng.random((len(scene.backdrop), 2))

    def frame(self, time, rng):
        """The picture `time` frames after the middle one.

        Args:
          time: in frames, may be a fraction.
          rng: the generator of the sensor's noise.

        Returns:
          (uint8 RGB [H, W, 3], list of LabelledObject).
        """
        scene, scale = self._scene, self._scale
        camera = scene.camera_at(time)
        layers = []
        for (solid, position), spot in zip(scene.backdrop, self._spots, strict=True):
            if np.hypot(position[0] - camera.position[0], position[1] - camera.position[1]) < 70:
                layers.append((paint(solid, position, 0.0, camera, scale, scene.light), None, 1.0, spot))
        for actor in scene.actors:
            layer = paint(actor.solid, actor.at(time), actor.heading, camera, scale, scene.light)
            layers.append((layer, actor, actor.opacity, actor.spot))
        layers = sorted((entry for entry in layers if entry[0] is not None), key=lambda entry: entry[0].distance)
        layers, labels = self._keep_visible(layers)

        picture = self._sky.copy()
        dark = self._shadows([actor for _, actor, _, _ in layers if actor is not None], camera, time)
        self._ground.paint(picture, camera, dark)
        canvas = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        for layer, actor, opacity, spot in reversed(layers):
            self._blend(canvas, layer, opacity, spot, actor is None)
        picture = cv2.resize(canvas, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        return self._develop(picture, rng), labels

    def _keep_visible(self, layers):
        """Drops actors too small, too far out or too hidden to be labelled; layers come from near to far."""
        camera, limits = self._scene.camera, self._parameters
        covered = np.zeros((camera.height * self._scale, camera.width * self._scale), np.uint8)
        kept, labels = [], []
        for entry in layers:
            layer, actor = entry[:2]
            area = covered[layer.where]
            if actor is not None:
                bounds = layer.bounds()
                if bounds is None or (bounds[3] - bounds[1]) < limits.smallest * covered.shape[0]:
                    continue
                left, top, right, bottom = layer.extent
                inside = (bounds[2] - bounds[0]) * (bounds[3] - bounds[1]) / max((right - left) * (bottom - top), 1e-9)
                pixels = cv2.countNonZero(layer.mask)
                hidden = cv2.countNonZero(cv2.bitwise_and(layer.mask, area)) / pixels
                if 1 - inside > limits.most_outside or hidden > limits.most_hidden:
                    continue
                outside = min(left, top, covered.shape[1] - right, covered.shape[0] - bottom) < -0.5
                labels.append(LabelledObject(actor.name, _box(bounds, self._scale), bool(outside), hidden > 0.1,
                                             hidden > 0.5))
            cv2.max(area, layer.mask, dst=area)
            covered[layer.where] = area
            kept.append(entry)
        return kept, labels

    def _shadows(self, actors, camera, time):
        """uint8 [H, W]: how dark the ground is below the actors, and beside them away from the sun; 255 is black."""
        light = self._scene.light
        contact, cast = (np.zeros((camera.height, camera.width), np.uint8) for _ in range(2))
        for actor in actors:
            rotation, offset = placement(actor.at(time), actor.heading)
            low, high = actor.solid.low, actor.solid.high
            corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
            steps = np.linspace(0, 1, 6, endpoint=False)[:, None]
            edges = (corners[:, None] + (np.roll(corners, -1, axis=0) - corners)[:, None] * steps).reshape(-1, 2)
            ground = np.concatenate([edges, np.zeros((len(edges), 1))], axis=1) @ rotation + offset
            pixels = camera.project(ground)[0]
            cv2.fillPoly(contact, [np.round((pixels - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            if light.diffuse[0] > 0.3:
                reach = -light.sun[:2] / max(light.sun[2], 0.3) * high[2] * 0.8
                thrown = camera.project(ground + (*reach, 0.0))[0]
                hull = cv2.convexHull(np.round((np.concatenate([pixels, thrown]) - 0.5) * 16).astype(np.int32))
                cv2.fillConvexPoly(cast, hull, 255, cv2.LINE_AA, 4)
        contact = cv2.GaussianBlur(contact, (0, 0), max(camera.width * 0.006, 0.6))
        cast = cv2.GaussianBlur(cast, (0, 0), max(camera.width * 0.003, 0.4))
        return cv2.max(cv2.convertScaleAbs(contact, alpha=0.6), cv2.convertScaleAbs(cast, alpha=0.35))

    def _blend(self, canvas, layer, opacity, spot, backdrop):
        """Lays a layer, textured, onto the canvas in place; what is not opaque shows the blurred canvas."""
        height, width = layer.mask.shape
        top = int(spot[0] * (self._surface.shape[0] - height))
        left = int(spot[1] * (self._surface.shape[1] - width))
        texture = self._surface[top:top + height, left:left + width]
        strength = self._parameters.texture * (1.0 if backdrop else 0.6)
        factor = cv2.convertScaleAbs(texture, alpha=strength * 4, beta=128 * (1 - strength * 4))
        colours = cv2.multiply(cv2.cvtColor(layer.rgba, cv2.COLOR_RGBA2RGB), factor, scale=1 / 128)
        below = canvas[layer.where]
        if opacity < 1:
            behind = cv2.blur(below, (max(width // 2, 1), max(height // 2, 1)), borderType=cv2.BORDER_REPLICATE)
            colours = cv2.addWeighted(colours, opacity, behind, 1 - opacity, 0)
        canvas[layer.where] = cv2.copyTo(colours, layer.mask, below)

    def _develop(self, picture, rng):
        """Lens blur, vignette, contrast and the sensor's noise: uint8 RGB [H, W, 3]."""
        scene = self._scene
        if scene.blur > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), scene.blur)
        height, width = picture.shape[:2]
        grain = _grain(width, height)
        top, left = rng.integers(0, _SPARE, 2)
        grain = grain[top:top + height, left:left + width]
        flip = rng.integers(-1, 3)
        if flip < 2:
            grain = cv2.flip(grain, int(flip))
        developed = cv2.multiply(picture, self._gain, dtype=cv2.CV_32F)
        developed = cv2.scaleAdd(np.ascontiguousarray(grain), scene.noise, developed)
        return cv2.add(developed, (self._offset,) * 3 + (0,), dtype=cv2.CV_8U)


def _box(bounds, scale):
    """Bounds in canvas pixels as whole picture pixels: rounded down and up, so that nothing sticks out."""
    left, top, right, bottom = bounds
    return left // scale, top // scale, -(-right // scale), -(-bottom // scale)


def canvas_scale(width):
    """How many canvas pixels are painted a picture pixel, each way, before averaging."""
    return 3 if width < 480 else 2


@functools.lru_cache(maxsize=2)
def _textures(width, height):
    """The noise tile, and the same as uint8 RGB of twice the canvas: 128 is mean, 32 a deviation."""
    tile = surroundings.noise_tile(np.random.default_rng(20240229))
    size = max(width // 2, 64)
    small = cv2.resize(tile, (size, size), interpolation=cv2.INTER_LINEAR)
    small = np.clip(128 + 32 * small, 0, 255).astype(np.uint8)
    surface = np.tile(small, (-(-height * 5 // 4 // size), -(-width * 5 // 4 // size)))
    return tile, cv2.cvtColor(surface, cv2.COLOR_GRAY2RGB)


@functools.lru_cache(maxsize=2)
def _grain(width, height):
    """float32 [height + _SPARE, width + _SPARE, 3] of sensor noise of deviation 1; a frame cuts its own part out."""
    noise = np.random.default_rng(20240301).standard_normal((height + _SPARE, width + _SPARE, 4), np.float32)
    # A grain shared by the three colours and one of each, as after demosaicing.
    return 0.8 * noise[..., 3:] + 0.6 * noise[..., :3]
