"""The exact search on CUDA: one fused kernel multiplies tiles and reduces them while they are in registers.

Writing the products to memory and reading them again would take several times as long as multiplying.
The kernel (`fused_kernel`) keeps the nearest of every pixel in each of a few strips of the other image, and
float32 chooses among those. It needs Triton, which comes with torch's GPU builds; without it
`running_best` does the same in torch.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch

from flow.matching.exact.running_best import CANDIDATES, NO_SLOT, Candidates, Found, decide, grid_pixels
from flow.matching.exact.tiles import Rectangle

BLOCK = 128  # rows and columns of a tile
NUMBERS_AT_ONCE = {torch.float16: 64, torch.bfloat16: 64, torch.float32: 32}
TENSOR_CORES = (8, 0)  # CUDA capability from which Triton multiplies bfloat16
NO_KEY = 2**63 - 1


@cache
def triton_is_there() -> bool:
    """Say whether Triton can be imported."""
    return find_spec("triton") is not None


def usable(descriptors: torch.Tensor) -> bool:
    """Say whether the fused kernel can take these descriptors."""
    if descriptors.device.type != "cuda" or not triton_is_there():
        return False
    return torch.cuda.get_device_capability(descriptors.device) >= TENSOR_CORES


def search_on_cuda(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    grid: Rectangle,
    window: int | None,
    dtype: torch.dtype,
    work_mb: float,
) -> Found:
    """Search both ways between the grid of image 1 and all of image 2.

    Arguments and results are those of `sweep.search_on_cpu`, on a CUDA device. Descriptors in 16 bits are
    multiplied as they are.
    """
    if descriptors1.dtype == descriptors2.dtype and descriptors1.dtype in (torch.float16, torch.bfloat16):
        dtype = descriptors1.dtype
    whole = Rectangle(0, descriptors2.shape[0], 0, descriptors2.shape[1])
    rows = grid.cut(descriptors1).reshape(-1, descriptors1.shape[2]).to(dtype).contiguous()
    columns = descriptors2.reshape(-1, descriptors2.shape[2]).to(dtype).contiguous()
    keys1, keys2 = least_keys(rows, columns, grid, whole.shape[1], window)
    pixels1, pixels2 = grid_pixels(grid, rows.device), grid_pixels(whole, rows.device)
    return (
        *decide(candidates_of(keys1), descriptors1, pixels1, descriptors2, pixels2, work_mb),
        *decide(candidates_of(keys2), descriptors2, pixels2, descriptors1, pixels1, work_mb),
    )


def least_keys(
    rows: torch.Tensor, columns: torch.Tensor, grid: Rectangle, width2: int, window: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the kernel: keys `(CANDIDATES, P)` of the rows `(P, D)` and `(CANDIDATES, Q)` of the columns."""
    from flow.matching.exact.triton_kernel import nearest_both_ways  # noqa: PLC0415 Triton is only there with GPUs

    norms1, norms2 = (
        torch.linalg.vector_norm(values, dim=1, dtype=torch.float32).square() for values in (rows, columns)
    )
    keys1, keys2 = (
        torch.full((CANDIDATES, len(values)), NO_KEY, dtype=torch.int64, device=rows.device)
        for values in (rows, columns)
    )
    blocks = (len(rows) + BLOCK - 1) // BLOCK
    nearest_both_ways[blocks, CANDIDATES](
        rows, columns, norms1, norms2, keys1, keys2, len(rows), len(columns), rows.shape[1],
        grid.shape[1], width2, grid.left, grid.top, grid.step, window or 0,
        WINDOWED=window is not None, STRIPS=CANDIDATES,
        BLOCK1=BLOCK, BLOCK2=BLOCK, BLOCK_D=NUMBERS_AT_ONCE[rows.dtype], num_warps=8,
    )  # fmt: skip
    return keys1, keys2


def candidates_of(keys: torch.Tensor) -> Candidates:
    """Unpack keys: half the squared distance in the upper 32 bits, the slot in the lower ones."""
    candidates = Candidates(keys.shape[1], keys.device)
    candidates.product = -(keys >> 32).int().view(torch.float32).T.contiguous()
    candidates.product.nan_to_num_(nan=-torch.inf, neginf=-torch.inf)
    candidates.slot = (keys & NO_SLOT).int().T.contiguous()
    return candidates
