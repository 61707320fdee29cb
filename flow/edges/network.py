"""A small network that finds the borders of things, where the gradient also finds their texture."""

from __future__ import annotations

from functools import cache
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate as resize
from torch.nn.functional import max_pool2d, relu

from flow.edges.gradient import as_colour
from patchbatch.data.given.images import ImageLike, given_image
from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.errors import PatchBatchError

SHIPPED = Path(__file__).with_name("network.safetensors")
"""Weights taught on BSDS500; edges.md beside them is their card."""

# Channels at full, half, quarter and eighth of the size: 0.39 million parameters.
_CHANNELS = (16, 32, 64, 96)
_MEAN, _SPREAD = (0.44, 0.45, 0.37), 0.25  # of the colours of BSDS500's training photographs, rounded


class EdgeNetwork(nn.Module):
    """Photographs to boundaries: an hourglass of 3x3 convolutions over four scales.

    `(N, 3, H, W)` RGB float in [0, 1] of any size -> `(N, H, W)` logits of "a person would draw a border
    here".

    Parameters
    ----------
    channels
        At each scale, the full one first; the number of scales is their number.

    Examples
    --------
    >>> EdgeNetwork((4, 8))(torch.zeros(1, 3, 5, 7)).shape
    torch.Size([1, 5, 7])
    """

    def __init__(self, channels: tuple[int, ...] = _CHANNELS) -> None:
        super().__init__()
        below = (3, *channels[:-1])
        self.down = nn.ModuleList(_Pair(a, b) for a, b in zip(below, channels, strict=True))
        rising = list(zip(channels[1:], channels[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_Pair(deep + side, side) for deep, side in rising)
        self.out = nn.Conv2d(channels[0], 1, 1)
        # Borders are rare: without this the first steps only learn to say no.
        nn.init.constant_(self.out.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, `(N, H, W)`."""
        mean = torch.tensor(_MEAN, dtype=images.dtype, device=images.device)[:, None, None]
        x = (images - mean) / _SPREAD
        sides: list[Tensor] = []
        for level, pair in enumerate(self.down):
            x = pair(max_pool2d(x, 2, ceil_mode=True) if level else x)
            sides.append(x)
        for pair, side in zip(self.up, sides[-2::-1], strict=True):
            larger = resize(x, side.shape[2:], mode="bilinear", align_corners=False)
            x = pair(torch.cat([larger, side], dim=1))
        logits: Tensor = self.out(x)[:, 0]
        return logits


class _Pair(nn.Module):
    """Two rectified 3x3 convolutions."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inward, outward, 3, padding=1)
        self.second = nn.Conv2d(outward, outward, 3, padding=1)
        # There is no normalisation to rescue a signal that fades over fourteen layers.
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        second: Tensor = relu(self.second(relu(self.first(x))))
        return second


def save_edge_network(network: EdgeNetwork, path: str | PathLike[str]) -> None:
    """Write the weights in half precision as safetensors."""
    write_tensors(path, {name: value.half().cpu().numpy() for name, value in network.state_dict().items()})


@cache
def load_edge_network(path: str) -> EdgeNetwork:
    """Return the network of a weights file, ready to use; the same file is read once.

    Raises
    ------
    PatchBatchError
        If the file is missing or holds no weights of this network.
    """
    network, mend = EdgeNetwork(), "python -m flow.edges.train makes such files"
    arrays, _ = read_tensors(path, mend)
    try:
        network.load_state_dict({name: torch.from_numpy(value).float() for name, value in arrays.items()})
    except RuntimeError as error:
        raise PatchBatchError(f"{path} holds no weights of an edge network; {mend}") from error
    return network.eval()


@torch.inference_mode()
def network_edges(image: ImageLike, weights: str | PathLike[str] = SHIPPED) -> NDArray[np.float32]:
    """Return the strength of borders as the network sees them.

    Parameters
    ----------
    image
        As `given_image` takes it.
    weights
        `SHIPPED`, or a file from `python -m flow.edges.train`.

    Returns
    -------
    NDArray[np.float32]
        `(H, W)` in [0, 1], as `interpolate` takes it.
    """
    batch = torch.from_numpy(as_colour(given_image(image))).permute(2, 0, 1)[None]
    strength: NDArray[np.float32] = torch.sigmoid(load_edge_network(str(weights))(batch))[0].numpy()
    return strength
