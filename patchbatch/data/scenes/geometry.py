"""Planes and boxes of a world in metres, put before a camera that moves.

World and camera axes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.scenes.render import Array, Image, Surface

# Focal length over image width of a common driving camera.
FOCAL = 0.58


@dataclass(frozen=True)
class Motion:
    """A rigid motion of points: x -> rotation x + translation (metres)."""

    rotation: Array
    translation: Array

    def then(self, later: Motion) -> Motion:
        """Return this motion followed by another."""
        return Motion(later.rotation @ self.rotation, later.rotation @ self.translation + later.translation)

    def __call__(self, points: Array) -> Array:
        """Move points `(..., 3)`."""
        moved: Array = points @ self.rotation.T + self.translation
        return moved


STILL = Motion(np.eye(3), np.zeros(3))


@dataclass(frozen=True)
class View:
    """A pinhole camera at two times.

    Attributes
    ----------
    intrinsics
        3x3, camera coordinates to pixels of a frame.
    poses
        World to camera coordinates, in frame 1 and in frame 2.
    """

    intrinsics: Array
    poses: tuple[Motion, Motion]


def pinhole(width: float, centre: tuple[float, float]) -> Array:
    """Return the 3x3 intrinsics of a camera with images `width` px wide and this principal point (px)."""
    return np.array([[FOCAL * width, 0, centre[0]], [0, FOCAL * width, centre[1]], [0, 0, 1.0]])


def turn(angles: tuple[float, float, float], translation: Array | None = None) -> Motion:
    """Return a motion from a rotation vector (radians: pitch, yaw, roll) and a translation (metres)."""
    rotation = np.asarray(cv2.Rodrigues(np.array(angles, np.float64))[0], np.float64)
    return Motion(rotation, np.zeros(3) if translation is None else translation)


def about(centre: Array, yaw: float, translation: Array) -> Motion:
    """Return the motion of a thing that turns upright around its centre by `yaw` and moves on."""
    rotation = turn((0.0, yaw, 0.0)).rotation
    return Motion(rotation, centre + translation - rotation @ centre)


def painted_plane(
    photo: Image, photo_intrinsics: Array, normal: Array, distance: float, view: View
) -> Surface:
    """Return the plane normal.X = distance, painted by a photograph taken at the origin of the world.

    Parameters
    ----------
    photo
        `(h, w, 3)`, mirrored where the plane goes beyond it.
    photo_intrinsics
        3x3, of the camera that took it looking along z.
    normal, distance
        `(3,)` and metres.
    view
        Who looks at it.
    """
    to_texture, nearness = [], []
    for pose in view.poses:
        seen = pose.rotation + np.outer(pose.translation, normal) / distance
        back = photo_intrinsics @ np.linalg.inv(seen) @ np.linalg.inv(view.intrinsics)
        to_texture.append(back / np.abs(back).max())
        turned = pose.rotation @ normal
        nearness.append(turned @ np.linalg.inv(view.intrinsics) / (distance + turned @ pose.translation))
    return Surface(photo, (to_texture[0], to_texture[1]), (nearness[0], nearness[1]))


def panel(
    texture: Image,
    corner: Array,
    across: Array,
    down: Array,
    view: View,
    motion: Motion = STILL,
    mask: NDArray[np.bool_] | None = None,
    endless: bool = False,
    one_sided: bool = False,
) -> list[Surface]:
    """Return a flat textured parallelogram; nothing where it is seen edge-on.

    Parameters
    ----------
    texture
        `(h, w, 3)`, stretched over the parallelogram.
    corner, across, down
        `(3,)` metres: where the top left texel lies in frame 1, and the texture's upper and left edges.
    view, motion
        Who looks at it, and how it moves itself between the frames.
    mask
        `(h, w)` bool, where it exists; None: on all of the texture.
    endless
        True: it goes on beyond its edges, the texture being mirrored there; `mask` is ignored.
    one_sided
        True: nothing if both frames see its back (the side from which `across` points left).
    """
    height, width = texture.shape[:2]
    to_texture, nearness, sides = [], [], []
    for pose in (view.poses[0], motion.then(view.poses[1])):
        columns = np.stack([pose.rotation @ across, pose.rotation @ down, pose(corner)], axis=1)
        normal = np.cross(columns[:, 0], columns[:, 1])
        normal /= np.linalg.norm(normal)
        distance = float(normal @ columns[:, 2])
        if abs(distance) < 1e-3:
            return []
        sides.append(distance > 0)
        scale = np.diag([width - 1.0, height - 1.0, 1.0])
        to_texture.append(scale @ np.linalg.inv(view.intrinsics @ columns))
        nearness.append(normal @ np.linalg.inv(view.intrinsics) / distance)
    if one_sided and not any(sides):
        return []
    if mask is None:
        mask = np.ones((height, width), np.bool_)
    shape = None if endless else mask
    return [Surface(texture, (to_texture[0], to_texture[1]), (nearness[0], nearness[1]), shape)]


def box(
    textures: list[Image],
    base: Array,
    extent: tuple[float, float, float],
    yaw: float,
    view: View,
    motion: Motion,
) -> list[Surface]:
    """Return the faces of an upright box that can be seen.

    Parameters
    ----------
    textures
        Of the front (towards smaller z), back, left, right and top face.
    base
        `(3,)` metres, the middle of the bottom face.
    extent
        Width, height and length in metres, along x, y and z before the box is turned.
    yaw
        Radians.
    view, motion
        Who looks at it, and how it moves itself between the frames.
    """
    w, h, l = extent  # noqa: E741
    x, z = w / 2, l / 2
    corners = np.array([[-x, -h, -z], [x, -h, z], [-x, -h, z], [x, -h, -z], [-x, -h, z]])
    across = np.array([[w, 0, 0], [-w, 0, 0], [0, 0, -l], [0, 0, l], [w, 0, 0]])
    down = np.array([[0, h, 0]] * 4 + [[0, 0, -l]])
    place = turn((0.0, yaw, 0.0), base)
    edges = zip(place(corners), across @ place.rotation.T, down @ place.rotation.T, strict=True)
    faces: list[Surface] = []
    for texture, (corner, right, below) in zip(textures, edges, strict=True):
        faces += panel(texture, corner, right, below, view, motion, one_sided=True)
    return faces
