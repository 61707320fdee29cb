"""From the dense descriptors of a pair of crops and its flow to a training loss.

A crop is described on a grid of every `stride`-th pixel. A grid point of image 1 is used when its true
target falls close to a grid point of image 2, so that no descriptor has to be interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from patchbatch.descriptors.losses import cent_drlim, cent_drlim_sd, drlim, softmax_matching, spread


@dataclass(frozen=True)
class ObjectiveSettings:
    """Which loss, and on what pairs.

    Attributes
    ----------
    loss
        "cent+sd" (the talk's), "cent", "drlim+sd", "drlim", or "softmax" (in-batch softmax over the whole
        grid of the other crop, both ways).
    margin, balance
        m and λ of the DrLIM family.
    temperature
        Similarities are divided by it before the softmax.
    near
        Negatives of the DrLIM family lie up to this many pixels from the true match, at least `stride`.
    stride
        Grid step in pixels.
    tolerance
        A grid point counts as the match when it is at most this far (px) from the true target.
    exclude
        Softmax candidates closer than this (px) to the true target, but the match, are left out.
    points
        At most so many matches of one pair are used.
    bfloat16
        Whether similarities are computed in bfloat16.
    """

    loss: str = "cent+sd"
    margin: float = 100.0
    balance: float = 0.8
    temperature: float = 0.05
    near: float = 8.0
    stride: int = 2
    tolerance: float = 0.75
    exclude: float = 1.9
    points: int = 400
    bfloat16: bool = True


LOSSES = ("cent+sd", "cent", "drlim+sd", "drlim", "softmax")


@dataclass(frozen=True)
class GridMatches:
    """True matches between two grids: flat grid indices and exact target, one row per match.

    `source` and `match` are `(N,)` int64 indices into the flattened grids, `target` `(N, 2)` float32 is the
    exact target (x, y) in units of image pixels from the first grid point.
    """

    source: Tensor
    match: Tensor
    target: Tensor


def grid_matches(
    flow: Tensor, visible: Tensor, grid: tuple[int, int], offset: int, settings: ObjectiveSettings,
    generator: torch.Generator,
) -> GridMatches:  # fmt: skip
    """Pick the grid points of crop 1 whose target is a grid point of crop 2.

    Parameters
    ----------
    flow, visible
        `(H, W, 2)` float32 and `(H, W)` bool of the crop.
    grid
        (rows, columns) of the descriptor grid; its first point is the pixel (offset, offset).
    """
    rows, columns = grid
    stride = settings.stride
    y, x = torch.meshgrid(torch.arange(rows) * stride, torch.arange(columns) * stride, indexing="ij")
    at_grid = flow[y + offset, x + offset]
    target = torch.stack([x, y], dim=-1) + at_grid
    nearest = (target / stride).round()
    off = ((nearest * stride - target) ** 2).sum(dim=-1).sqrt()
    inside = (nearest >= 0).all(dim=-1) & (nearest[..., 0] < columns) & (nearest[..., 1] < rows)
    good = visible[y + offset, x + offset] & inside & (off <= settings.tolerance)
    source = good.flatten().nonzero().squeeze(1)
    if len(source) > settings.points:
        source = source[torch.randperm(len(source), generator=generator)[: settings.points].sort().values]
    cell = nearest.reshape(-1, 2)[source].long()
    return GridMatches(source, cell[:, 1] * columns + cell[:, 0], target.reshape(-1, 2)[source])


def pair_loss(
    descriptors1: Tensor, descriptors2: Tensor, matches: GridMatches, settings: ObjectiveSettings,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Loss of one pair of crops from its descriptors `(D, rows, columns)`."""
    columns = descriptors1.shape[2]
    flat1, flat2 = descriptors1.flatten(1).T, descriptors2.flatten(1).T
    if settings.loss == "softmax":
        return _softmax_both_ways(flat1, flat2, matches, columns, settings)
    positive = _distance(flat1[matches.source], flat2[matches.match])
    wrong = near_negatives(matches, descriptors2.shape[1:], settings, generator)
    return drlim_family(positive, _distance(flat1[matches.source], flat2[wrong]), settings)


def drlim_family(positive: Tensor, negative: Tensor, settings: ObjectiveSettings) -> Tensor:
    """Apply the loss of the DrLIM family that `settings.loss` names to two sets of distances."""
    if settings.loss == "cent+sd":
        return cent_drlim_sd(positive, negative, settings.margin, settings.balance)
    if settings.loss == "cent":
        return cent_drlim(positive, negative, settings.margin)
    spring = drlim(positive, negative, settings.margin)
    if settings.loss == "drlim":
        return spring
    return settings.balance * spring + (1 - settings.balance) * spread(positive, negative)


def near_negatives(
    matches: GridMatches, grid: torch.Size, settings: ObjectiveSettings, generator: torch.Generator
) -> Tensor:
    """Pick a wrong grid point for each match, uniform in angle and distance, up to `near` px away."""
    rows, columns = grid
    count = len(matches.source)
    radius = 1 + torch.rand(count, generator=generator) * (settings.near / settings.stride - 1)
    angle = torch.rand(count, generator=generator) * (2 * torch.pi)
    x = (matches.match % columns + (radius * angle.cos()).round().long()).clamp(0, columns - 1)
    y = (matches.match // columns + (radius * angle.sin()).round().long()).clamp(0, rows - 1)
    wrong = y * columns + x
    # At the border the clamped point can be the match itself; its neighbour inwards is not.
    inwards = torch.where(x > 0, -1, 1)
    return torch.where(wrong == matches.match, wrong + inwards, wrong)


def _softmax_both_ways(
    flat1: Tensor, flat2: Tensor, matches: GridMatches, columns: int, settings: ObjectiveSettings
) -> Tensor:
    # The bfloat16 products of autocast are precise enough here: similarities of unit vectors, divided once.
    with torch.autocast(flat1.device.type, torch.bfloat16, enabled=settings.bfloat16):
        forward = flat1[matches.source] @ flat2.T
        backward = flat2[matches.match] @ flat1.T
    forward = _scaled(
        forward, _too_close(matches.target, matches.match, columns, len(flat2), settings), settings
    )
    origin = torch.stack([matches.source % columns, matches.source // columns], dim=-1) * settings.stride
    backward = _scaled(backward, _too_close(origin, matches.source, columns, len(flat1), settings), settings)
    return 0.5 * (softmax_matching(forward, matches.match) + softmax_matching(backward, matches.source))


def _scaled(similarity: Tensor, left_out: Tensor, settings: ObjectiveSettings) -> Tensor:
    return (similarity.float() / settings.temperature).masked_fill(left_out, -torch.inf)


def _too_close(
    target: Tensor, match: Tensor, columns: int, count: int, settings: ObjectiveSettings
) -> Tensor:
    """`(N, count)` bool: grid points near the true target, the match itself excepted."""
    index = torch.arange(count)
    x, y = index % columns * settings.stride, index // columns * settings.stride
    near = (x - target[:, :1]) ** 2 + (y - target[:, 1:]) ** 2 < settings.exclude**2
    near[torch.arange(len(match)), match] = False
    return near


def _distance(a: Tensor, b: Tensor) -> Tensor:
    # The small constant keeps the gradient of the square root finite at zero distance.
    return ((a.float() - b.float()).square().sum(dim=1) + 1e-8).sqrt()
