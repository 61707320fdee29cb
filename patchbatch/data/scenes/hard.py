"""Made scenes for learning the motion of what cannot be matched: hidden, out of the frame, near and fast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from patchbatch.data.scenes.geometry import (
    Motion,
    View,
    about,
    box,
    painted_plane,
    panel,
    pinhole,
    turn,
)
from patchbatch.data.scenes.render import Array, Image, ScenePair, Surface, flow_at, render_pair
from patchbatch.data.scenes.textures import (
    Mask,
    blob,
    limb,
    patch,
    pick,
    varied,
    with_holes,
)

Size = tuple[int, int]
Maker = Callable[[list[Image], list[Image], Size, np.random.Generator], list[Surface]]

# The sizes in pixels below hold at this width of the frame; at others they scale with it.
USUAL_WIDTH = 640

# Longer motions are drawn again: they are of a few pixels that pass the camera almost through its lens.
LONGEST_MOTION = 400


def hard_pair(
    photos: list[Image],
    frames: list[Image],
    size: Size,
    rng: np.random.Generator,
    kind: str | None = None,
) -> ScenePair:
    """Render a pair in which much is hidden, leaves the frame or moves far.

    The pair is in perfect light; see `photometric.worsen_pair`.

    Parameters
    ----------
    photos
        Colour photographs `(h, w, 3)` float32 in [0, 1], of any size.
    frames
        Such photographs, taken by a driving camera with the horizon near the middle.
    size
        (height, width) of the frames in pixels.
    rng
        Source of all randomness.
    kind
        A key of `KINDS`; None: a random one.

    Raises
    ------
    KeyError
        For an unknown kind.
    """
    if kind is None:
        kind = str(rng.choice(list(KINDS), p=[weight for _, weight in KINDS.values()]))
    maker = KINDS[kind][0]
    surfaces = maker(photos, frames, size, rng)
    while _longest(surfaces, size) > LONGEST_MOTION * size[1] / USUAL_WIDTH:
        surfaces = maker(photos, frames, size, rng)
    return render_pair(surfaces, size, origin2=(0.0, 0.0))


def _longest(surfaces: list[Surface], size: Size) -> float:
    step = max(size[1] // 100, 1)
    y, x = np.mgrid[0 : size[0] : step, 0 : size[1] : step]
    border = np.array([[u, v] for u in np.linspace(0, size[1] - 1, 50) for v in (0, size[0] - 1)])
    pixels = np.concatenate([np.stack([x.ravel(), y.ravel()], axis=1), border]).astype(np.float64)
    return float(np.abs(flow_at(surfaces, pixels)).max())


# Streets


def street(photos: list[Image], frames: list[Image], size: Size, rng: np.random.Generator) -> list[Surface]:
    """Return a street with parked and moving cars and poles, seen by a camera that drives on."""
    forward = float(rng.choice([-1, 1], p=[0.08, 0.92]) * rng.uniform(0.3, 2.0))
    view = _driving_view(size, forward, rng)
    ground = rng.uniform(1.3, 1.9)
    surfaces: list[Surface] = []
    for side in (-1, 1):
        parked, lane = rng.random() < 0.7, rng.random() < 0.35
        edge = rng.uniform(1.3, 2.4) + (2.3 if lane else 0)
        if lane:
            surfaces += _moving_car(photos, side * rng.uniform(1.9, 2.6), ground, forward, view, rng)
        if parked:
            surfaces += _parked_cars(photos, side, edge, ground, view, rng)
        surfaces += _poles(photos, side, edge, ground, view, rng)
        wall = edge + 2.2 if parked or lane else rng.uniform(2, 6)
        surfaces.append(_wall(frames, side, rng.choice([wall, rng.uniform(wall, 15)]), view, rng))
    if rng.random() < 0.3:
        surfaces += _moving_car(photos, rng.uniform(-0.7, 0.7), ground, forward, view, rng, ahead=True)
    return surfaces + _far_and_flat(frames, ground, view, rng)


def _driving_view(size: Size, forward: float, rng: np.random.Generator) -> View:
    """Return a camera of which the frame is all, or a part below or at a side (as training crops are)."""
    larger = rng.uniform(1.0, 1.6) if rng.random() < 0.5 else 1.0
    width, spare = larger * size[1], (larger - 1) * np.array(size[::-1])
    corner = rng.beta((0.5, 1.0), (0.5, 0.7)) * spare
    horizon = rng.uniform(0.35, 0.55) * larger * size[0]
    intrinsics = pinhole(width, (width / 2 - corner[0], horizon - corner[1]))
    first = turn(tuple(rng.normal(0, [0.01, 0.03, 0.006])), np.array([0.0, 0.0, -rng.uniform(-1, 1)]))
    yaw = np.radians(rng.uniform(-3, 3)) if rng.random() < 0.35 else rng.normal(0, 0.004)
    shift = np.array([rng.normal(0, 0.03), rng.normal(0, 0.012), -forward])
    step = turn((rng.normal(0, 0.004), yaw, rng.normal(0, 0.003)), shift)
    return View(intrinsics, (first, first.then(step)))


def _paint(frames: list[Image], rng: np.random.Generator) -> tuple[Image, Array]:
    """Return a driving frame and the camera that took it."""
    frame = pick(frames, rng)
    height, width = frame.shape[:2]
    # Shown larger than it was taken, or else the near road would lie below it.
    return frame, pinhole(width * rng.uniform(0.5, 0.8), (width / 2, height * rng.uniform(0.42, 0.52)))


def _wall(frames: list[Image], side: int, distance: float, view: View, rng: np.random.Generator) -> Surface:
    photo, intrinsics = _paint(frames, rng)
    normal = np.array([side, rng.normal(0, 0.02), rng.normal(0, 0.04)])
    return painted_plane(varied(photo, rng, plain=0.1, repeat=0.0), intrinsics, normal, distance, view)


def _far_and_flat(frames: list[Image], ground: float, view: View, rng: np.random.Generator) -> list[Surface]:
    """Return the road, the far end of the street, and trees or sky above it."""
    photo, intrinsics = _paint(frames, rng)
    road = varied(photo, rng, plain=0.25, repeat=0.0)
    tilt = rng.normal(0, 0.01, 3)
    return [
        painted_plane(road, intrinsics, np.array([tilt[0], 1.0, 0.0]), ground, view),
        painted_plane(photo, intrinsics, np.array([tilt[1], 0.0, 1.0]), rng.uniform(25, 120), view),
        painted_plane(photo, intrinsics, np.array([tilt[2], -1.0, 0.0]), rng.uniform(12, 60), view),
    ]


def _parked_cars(
    photos: list[Image], side: int, edge: float, ground: float, view: View, rng: np.random.Generator
) -> list[Surface]:
    """Return a row of cars whose near sides lie `edge` metres beside the camera."""
    surfaces: list[Surface] = []
    z = rng.uniform(0.5, 6)
    for _ in range(int(rng.integers(1, 5))):
        base = np.array([side * (edge + 0.9 + abs(rng.normal(0, 0.1))), ground, z])
        surfaces += _car(photos, base, rng.normal(0, 0.04), view, np.zeros(3), rng)
        z += 4.3 + rng.exponential(1.5)
    return surfaces


def _moving_car(
    photos: list[Image], x: float, ground: float, forward: float, view: View, rng: np.random.Generator,
    ahead: bool = False,
) -> list[Surface]:  # fmt: skip
    """Return a car that comes nearer or goes away, seen from the front or the back."""
    z = rng.uniform(6, 25) if ahead else rng.uniform(4.5, 14)
    if ahead or rng.random() < 0.25:
        own = forward + rng.normal(0, 0.6)
    else:
        # A near oncoming car grows by up to 1.6.
        own = float(np.clip(forward - (z - 2) * (1 - 1 / rng.uniform(1.15, 1.6)), -2.0, -0.3))
    base = np.array([x, ground, z])
    return _car(photos, base, rng.normal(0, 0.06), view, np.array([rng.normal(0, 0.05), 0, own]), rng)


def _car(
    photos: list[Image], base: Array, yaw: float, view: View, own: Array, rng: np.random.Generator
) -> list[Surface]:
    """Return a car (a body and a narrower cabin above it) or a van (one box)."""
    motion = about(base, rng.normal(0, 0.015) if own.any() else 0.0, own)
    width, length = rng.uniform(1.6, 1.85), rng.uniform(3.6, 4.6)
    photo, paint = pick(photos, rng), rng.uniform(0.02, 0.98) + rng.normal(0, 0.12, 3)
    if rng.random() < 0.2:
        faces = _car_faces(photo, paint, (length, 2.2), rng, glass=0.4)
        return box(faces, base, (width, rng.uniform(1.8, 2.6), length), yaw, view, motion)
    height = rng.uniform(0.8, 1.0)
    body = box(
        _car_faces(photo, paint, (length, height), rng), base, (width, height, length), yaw, view, motion
    )
    above = base + turn((0, yaw, 0)).rotation @ np.array([0, -height, rng.uniform(-0.1, 0.1) * length])
    extent = (0.88 * width, rng.uniform(0.45, 0.7), rng.uniform(0.45, 0.7) * length)
    cabin = _car_faces(photo, paint, (extent[2], extent[1]), rng, glass=0.85, wheels=False)
    return body + box(cabin, above, extent, yaw, view, motion)


def _car_faces(
    photo: Image, paint: Array, side: tuple[float, float], rng: np.random.Generator,
    glass: float = 0.0, wheels: bool = True,
) -> list[Image]:  # fmt: skip
    """Return the textures of the five faces; `side`: length and height (metres) of the long ones."""
    scale = 60
    long, tall = int(scale * side[0]), max(int(scale * side[1]), 24)
    shapes = [(tall, 110), (tall, 110), (tall, long), (tall, long), (long, 110)]
    kept = np.float32(rng.uniform(0.1, 0.7) if rng.random() < 0.8 else 1.0)
    faces: list[Image] = []
    for number, shape in enumerate(shapes):
        light = 1.1 if number == 4 else rng.uniform(0.6, 1.0)
        plain = (1 - kept) * np.clip(paint * light, 0, 1)
        face: Image = np.asarray(kept * patch(photo, shape, rng) + plain, np.float32)
        if glass and number < 4:
            _darken(face, glass)
        if wheels and number in (2, 3):
            _add_wheels(face)
        faces.append(face)
    return faces


def _darken(face: Image, share: float) -> None:
    """Put windows in the upper part of a face."""
    height, width = face.shape[:2]
    margin = max(height // 12, 2)
    face[margin : int(share * height), 2 * margin : width - 2 * margin] *= 0.3


def _add_wheels(face: Image) -> None:
    height, width = face.shape[:2]
    y, x = np.mgrid[:height, :width]
    for place in (0.18, 0.82):
        distance = np.hypot(x - place * width, y - (height - 16))
        face[distance < 20] *= 0.15
        face[distance < 11] += 0.3


def _poles(
    photos: list[Image], side: int, edge: float, ground: float, view: View, rng: np.random.Generator
) -> list[Surface]:
    """Return poles and thin trunks at the edge of the road."""
    surfaces: list[Surface] = []
    for _ in range(int(rng.integers(0, 3))):
        width, height = rng.uniform(0.06, 0.4), rng.uniform(2.5, 9)
        corner = np.array(
            [side * (edge + rng.uniform(-0.3, 0.8)) - width / 2, ground - height, rng.uniform(3, 20)]
        )
        texture = patch(pick(photos, rng), (int(height * 50), max(int(width * 60), 4)), rng)
        texture = np.asarray(texture * rng.uniform(0.4, 1), np.float32)
        surfaces += panel(texture, corner, np.array([width, 0, 0]), np.array([0, height, 0]), view)
    return surfaces


# Layers


def layers(photos: list[Image], frames: list[Image], size: Size, rng: np.random.Generator) -> list[Surface]:
    """Return a ground with one to seven flat shapes in front of it, each with a motion of its own."""
    camera = _planar_motion(size, rng, shift=8.0)
    surfaces = [_layer(pick(photos + frames, rng), size, camera, 0, None, rng)]
    for rank in range(1, int(rng.integers(2, 9))):
        motion = _planar_motion(size, rng, shift=14.0) @ camera
        photo = varied(pick(photos, rng), rng)
        place = rng.uniform(-0.05, 1.05, 2) * size[::-1]
        surfaces.append(_layer(photo, size, motion, rank, place, rng))
    return surfaces


def _layer(
    photo: Image, size: Size, motion: Array, rank: int, place: Array | None, rng: np.random.Generator
) -> Surface:
    """Return one flat shape at a `place` (x, y) of the frame (None: all of the frame)."""
    height, width = photo.shape[:2]
    middle = np.array(size[::-1]) / 2 if place is None else place
    aim = rng.uniform(0.3, 0.7, 2) * (width, height)
    zoom = np.exp(rng.uniform(np.log(0.5), np.log(1.3)))
    view1 = _similarity(zoom, rng.normal(0, 0.3), middle, aim)
    nearness = np.array([0.0, 0.0, 1.0 + rank])
    mask = None
    if place is not None:
        pixel = zoom * size[1] / USUAL_WIDTH
        thin = rng.random() < 0.3
        mask = _limb_mask(photo, aim, pixel, rng) if thin else _blob_mask(photo, aim, zoom, size, rng)
        # Shapes turn about themselves; a limb about one of its ends, nearly.
        angle, growth = rng.normal(0, 0.3 if thin else 0.1), np.exp(rng.normal(0, 0.12))
        motion = motion @ _similarity(growth, angle, place, place)
    return Surface(photo, (view1, view1 @ np.linalg.inv(motion)), (nearness, nearness), mask)


def _blob_mask(photo: Image, centre: Array, zoom: float, size: Size, rng: np.random.Generator) -> Mask:
    radius = np.exp(rng.uniform(np.log(0.04), np.log(0.45))) * min(size) * zoom
    mask = blob((photo.shape[0], photo.shape[1]), centre, radius, rng)
    return with_holes(mask, 0.5 * radius, rng) if rng.random() < 0.25 else mask


def _limb_mask(photo: Image, start: Array, pixel: float, rng: np.random.Generator) -> Mask:
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(40, 300) * pixel
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    return limb((photo.shape[0], photo.shape[1]), start, end, rng.uniform(4, 20) * pixel)


def _similarity(zoom: float, angle: float, source: Array, target: Array) -> Array:
    """Return the 3x3 map that turns and zooms about `source` and puts it at `target`."""
    matrix = np.eye(3)
    matrix[:2, :2] = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:2, 2] = target - matrix[:2, :2] @ source
    return matrix


def _planar_motion(size: Size, rng: np.random.Generator, shift: float) -> Array:
    middle = np.array(size[::-1]) / 2
    move = _heavy_tailed(shift, 80.0, rng) * size[1] / USUAL_WIDTH
    return _similarity(np.exp(rng.normal(0, 0.05)), rng.normal(0, 0.03), middle, middle + move)


def _heavy_tailed(usual: float, largest: float, rng: np.random.Generator) -> Array:
    """Return a vector (x, y) of random direction: half shorter than `usual`, all than `largest`."""
    length = min(usual * abs(rng.standard_cauchy()), largest)
    angle = rng.uniform(0, 2 * np.pi)
    return length * np.array([np.cos(angle), np.sin(angle)])


# Rooms


def indoor(photos: list[Image], frames: list[Image], size: Size, rng: np.random.Generator) -> list[Surface]:
    """Return a room of slanted planes, plain or repeating in part, with large things moving in front."""
    middle = (size[1] * rng.uniform(0.4, 0.6), size[0] * rng.uniform(0.4, 0.6))
    step = turn(tuple(rng.normal(0, [0.008, 0.02, 0.01])), rng.normal(0, [0.08, 0.05, 0.12]))
    first = turn(tuple(rng.normal(0, [0.05, 0.25, 0.05])))
    view = View(pinhole(size[1], middle), (first, first.then(step)))
    surfaces = _room(photos, view, rng)
    for _ in range(int(rng.integers(2, 6))):
        surfaces += _thing(photos, size, view, rng)
    return surfaces


def _room(photos: list[Image], view: View, rng: np.random.Generator) -> list[Surface]:
    """Return a far wall, side walls, floor and ceiling, each 2 to 9 m away."""
    depth, left, right, up, down = rng.uniform([3, 2, 2, 1.5, 1.0], [9, 6, 6, 4, 2.0])
    scale = rng.uniform(3, 8)
    x, y, z = np.eye(3) * scale
    places = [
        (np.array([0, 0, depth]), x, y),
        (np.array([-left, 0, depth]), z, y),
        (np.array([right, 0, depth]), z, y),
        (np.array([0, -up, depth]), x, z),
        (np.array([0, down, depth]), x, z),
    ]
    surfaces: list[Surface] = []
    for corner, across, downward in places:
        texture = varied(pick(photos, rng), rng, plain=0.4, repeat=0.2)
        slant = turn(tuple(rng.normal(0, 0.08, 3))).rotation
        surfaces += panel(texture, corner, slant @ across, slant @ downward, view, endless=True)
    return surfaces


def _thing(photos: list[Image], size: Size, view: View, rng: np.random.Generator) -> list[Surface]:
    """Return a slanted flat shape 0.8 to 3 m away that moves by up to 150 px, grows and turns."""
    photo = pick(photos, rng)
    texture = varied(photo, rng, plain=0.25, repeat=0.1)
    h, w = texture.shape[:2]
    depth, focal = rng.uniform(0.8, 2.8), view.intrinsics[0, 0]
    pixel = np.append(rng.uniform(0, 1, 2) * size[::-1], 1.0)
    camera = view.poses[0]
    centre = camera.rotation.T @ (depth * np.linalg.inv(view.intrinsics) @ pixel - camera.translation)
    extent = rng.uniform(0.2, 1.0) * size[1] / focal * depth * np.array([1.0, h / w])
    slant = camera.rotation.T @ turn(tuple(rng.normal(0, [0.3, 0.4, 0.5]))).rotation
    across, down = slant[:, 0] * extent[0], slant[:, 1] * extent[1]
    move = np.append(_heavy_tailed(35.0, 150.0, rng) * size[1] / USUAL_WIDTH, 0.0) * depth / focal
    move[2] = depth * np.clip(rng.normal(0, 0.1), -0.3, 0.3)
    rotation = turn(tuple(rng.normal(0, [0.08, 0.1, 0.15]))).rotation
    motion = Motion(rotation, centre + camera.rotation.T @ move - rotation @ centre)
    radius = min(h, w) * rng.uniform(0.25, 0.45)
    mask = blob((h, w), np.array([w, h]) / 2, radius, rng)
    if rng.random() < 0.3:
        mask = with_holes(mask, 0.4 * radius, rng)
    return panel(texture, centre - (across + down) / 2, across, down, view, motion, mask)


KINDS: dict[str, tuple[Maker, float]] = {
    "street": (street, 0.5),
    "layers": (layers, 0.25),
    "indoor": (indoor, 0.25),
}
"""Kinds of `hard_pair`: what makes the scene, and how often it is chosen; the shares sum to 1."""
