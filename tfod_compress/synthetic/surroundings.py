"""What stands and lies around the road: sky, ground, road marks, buildings, trees, lamp posts; and the light."""

import cv2
import numpy as np

from tfod_compress.synthetic.solids import Light, Solid

ASPHALT, PAVEMENT, KERB, MARK = (92, 92, 95), (140, 135, 128), (165, 162, 156), (214, 212, 204)
GRASS = ((86, 104, 58), (104, 108, 66), (72, 92, 52), (118, 110, 84))
WALLS = ((186, 172, 150), (150, 96, 76), (196, 190, 182), (128, 122, 118), (206, 182, 140), (112, 80, 66),
         (170, 176, 182))
LEAVES = ((70, 96, 46), (88, 106, 52), (60, 84, 54), (112, 108, 52))

_HORIZON = -0.004  # rays that fall by less than this meet no ground near enough to be drawn
_TEXTURES = (60.0, 9.0)  # fine and coarse: points of the noise tile a metre
_UNIT = 100.0  # what stands for 1 in textures kept as bytes
_FIFTHS = np.linspace(0, 1, 6)


def noise_tile(rng, size=512, slope=0.9):
    """float32 [size, size] periodic noise of mean 0 and deviation 1 whose amplitude falls as frequency^-slope."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * frequency**-slope
    spectrum[0, 0] = 0
    tile = np.fft.irfft2(spectrum, (size, size))
    return (tile / tile.std()).astype(np.float32)


def sample_light(rng, scene):
    """(kind, Light) drawn by the shares of `scene`, a SceneParameters: "day", "overcast" or "dusk"."""
    shares = np.array([scene.day, scene.overcast, scene.dusk])
    kind = ("day", "overcast", "dusk")[rng.choice(3, p=shares / shares.sum())]
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.radians({"day": rng.uniform(30, 65), "overcast": 80, "dusk": rng.uniform(10, 25)}[kind])
    sun = np.array([np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)])
    warm = np.array([1.06, 1.0, 0.92])
    if kind == "day":
        level = rng.uniform(0.85, 1.1)
        return kind, Light(sun, level * np.array([0.55, 0.58, 0.63]), level * 0.6 * warm, np.array([188, 200, 214.0]),
                           rng.uniform(0.001, 0.006), 0.0)
    if kind == "overcast":
        level = rng.uniform(0.7, 0.95)
        return kind, Light(sun, level * np.array([0.75, 0.77, 0.79]), level * np.full(3, 0.25),
                           level * np.array([196, 200, 204.0]), rng.uniform(0.004, 0.015), rng.choice([0.0, 0.5]))
    level = rng.uniform(0.5, 0.7)
    return kind, Light(sun, level * np.array([0.72, 0.72, 0.86]), level * np.array([0.5, 0.34, 0.24]),
                       level * np.array([196, 166, 160.0]), rng.uniform(0.003, 0.01), 1.0)


def paint_sky(rays, light, kind, tile, rng):
    """uint8 RGB [H, W, 3] of the sky in the directions `rays` [H, W, 3], with clouds and a skyline."""
    height = rays[..., 2]
    zenith = {"day": np.array([92, 138, 204.0]), "overcast": light.haze * 0.88, "dusk": np.array([48, 54, 92.0])}[kind]
    rise = np.clip(height * 1.6, 0, 1)[..., None] ** 0.6
    sky = light.haze * (1 - rise) + zenith * rise
    size = tile.shape[0]
    away = 1.0 / np.maximum(height, 0.03)
    offset = rng.uniform(0, size, 2)
    clouds = _sample(tile, rays[..., 0] * away * 40 + offset[0], rays[..., 1] * away * 40 + offset[1])
    cover = np.clip(clouds * 0.5 + rng.uniform(-0.6, 0.5), 0, 1) * np.clip(height * 6, 0, 1)
    white = np.array([244, 244, 246.0]) if kind == "day" else light.haze * (1.05 if kind == "overcast" else 1.2)
    sky = sky + (white - sky) * (0.75 * cover)[..., None]
    azimuth = np.arctan2(rays[..., 0], rays[..., 1])
    profile = np.repeat(np.convolve(rng.uniform(0, 1, 120), (0.25, 0.5, 0.25), "same"), 3)
    skyline = 0.015 + 0.05 * np.interp(azimuth, np.linspace(-np.pi, np.pi, len(profile)), profile)
    far = (light.haze * 0.72 + np.array([4, 14, 6])) * 0.9
    cover = np.clip((skyline - height) * 200, 0, 1)[..., None]
    return np.clip(sky + (far - sky) * cover, 0, 255).astype(np.uint8)


class Ground:
    """The plane z = 0 as the camera of a sequence sees it, at picture size: strips, marks, texture, haze.

    The camera may move along the plane from frame to frame, but neither turns nor rises.
    """

    def __init__(self, camera, rays, street, light, tile, strength):
        down = rays[..., 2]
        self._top = int((down < _HORIZON).any(axis=1).argmax())  # rows above it are all sky
        rays = rays[self._top:]
        self.mask = (rays[..., 2] < _HORIZON).astype(np.uint8)
        reach = np.minimum(-camera.position[2] / np.minimum(rays[..., 2], -1e-3), 400.0).astype(np.float32)
        self._origin, self._tile = np.array(camera.position[:2]), tile
        x, y = rays[..., 0] * reach + self._origin[0], rays[..., 1] * reach + self._origin[1]
        self._places = [[np.mod(axis * scale, tile.shape[0]) for axis in (x, y)] for scale in _TEXTURES]
        clear = np.exp(-reach * light.haze_density)
        self._haze = np.clip(light.haze * (1 - clear[..., None]), 0, 255).astype(np.uint8)
        # Metres that a pixel covers: texture finer than that is averaged away.
        pixel = reach / camera.focal * np.maximum(1.0, reach / camera.position[2]) ** 0.5
        self._clear = _UNIT * clear
        self._strengths = [_UNIT * strength * share * clear * np.clip(size / pixel, 0, 1)
                           for share, size in ((1.0, 0.06), (0.7, 0.9))]
        # The ground's own light: the sun falls on it from above.
        lit = light.ambient + light.diffuse * max(light.sun[2], 0)
        self._verge = np.clip(street.verge * lit, 0, 255).astype(np.uint8)
        outlines, colours = zip(*street.strips(camera.position[1]), strict=True)
        self._outlines = np.concatenate(outlines)
        self._ends = np.cumsum([len(outline) for outline in outlines])[:-1]
        self._colours = np.clip(np.array(colours) * lit, 0, 255).tolist()

    def paint(self, picture, camera, dark):
        """Paints the ground into a picture of the sky, in place.

        Args:
          picture: uint8 RGB [H, W, 3].
          camera: that of the sequence, moved along the ground.
          dark: uint8 [H, W], how much the ground is shadowed; 255 is black.
        """
        flat = np.empty(picture.shape, np.uint8)
        flat[:] = self._verge
        pixels = np.round((camera.project(self._outlines)[0] - 0.5) * 16).astype(np.int32)
        for outline, colour in zip(np.split(pixels, self._ends), self._colours, strict=True):
            cv2.fillPoly(flat, [outline], colour, cv2.LINE_AA, 4)
        factor = self._clear.copy()
        moved = np.array(camera.position[:2]) - self._origin
        for scale, places, strength in zip(_TEXTURES, self._places, self._strengths, strict=True):
            steps = np.mod(moved * scale, self._tile.shape[0]).astype(np.float32)
            x, y = (place + step for place, step in zip(places, steps, strict=True))
            factor += strength * cv2.remap(self._tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        factor = cv2.multiply(factor, 255 - dark[self._top:], scale=1 / 255, dtype=cv2.CV_8U)
        ground = cv2.multiply(flat[self._top:], cv2.cvtColor(factor, cv2.COLOR_GRAY2RGB), scale=1 / _UNIT)
        cv2.copyTo(cv2.add(ground, self._haze), self.mask, picture[self._top:])


class Street:
    """The layout of a road along y: widths in metres, marks, an optional crossing road and zebra crossing."""

    def __init__(self, rng):
        self.half = rng.uniform(3.4, 7.5)
        self.pavement = rng.uniform(1.8, 4.0)
        self.grass = rng.choice([0.0, rng.uniform(1.0, 5.0)])
        self.verge = np.array(GRASS[rng.integers(len(GRASS))]) * rng.uniform(0.85, 1.15)
        self._asphalt = np.array(ASPHALT) * rng.uniform(0.75, 1.2) + rng.uniform(-4, 4, 3)
        self._paving = np.array(PAVEMENT) * rng.uniform(0.85, 1.15) + rng.uniform(-6, 6, 3)
        self._lanes = [0.0] if self.half < 5.5 else [-self.half / 3, self.half / 3]
        self._edges = rng.random() < 0.5
        self.crossing = rng.uniform(8, 22) if rng.random() < 0.4 else None
        self._zebra = rng.uniform(4, 16) if rng.random() < 0.35 else None
        lowest, highest = (-self.half, -20, 0.3, 0.5, 0.75), (self.half, 40, 1.5, 5, 1.15)
        self._patches = [rng.uniform(lowest, highest) for _ in range(rng.integers(3, 12))]  # x, y, size, shade
        self._slab = rng.uniform(0.6, 1.5)

    @property
    def outer(self):
        """Distance in metres from the road's middle to the pavement's outer edge."""
        return self.half + self.pavement

    def strips(self, eye):
        """Outlines [n, 3] and colours, in the order of painting, seen from `eye` metres along the road."""
        along = eye + np.sinh(np.linspace(-5.6, 5.6, 61)) * 1.5
        yield _strip(-self.outer, self.outer, along), self._paving
        first = np.floor((eye - 12) / self._slab) * self._slab
        for y in np.arange(first, eye + 24, self._slab):
            for side in (-1, 1):
                yield _patch(side * (self.half + 0.2), side * self.outer, y, y + 0.03), self._paving * 0.78
        yield _strip(-self.half - 0.15, self.half + 0.15, along), KERB
        yield _strip(-self.half, self.half, along), self._asphalt
        if self.crossing is not None:
            across = np.sinh(np.linspace(-5.6, 5.6, 61)) * 1.5
            outline = _strip(self.crossing - 3.5, self.crossing + 3.5, across)
            yield outline[:, [1, 0, 2]], self._asphalt
        for x, y, width, length, factor in self._patches:
            yield _patch(x, min(x + width, self.half), y, y + length), self._asphalt * factor
        first = np.floor((eye - 40) / 6) * 6
        for x in self._lanes:
            for y in np.arange(first, eye + 90, 6.0):
                if self.crossing is None or not -4.5 < y + 1.5 - self.crossing < 4.5:
                    yield _patch(x - 0.07, x + 0.07, y, y + 3.0), MARK
        if self._edges:
            for x in (-self.half + 0.3, self.half - 0.3):
                yield _strip(x - 0.06, x + 0.06, along), MARK
        if self._zebra is not None:
            for x in np.arange(-self.half + 0.3, self.half - 0.5, 1.0):
                yield _patch(x, x + 0.5, self._zebra, self._zebra + 3.0), MARK


def sample_backdrop(rng, street, light, camera):
    """Buildings, hedges, trees and lamp posts along the street where `camera` may see them: [(Solid, (x, y, z))]."""
    things = []

    def stand(x, y, reach, build, *arguments):
        """Builds a thing no wider than `reach` metres, unless it is out of the picture or too far away."""
        away = np.hypot(x - camera.position[0], y - camera.position[1])
        if away < 65 and camera.sees((x, y, reach / 2), 1.3 * reach + 2) and not _crosses(street, y, reach / 2):
            things.append((build(rng, *arguments), (x, y, 0.0)))

    for side in (-1, 1):
        edge = street.outer + street.grass
        built = rng.random() < 0.75
        y = -45.0
        while y < 85:
            width = rng.uniform(8, 18)
            if built and rng.random() < 0.85:
                depth = rng.uniform(7, 10)
                x = side * (edge + rng.uniform(0, 2) + depth / 2)
                stand(x, y + width / 2, width, _building, width, depth, light)
            else:
                for _ in range(rng.integers(1, 4)):
                    stand(side * (edge + rng.uniform(1.5, 9)), y + rng.uniform(0, width), 6, _tree)
            if street.grass > 0 and rng.random() < 0.3:
                stand(side * (edge - 0.5), y + width / 2, width, _hedge, width * 0.9)
            y += width + rng.choice([0.0, rng.uniform(1, 6)])
        if street.grass > 1.5:
            for y in np.arange(-30, 70, rng.uniform(7, 14)):
                if rng.random() < 0.7:
                    stand(side * (street.outer + street.grass / 2), y + rng.uniform(-1, 1), 6, _tree)
        for y in np.arange(-30 + rng.uniform(0, 20), 80, 22):
            stand(side * (street.half + 0.5), y, 6.5, _lamp_post, side)
    return things


def _crosses(street, y, reach):
    return street.crossing is not None and abs(y - street.crossing) < 4.5 + reach


def _building(rng, width, depth, light):
    solid = Solid()
    storeys = rng.integers(1, 5)
    storey = rng.uniform(2.8, 3.4)
    height = storeys * storey + 0.6
    wall = np.clip(np.array(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.75, 1.1) + rng.uniform(-8, 8, 3), 10, 240)
    x, y = depth / 2, width / 2
    solid.group((0, 0, height / 2))
    for corners in (((-x, -y), (x, -y)), ((x, -y), (x, y)), ((x, y), (-x, y)), ((-x, y), (-x, -y))):
        (ax, ay), (bx, by) = corners
        solid.face([(ax, ay, 0), (bx, by, 0), (bx, by, height), (ax, ay, height)], wall)
        solid.face([(ax, ay, 0), (bx, by, 0), (bx, by, 0.6), (ax, ay, 0.6)], wall * 0.7)
        solid.face([(ax, ay, height - 0.25), (bx, by, height - 0.25), (bx, by, height), (ax, ay, height)], wall * 0.8)
    columns = max(2, int(width / rng.uniform(2.2, 3.6)))
    step = width / columns
    pane = np.array([58, 66, 76]) * rng.uniform(0.8, 1.3)
    shop = rng.random() < 0.3
    for number in range(storeys):
        low = number * storey + 1.0
        for column in range(columns):
            middle = -y + (column + 0.5) * step
            half, high = step * 0.28, low + storey * 0.45
            if number == 0 and shop:
                half, low, high = step * 0.44, 0.5, storey * 0.85
            glow = 0.8 if rng.random() < 0.25 else 0.0
            colour = (230, 200, 140) if glow and light.lamps > 0.8 else pane * rng.uniform(0.8, 1.2)
            for side in (-x - 0.01, x + 0.01):
                solid.face([(side, middle - half, low), (side, middle + half, low), (side, middle + half, high),
                            (side, middle - half, high)], colour, glow)
    if rng.random() < 0.5:  # a pitched roof
        tiles = np.array([120, 66, 50]) if rng.random() < 0.6 else np.array([74, 74, 80])
        ridge = height + rng.uniform(1.5, 3)
        solid.block((0, 0, height))
        for side in (-1, 1):
            eaves = side * (x + 0.3)
            solid.face([(eaves, -y, height - 0.1), (eaves, y, height - 0.1), (0, y, ridge), (0, -y, ridge)], tiles)
        for end in (-y, y):
            solid.face([(-x, end, height), (x, end, height), (0, end, ridge)], wall * 0.9)
    return solid.freeze()


def _tree(rng):
    solid = Solid()
    height, spread = rng.uniform(4, 8), rng.uniform(1.1, 2.2)
    green = np.array(LEAVES[rng.integers(len(LEAVES))]) * rng.uniform(0.8, 1.1)
    solid.group((0, 0, height / 2))
    stem = height - 1.6 * spread
    for z in np.linspace(0, stem, 4)[:-1]:
        solid.capsule((0, 0, z), (0, 0, z + stem / 3), 0.14, (84, 70, 56))
    leaves = rng.normal(size=(18, 3)) * (0.5, 0.5, 0.42) * spread + (0, 0, height - spread)
    for x, y, z in leaves[np.argsort(leaves[:, 2])]:
        light = 0.72 + 0.5 * (z - height + 2 * spread) / (2 * spread)
        colour = np.clip(green * light * rng.uniform(0.85, 1.12), 0, 255)
        solid.ball((x, y, z), rng.uniform(0.3, 0.55) * spread, colour)
    return solid.freeze()


def _hedge(rng, length):
    solid = Solid()
    height = rng.uniform(0.7, 1.6)
    colour = np.array([66, 84, 46]) * rng.uniform(0.8, 1.2)
    solid.group((0, 0, height / 2))
    x, y = 0.4, length / 2
    for side in (-x, x):
        solid.face([(side, -y, 0), (side, y, 0), (side, y, height), (side, -y, height)], colour)
    solid.face([(-x, -y, height), (x, -y, height), (x, y, height), (-x, y, height)], colour * 1.2)
    for end in (-y, y):
        solid.face([(-x, end, 0), (x, end, 0), (x, end, height), (-x, end, height)], colour * 0.9)
    return solid.freeze()


def _lamp_post(rng, side):
    solid = Solid()
    solid.group((0, 0, 3))
    for z in range(0, 6, 2):
        solid.capsule((0, 0, z), (0, 0, z + 2), 0.06, (86, 90, 92))
    solid.capsule((0, 0, 6), (-side * 1.2, 0, 6.3), 0.05, (86, 90, 92))
    solid.capsule((-side * 1.0, 0, 6.25), (-side * 1.5, 0, 6.3), 0.1, (235, 225, 190), glow=1.0)
    return solid.freeze()


def _strip(x0, x1, along):
    """An outline of the strip x0..x1 with points at `along`, there and back."""
    count = len(along)
    outline = np.zeros((2 * count, 3))
    outline[:count, 0], outline[count:, 0] = x0, x1
    outline[:count, 1], outline[count:, 1] = along, along[::-1]
    return outline


def _patch(x0, x1, y0, y1):
    """The outline of a small rectangle on the ground."""
    return _strip(x0, x1, y0 + (y1 - y0) * _FIFTHS)


def _sample(tile, x, y):
    """The periodic tile at float positions, linearly interpolated: float32, the shape of `x`."""
    size = tile.shape[0]
    return cv2.remap(tile, np.mod(x, size).astype(np.float32), np.mod(y, size).astype(np.float32), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_WRAP)
