"""Small camera crops of traffic signs: one sign seen in consecutive frames while the camera comes nearer.

What is behind a sign, its tilt, light, shade, dirt and the camera's blur belong to the track and are drawn once; a
frame adds size, position and the sensor's noise. Anti-aliasing is by supersampling.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from tfod_compress.support.errors import InputError
from tfod_compress.synthetic.sign_faces import face
from tfod_compress.synthetic.surroundings import GRASS, LEAVES, WALLS, noise_tile

SMALLEST, LARGEST = 16, 512  # pixels a side
_DISTANCE = 4.0  # of the camera that tilts are seen by, in radii of the sign
_APPROACH = 0.8  # what of its way to the nearest view is left a frame later
_SPARE = 1.5  # the background's side for one of the picture's, so that the view may move over it
_LIGHTS = {"day": 0.4, "overcast": 0.25, "backlit": 0.15, "dusk": 0.2}  # how often each is drawn


@dataclasses.dataclass(frozen=True)
class SignParameters:
    """What of the drawn signs can be set.

    Attributes:
      imbalance_factor: tracks of the most frequent class for one of the rarest; between them the shares fall
        geometrically in the order of SIGN_NAMES, as in long-tailed benchmarks (Cui et al. 2019, "Class-Balanced
        Loss Based on Effective Number of Samples", section 5.1). 1: all alike.
      noise: (lowest, highest) standard deviation of the sensor noise in grey levels of 255, at middle grey; it
        grows with the square root of the light, above a floor, as photons' does.
    """

    imbalance_factor: float = 1.0
    noise: tuple = (3.0, 9.0)

    def __post_init__(self):
        """Raises InputError, naming the setting, when a value is out of its range."""
        object.__setattr__(self, "noise", tuple(self.noise))
        if not 1 <= self.imbalance_factor <= 1000:
            raise InputError(f"imbalance_factor {self.imbalance_factor}: give a value between 1 and 1000")
        if len(self.noise) != 2 or not 0 <= self.noise[0] <= self.noise[1] <= 100:
            raise InputError(f"noise {self.noise}: give a lowest and a highest value between 0.0 and 100.0")


@dataclasses.dataclass(frozen=True)
class _Light:
    """Factors of red, green and blue on the sign and behind it; `contrast` around `veil`, a grey level."""

    sign: np.ndarray
    behind: np.ndarray
    contrast: float
    veil: float


class SignPainter:
    """Paints the frames of one track; what they share is computed once.

    Args:
      name: one of SIGN_NAMES.
      width: of a frame in pixels, 16 to 512.
      height: of a frame in pixels, 16 to 512.
      parameters: SignParameters.
      rng: the generator that the track is drawn from.
    """

    def __init__(self, name, width, height, parameters, rng):
        self._size = np.array([width, height])
        self._scale = 4 if max(width, height) <= 128 else 2
        side = max(width, height) * self._scale
        # Tilt about the vertical, the horizontal and the line of sight.
        self._rotation = _rotation(*np.radians(np.clip(rng.normal(0, (20, 8, 4)), -45, 45)))
        self._far, self._near = rng.uniform(0.58, 0.76), rng.uniform(0.8, 0.95)
        self._middle, self._drift = rng.normal(0, 0.025, 2), rng.normal(0, 0.008, 2)
        light = _draw_light(rng)
        self._light = dataclasses.replace(light, sign=np.float32(light.sign), behind=np.float32(light.behind))
        self._behind = _background(rng, int(side * _SPARE))
        self._start = rng.uniform(0.3, 0.7, 2)
        self._post = (int(rng.uniform(70, 150)), rng.uniform(0.04, 0.09)) if rng.random() < 0.85 else None
        self._plate = rng.uniform(0.35, 0.6) if rng.random() < 0.2 else None
        # The plate's texture: sun bleaches, dirt darkens, trees throw shade.
        colours, self._outline = face(name, side)
        worn = colours.astype(np.float32)
        grey = worn.mean(axis=2, keepdims=True)
        worn += rng.uniform(0, 0.35) * (grey + 25 - worn)
        worn *= _shade(rng, side)[..., None]
        self._colours = np.clip(worn, 0, 255).astype(np.uint8)
        self._branch = _branch(rng) if rng.random() < 0.15 else None
        # Larger crops are of nearer signs, which are sharper in themselves but not to the pixel.
        growth = np.sqrt(min(width, height) / 32)
        self._blur = rng.uniform(0.3, 0.95) * growth
        angle, length = rng.uniform(0, np.pi), rng.exponential(0.5) * growth * self._scale
        self._motion = min(length, 2.5 * growth * self._scale) * np.array([np.cos(angle), 0.5 * np.sin(angle)])
        self._noise = rng.uniform(*parameters.noise)

    def frame(self, number, rng):
        """The picture with a number in the track, from 0.

        Args:
          number: the frame's; later ones show the sign larger.
          rng: the generator of the hand's shake and the sensor's noise.

        Returns:
          uint8 RGB [height, width, 3].
        """
        canvas = tuple(self._size * self._scale)
        share = self._near - (self._near - self._far) * _APPROACH**number
        radius = share * min(canvas) / 2
        shift = np.clip(self._middle + min(number, 20) * self._drift + rng.normal(0, 0.01, 2), -0.12, 0.12)
        middle = (0.5 + shift) * canvas
        plane = _homography(self._rotation, middle, radius)
        behind = self._view(share, shift, canvas)
        self._stand(behind, plane)
        behind = np.asarray(behind, np.float32) * self._light.behind
        # From pixels back to the face's own points; what lies beside the face is 0.
        side = len(self._outline)
        back = np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]]) @ _inverse(plane)
        back = tuple((back / back[2, 2]).ravel()[:8])
        sign, cover = (np.asarray(Image.fromarray(layer).transform(
            canvas, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR), np.float32)
            for layer in (self._colours, self._outline))
        cover = cover[..., None] / 255
        picture = behind * (1 - cover) + sign * self._light.sign * cover
        picture = _moved(self._overgrown(picture, plane), self._motion)
        return self._develop(picture, rng)

    def _view(self, share, shift, canvas):
        """The part of the background that a frame shows; it grows as the sign does, being further away, less."""
        side = self._behind.width
        zoom = 1 + 0.3 * (share - self._far)
        size = np.array(canvas) / zoom
        corner = np.clip((side - size) * self._start + shift * 0.5 * side, 0, side - size)
        return self._behind.resize(canvas, Image.Resampling.BILINEAR, box=(*corner, *(corner + size)))

    def _stand(self, behind, plane):
        """Paints what holds the sign, and a plate below it, into the background."""
        draw = ImageDraw.Draw(behind)
        if self._post is not None:
            grey, half = self._post
            for left, right, tone in ((-half, 0, grey + 25), (0, half, grey)):
                bar = [(left, 0), (right, 0), (right, 2.0), (left, 2.0)]
                draw.polygon(_project(plane, bar), (tone, tone, tone + 3))
        if self._plate is not None:
            half = self._plate
            corners = [(-half, 1.04), (half, 1.04), (half, 1.04 + half), (-half, 1.04 + half)]
            draw.polygon(_project(plane, corners), (205, 205, 200), outline=(40, 40, 40))
            line = [(-half * 0.7, 1.16), (half * 0.7, 1.16), (half * 0.7, 1.3), (-half * 0.7, 1.3)]
            draw.polygon(_project(plane, line), (50, 50, 52))

    def _overgrown(self, picture, plane):
        """The picture with a branch across the sign's edge, on tracks that have one."""
        if self._branch is None:
            return picture
        leaves, colour = self._branch
        mask = Image.new("L", picture.shape[1::-1], 0)
        draw = ImageDraw.Draw(mask)
        for leaf in leaves:
            draw.polygon(_project(plane, leaf), 255)
        cover = np.asarray(mask, np.float32)[..., None] / 255
        return picture * (1 - cover) + np.array(colour) * self._light.behind * cover

    def _develop(self, picture, rng):
        """Averages the canvas to pixels; lens blur, contrast and the sensor's noise: uint8 RGB [height, width, 3]."""
        width, height = self._size
        picture = picture.reshape(height, self._scale, width, self._scale, 3).mean(axis=(1, 3))
        picture = _blurred(picture, self._blur)
        picture = self._light.veil + (picture - self._light.veil) * self._light.contrast
        # A grain shared by the three colours and one of each, as after demosaicing.
        grain = rng.standard_normal((height, width, 4))
        grain = 0.8 * grain[..., 3:] + 0.6 * grain[..., :3]
        picture = picture + self._noise * np.sqrt(0.1 + 0.9 * np.clip(picture, 0, 255) / 128) * grain
        return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _rotation(yaw, pitch, roll):
    (a, b, c), (d, e, f) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[a, 0, d], [0, 1, 0], [-d, 0, a]])
    about_x = np.array([[1, 0, 0], [0, b, -e], [0, e, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def _homography(rotation, middle, radius):
    """float64 [3, 3] from (x, y, 1) on the face to pixels, for a camera _DISTANCE radii away."""
    focal = _DISTANCE * radius
    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    plane = rotation.copy()
    plane[:, 2] = (0, 0, _DISTANCE)  # the face is flat: no third coordinate, but the camera's distance
    return camera @ plane


def _inverse(matrix):
    """A multiple of the inverse of float64 [3, 3], which is all that a homography needs."""
    first, second, third = matrix
    return np.column_stack([np.cross(second, third), np.cross(third, first), np.cross(first, second)])


def _project(plane, points):
    """[(x, y)] in pixels of points on the face."""
    points = np.column_stack([points, np.ones(len(points))]) @ plane.T
    return [tuple(point) for point in points[:, :2] / points[:, 2:]]


def _draw_light(rng):
    kind = tuple(_LIGHTS)[rng.choice(len(_LIGHTS), p=list(_LIGHTS.values()))]
    tint = np.exp(rng.normal(0, 0.04, 3))
    if kind == "day":
        level = rng.uniform(0.75, 1.15)
        return _Light(level * tint * (1.03, 1.0, 0.95), level * rng.uniform(0.7, 1.1) * tint, rng.uniform(0.8, 1.05),
                      128)
    if kind == "overcast":
        level = rng.uniform(0.4, 0.8)
        return _Light(level * tint, level * rng.uniform(0.8, 1.2) * tint, rng.uniform(0.45, 0.85), rng.uniform(90, 150))
    if kind == "backlit":  # the sky behind it is bright, the sign in its own shade
        level = rng.uniform(0.25, 0.5)
        return _Light(level * tint * (0.95, 1.0, 1.08), rng.uniform(0.8, 1.25) * tint, rng.uniform(0.6, 0.95),
                      rng.uniform(90, 160))
    level = rng.uniform(0.2, 0.42)  # dusk; headlamps may light the sign
    return _Light(level * rng.uniform(0.8, 1.8) * tint * (1.0, 0.98, 1.0), level * tint * (0.9, 0.95, 1.1),
                  rng.uniform(0.65, 0.95), rng.uniform(25, 70))


def _shade(rng, side):
    """float32 [side, side]: factors of dirt, and on some tracks of a shadow over a part of the sign."""
    dirt = 1 + rng.uniform(0.02, 0.09) * _noise(rng, side, 1.0)
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = axis * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))
    dirt *= 1 + rng.uniform(0, 0.2) * along  # light falls off over the sign
    kind, dark = rng.random(), rng.uniform(0.35, 0.7)
    if kind < 0.2:  # a straight edge, as of a building or of another sign
        dirt *= 1 - (1 - dark) * np.clip((along - rng.uniform(-0.5, 0.5)) * 8, 0, 1)
    elif kind < 0.4:  # through leaves
        dirt *= 1 - (1 - dark) * np.clip((_noise(rng, side, 1.5) - rng.uniform(-0.5, 0.5)) * 3, 0, 1)
    return np.clip(dirt, 0.1, 1.6).astype(np.float32)


def _noise(rng, side, slope):
    """float32 [side, side] of noise of mean 0 and deviation 1, of 64 or more points a side."""
    tile = noise_tile(rng, max(side // 4, 64), slope)
    return np.asarray(Image.fromarray(tile).resize((side, side), Image.Resampling.BILINEAR))


def _branch(rng):
    """(leaves, colour): polygons over a part of the sign's edge, in coordinates of its face."""
    angle = rng.uniform(0, 2 * np.pi)
    root = 1.15 * np.array([np.cos(angle), np.sin(angle)])
    leaves = []
    for _ in range(rng.integers(4, 9)):
        middle = root + rng.normal(0, 0.22, 2)
        turn, length = rng.uniform(0, np.pi), rng.uniform(0.08, 0.2)
        along = length * np.array([np.cos(turn), np.sin(turn)])
        across = 0.4 * np.array([-along[1], along[0]])
        leaves.append([middle - along, middle + across, middle + along, middle - across])
    return leaves, np.array(LEAVES[rng.integers(len(LEAVES))]) * rng.uniform(0.6, 1.1)


def _background(rng, side):
    """An RGB image of what may be behind a sign: sky, leaves, a house or a street, with clutter."""
    kind = rng.choice(["leaves", "sky", "house", "street"], p=[0.35, 0.2, 0.2, 0.25])
    half = side // 2  # finer than a pixel's grain as it is
    fine, coarse = _noise(rng, half, 0.7), _noise(rng, half, 1.3)
    rise = np.linspace(1, 0, half, dtype=np.float32)[:, None]
    leaf = np.float32(LEAVES[rng.integers(len(LEAVES))]) * np.float32(rng.uniform(0.6, 1.2))
    wall = np.float32(WALLS[rng.integers(len(WALLS))])
    sky = np.float32((150, 182, 222) if rng.random() < 0.5 else (206, 210, 214))
    sky = sky + rise[..., None] * np.float32((-40, -24, 4)) + 9 * coarse[..., None]
    tree = leaf * np.clip(1 + 0.38 * fine + 0.25 * coarse, 0.15, 2.2)[..., None]
    if kind == "leaves":
        gaps = np.clip((coarse + 0.7 * fine - rng.uniform(0.9, 2.2)) * 4, 0, 1)[..., None]
        picture = tree * (1 - gaps) + sky * gaps
    elif kind == "sky":
        edge = np.clip((coarse * 0.12 + rng.uniform(-0.1, 0.35) - rise) * 12, 0, 1)[..., None]
        picture = sky * (1 - edge) + tree * edge
    elif kind == "house":
        picture = wall * (1 + 0.07 * fine + 0.08 * coarse)[..., None]
    else:
        ground = np.float32(GRASS[rng.integers(len(GRASS))] if rng.random() < 0.5 else (96, 96, 98))
        picture = np.where((rise < rng.uniform(0.3, 0.6))[..., None], ground * (1 + 0.15 * fine)[..., None],
                           tree if rng.random() < 0.5 else sky)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    if kind == "house":
        _windows(rng, draw, side)
    for _ in range(rng.integers(0, 4) + 3 * (kind == "street")):  # cars, houses, other signs, far away
        x, y = rng.uniform(0, side), rng.uniform(0.2, 0.9) * side
        width, height = rng.uniform(0.04, 0.25, 2) * side
        tone = rng.uniform(40, 190) + rng.normal(0, 10, 3)
        draw.rectangle((x, y, x + width, y + height), tuple(int(level) for level in np.clip(tone, 0, 255)))
    for _ in range(rng.integers(0, 5)):  # trunks, poles, wires
        x, lean, width = rng.uniform(0, side), rng.normal(0, 0.3) * side, int(rng.uniform(0.008, 0.04) * side) + 1
        level = int(rng.uniform(25, 120))
        draw.line((x, 0, x + lean, side) if rng.random() < 0.75 else (0, x, side, x + lean * 0.5),
                  (level + 8, level + 3, level), width)
    return image


def _windows(rng, draw, side):
    """Rows of windows on a house."""
    step, size = rng.uniform(0.16, 0.4) * side, rng.uniform(0.4, 0.7)
    glass = tuple(int(level) for level in rng.uniform(40, 110) + np.array([0, 8, 16]))
    left, top = rng.uniform(-step, 0, 2)
    for x in np.arange(left, side, step):
        for y in np.arange(top, side, step * 1.3):
            draw.rectangle((x, y, x + step * size, y + step * size * 1.3), glass, outline=(215, 213, 206),
                           width=max(int(side * 0.008), 1))


def _moved(picture, motion):
    """The mean of the picture along a motion (x, y) in its pixels."""
    steps = int(np.ceil(np.abs(motion).max())) + 1
    places = np.round(np.linspace(-0.5, 0.5, steps)[:, None] * motion).astype(int)
    edge = np.abs(places).max() if steps > 1 else 0
    if edge == 0:
        return picture
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), "edge")
    return sum(padded[edge + y:edge + y + height, edge + x:edge + x + width] for x, y in places) / steps


def _blurred(picture, deviation):
    """The picture under a Gaussian of a deviation in pixels."""
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        length = picture.shape[axis]
        padding = [(0, 0)] * 3
        padding[axis] = (reach, reach)
        padded = np.swapaxes(np.pad(picture, padding, "edge"), 0, axis)
        picture = np.swapaxes(sum(float(weight) * padded[place:place + length] for place, weight in enumerate(weights)),
                              0, axis)
    return picture
