"""Histograms of oriented gradients of grey images, with the conventions of scikit-image's `hog`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from patchbatch.settings import Settings, setting

# Added to the squared length of a block, and the largest share one number may have: L2-Hys of
# Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005.
EPSILON, CLIP = 1e-5, 0.2


@dataclass(frozen=True)
class HogSettings(Settings):
    """The layout of the histograms.

    Attributes
    ----------
    orientations
        Bins over 180 degrees.
    cell
        Side of a cell.
    block
        Side of a block; blocks overlap, one starts at every cell.
    """

    orientations: int = setting(8, least=1)
    cell: int = setting(10, least=1, unit="px")
    block: int = setting(2, least=1, unit="cells")


def hog(image: NDArray[np.uint8], settings: HogSettings | None = None) -> NDArray[np.float32]:
    """Return the histograms of an image, block after block, each normalised by L2-Hys.

    Gradients are differences of the two neighbours, 0 on the border; a pixel votes with its gradient's length
    for one bin of one cell, without interpolation.

    Parameters
    ----------
    image
        `(H, W)` uint8, one block large at least; what is left of the last full cell is not used.
    settings
        None takes the defaults.

    Returns
    -------
    ndarray
        `(rows of blocks * columns of blocks * block * block * orientations,)` float32 in [0, 1].
    """
    settings = settings or HogSettings()
    bins = settings.orientations
    rows, columns = (side // settings.cell for side in image.shape)
    bin_of, length = _votes(image[: rows * settings.cell + 1, : columns * settings.cell + 1], bins)
    height, width = rows * settings.cell, columns * settings.cell
    cell_of = (np.arange(height) // settings.cell)[:, None] * columns + np.arange(width) // settings.cell
    places = (cell_of * bins + bin_of[:height, :width]).ravel()
    votes = np.bincount(places, length[:height, :width].ravel(), minlength=rows * columns * bins)
    cells = votes.reshape(rows, columns, bins) / settings.cell**2
    return _normalised_blocks(cells, settings.block).astype(np.float32).ravel()


def _votes(image: NDArray[np.uint8], bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the bin and the length of every pixel's gradient, `(H, W)` each."""
    grey = image.astype(np.int64)
    down, right = np.zeros_like(grey), np.zeros_like(grey)
    down[1:-1] = grey[2:] - grey[:-2]
    right[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    bin_table, length_table = _gradient_tables(bins)
    return bin_table[down + 255, right + 255], length_table[down + 255, right + 255]


@cache
def _gradient_tables(bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return bin and length of all gradients of 8-bit images.

    Angles such as 45 degrees are common and fall on the border of two bins: in double precision they are
    exact and belong to the upper one; in single precision chance decides, worth half a point of accuracy.
    """
    down, right = np.mgrid[-255:256, -255:256].astype(np.float64)
    angle = np.rad2deg(np.arctan2(down, right)) % 180
    return (angle // (180 / bins)).astype(np.int64), np.hypot(down, right)


def _normalised_blocks(cells: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(cells, (block, block), axis=(0, 1))
    blocks = windows.transpose(0, 1, 3, 4, 2).reshape(*windows.shape[:2], -1)
    return _unit(np.minimum(_unit(blocks), CLIP))


def _unit(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + EPSILON**2)
    return scaled
