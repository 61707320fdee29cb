"""Exact nearest neighbours of descriptors, both ways in one sweep of matrix products.

A tile of one image against a tile of the other is one matrix product, which serves both directions; the
tile is then forgotten, and the whole distance matrix (870 GB for a KITTI pair) never exists. The products
may be rounded to 16 bits: float32 distances decide among all that rounding leaves in doubt on the CPU
(`screening`), among the best few on other devices (`running_best`, on CUDA with the kernels of `kernels`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact import cuda
from flow.matching.exact.running_best import search_in_torch
from flow.matching.exact.sweep import search_on_cpu
from flow.matching.exact.tiles import Rectangle
from flow.matching.search_settings import ExactSettings
from flow.matching.seeds import seed_axis
from patchbatch.devices import resolve_precision
from patchbatch.errors import PatchBatchError

LEAST_WORK_MB = 32.0


@dataclass(frozen=True)
class NearestNeighbours:
    """The nearest descriptor of the other image, for the matched pixels of both images.

    Attributes
    ----------
    index12, index21
        `(G1, W1)` and `(H2, W2)` int32, flat index (row times width plus column) into the other image;
        -1 where the window holds no pixel of the other image or no distance is a number. G1 and W1 are
        rows and columns of the grid of image 1, its height and width for a step of 1.
    distance12, distance21
        The same shapes, float32, squared L2 distances; infinite where the index is -1.
    """

    index12: NDArray[np.int32]
    distance12: NDArray[np.float32]
    index21: NDArray[np.int32]
    distance21: NDArray[np.float32]


def nearest_neighbours(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: ExactSettings | None = None
) -> NearestNeighbours:
    """Find the nearest descriptor of the other image for the pixels of both images.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, any floating type, on one device; the sizes may differ. They are
        read in place.
    settings
        `ExactSettings`; None takes the defaults.

    Returns
    -------
    `NearestNeighbours`, on the CPU. The neighbours are those of sums of squared differences in float32, of
    equal distances that with the lowest index; on the CPU always. On other devices a pixel keeps its best
    few candidates for float32 to choose from, so descriptors in float32 that differ by less than 16-bit
    products can tell may change places; a precision of "float32" avoids that.

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
    dtype = resolve_precision(settings.precision, descriptors1.device)
    grid = _query_grid(descriptors1, settings.step)
    search = search_on_cpu if descriptors1.device.type == "cpu" else search_in_torch
    if cuda.usable(descriptors1):
        search = cuda.search_on_cuda
    work_mb = _work_mb(grid, descriptors2, settings.memory_mb)
    distance12, slot12, distance21, slot21 = search(
        descriptors1.detach(), descriptors2.detach(), grid, settings.window, dtype, work_mb
    )
    return NearestNeighbours(
        slot12.reshape(grid.shape),
        distance12.reshape(grid.shape),
        _grid_to_pixels(slot21, grid, descriptors1.shape[1]).reshape(descriptors2.shape[:2]),
        distance21.reshape(descriptors2.shape[:2]),
    )


def _query_grid(descriptors: torch.Tensor, step: int) -> Rectangle:
    height, width = descriptors.shape[:2]
    return Rectangle(int(seed_axis(height, step)[0]), height, int(seed_axis(width, step)[0]), width, step)


def _work_mb(grid: Rectangle, descriptors2: torch.Tensor, memory_mb: float) -> float:
    rows, columns = grid.shape
    answer_mb = 8e-6 * (rows * columns + descriptors2.shape[0] * descriptors2.shape[1])
    return max(LEAST_WORK_MB, memory_mb - answer_mb)


def _grid_to_pixels(slot: NDArray[np.int32], grid: Rectangle, width: int) -> NDArray[np.int32]:
    """Turn places in the grid of image 1 into flat indices of its pixels, in place; -1 stays."""
    if grid.step > 1:
        row, column = np.divmod(slot, np.int32(grid.shape[1]))
        pixel = (grid.top + row * grid.step) * width + grid.left + column * grid.step
        np.copyto(slot, pixel, where=slot >= 0)
    return slot


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


def squared_distances(
    queries: torch.Tensor, base: torch.Tensor, query_norms: torch.Tensor, base_norms: torch.Tensor
) -> torch.Tensor:
    """Return `(Q, B)` squared L2 distances of float32 rows from one product and the squared norms.

    Rounding can carry a distance of nearly 0 below it, so they are cut off at 0; what is not a number
    becomes infinite.
    """
    distance = torch.addmm(base_norms, queries, base.T, alpha=-2).add_(query_norms[:, None])
    return distance.nan_to_num_(nan=torch.inf, posinf=torch.inf).clamp_(min=0)
