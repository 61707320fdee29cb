"""Change how a made pair looks and leave its flow alone: light, shadows, reflections, blur and noise."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from patchbatch.data.scenes.render import Array, Image, ScenePair
from patchbatch.data.scenes.textures import blob, patch, pick


def worsen_pair(pair: ScenePair, photos: list[Image], rng: np.random.Generator) -> ScenePair:
    """Return the pair as a real camera may have taken it; each change is made with a chance of its own.

    Parameters
    ----------
    pair
        In colour; it is not changed.
    photos
        Colour photographs `(h, w, 3)` float32 in [0, 1], what is reflected.
    rng
        Source of all randomness.
    """
    if rng.random() < 0.35:
        pair = _with_shadow(pair, rng)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.4 else 0):
        pair = _with_reflection(pair, pick(photos, rng), rng)
    images = pair.image1, pair.image2
    if rng.random() < 0.3:
        motion: Array = rng.uniform(0.1, 0.6) * np.median(pair.flow.reshape(-1, 2), axis=0).astype(np.float64)
        images = _blurred(images[0], motion), _blurred(images[1], motion)
    if rng.random() < 0.7:
        images = _in_other_light(images[0], rng, 1.0), _in_other_light(images[1], rng, 1.0)
    if rng.random() < 0.5:
        images = images[0], _in_other_light(images[1], rng, 0.5)
    if rng.random() < 0.5:
        deviation = rng.exponential(0.012)
        images = _noisy(images[0], deviation, rng), _noisy(images[1], deviation, rng)
    return replace(pair, image1=np.clip(images[0], 0, 1), image2=np.clip(images[1], 0, 1))


def _with_shadow(pair: ScenePair, rng: np.random.Generator) -> ScenePair:
    """Darken a soft shape in both frames: it stays, or moves with what it falls on, or by itself."""
    size = (pair.flow.shape[0], pair.flow.shape[1])
    x, y, motion = _place_and_motion(pair, rng)
    soft = _soft_blob(size, (x, y), rng.uniform(0.1, 0.6) * min(size), rng)
    dark = np.float32(rng.uniform(0.3, 0.7))
    first = np.asarray(pair.image1 * (1 - dark * soft), np.float32)
    second = np.asarray(pair.image2 * (1 - dark * _shifted(soft, motion)), np.float32)
    return replace(pair, image1=first, image2=second)


def _with_reflection(pair: ScenePair, photo: Image, rng: np.random.Generator) -> ScenePair:
    """Mirror a photograph, or a glare, in a part of a surface; the mirrored moves unlike the surface."""
    size = (pair.flow.shape[0], pair.flow.shape[1])
    x, y, motion = _place_and_motion(pair, rng, with_surface=True)
    soft = _soft_blob(size, (x, y), rng.uniform(0.04, 0.2) * min(size), rng)
    # What moves unlike the place reflected in is another surface.
    unlike = np.linalg.norm(pair.flow - motion.astype(np.float32), axis=-1)
    soft[unlike > 3 + 0.15 * np.hypot(*motion)] = 0
    is_glare = rng.random() < 0.4
    mirrored = np.ones((*size, 3), np.float32) if is_glare else patch(photo, size, rng)
    mirrored_motion = motion * rng.uniform(-0.5, 0.6) if rng.random() < 0.5 else np.zeros(2)
    strength = np.float32(rng.uniform(0.2, 0.95 if is_glare else 0.6))
    first = pair.image1 + strength * soft * (mirrored - pair.image1)
    weight = strength * _shifted(soft, motion)
    second = pair.image2 + weight * (_shifted(mirrored, mirrored_motion) - pair.image2)
    return replace(pair, image1=np.asarray(first, np.float32), image2=np.asarray(second, np.float32))


def _place_and_motion(
    pair: ScenePair, rng: np.random.Generator, with_surface: bool = False
) -> tuple[int, int, Array]:
    """Return a random pixel and how a change of light there moves (px)."""
    height, width = pair.flow.shape[:2]
    x, y = int(rng.integers(width)), int(rng.integers(height))
    motion = pair.flow[y, x].astype(np.float64)
    kind = 0 if with_surface else int(rng.integers(3))
    return x, y, (motion, np.zeros(2), rng.normal(0, 15, 2))[kind]


def _soft_blob(
    size: tuple[int, int], centre: tuple[int, int], radius: float, rng: np.random.Generator
) -> Image:
    """Return `(h, w, 1)` in [0, 1]."""
    shape = blob(size, np.array(centre, np.float64), radius, rng).astype(np.float32)
    softness = rng.uniform(0.5, 6)
    return np.asarray(cv2.GaussianBlur(shape, (0, 0), softness), np.float32)[..., None]


def _shifted(image: Image, motion: Array) -> Image:
    matrix = np.array([[1, 0, motion[0]], [0, 1, motion[1]]], np.float64)
    moved = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.float32).reshape(image.shape)


def _blurred(image: Image, motion: Array) -> Image:
    """Blur along a line as long as `motion` (px), at most 25 px."""
    length = min(float(np.hypot(*motion)), 25.0)
    if length < 1:
        return image
    half = int(np.ceil(length / 2))
    direction = motion / np.hypot(*motion)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for t in np.linspace(-length / 2, length / 2, 4 * half + 1):
        column, row = np.rint(half + t * direction).astype(int)
        kernel[row, column] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.float32)


def _in_other_light(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Change gamma, contrast, brightness and colour."""
    gamma = np.exp(rng.normal(0, 0.2 * strength))
    gain = np.exp(rng.normal(0, 0.15 * strength) + rng.normal(0, 0.06 * strength, 3))
    contrast = np.exp(rng.normal(0, 0.15 * strength))
    shift = rng.normal(0, 0.05 * strength)
    powered = np.power(np.clip(image, 0, 1), np.float32(gamma))
    lit = (powered - 0.5) * (contrast * gain).astype(np.float32) + np.float32(0.5 + shift)
    return np.asarray(np.clip(lit, 0, 1), np.float32)


def _noisy(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    noise = rng.standard_normal(image.shape, np.float32)
    return np.asarray(image + np.float32(deviation) * noise, np.float32)
