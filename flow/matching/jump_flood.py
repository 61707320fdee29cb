"""PatchMatch for parallel machines: every pixel asks pixels at falling distances, all at once, in torch.

In a round each pixel tries the displacements of the pixels that lie a jump away in eight directions, for
jumps that halve down to 1 (jump flooding: Rong & Tan, I3D 2006), so a good match crosses the image in a
few steps instead of one pixel after another; then it tries random places around its own match.
"""

from __future__ import annotations

import torch

from flow.matching.exact.search import NearestNeighbours, check_pair
from flow.matching.patch_match import random_displacements, start_matches
from flow.matching.search_settings import JumpFloodingSettings
from flow.matching.seeds import EIGHT_NEIGHBOURS

GATHERED_AT_ONCE = 1 << 22  # numbers of descriptors: 16 MB in float32, a few of which live at once


def jump_flooding(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: JumpFloodingSettings | None = None
) -> NearestNeighbours:
    """Find near neighbours for every pixel of both images.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, any floating type, on one device, where the work is done.
    settings
        `JumpFloodingSettings`; None takes the defaults.

    Returns
    -------
    `NearestNeighbours` on the CPU: every pixel has a match, not always the nearest one. The distance is
    infinite where no distance that was tried is a number.

    Raises
    ------
    PatchBatchError
        If the shapes or devices do not fit together.
    """
    settings = settings or JumpFloodingSettings()
    check_pair(descriptors1, descriptors2)
    forward = _one_way(descriptors1.detach(), descriptors2.detach(), settings, 0)
    backward = _one_way(descriptors2.detach(), descriptors1.detach(), settings, 1)
    parts = []
    for search, width in ((forward, descriptors2.shape[1]), (backward, descriptors1.shape[1])):
        parts += [(search.y * width + search.x).int().cpu().numpy(), search.cost.cpu().numpy()]
    return NearestNeighbours(*parts)


class _Search:
    """Where each pixel of image 1 matches, x and y `(H1, W1)` int64, and at what cost."""

    def __init__(
        self, descriptors1: torch.Tensor, descriptors2: torch.Tensor, x: torch.Tensor, y: torch.Tensor
    ) -> None:
        self.descriptors1, self.descriptors2 = descriptors1, descriptors2
        self.x, self.y = x, y
        self.cost = torch.full(x.shape, torch.inf, device=x.device)
        self.offer(x, y)

    def offer(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Let every pixel take one match, moved inside image 2, if it is nearer than its own."""
        height2, width2, numbers = self.descriptors2.shape
        x, y = x.clamp(0, width2 - 1), y.clamp(0, height2 - 1)
        rows = max(1, GATHERED_AT_ONCE // (x.shape[1] * numbers))
        cost = torch.cat([self._costs(slice(i, i + rows), x, y) for i in range(0, len(x), rows)])
        nearer = cost < self.cost
        self.x, self.y = torch.where(nearer, x, self.x), torch.where(nearer, y, self.y)
        self.cost = torch.where(nearer, cost, self.cost)

    def _costs(self, rows: slice, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        found = self.descriptors2[y[rows], x[rows]].float()
        return (self.descriptors1[rows].float() - found).square().sum(dim=-1)


def _one_way(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: JumpFloodingSettings, way: int
) -> _Search:
    (height1, width1), (height2, width2) = descriptors1.shape[:2], descriptors2.shape[:2]
    shape1, shape2 = (height1, width1), (height2, width2)
    largest = max(*shape1, *shape2)
    start_x = largest if settings.start_x is None else settings.start_x
    start_y = largest if settings.start_y is None else settings.start_y
    displacements = random_displacements(shape1, start_x, start_y, 2 * settings.seed + way)
    start = torch.from_numpy(start_matches(displacements, shape1, shape2)).to(descriptors1.device).long()
    search = _Search(descriptors1, descriptors2, start[..., 0], start[..., 1])
    radius = float(max(shape2)) if settings.search_radius is None else settings.search_radius
    generator = torch.Generator(descriptors1.device).manual_seed(2 * settings.seed + way)
    for _ in range(settings.rounds):
        _ask_others(search, settings.first_jump)
        _search_at_random(search, radius, generator)
    return search


def _ask_others(search: _Search, jump: int) -> None:
    """Try the displacements of pixels at falling distances; beyond the border the last pixel answers."""
    height, width = search.cost.shape
    rows = torch.arange(height, device=search.cost.device)[:, None]
    columns = torch.arange(width, device=search.cost.device)
    while jump >= 1:
        for dx, dy in EIGHT_NEIGHBOURS:
            row, column = (rows + jump * dy).clamp(0, height - 1), (columns + jump * dx).clamp(0, width - 1)
            search.offer(search.x[row, column] + columns - column, search.y[row, column] + rows - row)
        jump //= 2


def _search_at_random(search: _Search, radius: float, generator: torch.Generator) -> None:
    while radius >= 1:
        reach = int(radius)
        dx, dy = torch.randint(
            -reach, reach + 1, (2, *search.cost.shape), generator=generator, device=search.cost.device
        )
        search.offer(search.x + dx, search.y + dy)
        radius /= 2
