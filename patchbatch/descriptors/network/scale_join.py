"""The net that joins the descriptors of several scales at a pixel."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class ScaleJoin(nn.Module):
    """A small net of its own at every pixel: descriptors of all scales side by side -> one descriptor.

    Parameters
    ----------
    inputs
        Numbers of all scales together.
    widths
        Outputs of its layers; the last is the descriptor's length.
    slope
        Slope of the leaky ReLU between the layers for negative input.

    Shape
    -----
    `(N, inputs)` -> `(N, widths[-1])`, of unit length, float32.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...], slope: float):
        super().__init__()
        self.slope = slope
        sizes = (inputs, *widths)
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))

    def forward(self, side_by_side: Tensor) -> Tensor:
        """Join the scales of each row."""
        return F.normalize(self.rest(self.layers[0](side_by_side)).float(), dim=1)

    def rest(self, x: Tensor) -> Tensor:
        """Run what follows the first layer on its output `(N, widths[0])`, but for the unit length."""
        for layer in self.layers[1:]:
            x = layer(F.leaky_relu(x, self.slope))
        return x
