"""Shaded solids made of flat faces, capsules and rings, and how they are painted through a camera."""

import dataclasses

import cv2
import numpy as np

_STEP = 0.45  # metres between two points of an outline: straight edges are curved in a fisheye picture
_FRACTION_BITS = 4  # sub-pixel places of OpenCV's drawing functions
_ONE = 1 << _FRACTION_BITS
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_RIM = np.stack([np.zeros(24), *(f(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for f in (np.cos, np.sin))], axis=1)


@dataclasses.dataclass(frozen=True)
class Light:
    """How a scene is lit.

    Attributes:
      sun: unit vector towards the sun.
      ambient, diffuse: RGB factors [3] of the light from everywhere and from the sun.
      haze: RGB [3] that distance fades to; haze_density: in 1/m.
      lamps: brightness of lamps and lit windows in [0, 1].
    """

    sun: np.ndarray
    ambient: np.ndarray
    diffuse: np.ndarray
    haze: np.ndarray
    haze_density: float
    lamps: float

    def shade(self, colours, normals, glow, distance):
        """RGB in [0, 255] of surfaces: colours [n, 3], unit normals [n, 3] (zero: round), glow [n], distance in m."""
        facing = np.clip(normals @ self.sun, 0, None)
        facing = np.where(np.any(normals, axis=1), facing, 0.45)
        lit = colours * (self.ambient + facing[:, None] * self.diffuse)
        lamp = glow[:, None] * self.lamps
        lit = lit * (1 - lamp) + colours * lamp * 1.25
        clear = np.exp(-np.asarray(distance) * self.haze_density)
        clear = clear[:, None] if np.ndim(clear) else clear
        return np.clip(lit * clear + self.haze * (1 - clear), 0, 255)


class Solid:
    """A thing of the scene in its own axes: x to its right, y forward, z up, in metres.

    Parts are painted in the order in which they were added, within groups; groups from far to near. A face is
    seen from the outside only: away from `middle`, the middle of the convex block to which it belongs.
    """

    def __init__(self):
        self._parts, self._groups = [], []
        self._middle = (0.0, 0.0, 0.0)

    def group(self, middle, farthest=False):
        """Starts a group of parts around `middle` (x, y, z), also a block's middle; `farthest`: painted first."""
        self._groups.append(((0.0, 0.0, -1e6) if farthest else tuple(middle), []))
        self.block(middle)

    def block(self, middle):
        """Starts another convex block within the group: faces added now look away from `middle` (x, y, z)."""
        self._middle = tuple(middle)

    def face(self, outline, colour, glow=0.0):
        """A flat face: outline [n, 3], colour RGB, glow in [0, 1] (shines by itself when lamps are on)."""
        self._add("face", outline, colour, glow, (0.0, 0.0))

    def capsule(self, start, end, radius, colour, end_radius=None, glow=0.0):
        """A round limb or tube from `start` to `end`, radii in metres."""
        self._add("capsule", (start, end), colour, glow, (radius, radius if end_radius is None else end_radius))

    def ball(self, middle, radius, colour, glow=0.0):
        """A ball, radius in metres."""
        self._add("ball", (middle,), colour, glow, (radius, radius))

    def ring(self, middle, radius, width, colour):
        """A wheel's rim: a circle in the y-z plane around `middle`, as thick as `width`."""
        self._add("ring", np.asarray(middle) + radius * _RIM, colour, 0.0, (width, width))

    def _add(self, kind, points, colour, glow, radii):
        if not self._groups:
            self.group((0, 0, 0))
        self._groups[-1][1].append(len(self._parts))
        self._parts.append((kind, points, tuple(colour), glow, radii, self._middle))

    def freeze(self):
        """Gathers the parts into arrays; call once, after the last part. Returns self."""
        self.kinds = [part[0] for part in self._parts]
        faces = np.array([kind == "face" for kind in self.kinds])
        counts = np.array([len(part[1]) for part in self._parts])
        points = np.array([point for part in self._parts for point in part[1]], np.float64)
        starts = np.cumsum(counts) - counts
        part = np.repeat(np.arange(len(counts)), counts)
        following = np.arange(1, len(points) + 1)
        following[starts + counts - 1] = starts
        following = points[following]
        self.anchors = np.add.reduceat(points, starts) / counts[:, None]
        spokes = points - self.anchors[part], following - self.anchors[part]
        normals = np.add.reduceat(np.cross(*spokes), starts)  # Newell
        normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
        outward = np.einsum("ij,ij->i", normals, self.anchors - np.array([entry[5] for entry in self._parts]))
        self.normals = normals * np.where(outward < 0, -1, 1)[:, None] * faces[:, None]
        # Points at most _STEP metres apart on the outlines of faces.
        pieces = np.where(faces[part], np.ceil(np.linalg.norm(following - points, axis=1) / _STEP), 1)
        pieces = np.maximum(pieces, 1).astype(int)
        inside = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        share = (inside / np.repeat(pieces, pieces))[:, None]
        self.points = np.repeat(points, pieces, axis=0) * (1 - share) + np.repeat(following, pieces, axis=0) * share
        counts = np.add.reduceat(pieces, starts)
        stops = np.cumsum(counts)
        self.spans = list(zip((stops - counts).tolist(), stops.tolist(), strict=True))
        self.colours, self.glow, self.radii = (np.array([entry[i] for entry in self._parts], float) for i in (2, 3, 4))
        self.middles = np.array([group[0] for group in self._groups])
        self.members = [group[1] for group in self._groups]
        self.reach = np.repeat(self.radii.max(axis=1), counts)
        self.low = (self.points - self.reach[:, None]).min(axis=0)
        self.low[2] = max(self.low[2], 0)
        self.high = (self.points + self.reach[:, None]).max(axis=0)
        return self


@dataclasses.dataclass(frozen=True)
class Layer:
    """A painted solid: RGBA uint8 [h, w, 4] at (left, top) of the canvas; `extent` is its box
    (left, top, right, bottom) in canvas pixels before clipping to the canvas; `distance` in metres."""

    rgba: np.ndarray
    left: int
    top: int
    extent: tuple
    distance: float

    @property
    def where(self):
        """Rows and columns of the canvas that the layer covers."""
        return (slice(self.top, self.top + self.rgba.shape[0]), slice(self.left, self.left + self.rgba.shape[1]))

    @property
    def mask(self):
        """uint8 [h, w], 255 where the solid is."""
        return self.rgba[..., 3]

    def bounds(self):
        """(left, top, right, bottom) of the painted pixels, in canvas pixels, right and bottom exclusive; or None."""
        columns, rows = self.mask.any(axis=0), self.mask.any(axis=1)
        if not columns.any():
            return None
        left, top = int(columns.argmax()), int(rows.argmax())
        right, bottom = len(columns) - int(columns[::-1].argmax()), len(rows) - int(rows[::-1].argmax())
        return left + self.left, top + self.top, right + self.left, bottom + self.top


def placement(position, heading):
    """(rotation [3, 3], offset [3]) from a solid's axes to the world's; heading as a camera's yaw."""
    sine, cosine = np.sin(heading), np.cos(heading)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]]), np.asarray(position, np.float64)


def paint(solid, position, heading, camera, scale, light):
    """Paints a solid through the camera.

    Args:
      solid: a frozen Solid.
      position: where it stands, (x, y, z) in metres.
      heading: which way it faces, in radians.
      camera: a FisheyeCamera, or another class with its attributes and methods.
      scale: canvas pixels a picture pixel.
      light: the scene's Light.

    Returns:
      A Layer, or None when nothing of it is on the canvas.
    """
    rotation, offset = placement(position, heading)
    middle = (solid.low + solid.high) / 2
    if not camera.sees(middle @ rotation + offset, np.linalg.norm(solid.high - middle)):
        return None
    in_camera = camera.to_camera(solid.points @ rotation + offset)
    ahead = in_camera[:, 2] > 0
    if not ahead.any():
        return None
    pixels, distances = camera.project_seen(in_camera)
    pixels = pixels * scale - 0.5  # OpenCV counts from the pixel's centre
    spread = solid.reach * camera.focal * scale / np.maximum(distances, 0.05)
    extent = (*(pixels - spread[:, None]).min(axis=0), *(pixels + spread[:, None]).max(axis=0) + 1)
    left, top = max(int(np.floor(extent[0])) - 1, 0), max(int(np.floor(extent[1])) - 1, 0)
    right = min(int(np.ceil(extent[2])) + 2, camera.width * scale)
    bottom = min(int(np.ceil(extent[3])) + 2, camera.height * scale)
    if right <= left or bottom <= top:
        return None
    eye = rotation @ (np.asarray(camera.position) - offset)
    distance = float(np.linalg.norm(np.asarray(camera.position) - offset - (0, 0, 0.5)))
    round_part = ~np.any(solid.normals, axis=1)
    seen = ((np.einsum("ij,ij->i", solid.normals, eye - solid.anchors) > 0) | round_part).tolist()
    colours = np.full((len(solid.colours), 4), 255.0)
    colours[:, :3] = light.shade(solid.colours, solid.normals @ rotation, solid.glow, distance)
    colours = colours.tolist()
    rgba = np.zeros((bottom - top, right - left, 4), np.uint8)
    pixels = pixels - (left, top)
    fixed = np.round(pixels * _ONE).astype(np.int32)
    behind = not ahead.all()
    # Of the groups of one solid the farthest is painted first.
    for group in np.argsort(-np.linalg.norm(solid.middles - eye, axis=1), kind="stable"):
        for index in solid.members[group]:
            if not seen[index]:
                continue
            start, stop = solid.spans[index]
            if solid.kinds[index] == "face":
                outline = fixed[start:stop]
                if behind:
                    # Of a wall that reaches past the camera only what is in front: it must not wrap around.
                    outline = outline[ahead[start:stop]]
                    if len(outline) < 3:
                        continue
                cv2.fillPoly(rgba, [outline], colours[index], shift=_FRACTION_BITS)
                continue
            radius = spread[start:stop]
            if solid.kinds[index] == "ball":
                cv2.circle(rgba, fixed[start].tolist(), round(max(radius[0], 0.5) * _ONE), colours[index], -1,
                           shift=_FRACTION_BITS)
            elif solid.kinds[index] == "capsule":
                radius = radius * solid.radii[index] / solid.radii[index].max()
                outline = (pixels[start:stop, None] + np.maximum(radius, 0.5)[:, None, None] * _CIRCLE).reshape(-1, 2)
                hull = cv2.convexHull((outline * _ONE).astype(np.int32))
                cv2.fillConvexPoly(rgba, hull, colours[index], shift=_FRACTION_BITS)
            else:
                cv2.polylines(rgba, [fixed[start:stop]], True, colours[index], max(1, round(float(radius.mean()))),
                              shift=_FRACTION_BITS)
    return Layer(rgba, left, top, extent, distance)
