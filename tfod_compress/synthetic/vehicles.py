"""Cars, vans, trucks and buses, in their own axes: x right, y forward, z up, in metres; z = 0 is the ground."""

import numpy as np

from tfod_compress.synthetic.solids import Solid

GLASS = (38, 46, 56)
TYRE = (24, 24, 26)
RIM = (150, 152, 156)
DARK = (34, 34, 36)
HEADLIGHT = (250, 245, 225)
TAILLIGHT = (190, 22, 22)
PLATE = (225, 225, 210)

PAINTS = ((225, 226, 228), (30, 31, 34), (120, 124, 130), (168, 172, 178), (44, 66, 120), (150, 28, 30), (62, 66, 72),
          (196, 190, 172), (40, 84, 62), (204, 120, 30), (90, 120, 160), (236, 236, 232), (214, 184, 40), (96, 60, 44))


def passenger_car(rng):
    """A hatchback, saloon, estate or sports utility vehicle: a low body, and a narrower cabin on top of it."""
    solid = Solid()
    shape = rng.choice(["hatchback", "saloon", "estate", "suv"], p=[0.35, 0.3, 0.15, 0.2])
    length = {"hatchback": 4.0, "saloon": 4.6, "estate": 4.65, "suv": 4.5}[shape] * rng.uniform(0.95, 1.05)
    height = {"hatchback": 1.48, "saloon": 1.44, "estate": 1.47, "suv": 1.72}[shape] * rng.uniform(0.97, 1.03)
    half, front, rear = 0.9 * rng.uniform(0.97, 1.04), length / 2, -length / 2
    floor, belt = (0.3 if shape == "suv" else 0.22), height * 0.62
    paint = _paint(rng)
    radius = 0.36 if shape == "suv" else 0.32
    axles = (front - 0.85, rear + 0.8)
    _wheels_below(solid, axles, half, radius)
    bonnet = belt - 0.1
    boot = belt - 0.03
    tail = {"hatchback": rear + 0.08, "saloon": rear + 0.75, "estate": rear + 0.06, "suv": rear + 0.1}[shape]
    profile = [(rear + 0.06, floor), (front - 0.1, floor), (front, floor + 0.14), (front - 0.02, bonnet - 0.2),
               (front - 0.18, bonnet - 0.06), (front - 1.05, belt), (tail, belt)]
    profile += [(rear + 0.05, boot), (rear, boot - 0.12)] if shape == "saloon" else [(rear, belt - 0.08)]
    profile += [(rear, floor + 0.2)]
    solid.group((0, 0, 0.6))
    _extrude(solid, profile, half, paint)
    sill = _shaded(paint, 0.55)
    for side in (-half, half):
        _rectangle(solid, side, rear + 0.1, front - 0.12, floor, floor + 0.16, sill)
        _rectangle(solid, side, rear + 0.06, front - 0.3, belt - 0.14, belt - 0.09, _shaded(paint, 1.18))
        _rectangle(solid, side, -0.02, 0.0, floor + 0.16, belt, sill)
        _wheels_on(solid, side, axles, radius)
    _front(solid, front + 0.005, half, floor, bonnet - 0.08, lamp_low=bonnet - 0.32, lamp_high=bonnet - 0.14,
           grille=(floor + 0.16, bonnet - 0.32))
    _back(solid, rear - 0.005, half, floor, boot if shape == "saloon" else belt)
    # The cabin: its sides lean inwards.
    screen = front - (0.98 if shape == "suv" else 1.08)
    roof_front, roof_rear = screen - 0.72, tail + {"hatchback": 0.3, "saloon": 0.6, "estate": 0.28, "suv": 0.2}[shape]
    top = half - 0.2

    def across(z):
        return half - 0.03 + (top - half + 0.03) * (z - belt) / (height - belt)

    solid.block((0, (screen + tail) / 2, (belt + height) / 2))
    cabin = [(tail, belt), (screen, belt), (roof_front, height - 0.04), (roof_front - 0.4, height),
             (roof_rear + 0.3, height), (roof_rear, height - 0.05)]
    _extrude(solid, cabin, across, paint)
    pillar = roof_rear + 0.05
    middle = (roof_front + roof_rear) / 2 - 0.05
    low, high = belt + 0.05, height - 0.1
    lean = (roof_front - screen) / (height - 0.04 - belt)
    for sign in (-1, 1):
        fore = [(middle + 0.06, low), (screen + lean * (low - belt) - 0.16, low),
                (screen + lean * (high - belt) - 0.13, high), (middle + 0.06, high)]
        aft = [(tail + 0.25, low), (middle - 0.04, low), (middle - 0.04, high), (pillar + 0.1, high)]
        for window in (fore, aft):
            solid.face([(sign * (across(z) + 0.005), y, z) for y, z in window], GLASS)
    _pane(solid, screen, roof_front, belt, height - 0.04, across, 0.09)
    _pane(solid, tail, roof_rear, belt, height - 0.05, across, 0.12)
    return solid.freeze()


def van(rng):
    """A delivery van or minibus: one tall body with a short sloping nose, nearly no bonnet."""
    solid = Solid()
    length, height, half = rng.uniform(4.9, 5.8), rng.uniform(2.1, 2.65), rng.uniform(0.97, 1.03)
    front, rear, floor, radius = length / 2, -length / 2, 0.3, 0.35
    paint = _paint(rng, bright=0.5)
    axles = (front - 0.9, rear + 1.0)
    _wheels_below(solid, axles, half, radius)
    nose, belt = 1.05, 1.22
    screen = front - 0.5
    roof = screen - 0.75
    profile = [(rear, floor), (front - 0.05, floor), (front, nose - 0.2), (front - 0.1, nose), (screen, belt),
               (roof, height - 0.12), (roof - 0.35, height), (rear + 0.1, height), (rear, height - 0.1)]
    solid.group((0, 0, 1.1))
    _extrude(solid, profile, half, paint)
    passengers = rng.random() < 0.3
    for side in (-half, half):
        _rectangle(solid, side, rear, front - 0.1, floor, floor + 0.25, _shaded(paint, 0.5))
        window = ((screen - 0.12, belt), (roof - 0.05, height - 0.4), (roof - 0.55, height - 0.4), (roof - 0.55, belt))
        solid.face([(side, y, z) for y, z in window], GLASS)
        if passengers:
            for y in (roof - 0.7, roof - 1.75):
                _rectangle(solid, side, y - 0.95, y, belt, height - 0.4, GLASS)
        else:
            _rectangle(solid, side, rear + 0.15, roof - 0.75, 0.95, 0.99, _shaded(paint, 0.7))
        for y in (roof - 0.66, roof - 1.75):
            _rectangle(solid, side, y - 0.03, y, floor + 0.25, height - 0.2, _shaded(paint, 0.6))
        _wheels_on(solid, side, axles, radius)
    _pane(solid, screen, roof, belt, height - 0.12, lambda z: half, 0.1)
    _front(solid, front + 0.005, half, floor, nose - 0.1, lamp_low=nose - 0.32, lamp_high=nose - 0.05,
           grille=(floor + 0.2, nose - 0.36))
    _back(solid, rear - 0.005, half, floor, height, doors=paint, window=(belt + 0.05, height - 0.4))
    return solid.freeze()


def truck(rng):
    """A lorry: a separate cab, a gap, and a box or a tipper's bed on a high frame with large wheels."""
    solid = Solid()
    cab_height, cab_length = rng.uniform(2.6, 3.0), rng.uniform(1.8, 2.1)
    length, half, radius = rng.uniform(7.0, 8.8), 1.25, 0.5
    front, rear = length / 2, -length / 2
    paint, cargo = _paint(rng), _paint(rng, bright=0.55)
    gap = front - cab_length - 0.35
    axles = (front - 1.2, rear + 1.3, rear + 2.45) if length > 7.6 else (front - 1.2, rear + 1.5)
    _wheels_below(solid, axles, half - 0.05, radius)
    solid.group((0, -cab_length / 2, 0.75))
    _box(solid, (-half + 0.25, rear + 0.1, 0.6), (half - 0.25, front - 0.3, 1.0), DARK)
    for side in (-half + 0.02, half - 0.02):
        _rectangle(solid, side, axles[-1] + 0.7, axles[0] - 0.8, 0.55, 0.9, (58, 58, 60))
    # The load stands higher than the cab, or is an open bed which is lower than it.
    tipper = rng.random() < 0.3
    low, high = 1.1, (rng.uniform(2.1, 2.4) if tipper else rng.uniform(3.3, 3.75))
    solid.group((0, (rear + gap) / 2, (low + high) / 2))
    _box(solid, (-half, rear, low), (half, gap, high), cargo)
    for side in (-half - 0.005, half + 0.005):
        _rectangle(solid, side, rear, gap, low, low + 0.14, _shaded(cargo, 0.5))
        if tipper:
            for y in np.arange(rear + 0.15, gap - 0.1, 0.75):
                _rectangle(solid, side, y, y + 0.1, low, high, _shaded(cargo, 0.65))
        else:
            _rectangle(solid, side, rear, gap, high - 0.1, high, _shaded(cargo, 0.75))
            stripe = _paint(rng)
            if rng.random() < 0.6:
                _rectangle(solid, side, rear + 0.7, gap - 0.8, low + 0.7, high - 0.7, stripe)
        for y in axles[1:]:
            _disc(solid, side, y, radius, radius, TYRE)
            _disc(solid, side, y, radius, radius * 0.5, RIM)
    _back(solid, rear - 0.01, half, 0.75, high, doors=cargo, lamps=(0.8, 1.0))
    solid.group((0, front - cab_length / 2, cab_height / 2))
    cab = [(front - cab_length, 0.5), (front, 0.5), (front, 1.45), (front - 0.16, cab_height - 0.2),
           (front - 0.45, cab_height), (front - cab_length, cab_height)]
    _extrude(solid, cab, half - 0.03, paint)
    for side in (-half + 0.025, half - 0.025):
        _rectangle(solid, side, front - 1.35, front - 0.25, 1.5, cab_height - 0.42, GLASS)
        _rectangle(solid, side, front - 1.42, front - 1.38, 0.8, cab_height - 0.2, _shaded(paint, 0.6))
        _disc(solid, side, axles[0], radius, radius, TYRE)
        _disc(solid, side, axles[0], radius, radius * 0.5, RIM)
    _pane(solid, front, front - 0.16, 1.45, cab_height - 0.2, lambda z: half - 0.03, 0.1)
    _front(solid, front + 0.005, half, 0.5, 1.4, lamp_low=0.62, lamp_high=0.82, grille=(0.85, 1.35))
    return solid.freeze()


def bus(rng):
    """A city bus or coach: a long tall body with a row of windows along it and a large windscreen."""
    solid = Solid()
    length, height, half = rng.uniform(9.5, 12.0), rng.uniform(2.9, 3.25), 1.26
    front, rear, floor, radius = length / 2, -length / 2, 0.3, 0.48
    paint = _paint(rng)
    band = _paint(rng)
    axles = (front - 2.5, rear + 3.0)
    _wheels_below(solid, axles, half, radius)
    solid.group((0, 0, height / 2))
    profile = [(rear, floor), (front, floor), (front, 1.0), (front - 0.14, height - 0.15), (front - 0.3, height),
               (rear + 0.1, height), (rear, height - 0.1)]
    _extrude(solid, profile, half, paint)
    low, high = 1.3, height - 0.55
    lit = (225, 205, 150)
    for sign in (-1, 1):
        side = sign * (half + 0.005)
        _rectangle(solid, side, rear + 0.02, front - 0.05, floor, 0.62, _shaded(band, 0.8))
        _rectangle(solid, side, rear + 0.3, front - 0.3, low - 0.06, high + 0.06, (22, 24, 27))
        windows = int((length - 0.8) / 1.45)
        width = (length - 0.8) / windows
        for number in range(windows):
            start = rear + 0.4 + number * width
            _rectangle(solid, side, start + 0.06, start + width - 0.06, low, high, (62, 74, 86), lamp=lit)
        if sign == 1:  # the doors, on the kerb's side
            for y in (front - 1.45, 0.3):
                _rectangle(solid, side, y, y + 1.15, floor + 0.06, high, (52, 62, 72))
                _rectangle(solid, side, y + 0.55, y + 0.6, floor + 0.06, high, paint)
        for y in axles:
            _disc(solid, side, y, radius, radius, TYRE)
            _disc(solid, side, y, radius, radius * 0.5, RIM)
    _pane(solid, front, front - 0.13, 1.05, height - 0.4, lambda z: half, 0.07)
    solid.face([(x, front - 0.1, z) for x, z in ((-0.8, height - 0.38), (0.8, height - 0.38), (0.8, height - 0.14),
                                                 (-0.8, height - 0.14))], (235, 160, 40), glow=1.0)
    _front(solid, front + 0.005, half, floor, 0.95, lamp_low=0.55, lamp_high=0.78, grille=None)
    _back(solid, rear - 0.005, half, floor, height, window=(1.6, height - 0.45))
    return solid.freeze()


def _paint(rng, bright=0.0):
    """A body colour; white with probability `bright`."""
    base = PAINTS[0] if rng.random() < bright else PAINTS[rng.integers(len(PAINTS))]
    return np.clip(np.array(base) * rng.uniform(0.85, 1.1) + rng.uniform(-10, 10, 3), 8, 245)


def _shaded(colour, factor):
    return np.clip(np.asarray(colour) * factor, 0, 255)


def _extrude(solid, profile, half, colour):
    """A side profile [(y, z), …] drawn out to both sides; `half` is half the width, or a function of z."""
    across = half if callable(half) else lambda z: half
    for (y0, z0), (y1, z1) in zip(profile, profile[1:] + profile[:1], strict=True):
        a, b = across(z0), across(z1)
        solid.face([(-a, y0, z0), (a, y0, z0), (b, y1, z1), (-b, y1, z1)], colour)
    for sign in (-1, 1):
        solid.face([(sign * across(z), y, z) for y, z in profile], colour)


def _box(solid, low, high, colour):
    """A block between two corners (x, y, z); faces added next lie on it."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    solid.block((np.array(low) + high) / 2)
    profile = [(y0, z0), (y1, z0), (y1, z1), (y0, z1)]
    for (y0, z0), (y1, z1) in zip(profile, profile[1:] + profile[:1], strict=True):
        solid.face([(x0, y0, z0), (x1, y0, z0), (x1, y1, z1), (x0, y1, z1)], colour)
    for x in (x0, x1):
        solid.face([(x, y, z) for y, z in profile], colour)


def _rectangle(solid, x, y0, y1, z0, z1, colour, lamp=None):
    """A rectangle on a vehicle's side at `x`; with `lamp` it shows that colour a little when lamps are on."""
    outline = [(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)]
    solid.face(outline, colour)
    if lamp is not None:
        solid.face(outline, _shaded(colour, 0.6) + np.array(lamp) * 0.2, glow=0.6)


def _disc(solid, x, y, z, radius, colour):
    angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    solid.face(np.stack([np.full(18, x), y + radius * np.cos(angle), z + radius * np.sin(angle)], axis=1), colour)


def _wheels_below(solid, axles, half, radius):
    """Dark tyres and the shaded floor, as seen below the body from any side; painted before the body."""
    solid.group((0, 0, 0.3), farthest=True)
    _box(solid, (-half + 0.15, min(axles) - 0.3, 0.16), (half - 0.15, max(axles) + 0.3, 0.5), (16, 16, 17))
    for y in axles:
        for sign in (-1, 1):
            x = sign * (half - 0.13)
            _box(solid, (x - 0.11, y - radius * 0.75, 0.0), (x + 0.11, y + radius * 0.75, radius * 1.2), TYRE)


def _wheels_on(solid, side, axles, radius):
    """Wheel arches, tyres and rims on the visible side of a body."""
    x = side * 1.004
    for y in axles:
        _disc(solid, x, y, radius + 0.02, radius * 1.17, (14, 14, 15))
        _disc(solid, x, y, radius, radius, TYRE)
        _disc(solid, x, y, radius, radius * 0.62, RIM)
        _disc(solid, x, y, radius, radius * 0.2, DARK)


def _pane(solid, y_low, y_high, z_low, z_high, across, margin):
    """Glass on a sloping front or rear face between two heights, leaving a frame of `margin` metres."""
    height = z_high - z_low
    bottom, top = margin / height, 1 - margin / height
    corners = []
    for part, sign in ((bottom, -1), (bottom, 1), (top, 1), (top, -1)):
        z = z_low + part * height
        outward = 0.01 if y_low > 0 else -0.01
        corners.append((sign * (across(z) - margin), y_low + part * (y_high - y_low) + outward, z))
    solid.face(corners, GLASS)


def _front(solid, y, half, low, high, lamp_low, lamp_high, grille):
    """Headlamps, grille, bumper and number plate on the plane at `y`."""
    def panel(x0, x1, z0, z1, colour, glow=0.0):
        solid.face([(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)], colour, glow)

    panel(-half, half, low, low + 0.16, (46, 47, 50))
    if grille:
        panel(-half * 0.55, half * 0.55, *grille, (28, 29, 31))
    for sign in (-1, 1):
        inner, outer = sorted((sign * half * 0.58, sign * half * 0.95))
        panel(inner, outer, lamp_low, lamp_high, HEADLIGHT, glow=1.0)
    panel(-0.26, 0.26, low + 0.18, low + 0.3, PLATE)


def _back(solid, y, half, low, high, doors=None, window=None, lamps=None):
    """Tail lamps, bumper, number plate; doors are two leaves with a seam, or a window across."""
    def panel(x0, x1, z0, z1, colour, glow=0.0):
        solid.face([(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)], colour, glow)

    panel(-half, half, low, low + 0.2, (46, 47, 50))
    if window:
        leaves = ((-half * 0.85, -0.06), (0.06, half * 0.85)) if doors is not None else ((-half * 0.85, half * 0.85),)
        for x0, x1 in leaves:
            panel(x0, x1, *window, GLASS)
    if doors is not None:
        panel(-0.03, 0.03, low + 0.3, high - 0.1, _shaded(doors, 0.5))
    lamp_low, lamp_high = lamps or (low + (high - low) * 0.5, low + (high - low) * 0.8)
    if window:
        lamp_low, lamp_high = low + 0.5, low + 0.95
    for sign in (-1, 1):
        inner, outer = sorted((sign * half * 0.76, sign * half * 0.97))
        panel(inner, outer, lamp_low, lamp_high, TAILLIGHT, glow=1.0)
    panel(-0.26, 0.26, low + 0.26, low + 0.38, PLATE)
