"""The grid of seeds that matching works on, and what one direction of matching says about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EIGHT_NEIGHBOURS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))


@dataclass(frozen=True)
class SeedField:
    """Motion of a regular grid of seeds of one image into the other, with its cost.

    Attributes
    ----------
    points
        `(G, W, 2)` float32, positions of the seeds, x then y, in pixels.
    vectors
        `(G, W, 2)` float32, displacement (x, y) of each seed in pixels.
    cost
        `(G, W)` float32, squared L2 distance of the descriptors; infinite where no match was found.
    second_cost
        `(G, W)` float32, the lowest cost found at a clearly different place, the rival of the match;
        infinite where the search met no rival.
    step
        Pixels between seeds on both axes.
    """

    points: NDArray[np.float32]
    vectors: NDArray[np.float32]
    cost: NDArray[np.float32]
    second_cost: NDArray[np.float32]
    step: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of seeds."""
        return self.cost.shape[0], self.cost.shape[1]


@dataclass(frozen=True)
class DenseMatches:
    """Both directions of matching: `forward` has the seeds of image 1, `backward` those of image 2."""

    forward: SeedField
    backward: SeedField


def seed_axis(length: int, step: int) -> NDArray[np.int32]:
    """Return the seed coordinates along an axis of `length` pixels: each amid a cell of `step` pixels.

    An axis shorter than half a cell still has one, its last pixel.
    """
    return np.arange(min(step // 2, length - 1), length, step, dtype=np.int32)


def seed_grid(height: int, width: int, step: int) -> NDArray[np.int32]:
    """Return the seeds of an image, `(G, W, 2)` int32, x then y, in pixels."""
    x, y = np.meshgrid(seed_axis(width, step), seed_axis(height, step))
    return np.stack([x, y], axis=-1)


def neighbour_indices(rows: int, columns: int, stride: int) -> NDArray[np.intp]:
    """Return for every seed the flat indices of the eight seeds `stride` seeds away, `(rows * columns, 8)`.

    Beyond the border the nearest seed inside stands in, so that every row is full.
    """
    y, x = np.mgrid[:rows, :columns]
    around = [
        np.clip(y + dy * stride, 0, rows - 1) * columns + np.clip(x + dx * stride, 0, columns - 1)
        for dx, dy in EIGHT_NEIGHBOURS
    ]
    return np.stack([indices.ravel() for indices in around], axis=1).astype(np.intp)
