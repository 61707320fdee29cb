"""The demonstration: a small made scene with exact flow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.scenes.render import Array, Image, ScenePair, Surface, render_pair


def demo_scene(height: int = 300, width: int = 400, seed: int = 0) -> ScenePair:
    """Render two frames of four textured layers.

    The background zooms and turns, a ground strip slides, a disc turns over it, and a ring crosses in front
    of everything with the largest motion, up to 40 px at full size, less in small frames.

    Parameters
    ----------
    height, width
        Of the frames in pixels, at least 32 each.
    seed
        Of the textures; the same seed gives the same pixels.

    Returns
    -------
    ScenePair
        Colour frames `(height, width, 3)` float32 in [0, 1], flow in px, and which pixels are seen twice.
    """
    rng = np.random.default_rng(seed)
    scale = height / 300
    frame = np.array([width, height], np.float64)
    centres = frame * np.array([[0.5, 0.5], [0.5, 0.9], [0.3, 0.4], [0.68, 0.5]])
    shapes = [None, _strip(frame), _disc(frame, 0.0), _disc(frame, 0.5)]
    motions = [
        _motion(centres[0], 2, 1.04, (6, -3), scale),
        _motion(centres[1], -1, 1.02, (-16, 4), scale),
        _motion(centres[2], 14, 0.95, (12, 8), scale),
        _motion(centres[3], -6, 1.05, (-26, -18), scale),
    ]
    layers = [_layer(rng, frame, centres[i], shapes[i], motions[i], i) for i in range(len(motions))]
    return render_pair(layers, (height, width), origin2=(0.0, 0.0))


def _layer(
    rng: np.random.Generator,
    frame: Array,
    centre: Array,
    shape: NDArray[np.bool_] | None,
    motion: Array,
    rank: int,
) -> Surface:
    """Make a layer, its texture and shape centred at a place of frame 1; higher ranks hide lower ones."""
    texture = fractal_texture(int(1.5 * frame[1]), int(1.5 * frame[0]), rng)
    to_texture = np.eye(3)
    to_texture[:2, 2] = frame * 0.75 - centre
    nearness = np.array([0.0, 0.0, 1.0 + rank])
    return Surface(texture, (to_texture, to_texture @ np.linalg.inv(motion)), (nearness, nearness), shape)


def _motion(centre: Array, degrees: float, zoom: float, shift: tuple[float, float], scale: float) -> Array:
    """Rotation and zoom about a centre, then a shift given in pixels of a 300-px-high frame."""
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:2, 2] = centre - matrix[:2, :2] @ centre + np.array(shift) * min(scale, 1.0)
    return matrix


def _texture_grid(frame: Array) -> tuple[Array, Array]:
    """Coordinates of a layer's texture, from its centre, in units of the frame's height."""
    y, x = np.mgrid[: int(1.5 * frame[1]), : int(1.5 * frame[0])]
    return (x - 0.75 * frame[0]) / frame[1], (y - 0.75 * frame[1]) / frame[1]


def _strip(frame: Array) -> NDArray[np.bool_]:
    x, y = _texture_grid(frame)
    mask: NDArray[np.bool_] = y > -0.12 + 0.03 * np.sin(9 * x)
    return mask


def _disc(frame: Array, hole: float) -> NDArray[np.bool_]:
    x, y = _texture_grid(frame)
    radius = np.hypot(x, y) / 0.2
    mask: NDArray[np.bool_] = (radius < 1) & (radius >= hole)
    return mask


def fractal_texture(height: int, width: int, rng: np.random.Generator) -> Image:
    """Coloured noise with detail at every scale, `(height, width, 3)` float32 in [0, 1]."""
    levels = np.zeros((height, width), np.float32)
    amplitude = 1.0
    cells = 4
    while cells < max(height, width):
        coarse = rng.normal(0, 1, (cells * height // width + 2, cells + 2)).astype(np.float32)
        levels += amplitude * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude, cells = amplitude * 0.75, cells * 2
    levels = (levels - levels.mean()) / levels.std()
    colours = rng.uniform(0, 1, (2, 3)).astype(np.float32)
    share = (1 / (1 + np.exp(-1.6 * levels)))[..., None]
    texture: Image = (colours[0] * (1 - share) + colours[1] * share).astype(np.float32)
    return np.asarray(np.clip(texture + 0.06 * levels[..., None], 0, 1), np.float32)
