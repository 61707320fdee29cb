"""Which pixels of a pair of crops the network learns from: matches and non-matches.

A dense network is evaluated on a grid of every `stride`-th pixel of both crops; a pixel of the grid is used
when its true target falls close to the other grid, so that no descriptor has to be interpolated. A network
that works patch by patch is given the pixels that count and no others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from patchbatch.descriptors.train.objective import PointMatches
from patchbatch.descriptors.train.settings import ObjectiveSettings

# Neighbours that are described together patch by patch.
GROUP = 8


@dataclass(frozen=True)
class PatchPoints:
    """Pixels (x, y) of two crops to be described, and what is true about them.

    Attributes
    ----------
    source
        `(M, 2)` int64, points of crop 1.
    seen
        `(K, 2)` int64, pixels of crop 2: the match of each point, then non-matches that are nobody's match.
    wrong
        `(M,)` int64, row in `seen` of a non-match of each point.
    target
        `(M, 2)` float32, the exact places that the points move to.
    """

    source: Tensor
    seen: Tensor
    wrong: Tensor
    target: Tensor

    def matches(self) -> PointMatches:
        """Return the rows when set 1 is `source` and set 2 is `seen`."""
        rows = torch.arange(len(self.source))
        return PointMatches(rows, rows, self.target, self.wrong)


def grid_places(grid: tuple[int, int], offset: int, stride: int) -> Tensor:
    """Pixels (x, y) of a grid row by row, `(rows * columns, 2)` float32."""
    y, x = torch.meshgrid(*(torch.arange(n) * stride + offset for n in grid), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).float()


def grid_matches(
    flow: Tensor, visible: Tensor, grid: tuple[int, int], offset: int, settings: ObjectiveSettings,
    generator: torch.Generator,
) -> PointMatches:  # fmt: skip
    """Pick the grid points of crop 1 whose target is a grid point of crop 2.

    Parameters
    ----------
    flow, visible
        `(H, W, 2)` float32 and `(H, W)` bool of the crop.
    grid
        (rows, columns) of the grid; its first point is the pixel (offset, offset).
    """
    rows, columns = grid
    places = grid_places(grid, offset, settings.stride)
    x, y = places.long().T
    target = places + flow[y, x]
    cell = ((target - offset) / settings.stride).round().long()
    off = (cell * settings.stride + offset - target).norm(dim=1)
    inside = (cell >= 0).all(dim=1) & (cell[:, 0] < columns) & (cell[:, 1] < rows)
    source = (visible[y, x] & inside & (off <= settings.tolerance)).nonzero().squeeze(1)
    source = source[_some(len(source), settings.points, generator)]
    chosen = cell[source]
    wrong = _grid_wrong(chosen, grid, settings, generator)
    match = chosen[:, 1] * columns + chosen[:, 0]
    return PointMatches(source, match, target[source], wrong[:, 1] * columns + wrong[:, 0])


def patch_points(
    flow: Tensor, visible: Tensor, patch_size: int, settings: ObjectiveSettings, generator: torch.Generator
) -> PatchPoints:
    """Pick pixels of crop 1 that have their patch and the patch of their match inside the crops.

    A pair loss gives every match a non-match of its own, 1 to `near` px off: three patches a match. The
    softmax takes everything described for a non-match, so there the points come in groups of neighbours,
    whose matches are non-matches for each other: two patches a match, and more to tell apart close by.

    Parameters
    ----------
    flow, visible
        `(H, W, 2)` float32 and `(H, W)` bool of the crop.
    patch_size
        Side of the patches, px.
    """
    first = patch_size // 2
    last = torch.tensor(flow.shape[1::-1]) - (patch_size - first)
    y, x = torch.meshgrid(*(torch.arange(size) for size in visible.shape), indexing="ij")
    source = torch.stack([x, y], dim=2)
    target = source + flow
    match = target.round().long()
    good = ((source >= first) & (source <= last) & (match >= first) & (match <= last)).all(dim=2)
    good &= visible & ((match - target).norm(dim=2) <= settings.tolerance)
    chosen = good.nonzero()
    if not settings.of_pairs:
        y, x = _in_groups(chosen, good, settings, generator).T
        return PatchPoints(source[y, x], match[y, x], torch.arange(len(x)).roll(1), target[y, x])
    y, x = chosen[_some(len(chosen), settings.points, generator)].T
    offsets = near_offsets(len(x), settings, generator)
    seen = torch.cat([match[y, x], _inside(match[y, x], offsets, first, last)])
    return PatchPoints(source[y, x], seen, torch.arange(len(x)) + len(x), target[y, x])


def _in_groups(
    chosen: Tensor, good: Tensor, settings: ObjectiveSettings, generator: torch.Generator
) -> Tensor:
    """Take some of the points (y, x) and pixels 1 to `near` px beside each that are `good` `(H, W)` too."""
    groups = 2 * -(-settings.points // GROUP)  # more than needed: at edges and beside what is hidden some go
    middles = chosen[torch.randperm(len(chosen), generator=generator)[:groups]]
    offsets = near_offsets(len(middles) * GROUP, settings, generator).view(-1, GROUP, 2)
    offsets[:, 0] = 0
    points = (middles[:, None] + offsets.round().long()).flatten(0, 1)
    points = points[((points >= 0) & (points < torch.tensor(good.shape))).all(dim=1)]
    return points[good[points[:, 0], points[:, 1]]][: settings.points]


def near_offsets(count: int, settings: ObjectiveSettings, generator: torch.Generator) -> Tensor:
    """Offsets `(count, 2)` float32 from a match to a non-match, 1 to `near` px long, in any direction.

    The length is uniform, or the size of a normal number of deviation near / 2, cut at both ends.
    """
    if settings.normal:
        spread = torch.randn(count, generator=generator).abs() * settings.near / 2
        radius = spread.clamp(1.0, settings.near)
    else:
        radius = 1 + torch.rand(count, generator=generator) * (settings.near - 1)
    angle = torch.rand(count, generator=generator) * (2 * torch.pi)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def cut_patches(image: Tensor, places: Tensor, patch_size: int) -> Tensor:
    """Cut the patches around pixels `(M, 2)` (x, y) out of a crop `(H, W)` -> `(M, 1, P, P)`."""
    corner = places - patch_size // 2
    windows = image.unfold(0, patch_size, 1).unfold(1, patch_size, 1)
    return windows[corner[:, 1], corner[:, 0]][:, None]


def _some(count: int, limit: int, generator: torch.Generator) -> Tensor:
    """At most `limit` of so many rows, in rising order."""
    if count <= limit:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)[:limit].sort().values


def _grid_wrong(
    match: Tensor, grid: tuple[int, int], settings: ObjectiveSettings, generator: torch.Generator
) -> Tensor:
    # At least one grid step away, whatever the stride.
    offset = near_offsets(len(match), settings, generator) / settings.stride
    length = offset.norm(dim=1, keepdim=True)
    offset = offset * (length.clamp(min=1.0) / length)
    return _inside(match, offset, 0, torch.tensor([grid[1] - 1, grid[0] - 1]))


def _inside(match: Tensor, offset: Tensor, first: int, last: Tensor) -> Tensor:
    """Add offsets to places; what leaves first..last goes back to the border, but never onto the match."""
    wrong = torch.minimum((match + offset.round().long()).clamp(min=first), last)
    same = (wrong == match).all(dim=1)
    inwards = torch.where(match[:, 0] > first, -1, 1)
    return torch.stack([wrong[:, 0] + same * inwards, wrong[:, 1]], dim=1)
