"""Random scenes for training: layers that move over each other, and streets seen by a moving camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.scenes.render import Array, Image, ScenePair, Surface, render_pair

# What comes near grows: at the border of KITTI's frames by a quarter to two thirds between two frames.
LARGEST_ZOOM = 1.8


def layered_pair(textures: list[Image], size: tuple[int, int], rng: np.random.Generator) -> ScenePair:
    """Render a photograph with up to four blobs of other photographs moving in front of it.

    Affine motion of each layer (rotation, zoom up to about `LARGEST_ZOOM`, stretch, shear, up to 25 px
    relative to the ground), and a smooth bend of the whole first frame.

    Parameters
    ----------
    textures
        Grey photographs `(h, w)` float32 in [0, 1], of any size.
    size
        (height, width) of the rendered frames in pixels.
    rng
        Source of all randomness.
    """
    surfaces = []
    for index in range(1 + int(rng.integers(0, 5))):
        texture = textures[rng.integers(len(textures))]
        view1 = _random_view(texture.shape[:2], size, rng)
        motion = _random_affine(size, rng, shift=0.0 if index == 0 else 25.0)
        view2 = view1 @ np.linalg.inv(motion)
        nearness = np.array([0.0, 0.0, 1.0 + index])
        mask = None if index == 0 else _blob_mask(texture.shape[:2], size, view1, rng)
        surfaces.append(Surface(texture, (view1, view2), (nearness, nearness), mask))
    bend = _smooth_field(size, rng, amplitude=float(rng.uniform(0, 4)))
    return render_pair(surfaces, size, bend=bend)


def street_pair(
    photo: Image, textures: list[Image], size: tuple[int, int], rng: np.random.Generator
) -> ScenePair:
    """Render a window of a street: ground, walls, a far end and boxes, seen by a camera that drives on.

    Ground, walls and end are painted with `photo`, a frame of a driving camera, as seen from where it was
    taken; so near texture is strongly foreshortened and grows from frame to frame as it does in real drives.
    Boxes carry other textures and motions of their own. Windows lie more often below and at the sides of the
    frame, where things are near.

    Parameters
    ----------
    photo
        Grey photograph `(h, w)` float32 in [0, 1], taken with the horizon near the middle.
    textures
        Grey photographs for the boxes.
    size
        (height, width) of the rendered window in pixels.
    rng
        Source of all randomness.
    """
    height, width = photo.shape[:2]
    intrinsics = np.array(
        [[0.58 * width, 0, width / 2], [0, 0.58 * width, height * rng.uniform(0.4, 0.55)], [0, 0, 1]]
    )
    pose1 = _drive(rng, forward=rng.uniform(-0.3, 0.6))
    step = _drive(rng, forward=rng.choice([-1, 1], p=[0.2, 0.8]) * rng.uniform(0.1, 2.5))
    pose2 = (step[0] @ pose1[0], step[0] @ pose1[1] + step[1])
    surfaces = [
        _plane(photo, intrinsics, normal, distance, pose1, pose2) for normal, distance in _street_planes(rng)
    ]
    for _ in range(int(rng.integers(0, 4))):
        surfaces.append(_box(textures[rng.integers(len(textures))], intrinsics, pose1, pose2, rng))
    spare = np.maximum(np.array([width, height]) - size[::-1], 1)
    origin = rng.beta((0.5, 1.0), (0.5, 0.7)) * spare
    return render_pair(surfaces, size, (float(np.floor(origin[0])), float(np.floor(origin[1]))))


Pose = tuple[Array, Array]


def _street_planes(rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Return normals and distances (metres) in the frame of the camera: x right, y down, z forward."""
    tilt = rng.normal(0, 0.02, 6)
    return [
        (np.array([tilt[0], 1.0, tilt[1]]), 1.65),  # the ground below a car's camera
        (np.array([-1.0, tilt[2], tilt[3]]), rng.uniform(3, 15)),
        (np.array([1.0, tilt[4], tilt[5]]), rng.uniform(3, 15)),
        (np.array([0.0, 0.0, 1.0]), rng.uniform(25, 120)),
        (np.array([0.0, -1.0, 0.0]), rng.uniform(15, 60)),  # a ceiling: trees, sky
    ]


def _drive(rng: np.random.Generator, forward: float) -> Pose:
    angles = rng.normal(0, [0.006, 0.02, 0.004])
    rotation = np.asarray(cv2.Rodrigues(angles)[0], np.float64)
    translation = np.array([rng.normal(0, 0.04), rng.normal(0, 0.015), -forward])
    return rotation, translation


def _plane(
    texture: Image, intrinsics: Array, normal: Array, distance: float, pose1: Pose, pose2: Pose,
    mask: NDArray[np.bool_] | None = None, to_texture: Array | None = None,
) -> Surface:  # fmt: skip
    """Place a plane n.X = d of the photo's camera before two poses; `to_texture`: photo to texture pixel."""
    inverse = np.linalg.inv(intrinsics)
    homographies, nearnesses = [], []
    for rotation, translation in (pose1, pose2):
        seen = intrinsics @ (rotation + np.outer(translation, normal) / distance) @ inverse
        back = np.linalg.inv(seen)
        homographies.append(back if to_texture is None else to_texture @ back)
        turned = rotation @ normal
        nearnesses.append(turned @ inverse / (distance + turned @ translation))
    return Surface(texture, (homographies[0], homographies[1]), (nearnesses[0], nearnesses[1]), mask)


def _box(texture: Image, intrinsics: Array, pose1: Pose, pose2: Pose, rng: np.random.Generator) -> Surface:
    """Place a car-sized upright rectangle on the street that moves by itself between the frames."""
    depth, side = rng.uniform(6, 30), rng.uniform(-5, 5)
    width, height = rng.uniform(1.5, 4), rng.uniform(1.2, 3)
    normal = np.array([rng.normal(0, 0.4), 0.0, 1.0])
    centre = np.array([side, 1.65 - height / 2, depth])
    corners = (
        centre
        + np.array([[-width, -height, 0], [width, -height, 0], [width, height, 0], [-width, height, 0]]) / 2
    )
    corners[:, 2] = (normal @ centre - corners @ [normal[0], normal[1], 0.0]) / normal[2]
    projected = corners @ intrinsics.T
    quad = (projected[:, :2] / projected[:, 2:]).astype(np.float32)
    h, w = texture.shape[:2]
    size = np.minimum(
        np.array([quad[1, 0] - quad[0, 0], quad[3, 1] - quad[0, 1]]) * rng.uniform(0.8, 1.6), [w, h]
    )
    size = np.maximum(size, 8)
    start = rng.uniform(0, 1, 2) * (np.array([w, h]) - size)
    target = (start + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (size - 1)).astype(np.float32)
    own = np.array([rng.normal(0, 0.3), 0.0, rng.normal(0, 0.8)])
    moved = (pose2[0], pose2[1] + pose2[0] @ own)
    mask = np.zeros((h, w), np.bool_)
    (x0, y0), (x1, y1) = np.rint(target[0]).astype(int), np.rint(target[2]).astype(int)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    photo_to_texture = np.asarray(cv2.getPerspectiveTransform(quad, target), np.float64)
    return _plane(texture, intrinsics, normal, float(normal @ centre), pose1, moved, mask, photo_to_texture)


def _random_view(texture_shape: tuple[int, ...], size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return a similarity from frame pixels to a random part of the texture."""
    zoom = np.exp(rng.uniform(np.log(0.6), np.log(1.5)))
    angle = rng.normal(0, 0.3)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    place = rng.uniform(0.2, 0.8, 2) * np.array(texture_shape[1::-1])
    return _centred(linear, np.array(size[::-1]) / 2, place)


def _random_affine(size: tuple[int, int], rng: np.random.Generator, shift: float) -> Array:
    """Return the motion of a layer: pixel of frame 1 to pixel of frame 2."""
    # Half of the layers keep about their size, as most of what is filmed does.
    growth = rng.normal(0, 0.1) if rng.random() < 0.5 else rng.uniform(-1, 1) * np.log(LARGEST_ZOOM)
    angle, zoom = rng.normal(0, 0.12), np.exp(rng.normal(0, 0.12, 2) + growth)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, rng.normal(0, 0.06)], [0.0, 1.0]])
    centre = np.array(size[::-1]) / 2
    return _centred(turn @ shear @ np.diag(zoom), centre, centre + rng.uniform(-shift, shift, 2))


def _centred(linear: Array, source: Array, target: Array) -> Array:
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = target - linear @ source
    return matrix


def _blob_mask(
    texture_shape: tuple[int, ...], size: tuple[int, int], view: Array, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return a random smooth shape around the part of the texture that a random place of the frame shows."""
    place = rng.uniform(0, 1, 2) * np.array(size[::-1])
    centre = view[:2, :2] @ place + view[:2, 2]
    radius = rng.uniform(0.08, 0.4) * min(size) * np.sqrt(abs(np.linalg.det(view[:2, :2])))
    y, x = np.mgrid[: texture_shape[0], : texture_shape[1]]
    dx, dy = (x - centre[0]) * rng.uniform(0.6, 1.6), y - centre[1]
    wobble = sum(
        rng.normal(0, 0.25 / k) * np.cos(k * np.arctan2(dy, dx) + rng.uniform(0, 2 * np.pi))
        for k in range(2, 6)
    )
    mask: NDArray[np.bool_] = np.hypot(dx, dy) < radius * (1 + wobble)
    return mask


def _smooth_field(size: tuple[int, int], rng: np.random.Generator, amplitude: float) -> NDArray[np.float32]:
    coarse = rng.normal(0, 1, (4, 4, 2)).astype(np.float32) * amplitude
    field = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32)
