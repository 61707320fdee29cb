"""Picking the true match among all candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.losses.options import SoftmaxOptions


@dataclass(frozen=True)
class SoftmaxMatching(SoftmaxOptions):
    """Cross entropy of picking the true match among all candidates (in-batch softmax, InfoNCE).

    Option as in `SoftmaxOptions`. Source: van den Oord, Li, Vinyals, arXiv 1807.03748.
    """

    def __call__(self, similarity: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a float32 scalar.

        Parameters
        ----------
        similarity
            `(N, M)` similarities of N points to M candidates; -inf leaves a candidate out.
        target
            `(N,)` int64, index of the true candidate of each point.
        """
        return F.cross_entropy(similarity.float() / self.temperature, target)
