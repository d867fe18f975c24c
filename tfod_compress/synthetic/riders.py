"""People, bicycles and motorbikes: thin round parts, in their own axes (x right, y forward, z up, metres)."""

import numpy as np

from tfod_compress.synthetic.solids import Solid

SKIN = ((224, 180, 150), (196, 146, 112), (140, 96, 70), (92, 62, 46))
CLOTHES = ((40, 50, 82), (150, 34, 36), (38, 38, 42), (206, 204, 196), (66, 92, 62), (190, 150, 60), (92, 92, 98),
           (50, 110, 150), (120, 60, 100), (222, 110, 50))
TROUSERS = ((34, 38, 54), (30, 30, 32), (92, 84, 70), (60, 72, 100), (120, 112, 98))
TYRE = (24, 24, 26)
METAL = (140, 142, 146)


def pedestrian(rng):
    """A walking or standing person: head, torso, two arms, two legs."""
    solid = Solid()
    size = rng.uniform(0.92, 1.07)
    stride = 0.0 if rng.random() < 0.25 else rng.uniform(0.12, 0.3)
    if rng.random() < 0.5:
        stride = -stride
    skin, coat, legs = _pick(rng, SKIN), _pick(rng, CLOTHES), _pick(rng, TROUSERS)
    hip, shoulder, head = 0.88 * size, 1.42 * size, 1.62 * size
    long_coat = rng.random() < 0.25
    for sign in (-1, 1):
        step = sign * stride
        solid.group((sign * 0.1, step / 2, hip / 2))
        knee = (sign * 0.1, step * 0.6 + 0.04, 0.47 * size)
        solid.capsule((sign * 0.09, 0, hip), knee, 0.085, legs, 0.065)
        solid.capsule(knee, (sign * 0.1, step, 0.07), 0.065, legs, 0.045)
        solid.capsule((sign * 0.1, step - 0.03, 0.045), (sign * 0.1, step + 0.16, 0.035), 0.045, (30, 26, 24))
    solid.group((0, 0, 1.2))
    for sign in (-1, 1):
        hem = (sign * 0.08, 0, hip - (0.3 if long_coat else 0.0))
        solid.capsule((sign * 0.1, 0, shoulder - 0.06), hem, 0.125, coat, 0.15 if long_coat else 0.12)
    for sign in (-1, 1):
        swing = -sign * stride * 0.8
        elbow = (sign * 0.27, swing * 0.4 - 0.03, shoulder - 0.3 * size)
        solid.group((sign * 0.4, swing * 0.4, 1.2))
        solid.capsule((sign * 0.21, 0, shoulder - 0.05), elbow, 0.06, _darker(coat), 0.05)
        solid.capsule(elbow, (sign * 0.26, swing + 0.06, shoulder - 0.56 * size), 0.05, _darker(coat), 0.04)
        solid.ball((sign * 0.26, swing + 0.07, shoulder - 0.61 * size), 0.05, skin)
    _head(solid, rng, (0, 0.02, head), skin, helmet=None)
    return solid.freeze()


def bicycle(rng):
    """A bicycle: two thin wheels and a diamond frame; two of three have a rider, who is part of the object."""
    solid = Solid()
    frame = _pick(rng, CLOTHES)
    radius, rear, front = 0.34, -0.52, 0.53
    solid.group((0, 0, 0.4))
    for y in (rear, front):
        solid.ring((0, y, radius), radius - 0.02, 0.045, TYRE)
        for angle in (0.3, 1.35, 2.4):
            spoke = 0.31 * np.array([0, np.cos(angle), np.sin(angle)])
            solid.capsule((0, y, radius) - spoke, (0, y, radius) + spoke, 0.004, METAL)
    crank, seat, bar = (0, -0.08, 0.3), (0, -0.25, 0.82), (0, 0.36, 0.86)
    hub, fork = (0, rear, radius), (0, front, radius)
    for a, b in ((crank, seat), (crank, bar), (seat, bar), (hub, crank), (hub, (0, -0.2, 0.76)), (fork, bar),
                 (bar, (0, 0.36, 0.98))):
        solid.capsule(a, b, 0.026, frame)
    solid.capsule((-0.27, 0.32, 1.0), (0.27, 0.32, 1.0), 0.02, (30, 30, 32))
    solid.capsule((0, -0.38, 0.88), (0, -0.14, 0.87), 0.05, (28, 26, 26))
    solid.ball((0, 0.47, 0.9), 0.035, (240, 236, 215), glow=1.0)
    solid.ball((0, -0.6, 0.66), 0.03, (190, 20, 20), glow=1.0)
    if rng.random() < 2 / 3:
        skin, coat, legs = _pick(rng, SKIN), _pick(rng, CLOTHES), _pick(rng, TROUSERS)
        turn = rng.uniform(0, 2 * np.pi)
        for sign, angle in ((-1, turn), (1, turn + np.pi)):
            pedal = np.array([sign * 0.1, -0.08 + 0.17 * np.cos(angle), 0.3 + 0.17 * np.sin(angle)])
            knee = (np.array([sign * 0.1, -0.25, 0.9]) + pedal) / 2 + (0, 0.24, 0.08)
            solid.group((sign * 0.3, 0, 0.6))
            solid.capsule((sign * 0.09, -0.27, 0.93), knee, 0.085, legs, 0.065)
            solid.capsule(knee, pedal, 0.06, legs, 0.045)
            solid.capsule(pedal - (0, 0.05, 0), pedal + (0, 0.14, 0), 0.04, (30, 26, 24))
        solid.group((0, 0, 1.2))
        lean = rng.uniform(0.14, 0.34)
        for sign in (-1, 1):
            solid.capsule((sign * 0.09, -0.28 + lean, 1.42), (sign * 0.07, -0.27, 0.98), 0.115, coat, 0.115)
        for sign in (-1, 1):
            solid.group((sign * 0.4, 0.1, 1.2))
            elbow = (sign * 0.27, -0.05 + lean / 2, 1.2)
            solid.capsule((sign * 0.19, -0.26 + lean, 1.42), elbow, 0.055, _darker(coat), 0.045)
            solid.capsule(elbow, (sign * 0.24, 0.3, 1.03), 0.045, _darker(coat), 0.038)
        _head(solid, rng, (0, -0.2 + lean, 1.66), skin, helmet=_pick(rng, CLOTHES) if rng.random() < 0.5 else None)
    return solid.freeze()


def motorbike(rng):
    """A motorbike: two fat wheels, a massive engine, tank and seat; nearly always with a helmeted rider."""
    solid = Solid()
    paint = _pick(rng, CLOTHES)
    rear, front, radius = -0.7, 0.72, 0.32
    solid.group((0, 0, 0.5))
    for y in (rear, front):
        solid.ring((0, y, radius), radius - 0.07, 0.16, TYRE)
        solid.ring((0, y, radius), radius - 0.19, 0.03, METAL)
        solid.capsule((-0.05, y, radius), (0.05, y, radius), 0.07, METAL)
    solid.capsule((0, rear, radius), (0, -0.1, 0.5), 0.05, (70, 70, 74))
    for x in (-0.09, 0.09):
        solid.capsule((x, front, radius), (x, 0.44, 0.92), 0.035, METAL)
    solid.capsule((0, -0.22, 0.4), (0, 0.3, 0.42), 0.17, (58, 58, 62), 0.16)
    solid.capsule((0, -0.05, 0.6), (0, 0.28, 0.66), 0.17, (44, 44, 48))
    solid.capsule((0.16, 0.1, 0.34), (0.19, -0.85, 0.44), 0.065, METAL, 0.08)
    solid.capsule((0, -0.12, 0.82), (0, 0.3, 0.88), 0.14, paint, 0.18)
    solid.capsule((0, -0.62, 0.8), (0, -0.14, 0.78), 0.11, (26, 26, 28), 0.12)
    solid.capsule((0, -0.95, 0.86), (0, -0.55, 0.76), 0.06, paint, 0.12)
    solid.capsule((0, front - 0.18, 0.68), (0, front + 0.12, 0.62), 0.07, paint)
    if rng.random() < 0.5:  # fairing and screen
        solid.capsule((0, 0.36, 0.66), (0, 0.56, 0.96), 0.2, paint, 0.17)
        solid.capsule((0, 0.44, 1.1), (0, 0.52, 1.02), 0.12, (70, 78, 86))
    solid.capsule((-0.36, 0.34, 1.02), (0.36, 0.34, 1.02), 0.025, (30, 30, 32))
    solid.capsule((0, 0.6, 0.88), (0, 0.66, 0.88), 0.1, (248, 242, 220), glow=1.0)
    solid.ball((0, -0.98, 0.84), 0.05, (190, 20, 20), glow=1.0)
    if rng.random() < 0.92:
        coat, legs = _pick(rng, CLOTHES), _pick(rng, TROUSERS)
        for sign in (-1, 1):
            solid.group((sign * 0.35, 0, 0.7))
            knee = (sign * 0.24, 0.18, 0.78)
            foot = (sign * 0.2, -0.12, 0.34)
            solid.capsule((sign * 0.12, -0.26, 0.9), knee, 0.1, legs, 0.08)
            solid.capsule(knee, foot, 0.075, legs, 0.055)
            solid.capsule(foot, np.add(foot, (0, 0.18, -0.02)), 0.05, (24, 22, 22))
        solid.group((0, 0, 1.2))
        for sign in (-1, 1):
            solid.capsule((sign * 0.12, 0.0, 1.36), (sign * 0.09, -0.27, 0.95), 0.14, coat, 0.13)
        for sign in (-1, 1):
            solid.group((sign * 0.45, 0.1, 1.2))
            elbow = (sign * 0.38, 0.12, 1.14)
            solid.capsule((sign * 0.22, 0.02, 1.38), elbow, 0.07, _darker(coat), 0.055)
            solid.capsule(elbow, (sign * 0.32, 0.34, 1.05), 0.055, _darker(coat), 0.05)
        helmet = _pick(rng, CLOTHES)
        solid.group((0, 0.1, 1.6))
        solid.capsule((0, 0.09, 1.6), (0, 0.07, 1.64), 0.15, helmet)
        solid.face([(x, 0.245, z) for x, z in ((-0.1, 1.56), (0.1, 1.56), (0.1, 1.66), (-0.1, 1.66))], (26, 30, 36))
    return solid.freeze()


def _head(solid, rng, middle, skin, helmet):
    x, y, z = middle
    solid.group(middle)
    solid.capsule((x, y - 0.02, z - 0.2), (x, y - 0.01, z - 0.08), 0.06, skin)
    solid.capsule((x, y, z - 0.05), (x, y, z + 0.02), 0.1, skin, 0.105)
    hair = ((40, 30, 24), (96, 66, 40), (24, 22, 22), (170, 140, 90), (150, 150, 150))[rng.integers(5)]
    solid.capsule((x, y - 0.03, z + 0.03), (x, y - 0.02, z + 0.05), 0.115, helmet if helmet is not None else hair)


def _pick(rng, colours):
    return np.clip(np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.85, 1.15), 5, 245)


def _darker(colour):
    return np.asarray(colour) * 0.85
