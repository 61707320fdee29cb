"""Two frames of a made scene, with exact flow and occlusion.

A scene is a set of textured planes. In each frame a plane is seen through a homography, and the nearest
plane wins at each pixel, so flow and visibility follow in closed form: no rendered depth, no search.
Flat layers in front of each other are the special case of constant depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """A textured plane.

    Attributes
    ----------
    texture
        `(h, w)` or `(h, w, 3)` float32 in [0, 1].
    to_texture
        Two 3x3 homographies: pixel (x, y, 1) of frame 1 and of frame 2 -> texture pixel.
    nearness
        Two 3-vectors: inner product with (x, y, 1) is the inverse depth at that pixel of each frame.
        The largest positive one is seen.
    mask
        `(h, w)` bool, where the surface exists; None: everywhere, the texture being mirrored at its border.
    """

    texture: Image
    to_texture: tuple[Array, Array]
    nearness: tuple[Array, Array]
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class ScenePair:
    """What `render_pair` makes.

    Attributes
    ----------
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1].
    flow
        `(H, W, 2)` float32, pixels of frame 1 to frame 2; defined for occluded pixels too.
    visible
        `(H, W)` bool: the point is seen in frame 2 and lies inside it.
    """

    image1: Image
    image2: Image
    flow: NDArray[np.float32]
    visible: NDArray[np.bool_]


def render_pair(
    surfaces: list[Surface],
    size: tuple[int, int],
    origin1: tuple[float, float] = (0.0, 0.0),
    origin2: tuple[float, float] | None = None,
    bend: NDArray[np.float32] | None = None,
) -> ScenePair:
    """Render a window of both frames.

    Parameters
    ----------
    surfaces
        The scene; where no surface is seen the image is black and the flow is not valid.
    size
        (height, width) of the window in pixels.
    origin1, origin2
        Frame coordinates (x, y) of the windows' top left pixels. Without `origin2` the second window
        follows the median motion, to whole pixels.
    bend
        `(height, width, 2)` float32: frame 1 shows at pixel p what an unbent frame shows at p + bend(p).
    """
    pixels1 = _pixel_grid(size, origin1)
    if bend is not None:
        pixels1 = pixels1 + bend
    label1, texture1 = _look(surfaces, 0, pixels1)
    target = _targets(surfaces, label1, texture1)
    found = label1 >= 0
    if origin2 is None:
        origin2 = _follow(target, found, size, origin1)
    label2, texture2 = _look(surfaces, 1, _pixel_grid(size, origin2))
    inside = _inside(target - np.asarray(origin2), size)
    seen = inside & found
    seen[seen] = _look(surfaces, 1, target[seen])[0] == label1[seen]
    plain1 = _pixel_grid(size, (0.0, 0.0))
    flow = np.where(found[..., None], target - np.asarray(origin2) - plain1, 0.0).astype(np.float32)
    return ScenePair(_paint(surfaces, label1, texture1), _paint(surfaces, label2, texture2), flow, seen)


def flow_at(surfaces: list[Surface], pixels: Array) -> Array:
    """Return the motion of single pixels, without rendering.

    Parameters
    ----------
    pixels
        `(..., 2)`, (x, y) in frame 1.

    Returns
    -------
    `(..., 2)` px; infinite where no surface is seen or where the point lies behind the camera in frame 2.
    """
    label, place = _look(surfaces, 0, pixels)
    target = _targets(surfaces, label, place)
    in_front = np.zeros(label.shape, np.bool_)
    for index, surface in enumerate(surfaces):
        mine = label == index
        in_front[mine] = target[mine] @ surface.nearness[1][:2] + surface.nearness[1][2] > 0
    flow: Array = np.where(in_front[..., None], target - pixels, np.inf)
    return flow


def _pixel_grid(size: tuple[int, int], origin: tuple[float, float]) -> Array:
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([x + origin[0], y + origin[1]], axis=-1).astype(np.float64)


def _look(surfaces: list[Surface], frame: int, pixels: Array) -> tuple[NDArray[np.int64], Array]:
    """Return which surface each pixel of a frame shows (-1: none), and where on its texture."""
    label = np.full(pixels.shape[:-1], -1, np.int64)
    nearest = np.zeros(pixels.shape[:-1])
    place = np.zeros_like(pixels)
    x, y = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
    spans = None if x.ndim < 2 else (y.min(axis=1), y.max(axis=1), x.min(axis=0), x.max(axis=0))
    for index, surface in enumerate(surfaces):
        # Most surfaces are small or behind others: only what they may show is looked at.
        box = _bounding_box(surface, frame)
        part = _window(box, spans)
        maybe = _nearness(surface, frame, x[part], y[part]) > nearest[part]
        if box is not None:
            maybe &= (x[part] >= box[0, 0]) & (x[part] <= box[1, 0])
            maybe &= (y[part] >= box[0, 1]) & (y[part] <= box[1, 1])
        texture_pixel = _apply(surface.to_texture[frame], pixels[part][maybe])
        exists = _exists(surface, texture_pixel)
        maybe[maybe] = exists
        label[part][maybe] = index
        nearest[part][maybe] = _nearness(surface, frame, x[part][maybe], y[part][maybe])
        place[part][maybe] = texture_pixel[exists]
    return label, place


def _nearness(surface: Surface, frame: int, x: Array, y: Array) -> Array:
    a, b, c = surface.nearness[frame]
    nearness: Array = a * x + b * y + c
    return nearness


def _window(box: Array | None, spans: tuple[Array, ...] | None) -> tuple[slice, ...]:
    """Return the rows and columns of an image of pixels that can reach into the box.

    `spans`: least and greatest y of each row, least and greatest x of each column; None for a list of pixels.
    """
    if box is None or spans is None:
        return (slice(None),)
    rows = np.flatnonzero((spans[1] >= box[0, 1]) & (spans[0] <= box[1, 1]))
    columns = np.flatnonzero((spans[3] >= box[0, 0]) & (spans[2] <= box[1, 0]))
    if not len(rows) or not len(columns):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _bounding_box(surface: Surface, frame: int) -> Array | None:
    """Return [[x0, y0], [x1, y1]] in pixels around what a frame can show; None: there is no bound."""
    if surface.mask is None:
        return None
    rows, columns = np.flatnonzero(surface.mask.any(axis=1)), np.flatnonzero(surface.mask.any(axis=0))
    if not len(rows):
        return np.array([[np.inf, np.inf], [-np.inf, -np.inf]])
    x0, x1, y0, y1 = columns[0] - 1, columns[-1] + 1, rows[0] - 1, rows[-1] + 1
    corners = np.array([[x0, y0, 1.0], [x1, y0, 1.0], [x1, y1, 1.0], [x0, y1, 1.0]])
    mapped = corners @ np.linalg.inv(surface.to_texture[frame]).T
    depth = mapped[:, 2:]
    # A plane that passes beside the camera has corners in front of it and behind it.
    if not (np.sign(depth) == np.sign(depth[0])).all() or np.abs(depth).min() < 1e-9 * np.abs(depth).max():
        return None
    seen = mapped[:, :2] / depth
    return np.stack([seen.min(axis=0) - 1, seen.max(axis=0) + 1])


def _apply(homography: Array, points: Array) -> Array:
    x, y = np.ascontiguousarray(points[..., 0]), np.ascontiguousarray(points[..., 1])
    across, down, depth = (a * x + b * y + c for a, b, c in homography)
    # A point on the plane's horizon maps to infinity; keep it finite, it is never the nearest.
    depth[np.abs(depth) < 1e-9] = 1e-9
    finite: Array = np.stack([across / depth, down / depth], axis=-1)
    return finite


def _exists(surface: Surface, texture_pixel: Array) -> NDArray[np.bool_]:
    if surface.mask is None:
        return np.asarray(np.isfinite(texture_pixel).all(axis=-1))
    height, width = surface.mask.shape
    near = np.clip(np.rint(texture_pixel), -1, max(height, width)).astype(np.int64)
    inside = (near >= 0).all(axis=-1) & (near[..., 0] < width) & (near[..., 1] < height)
    near[~inside] = 0
    return np.asarray(inside & surface.mask[near[..., 1], near[..., 0]])


def _targets(surfaces: list[Surface], label: NDArray[np.int64], place: Array) -> Array:
    """Where in frame 2 each point seen in frame 1 lies."""
    target = np.zeros_like(place)
    for index, surface in enumerate(surfaces):
        mine = label == index
        target[mine] = _apply(np.linalg.inv(surface.to_texture[1]).astype(np.float64), place[mine])
    return target


def _follow(
    target: Array, found: NDArray[np.bool_], size: tuple[int, int], origin: tuple[float, float]
) -> tuple[float, float]:
    if not found.any():
        return origin
    motion = np.median((target - _pixel_grid(size, origin))[found], axis=0)
    return float(origin[0] + np.rint(motion[0])), float(origin[1] + np.rint(motion[1]))


def _inside(points: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    return (points >= 0).all(axis=-1) & (points[..., 0] <= size[1] - 1) & (points[..., 1] <= size[0] - 1)


def _paint(surfaces: list[Surface], label: NDArray[np.int64], place: Array) -> Image:
    image = np.zeros(label.shape + surfaces[0].texture.shape[2:], np.float32)
    where = np.clip(place, -1e4, 1e4).astype(np.float32)
    for index, surface in enumerate(surfaces):
        mine = label == index
        if mine.any():
            part = _slices_around(mine)
            image[part][mine[part]] = _sample(surface.texture, where[part], mine[part])[mine[part]]
    return image


def _slices_around(mine: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the bounding box with one more row and column, which `_sample` takes differences to."""
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    return slice(rows[0], rows[-1] + 2), slice(columns[0], columns[-1] + 2)


def _sample(texture: Image, where: NDArray[np.float32], mine: NDArray[np.bool_]) -> Image:
    """Read the texture, from a smaller copy of it where the view shrinks it, so that it does not alias."""
    step = np.maximum(
        np.linalg.norm(np.diff(where, axis=1, append=where[:, -1:]), axis=-1),
        np.linalg.norm(np.diff(where, axis=0, append=where[-1:]), axis=-1),
    )
    shrink = float(np.clip(np.median(step[mine]), 1.0, 4.0))
    if shrink > 1.4:
        texture = np.asarray(cv2.GaussianBlur(texture, (0, 0), 0.4 * shrink), np.float32)
    seen = cv2.remap(
        texture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(seen, np.float32)
