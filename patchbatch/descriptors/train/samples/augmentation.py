"""Photometric change between two views of the same thing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def change_light(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Change exposure, contrast, gamma and the slow shading of a grey image in [0, 1].

    `strength` scales all changes; 0 leaves the image as it is.
    """
    gamma = np.exp(rng.normal(0, 0.15 * strength))
    gain = np.exp(rng.normal(0, 0.15 * strength))
    offset = rng.normal(0, 0.06 * strength)
    height, width = image.shape
    coarse = rng.normal(0, 0.08 * strength, (3, 3)).astype(np.float32)
    shading = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    changed = np.power(np.clip(image, 0, 1), gamma) * gain * (1 + shading) + offset
    return np.asarray(np.clip(changed, 0, 1), np.float32)


def degrade(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Blur (defocus or motion along one direction) and add sensor noise to a grey image in [0, 1]."""
    kind = rng.random()
    if kind < 0.3:
        sigma = float(rng.uniform(0.3, 0.3 + 1.2 * strength))
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    elif kind < 0.45:
        kernel = _motion_kernel(rng, int(rng.integers(3, 4 + round(7 * strength))))
        image = np.asarray(cv2.filter2D(image, -1, kernel), np.float32)
    noise = rng.normal(0, rng.uniform(0, 0.03 * strength), image.shape)
    return np.asarray(np.clip(image + noise, 0, 1), np.float32)


def _motion_kernel(rng: np.random.Generator, length: int) -> Image:
    size = length | 1
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    centre = np.array([size // 2, size // 2])
    start, end = np.rint(centre - half).astype(int), np.rint(centre + half).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def standardize_pair(
    image1: Image, image2: Image, mean: float, std: float, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Bring both crops to `mean` and `std`, each as a whole.

    `describe` does so with the surroundings of every pixel (a Gaussian of 60 px, about as wide as a crop), so
    what a pixel sees differs from what its crop has on the whole. A random shift and scale, common to both
    crops but for a little, stands for that difference.
    """
    shift, scale = rng.normal(0, 0.4), np.exp(rng.normal(0, 0.25))

    def one(image: Image) -> Image:
        shift_here, scale_here = shift + rng.normal(0, 0.05), scale * np.exp(rng.normal(0, 0.05))
        flat = (image - image.mean()) / max(float(image.std()), 0.02)
        return np.asarray((flat * scale_here + shift_here) * std + mean, np.float32)

    return one(image1), one(image2)
