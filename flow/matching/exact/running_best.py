"""Exact nearest neighbours with torch alone, on any device: reference and fallback of the CUDA kernel.

Every tile of products gives each of its pixels one candidate. A pixel keeps its best few of all tiles, and
float32 chooses among those at the end.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.tiles import Rectangle

CANDIDATES = 4
NO_SLOT = 2**31 - 1  # more than any slot, so it loses every tie
PIXEL_BYTES = 8 * CANDIDATES  # of a candidate list: product and slot
TILE_ROWS = 64  # of pixels, and as many columns
Found = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]


class Candidates:
    """The best few of every pixel so far: products `(N, CANDIDATES)`, higher is nearer, and their slots."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.product = torch.full((count, CANDIDATES), -torch.inf, device=device)
        self.slot = torch.full((count, CANDIDATES), NO_SLOT, dtype=torch.int32, device=device)

    def take(self, pixels: torch.Tensor, products: torch.Tensor, slots: torch.Tensor, axis: int) -> None:
        """Offer `pixels` the best one of a tile along its `axis`, where the other image's `slots` are.

        Of equal products the lowest slot is taken, both inside the tile and between tiles.
        """
        highest = products.amax(dim=axis, keepdim=True)
        shape = [1, 1]
        shape[axis] = -1
        slot = torch.where(products == highest, slots.view(shape), NO_SLOT).amin(dim=axis)
        product = torch.cat([self.product[pixels], highest.view(-1, 1)], dim=1)
        slot = torch.cat([self.slot[pixels], slot[:, None]], dim=1)
        order = slot.argsort(dim=1)
        product, slot = product.gather(1, order), slot.gather(1, order)
        order = product.argsort(dim=1, descending=True, stable=True)[:, :CANDIDATES]
        self.product[pixels], self.slot[pixels] = product.gather(1, order), slot.gather(1, order)


def search_in_torch(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    grid: Rectangle,
    window: int | None,
    dtype: torch.dtype,
    work_mb: float,
) -> Found:
    """Search both ways between the grid of image 1 and all of image 2.

    Arguments and results are those of `sweep.search_on_cpu`; the descriptors may be on any
    device, and `dtype` may be float16 there.
    """
    height, width = descriptors2.shape[:2]
    whole = Rectangle(0, height, 0, width)
    candidates1 = Candidates(grid.shape[0] * grid.shape[1], descriptors1.device)
    candidates2 = Candidates(height * width, descriptors1.device)
    side = _tile_side(work_mb, height * width + len(candidates1.slot), descriptors1.shape[2])
    for tile in grid.tiles(side, side):
        slots1, rows, norms1 = _ready(descriptors1, tile, grid, dtype)
        for base in tile.around(window, height, width).tiles(side, side):
            slots2, columns, norms2 = _ready(descriptors2, base, whole, dtype)
            products = product_of(rows, columns) - 0.5 * norms2
            products -= 0.5 * norms1[:, None]
            products.nan_to_num_(nan=-torch.inf, neginf=-torch.inf)
            if window is not None:
                _leave_out_far(products, tile, base, window)
            candidates1.take(slots1, products, slots2, 1)
            candidates2.take(slots2, products, slots1, 0)
    pixels1 = grid_pixels(grid, descriptors1.device)
    pixels2 = grid_pixels(whole, descriptors1.device)
    return (
        *decide(candidates1, descriptors1, pixels1, descriptors2, pixels2, work_mb),
        *decide(candidates2, descriptors2, pixels2, descriptors1, pixels1, work_mb),
    )


def _tile_side(work_mb: float, pixels: int, numbers: int) -> int:
    # A tile of side s has s^4 products, of which three float32 copies and a mask live at once.
    room = max(8.0, work_mb - 1e-6 * PIXEL_BYTES * pixels) * 1e6
    side = int((room / 2 / 16) ** 0.25)
    return max(1, min(side, TILE_ROWS, int((room / 2 / (8 * numbers)) ** 0.5)))


def _ready(
    descriptors: torch.Tensor, tile: Rectangle, whole: Rectangle, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return slots, descriptors `(P, D)` in the type of the product, and their squared lengths."""
    values = tile.cut(descriptors).reshape(-1, descriptors.shape[2]).to(dtype)
    norms = torch.linalg.vector_norm(values, dim=1, dtype=torch.float32).square()
    pixels = grid_pixels(tile, descriptors.device)
    x, y = (pixels[:, 0] - whole.left) // whole.step, (pixels[:, 1] - whole.top) // whole.step
    return (y * whole.shape[1] + x), values, norms


def grid_pixels(area: Rectangle, device: torch.device) -> torch.Tensor:
    """Return the pixels of an area row by row, `(P, 2)` int32, x then y."""
    y = torch.arange(area.top, area.bottom, area.step, dtype=torch.int32, device=device)
    x = torch.arange(area.left, area.right, area.step, dtype=torch.int32, device=device)
    return torch.cartesian_prod(y, x).flip(1)


def product_of(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Multiply `(P, D)` with `(Q, D)` into float32, in 16 bits where the device adds wider."""
    if rows.is_cuda and rows.dtype != torch.float32 and hasattr(torch.ops.aten.mm, "dtype"):
        return torch.mm(rows, columns.T, out_dtype=torch.float32)
    return rows.float() @ columns.float().T


def _leave_out_far(products: torch.Tensor, tile: Rectangle, base: Rectangle, window: int) -> None:
    apart = grid_pixels(tile, products.device)[:, None] - grid_pixels(base, products.device)
    products.masked_fill_((apart.abs() > window).any(dim=-1), -torch.inf)


def decide(
    candidates: Candidates,
    queries: torch.Tensor,
    pixels: torch.Tensor,
    base: torch.Tensor,
    base_pixels: torch.Tensor,
    work_mb: float,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Measure every candidate in float32 and return the nearest one, of equal ones the lowest slot."""
    at_once = max(1, int(work_mb * 1e6 / 4) // (12 * CANDIDATES * queries.shape[2]))
    distances, slots = [], []
    for part, product, slot in zip(
        torch.split(pixels.long(), at_once),
        torch.split(candidates.product, at_once),
        torch.split(candidates.slot, at_once),
        strict=True,
    ):
        known = product > -torch.inf
        others = base_pixels[torch.where(known, slot, 0)].long()
        apart = (
            queries[part[:, 1], part[:, 0]].float()[:, None] - base[others[..., 1], others[..., 0]].float()
        )
        distance = torch.where(known, apart.square().sum(dim=-1), torch.inf)
        nearest = distance.amin(dim=1)
        chosen = torch.where(distance == nearest[:, None], slot, NO_SLOT).amin(dim=1)
        slots.append(torch.where(nearest.isfinite(), chosen, -1))
        distances.append(nearest)
    return torch.cat(distances).cpu().numpy(), torch.cat(slots).int().cpu().numpy()
