"""Parts of photographs, made plainer or repeating, and shapes to cut from them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.scenes.render import Array, Image

Mask = NDArray[np.bool_]


def pick(photos: list[Image], rng: np.random.Generator) -> Image:
    """Return one of the photographs."""
    return photos[rng.integers(len(photos))]


def patch(photo: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Return a random part of a photograph, scaled to `size` (height, width) in px; sometimes mirrored."""
    height, width = photo.shape[:2]
    scale = rng.uniform(0.4, 1.0) * min(height / size[0], width / size[1], 1.5)
    h, w = (int(np.clip(s * scale, 4, full)) for s, full in zip(size, (height, width), strict=True))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    part = photo[y : y + h, x : x + w]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    scaled = cv2.resize(np.ascontiguousarray(part), size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, np.float32)


def flattened(texture: Image, rng: np.random.Generator) -> Image:
    """Return a texture with little left to match: blurred, or blended to its mean colour."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(texture, (0, 0), rng.uniform(3, 10)), np.float32)
    kept = np.float32(rng.uniform(0.03, 0.25))
    return np.asarray(kept * texture + (1 - kept) * texture.mean(axis=(0, 1)), np.float32)


def repeated(texture: Image, rng: np.random.Generator) -> Image:
    """Return a texture of the same size that repeats a part of 10 to 60 px."""
    height, width = texture.shape[:2]
    h, w = (int(rng.integers(10, 61)) for _ in range(2))
    tile = patch(texture, (h, w), rng)
    tiled = np.tile(tile, (-(-height // h), -(-width // w), 1))
    return np.asarray(0.9 * tiled[:height, :width] + 0.1 * texture, np.float32)


def varied(texture: Image, rng: np.random.Generator, plain: float = 0.2, repeat: float = 0.1) -> Image:
    """Return the texture itself, or with these probabilities a plainer or a repeating one."""
    chance = rng.random()
    if chance < plain:
        return flattened(texture, rng)
    return repeated(texture, rng) if chance < plain + repeat else texture


def blob(shape: tuple[int, int], centre: Array, radius: float, rng: np.random.Generator) -> Mask:
    """Return a random smooth shape `shape` around `centre` (x, y), in px."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    dx, dy = (x - centre[0]) * rng.uniform(0.6, 1.6), y - centre[1]
    angle = np.arctan2(dy, dx)
    wobble = sum(rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 6))
    inside: Mask = np.hypot(dx, dy) < radius * (1 + wobble)
    return inside


def with_holes(mask: Mask, radius: float, rng: np.random.Generator) -> Mask:
    """Return the mask with one to three blobs of up to `radius` px taken out of it."""
    ys, xs = np.nonzero(mask)
    for _ in range(int(rng.integers(1, 4)) if len(ys) else 0):
        k = rng.integers(len(ys))
        centre = np.array([xs[k], ys[k]], np.float64)
        mask = mask & ~blob((mask.shape[0], mask.shape[1]), centre, radius * rng.uniform(0.3, 1), rng)
    return mask


def limb(shape: tuple[int, int], start: Array, end: Array, width: float) -> Mask:
    """Return all within `width` / 2 px of a line between two points (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    along = end - start
    dx, dy = x - start[0], y - start[1]
    t = np.clip((dx * along[0] + dy * along[1]) / max(float(along @ along), 1e-6), 0, 1)
    near: Mask = np.hypot(dx - t * along[0], dy - t * along[1]) < width / 2
    return near
