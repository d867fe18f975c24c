"""The faces of the traffic signs: shapes of our own making, after the signs of the Vienna Convention.

A face lies in the square from -1 to 1, x to the right and y down. Lettering and figures are strokes along arcs and
lines, so that no font is needed.
"""

import functools

import numpy as np
from PIL import Image, ImageDraw

RED, BLUE, YELLOW = (176, 30, 38), (24, 74, 152), (240, 184, 28)
WHITE, BLACK = (226, 226, 222), (28, 28, 30)
_FINER = 2  # points that are painted for each of a face, each way


class _Canvas:
    """What a face is painted on; `size` in pixels a side. The outline is painted first, in `shape`."""

    def __init__(self, size):
        self._half = size / 2
        self.colours = Image.new("RGB", (size, size), (128, 128, 128))
        self.shape = Image.new("L", (size, size), 0)
        self._draw, self._outline = ImageDraw.Draw(self.colours), ImageDraw.Draw(self.shape)

    def _pixels(self, points):
        return [tuple(point) for point in (np.asarray(points, float) + 1) * self._half]

    def outline(self, points, colour):
        """The sign's plate. Its colour also fills what is around it, so that edges mix with no other one."""
        self.colours.paste(colour, (0, 0, *self.colours.size))
        self._outline.polygon(self._pixels(points), fill=255)

    def polygon(self, points, colour):
        self._draw.polygon(self._pixels(points), fill=colour)

    def stroke(self, points, width, colour):
        """A line of a width along the points, with round ends and corners."""
        for first, second in zip(points[:-1], points[1:], strict=True):
            step = np.subtract(second, first)
            across = np.array([-step[1], step[0]]) / max(np.hypot(*step), 1e-9) * width / 2
            self.polygon([first + across, second + across, second - across, first - across], colour)
        for point in points:
            self.polygon(circle(width / 2, point), colour)


def circle(radius, middle=(0.0, 0.0)):
    """float64 [64, 2]: the points of a circle."""
    return arc(middle, (radius, radius), 0, 360, 65)[:-1]


def arc(middle, radii, start, end, count=24):
    """float64 [count, 2]: points of an ellipse between two angles in degrees, 0 to the right and 90 down."""
    angles = np.radians(np.linspace(start, end, count))
    return np.stack([middle[0] + radii[0] * np.cos(angles), middle[1] + radii[1] * np.sin(angles)], axis=1)


def _regular(corners, radius, turn):
    """The corners of a regular polygon, the first at `turn` degrees."""
    return arc((0, 0), (radius, radius), turn, turn + 360, corners + 1)[:-1]


def _triangle(scale, up):
    """A warning triangle, or one on its head; its middle at (0, 0)."""
    points = _regular(3, 1.0, -90) * scale + (0, 0.16)
    return points if up else -points


def _rounded(points, radius):
    """The points with each corner replaced by an arc of a radius around a point inside."""
    points, middle = np.asarray(points), np.mean(points, axis=0)
    inner = middle + (points - middle) * (1 - 2 * radius / np.hypot(*(points[0] - middle)))
    found = []
    for point in inner:
        angle = np.degrees(np.arctan2(*(point - middle)[::-1]))
        half = 180 / len(points)
        found.append(arc(point, (radius, radius), angle - half, angle + half, 9))
    return np.concatenate(found)


# Figures and letters in a box of x from -1 to 1 and y from -1 to 1: lists of strokes.
_GLYPHS = {
    "0": [arc((0, 0), (0.8, 1.0), 0, 360, 40)],
    "3": [arc((-0.05, -0.5), (0.72, 0.5), -160, 90), arc((-0.05, 0.5), (0.8, 0.5), -90, 160)],
    "5": [np.array([(0.7, -1), (-0.55, -1), (-0.68, -0.1)]), arc((-0.05, 0.36), (0.8, 0.64), -142, 150)],
    "6": [arc((0, 0.4), (0.78, 0.6), 0, 360, 40), arc((0.55, 0.4), (1.33, 1.4), -180, -96)],
    "8": [arc((0, -0.52), (0.64, 0.48), 0, 360, 40), arc((0, 0.48), (0.8, 0.52), 0, 360, 40)],
    "S": [arc((0, -0.5), (0.75, 0.5), -20, -270), arc((0, 0.5), (0.75, 0.5), -90, 160)],
    "T": [np.array([(-0.85, -1), (0.85, -1)]), np.array([(0, -1), (0, 1)])],
    "O": [arc((0, 0), (0.8, 1.0), 0, 360, 40)],
    "P": [np.array([(-0.7, 1), (-0.7, -1), (0, -1)]), arc((0, -0.45), (0.75, 0.55), -90, 90),
          np.array([(0, 0.1), (-0.7, 0.1)])],
}


def _text(canvas, text, half, middle, gap, width, colour):
    """Glyphs in a row: `half` their half width and height, `gap` from middle to middle, `width` of the strokes."""
    for place, letter in enumerate(text):
        at = np.array([middle[0] + (place - (len(text) - 1) / 2) * gap, middle[1]])
        for stroke in _GLYPHS[letter]:
            canvas.stroke(at + stroke * half, width, colour)


def _prohibition(canvas):
    canvas.outline(circle(0.98), WHITE)
    canvas.polygon(circle(0.94), RED)
    canvas.polygon(circle(0.70), WHITE)


def _speed_limit(number, canvas):
    _prohibition(canvas)
    _text(canvas, number, (0.19, 0.32), (0, 0), 0.58, 0.145, BLACK)


def _stop(canvas):
    canvas.outline(_regular(8, 1.0, 22.5), WHITE)
    canvas.polygon(_regular(8, 0.93, 22.5), RED)
    _text(canvas, "STOP", (0.14, 0.26), (0, 0), 0.43, 0.1, WHITE)


def _yield(canvas):
    canvas.outline(_rounded(_triangle(1.14, False), 0.1), RED)
    canvas.polygon(_rounded(_triangle(0.66, False), 0.03), WHITE)


def _warning(canvas):
    canvas.outline(_rounded(_triangle(1.14, True), 0.1), RED)
    canvas.polygon(_rounded(_triangle(0.8, True), 0.03), WHITE)


def _priority_road(canvas):
    canvas.outline(_rounded(_regular(4, 1.02, 0), 0.08), BLACK)
    canvas.polygon(_rounded(_regular(4, 0.97, 0), 0.07), WHITE)
    canvas.polygon(_rounded(_regular(4, 0.68, 0), 0.05), YELLOW)


def _no_entry(canvas):
    canvas.outline(circle(0.98), WHITE)
    canvas.polygon(circle(0.94), RED)
    canvas.polygon([(-0.7, -0.17), (0.7, -0.17), (0.7, 0.17), (-0.7, 0.17)], WHITE)


def _arrow_head(canvas, tip, direction, size, colour):
    direction = np.asarray(direction, float)
    across, tip = np.array([-direction[1], direction[0]]), np.asarray(tip, float)
    canvas.polygon([tip, tip - size * direction + 0.8 * size * across, tip - size * direction - 0.8 * size * across],
                   colour)


def _mandatory(way, canvas):
    """`way`: -1 left, 0 straight ahead, 1 right."""
    canvas.outline(circle(0.98), WHITE)
    canvas.polygon(circle(0.93), BLUE)
    if way:
        canvas.stroke(np.array([(-0.55 * way, 0), (0.25 * way, 0)]), 0.22, WHITE)
        _arrow_head(canvas, (0.72 * way, 0), (way, 0), 0.5, WHITE)
    else:
        canvas.stroke(np.array([(0, 0.55), (0, -0.25)]), 0.22, WHITE)
        _arrow_head(canvas, (0, -0.72), (0, -1), 0.5, WHITE)


def _bend(way, canvas):
    """`way`: -1 left, 1 right."""
    _warning(canvas)
    turn = arc((0.16, 0.16), (0.28, 0.3), 180, 270)
    path = np.concatenate([[(-0.12, 0.5)], turn]) * (way, 1)
    canvas.stroke(path, 0.12, BLACK)
    _arrow_head(canvas, (0.36 * way, -0.14), (way, 0), 0.22, BLACK)


def _car(canvas, x, colour):
    """A car from behind, its middle at `x`."""
    canvas.polygon(np.array([(-0.22, 0.02), (-0.15, -0.17), (0.15, -0.17), (0.22, 0.02)]) + (x, 0), colour)
    canvas.polygon(np.array([(-0.26, 0.0), (0.26, 0.0), (0.26, 0.2), (-0.26, 0.2)]) + (x, 0), colour)
    canvas.polygon(np.array([(-0.15, 0.0), (-0.11, -0.11), (0.11, -0.11), (0.15, 0.0)]) + (x, 0), WHITE)
    for side in (-1, 1):
        canvas.polygon(np.array([(-0.05, 0.19), (0.05, 0.19), (0.05, 0.28), (-0.05, 0.28)]) + (x + side * 0.18, 0),
                       colour)


def _truck(canvas, x, colour):
    """A truck from behind, its middle at `x`."""
    canvas.polygon(np.array([(-0.25, -0.36), (0.25, -0.36), (0.25, 0.17), (-0.25, 0.17)]) + (x, 0), colour)
    for side in (-1, 1):
        canvas.polygon(np.array([(-0.07, 0.16), (0.07, 0.16), (0.07, 0.28), (-0.07, 0.28)]) + (x + side * 0.18, 0),
                       colour)


def _no_overtaking(left, canvas):
    _prohibition(canvas)
    left(canvas, -0.31, RED)
    _car(canvas, 0.31, BLACK)


# From frequent to rare where shares are uneven.
_FACES = {
    "speed_limit_50": functools.partial(_speed_limit, "50"),
    "speed_limit_30": functools.partial(_speed_limit, "30"),
    "yield": _yield,
    "priority_road": _priority_road,
    "speed_limit_80": functools.partial(_speed_limit, "80"),
    "no_overtaking_trucks": functools.partial(_no_overtaking, _truck),
    "speed_limit_60": functools.partial(_speed_limit, "60"),
    "no_overtaking": functools.partial(_no_overtaking, _car),
    "straight_ahead": functools.partial(_mandatory, 0),
    "no_entry": _no_entry,
    "stop": _stop,
    "turn_right": functools.partial(_mandatory, 1),
    "turn_left": functools.partial(_mandatory, -1),
    "bend_right": functools.partial(_bend, 1),
    "bend_left": functools.partial(_bend, -1),
}
SIGN_NAMES = tuple(_FACES)


@functools.lru_cache(maxsize=len(_FACES))
def face(name, size):
    """A sign's face, unlit and without perspective.

    Args:
      name: one of SIGN_NAMES.
      size: pixels a side of the square from -1 to 1.

    Returns:
      (uint8 RGB [size, size, 3], uint8 [size, size]: 255 on the sign, 0 beside it), not to be written to.
    """
    canvas = _Canvas(size * _FINER)
    _FACES[name](canvas)
    found = tuple(np.asarray(layer.reduce(_FINER)) for layer in (canvas.colours, canvas.shape))
    for layer in found:
        layer.flags.writeable = False
    return found
