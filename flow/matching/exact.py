"""Exact nearest neighbours of descriptors, both ways in one sweep of matrix products.

Squared distances are `|a|^2 + |b|^2 - 2 a.b`, so a tile of one image against a tile of the other is one
matrix product. Its row minima serve image 1, its column minima image 2; the tile is then forgotten, and
the whole distance matrix (870 GB for a KITTI pair) never exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class ExactSettings:
    """Settings of the exact search.

    Attributes
    ----------
    window
        Pixels on both axes between a point and the farthest match it may have; None searches everywhere.
    tile_megabytes
        MB that the distances of one pair of tiles may take; a few of these live at once. Larger tiles make
        better matrix products until they fall out of the cache.
    """

    window: int | None = None  # px
    tile_megabytes: float = 8.0  # MB

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 0:
            raise PatchBatchError(f"window is {self.window} px; give 0 or more, or None for a global search")
        if not self.tile_megabytes > 0:
            raise PatchBatchError(f"tile_megabytes is {self.tile_megabytes}; give a number above 0")


@dataclass(frozen=True)
class NearestNeighbours:
    """The nearest descriptor of the other image, for every pixel of both images.

    Attributes
    ----------
    index12, index21
        `(H1, W1)` and `(H2, W2)` int64, flat index (row times width plus column) into the other image;
        -1 where the window holds no pixel of the other image or no distance is a number.
    distance12, distance21
        The same shapes, float32, squared L2 distances; infinite where the index is -1.
    """

    index12: NDArray[np.int64]
    distance12: NDArray[np.float32]
    index21: NDArray[np.int64]
    distance21: NDArray[np.float32]


@dataclass(frozen=True)
class _Tile:
    """A rectangle of an image: descriptors `(P, D)` float32, their squared norms, x, y and flat index."""

    descriptors: torch.Tensor
    norms: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor


class _RunningBest:
    """The lowest distance so far and where it was, per pixel; of equal distances the lowest index."""

    def __init__(self, descriptors: torch.Tensor) -> None:
        height, width, _ = descriptors.shape
        device = descriptors.device
        self.shape = (height, width)
        self.distance = torch.full((height * width,), torch.inf, device=device)
        self.index = torch.full((height * width,), -1, dtype=torch.int64, device=device)

    def update(self, pixels: torch.Tensor, distance: torch.Tensor, index: torch.Tensor) -> None:
        """Offer one distance and index to each of the given pixels."""
        held, held_index = self.distance[pixels], self.index[pixels]
        better = (distance < held) | ((distance == held) & (index < held_index))
        self.distance[pixels] = torch.where(better, distance, held)
        self.index[pixels] = torch.where(better, index, held_index)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return index and distance as images."""
        return self.index.reshape(self.shape).cpu().numpy(), self.distance.reshape(self.shape).cpu().numpy()


def nearest_neighbours(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: ExactSettings | None = None
) -> NearestNeighbours:
    """Find the nearest descriptor of the other image for every pixel of both images.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, any floating type, on one device; the sizes may differ. 16-bit
        numbers are widened tile by tile, so products and sums are float32 throughout.
    settings
        `ExactSettings`; None takes the defaults.

    Returns
    -------
    `NearestNeighbours`, on the CPU. Exact up to the rounding of float32 products: neighbours whose
    distances differ by less than that may change places. Of equal distances the lowest index wins.

    Raises
    ------
    PatchBatchError
        If the shapes or devices do not fit together.

    Examples
    --------
    >>> d = torch.eye(6).reshape(2, 3, 6)
    >>> nearest_neighbours(d, d).index12.tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    settings = settings or ExactSettings()
    check_pair(descriptors1, descriptors2)
    best1 = _RunningBest(descriptors1)
    best2 = _RunningBest(descriptors2)
    side = _tile_side(settings.tile_megabytes)
    for tile1 in _tiles(descriptors1, side, None, None):
        for tile2 in _tiles(descriptors2, side, tile1, settings.window):
            distance = _tile_distances(tile1, tile2, settings.window)
            for best, query, base, axis in ((best1, tile1, tile2, 1), (best2, tile2, tile1, 0)):
                lowest, place = distance.min(dim=axis)
                best.update(query.index, lowest, base.index[place])
    return NearestNeighbours(*best1.arrays(), *best2.arrays())


def check_pair(descriptors1: torch.Tensor, descriptors2: torch.Tensor) -> None:
    """Raise PatchBatchError unless both are floating `(H, W, D)` with pixels, one D and one device."""
    for number, descriptors in ((1, descriptors1), (2, descriptors2)):
        shape = tuple(descriptors.shape)
        if len(shape) != 3 or 0 in shape or not descriptors.is_floating_point():
            raise PatchBatchError(
                f"descriptors {number} have shape {shape} and type {descriptors.dtype}; "
                "give a floating (H, W, D) tensor without empty axes"
            )
    if descriptors1.shape[2] != descriptors2.shape[2]:
        raise PatchBatchError(
            f"descriptors 1 have {descriptors1.shape[2]} numbers but descriptors 2 have "
            f"{descriptors2.shape[2]}; describe both images with one model"
        )
    if descriptors1.device != descriptors2.device:
        raise PatchBatchError(
            f"descriptors 1 are on {descriptors1.device} but descriptors 2 on {descriptors2.device}; "
            "move one of them"
        )


def _tile_side(megabytes: float) -> int:
    # A tile of side s has s^2 pixels, a pair of tiles s^4 distances of 4 bytes.
    return max(1, int((megabytes * 1e6 / 4) ** 0.25))


def _tiles(descriptors: torch.Tensor, side: int, near: _Tile | None, window: int | None) -> Iterator[_Tile]:
    """Cut an image into tiles, row by row; only those that meet the window around `near`, if one is given."""
    height, width = descriptors.shape[:2]
    (top, bottom), (left, right) = (0, height), (0, width)
    if near is not None and window is not None:
        top, bottom = max(0, int(near.y[0]) - window), min(height, int(near.y[-1]) + window + 1)
        left, right = max(0, int(near.x[0]) - window), min(width, int(near.x[-1]) + window + 1)
    for y0 in range(top, bottom, side):
        for x0 in range(left, right, side):
            yield _cut_tile(descriptors, y0, min(y0 + side, bottom), x0, min(x0 + side, right))


def _cut_tile(descriptors: torch.Tensor, y0: int, y1: int, x0: int, x1: int) -> _Tile:
    values = descriptors[y0:y1, x0:x1].reshape(-1, descriptors.shape[2]).float()
    rows = torch.arange(y0, y1, device=values.device)
    columns = torch.arange(x0, x1, device=values.device)
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(rows, columns, indexing="ij"))
    return _Tile(values, values.square().sum(dim=1), x, y, y * descriptors.shape[1] + x)


def _tile_distances(tile1: _Tile, tile2: _Tile, window: int | None) -> torch.Tensor:
    """Return squared distances `(P1, P2)`; infinite beyond the window and for what is not finite."""
    distance = squared_distances(tile1.descriptors, tile2.descriptors, tile1.norms, tile2.norms)
    if window is not None:
        far = (tile1.x[:, None] - tile2.x).abs() > window
        far |= (tile1.y[:, None] - tile2.y).abs() > window
        distance.masked_fill_(far, torch.inf)
    return distance


def squared_distances(
    queries: torch.Tensor, base: torch.Tensor, query_norms: torch.Tensor, base_norms: torch.Tensor
) -> torch.Tensor:
    """Return `(Q, B)` squared L2 distances of float32 rows from one product and the squared norms.

    Rounding can carry a distance of nearly 0 below it, so they are cut off at 0; what is not a number
    becomes infinite.
    """
    distance = torch.addmm(base_norms, queries, base.T, alpha=-2).add_(query_norms[:, None])
    return distance.nan_to_num_(nan=torch.inf, posinf=torch.inf).clamp_(min=0)
