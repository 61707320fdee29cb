"""Nodes and evidence in the form that the network reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flow.completion.evidence import Evidence
from flow.completion.nodes import Nodes


@dataclass(frozen=True)
class Choices:
    """The open nodes with what speaks for their candidates, as tensors; G = R C nodes in all, N of them open.

    Attributes
    ----------
    index
        `(N,)` int64, which of the G nodes are open.
    there
        `(N, K)` bool, where there is a candidate; T in all.
    candidates
        `(T, 34)` float32, their numbers row by row.
    flows
        `(N, K, 2)` px.
    motion
        `(T,)` int64, rows of `motions`.
    motions
        `(M, 10)` float32: centre and model of each motion.
    numbers
        `(31, R, C)` float32, of all nodes.
    models
        `(G, 10)` float32, what each node starts from.
    places
        `(G, 2)` float32, x then y, px.
    """

    index: Tensor
    there: Tensor
    candidates: Tensor
    flows: Tensor
    motion: Tensor
    motions: Tensor
    numbers: Tensor
    models: Tensor
    places: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of nodes."""
        return self.numbers.shape[1], self.numbers.shape[2]

    @property
    def trust(self) -> Tensor:
        """`(G,)`, the confidence of the interpolated flow."""
        return self.numbers[3].flatten()


def choices_of(nodes: Nodes, evidence: Evidence, device: str | torch.device = "cpu") -> Choices:
    """Bring nodes and evidence onto a device."""
    there = nodes.ids >= 0
    table = np.concatenate([nodes.motions.centres, nodes.motions.models], axis=1)
    places = np.stack(np.meshgrid(nodes.xs, nodes.ys), axis=-1).reshape(-1, 2)
    arrays = (
        np.flatnonzero(nodes.open), there, evidence.candidates[there], evidence.flows,
        nodes.ids[there].astype(np.int64), table, evidence.nodes, nodes.models.reshape(-1, 10),
        places.astype(np.float32),
    )  # fmt: skip
    return Choices(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))
