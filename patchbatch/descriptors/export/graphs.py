"""Networks as modules of plain tensor arithmetic, that torch exports for sizes which are known only later.

`describe_pyramid` works in bands and compiled loops. Here the same numbers come from whole maps: dilated
convolutions, and everything that depends on the size of an image as matrices made of that size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.descriptors.description import LEAST_CONTRAST, NO_CONTRAST, SURROUNDINGS_PX
from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError


class PatchGraph(nn.Module):
    """What a network makes of patches, without the checks of its door.

    Shape
    -----
    `(N, 1, P, P)` float32 in [0, 1] -> `(N, D)` float32.
    """

    def __init__(self, net: PatchTrunk):
        super().__init__()
        self.net = net.eval()

    def forward(self, patches: Tensor) -> Tensor:
        """Describe patches."""
        return self.net.evaluate(patches)


class ImageGraph(nn.Module):
    """What a dense network makes of whole images: the first level of `describe_pyramid`.

    Standardisation, mirrored border, network, coarser scales and their joining are all in it.

    Parameters
    ----------
    net
        A dense network (`is_dense`).

    Shape
    -----
    `(N, 1, H, W)` float32 grey in [0, 1] -> `(N, E, H, W)` float32.

    Raises
    ------
    PatchBatchError
        For a network that has to see each patch by itself.

    Examples
    --------
    >>> from patchbatch.models import load_model
    >>> net, image = load_model("compact"), torch.rand(1, 1, 9, 14)
    >>> ours = net.describe_pyramid(image[0, 0].numpy(), 1, "float32")[0]
    >>> torch.allclose(ImageGraph(net)(image)[0].permute(1, 2, 0), ours, atol=1e-5)
    True
    """

    def __init__(self, net: PatchNet):
        super().__init__()
        if not net.is_dense:
            raise PatchBatchError(
                f"{net.name or 'this network'} describes patch by patch, not whole images; export its "
                "patches (leave --images out), or take compact or fast"
            )
        self.net = net.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Describe every pixel."""
        context = self.net.config.context
        levels = [images]
        for _ in context:
            finer = levels[-1]
            across, down = _halving(finer.shape[3]), _halving(finer.shape[2])
            levels.append(down @ finer @ across.T)
        described = [self._described(level) for level in levels]
        if not context:
            return described[0]
        scales = described[:1]
        for weight, coarser in zip(context, described[1:], strict=True):
            scales.append(weight * F.interpolate(coarser, size=images.shape[2:], mode="bilinear"))
        together = torch.cat(scales, dim=1)
        if self.net.joining is None:
            return together
        beside = together.permute(0, 2, 3, 1)
        joined: Tensor = self.net.joining(beside.flatten(0, 2))
        return joined.reshape(*beside.shape[:3], -1).permute(0, 3, 1, 2)

    def _described(self, images: Tensor) -> Tensor:
        """Describe one scale -> `(N, D, H, W)`."""
        config, size = self.net.config, self.net.patch_size
        flat = _standardized(images, config.standardization) * config.input_std + config.input_mean
        before, after = size // 2, size - 1 - size // 2
        rows, columns = (_mirrored(images.shape[axis], before, after) for axis in (2, 3))
        return self.net.dense(flat.index_select(2, rows).index_select(3, columns))


def _standardized(images: Tensor, way: str) -> Tensor:
    """Do what `description.standardize` does, to mean 0 and deviation 1."""
    if way == "image":
        centred = images - images.mean(dim=(2, 3), keepdim=True)
        return centred / centred.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp(min=NO_CONTRAST)
    down, across = _surroundings(images.shape[2]), _surroundings(images.shape[3]).T
    centred = images - down @ images @ across
    return centred / (down @ centred.square() @ across).sqrt().clamp(min=LEAST_CONTRAST)


def _surroundings(size: int) -> Tensor:
    """Return the matrix that takes the Gaussian mean around each of so many places."""
    at = torch.arange(size, dtype=torch.float32)
    away = (at[:, None] - at).abs()
    weights = torch.exp(-0.5 * (away / SURROUNDINGS_PX) ** 2) * (away <= int(4 * SURROUNDINGS_PX))
    return weights / weights.sum(dim=1, keepdim=True)


def _halving(size: int) -> Tensor:
    """Return the matrix that averages so many places by area to half as many, rounded up."""
    half = (size + 1) // 2
    step = size / half
    start, place = torch.arange(half, dtype=torch.float32)[:, None] * step, torch.arange(size)
    shared = torch.minimum(start + step, place + 1) - torch.maximum(start, place)
    shared = shared.clamp(min=0)
    return shared / shared.sum(dim=1, keepdim=True)


def _mirrored(size: int, before: int, after: int) -> Tensor:
    """Return which place stands where, when a row is mirrored at its ends without repeating them."""
    at = torch.arange(-before, size + after)
    # A tensor, as the exporter knows remainders of tensors only; a single place has no period.
    period = torch.full_like(at, 2).mul(size - 1).clamp(min=1)
    within = torch.remainder(at, period)
    return torch.minimum(within, period - within).clamp(max=size - 1)
