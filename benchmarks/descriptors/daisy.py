"""DAISY at every pixel (Tola, Lepetit, Fua, "DAISY: an efficient dense descriptor", PAMI 2010)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.descriptors.description import pad_for_patches

Array = NDArray[np.float32]

# The paper's R, Q, T and H: 1 + 3 * 8 histograms of 8 numbers.
RADIUS_PX = 15.0
RINGS = 3
PLACES = 8
ORIENTATIONS = 8
DIMENSION = (1 + RINGS * PLACES) * ORIENTATIONS
# The outermost place, and OpenCV's blur there, which ends at four deviations.
BORDER_PX = int(np.ceil(RADIUS_PX * 3)) + 2


def daisy(image: Array) -> Array:
    """Describe every pixel.

    A histogram holds the positive parts of the image's derivative in 8 directions, blurred; one at the
    pixel and 8 on each of three rings of 5, 10 and 15 px. The blur grows with the ring (2.5, 5, 7.5 px, the
    centre has the first). Each pixel's histogram is brought to unit length, then read bilinearly at the
    places; where there is no contrast at all it is 0. The image is mirrored at its border and not smoothed
    beforehand.

    Parameters
    ----------
    image
        `(H, W)` grey, any scale.

    Returns
    -------
    ndarray
        `(H, W, 200)` float32: the centre, then ring by ring from the inside, each from the right and
        on through below.
    """
    height, width = image.shape
    padded = pad_for_patches(np.asarray(image, np.float32), 2 * BORDER_PX + 1)
    described = np.empty((height, width, DIMENSION), np.float32)
    slot = 0
    for ring in range(RINGS):
        histograms = _histograms(padded, RADIUS_PX * (ring + 1) / (2 * RINGS))
        radius = RADIUS_PX * (ring + 1) / RINGS
        angles = 2 * np.pi * np.arange(PLACES) / PLACES
        places = [(radius * np.cos(angle), radius * np.sin(angle)) for angle in angles]
        for x, y in [(0.0, 0.0), *places] if ring == 0 else places:
            described[..., slot : slot + ORIENTATIONS] = _shifted(histograms, x, y, (height, width))
            slot += ORIENTATIONS
    return described


def _histograms(image: Array, blur_px: float) -> Array:
    """Return the blurred oriented derivatives `(H, W, 8)`, each pixel's at unit length."""
    derivative = np.array([[-0.5, 0.0, 0.5]], np.float32)
    across = cv2.sepFilter2D(image, cv2.CV_32F, derivative, np.ones(1, np.float32))
    down = cv2.sepFilter2D(image, cv2.CV_32F, np.ones(1, np.float32), derivative)
    maps = np.empty((*image.shape, ORIENTATIONS), np.float32)
    for index, angle in enumerate(2 * np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS):
        along = np.float32(np.cos(angle)) * across + np.float32(np.sin(angle)) * down
        maps[..., index] = cv2.GaussianBlur(np.maximum(along, 0), (0, 0), blur_px)
    length = np.linalg.norm(maps, axis=-1, keepdims=True)
    return np.asarray(maps / np.maximum(length, np.float32(1e-6)), np.float32)


def _shifted(histograms: Array, x: float, y: float, size: tuple[int, int]) -> Array:
    """Read the histograms at a distance (x, y) from every pixel, bilinearly."""
    left, top = int(np.floor(x)), int(np.floor(y))
    read = np.zeros((*size, ORIENTATIONS), np.float32)
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            first, start = BORDER_PX + row, BORDER_PX + column
            part = histograms[first : first + size[0], start : start + size[1]]
            read += np.float32(weight_y * weight_x) * part
    return read
