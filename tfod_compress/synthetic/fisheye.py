"""An equidistant fisheye camera: image radius r = f * theta, theta the angle from the optical axis.

The model is the `equidistance projection` of Kannala and Brandt, "A generic camera model and calibration
method for conventional, wide-angle, and fish-eye lenses", PAMI 2006, equation (2). The scene is projected point
by point, outlines sampled densely, so that pixels and boxes go through the same distortion by construction.
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class FisheyeCamera:
    """Where the camera stands, where it looks and how large its picture is.

    World axes: x across the road, y along it, z up, in metres, the ground being z = 0. Picture axes: x to the
    right, y down, in pixels, the first pixel covering [0, 1).

    Attributes:
      width, height: the picture's size in pixels.
      field_of_view: horizontal field of view in degrees.
      position: (x, y, z) in metres.
      yaw: direction of view in radians, 0 along the road, positive to the right.
      pitch: in radians, positive downwards.
      roll: in radians, positive clockwise.
    """

    width: int
    height: int
    field_of_view: float = 120.0
    position: tuple = (0.0, 0.0, 1.5)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def focal(self):
        """Pixels a radian: the edge of the width is seen at half the field of view."""
        return self.width / np.radians(self.field_of_view)

    @functools.cached_property
    def rotation(self):
        """float64 [3, 3]: rows are the camera's right, down and forward axes in the world."""
        sin_yaw, cos_yaw = np.sin(self.yaw), np.cos(self.yaw)
        sin_pitch, cos_pitch = np.sin(self.pitch), np.cos(self.pitch)
        right = np.array([cos_yaw, -sin_yaw, 0.0])
        forward = np.array([sin_yaw * cos_pitch, cos_yaw * cos_pitch, -sin_pitch])
        down = np.cross(forward, right)
        sin_roll, cos_roll = np.sin(self.roll), np.cos(self.roll)
        return np.stack([cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right, forward])

    def to_camera(self, points):
        """World points [..., 3] in metres, seen from the camera: right, down, forward."""
        return (np.asarray(points, np.float64) - self.position) @ self.rotation.T

    def project(self, points):
        """World points [..., 3] to (pixels float64 [..., 2], distance in metres [...]).

        Defined all around the camera but straight behind it, so nothing needs to be clipped at its side.
        """
        return self.project_seen(self.to_camera(points))

    def project_seen(self, seen):
        """As `project`, of points in the camera's own axes, as `to_camera` gives them."""
        across = np.hypot(seen[..., 0], seen[..., 1])
        theta = np.arctan2(across, seen[..., 2])
        scale = self.focal * theta / np.maximum(across, 1e-9)
        pixels = seen[..., :2] * scale[..., None] + (self.width / 2, self.height / 2)
        return pixels, np.hypot(across, seen[..., 2])

    def sees(self, middle, radius):
        """Whether a ball around the world point `middle` [3], `radius` in metres, may be in the picture."""
        seen = self.to_camera(middle)
        distance = float(np.linalg.norm(seen))
        if distance <= radius:
            return True
        corner = np.hypot(self.width, self.height) / 2 / self.focal
        return np.arccos(seen[2] / distance) - np.arcsin(radius / distance) < corner

    def rays(self):
        """float32 [height, width, 3]: the unit directions, in the world, in which the pixels' centres look."""
        x = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        y = (np.arange(self.height) + 0.5 - self.height / 2) / self.focal
        x, y = np.meshgrid(x, y)
        theta = np.hypot(x, y)
        sine = np.sinc(theta / np.pi)  # sin(theta) / theta
        seen = np.stack([x * sine, y * sine, np.cos(theta)], axis=-1)
        return (seen @ self.rotation).astype(np.float32)
