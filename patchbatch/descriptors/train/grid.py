"""Descriptors of the grids of training: crops described at one scale and, if a network joins them, at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.errors import PatchBatchError


def describe_grid(
    net: PatchTrunk, images: Tensor, places: Tensor, stride: int, surround: int
) -> tuple[Tensor, Tensor | None]:
    """Describe a grid of pixels of training crops, at one scale and, where the network joins them, at all.

    Parameters
    ----------
    net
        A dense network.
    images
        `(N, 1, H, W)` crops, standardised.
    places
        `(P, 2)` pixels (x, y) of the grid, row by row: all that have their patch and `surround` more pixels
        inside the crop, every `stride`-th.
    stride, surround
        Pixels.

    Returns
    -------
    own, joined
        `(N, P, D)` and `(N, P, E)`, None for a network that does not join scales.

    Raises
    ------
    PatchBatchError
        When a halved crop is smaller than what would have to be mirrored at its border.
    """
    inner = images[..., surround : images.shape[-2] - surround, surround : images.shape[-1] - surround]
    own = net.dense(inner, stride).flatten(2).transpose(1, 2)
    if net.joining is None:
        return own, None
    scales = [own]
    for level, weight in enumerate(net.config.context, 1):
        scales.append(weight * _coarser(net, images, level, places))
    together = torch.cat(scales, dim=2)
    joined = net.joining(together.flatten(0, 1)).unflatten(0, together.shape[:2])
    return own, joined


def _coarser(net: PatchTrunk, images: Tensor, level: int, places: Tensor) -> Tensor:
    """Describe halved crops at the places of the full ones, between pixels bilinearly, `(N, P, D)`."""
    small = F.avg_pool2d(images, 2**level)
    # `describe` standardises every level anew: averaging takes contrast away.
    mean, deviation = small.mean((2, 3), keepdim=True), small.std((2, 3), keepdim=True)
    small = (small - mean) / deviation.clamp(min=0.02) * net.config.input_std + net.config.input_mean
    at = (places + 0.5) / 2**level - 0.5
    low = at.amin(dim=0).floor().long()
    high = at.amax(dim=0).floor().long() + 1
    before = net.patch_size // 2 - low
    after = high + net.patch_size - net.patch_size // 2 - torch.tensor(small.shape[:1:-1])
    margins = [int(m) for pair in zip(before, after, strict=True) for m in pair]
    described = net.dense(_framed(small, margins))
    last = torch.tensor(described.shape[:1:-1]) - 1
    unit = (2 * (at - low) / last - 1).to(described.device)
    grid = unit[None, None].expand(len(images), -1, -1, -1)
    sampled = F.grid_sample(described, grid, align_corners=True)
    return sampled[:, :, 0].transpose(1, 2)


def _framed(images: Tensor, margins: list[int]) -> Tensor:
    """Mirror images at their border, or cut it, by (left, right, top, bottom) px; negative: cut."""
    if max(margins) >= min(images.shape[-2:]):
        raise PatchBatchError(
            "the crops are too small for the coarser scales of the network; use larger ones"
        )
    cut = F.pad(images, [min(m, 0) for m in margins])
    return F.pad(cut, [max(m, 0) for m in margins], mode="reflect")
