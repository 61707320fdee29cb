"""The patch network as a `Descriptor`: patches one by one, or whole images with all their scales."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.descriptors.cost import describing_flop
from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.network.trunk import PatchTrunk


class PatchNet(PatchTrunk):
    """Five convolutions after Table 1 of Gadot & Wolf (CVPR 2016), and the scales of an image joined.

    Called, it describes patches `(N, 1, P, P)` in [0, 1] -> `(N, patch_dimension)`, see `PatchTrunk`. As a
    `Descriptor` it describes images, with the context of coarser scales that its settings ask for.

    Examples
    --------
    >>> from patchbatch.descriptors.network.config import PRESETS
    >>> net = PatchNet(PRESETS["compact"]).eval()
    >>> net(torch.rand(2, 1, 62, 62)).shape, net.dimension, net.reach
    (torch.Size([2, 64]), 64, 31)
    """

    def __init__(self, config: PatchNetConfig, name: str = ""):
        super().__init__(config)
        self.name = name

    @property
    def dimension(self) -> int:
        """Numbers of a pixel's descriptor, coarser scales included."""
        return self.config.dimension

    @property
    def reach(self) -> int:
        """Half the patch, px."""
        return self.patch_size // 2

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def describe_pyramid(
        self, image: NDArray[np.float32], levels: int, precision: str = "auto"
    ) -> list[Tensor]:
        """Describe an image and its halvings, each with its context; see `description.describe_pyramid`."""
        return describe_pyramid(image, self, levels, precision)

    def seen_as(self, standardization: str = "", single_scale: bool = False) -> PatchNet:
        """Return this network, with the same weights, looking at images in another way.

        Parameters
        ----------
        standardization
            Of `PatchNetConfig`; empty keeps it.
        single_scale
            True: nothing of coarser scales is read beside the image itself.

        Raises
        ------
        PatchBatchError
            For an unknown standardisation.
        """
        config = replace(self.config, standardization=standardization or self.config.standardization)
        if single_scale:
            config = replace(config, context=(), joint=())
        if config == self.config:
            return self
        other = copy(self)  # shares the parameters
        other.config, other.name = config, f"{self.name}, seen otherwise"
        return other

    def flop(self, shape: tuple[int, int], levels: int) -> float:
        """Floating-point operations of describing an image `(H, W)`, its context and joining included."""
        return describing_flop(self.config, shape, levels)
