"""What the pipeline asks of a descriptor, and no more."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@runtime_checkable
class Descriptor(Protocol):
    """Anything that describes every pixel of an image by numbers to be compared by L2 distance.

    `PatchNet` is one; `patchbatch.descriptors.adapters` makes one of a patch network `(N, 1, P, P) -> (N, D)`
    or of a function from images to dense descriptors.
    """

    name: str
    """For messages and tables; a shipped model's own, by which its fitted confidence is found."""

    @property
    def dimension(self) -> int:
        """Numbers of a descriptor, D."""
        ...

    @property
    def reach(self) -> int:
        """How far from the described pixel it sees at the finest scale, px on both axes."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def describe_pyramid(
        self, image: NDArray[np.float32], levels: int, precision: str = "auto"
    ) -> list[Tensor]:
        """Describe an image and its halvings.

        Parameters
        ----------
        image
            `(H, W)` float32 grey in [0, 1], any size from 1x1 up.
        levels
            Number of levels, at least 1; level l has ceil(H / 2^l) rows, see `description.halvings`.
        precision
            Number type of the result where there is a choice: "auto", "float32", "bfloat16" or "float16".

        Returns
        -------
        list of Tensor
            `(H_l, W_l, D)` floating, contiguous, on `device`, the finest first.
        """
        ...

    def flop(self, shape: tuple[int, int], levels: int) -> float | None:
        """Floating-point operations of describing an image `(H, W)` at so many levels; None: not known."""
        ...
