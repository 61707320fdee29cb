"""What nodes see of each other: whether the motions chosen around agree with a candidate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flow.completion.choices import Choices
from flow.completion.motions import LEAST_DEPTH, flow_of
from patchbatch.compiled import njit, prange

_RINGS = (1, 3, 8)  # nodes away
NEIGHBOURS_SAY = 4 * len(_RINGS)
"""Numbers that `agreement` gives a candidate."""
_FINE_PX2, _COARSE_PX2 = 1.0, 16.0  # squared px apart at which a neighbour agrees by half
_COLOUR_DECAY = 6.0  # per unit of colour difference, summed over three channels
_MODE_PX2 = 2.25
_NO_WEIGHT = 1e-3


def flow_from(models: Tensor, places: Tensor) -> Tensor:
    """Return the flow of motions at places: `(..., 10)` centre and model, `(..., 2)` px -> `(..., 2)` px.

    The same as `motions.flow_of`, for tensors.
    """
    dx, dy = (places - models[..., :2]).unbind(-1)
    a, b, c, d, u, v, g, h = models[..., 2:].unbind(-1)
    depth = (1 + g * dx + h * dy).clamp(min=LEAST_DEPTH)
    return torch.stack(
        [((1 + a) * dx + b * dy + u) / depth - dx, (c * dx + (1 + d) * dy + v) / depth - dy], -1
    )


def consensus(share: Tensor, flows: Tensor, there: Tensor) -> Tensor:
    """Return the candidate around which most of the share lies, `(N,)` int64.

    Parameters
    ----------
    share, there
        `(N, K)`: what each candidate is believed, and whether it is one.
    flows
        `(N, K, 2)` px.
    """
    if flows.device.type == "cpu":
        best = np.zeros(len(flows), np.int64)
        _agree_most(share.detach().numpy(), flows.detach().numpy(), there.numpy(), best)
        return torch.from_numpy(best)
    return _consensus_anywhere(share, flows, there)


def _consensus_anywhere(share: Tensor, flows: Tensor, there: Tensor) -> Tensor:
    """Do the work of `consensus` with torch's operations, on any device."""
    apart = (flows[:, :, None] - flows[:, None]).square().sum(-1)
    support = (share[:, None] / (1 + apart / _MODE_PX2)).sum(-1)
    return support.masked_fill(~there, -1).argmax(-1)


@njit(parallel=True)
def _agree_most(share: Any, flows: Any, there: Any, best: Any) -> None:
    """Write what `consensus` returns."""
    scale = np.float32(1 / _MODE_PX2)
    for n in prange(flows.shape[0]):
        most = np.float32(-1)
        for k in range(flows.shape[1]):
            if not there[n, k]:
                continue
            support = np.float32(0)
            for j in range(flows.shape[1]):
                du, dv = flows[n, j, 0] - flows[n, k, 0], flows[n, j, 1] - flows[n, k, 1]
                support += share[n, j] / (np.float32(1) + (du * du + dv * dv) * scale)
            if support > most:
                best[n], most = k, support


def agreement(choices: Choices, index: Tensor, models: Tensor, trust: Tensor, flows: Tensor) -> Tensor:
    """Return how far the nodes around agree with candidates.

    Parameters
    ----------
    choices
        The nodes.
    index
        `(N,)` int64, which of them are asked about.
    models, trust
        `(G, 10)` what each node chose, and `(G,)` how far it is sure.
    flows
        `(N, K, 2)` px, their candidates.

    Returns
    -------
    `(N, K, 12)`: for rings of eight nodes 1, 3 and 8 nodes away, the share within about 1 px and about 4 px,
    first by trust, then by trust and likeness of colour.
    """
    if flows.device.type == "cpu":
        return _agreement_on_cpu(choices, index, models, trust, flows)
    return _agreement_anywhere(choices, index, models, trust, flows)


def _agreement_anywhere(
    choices: Choices, index: Tensor, models: Tensor, trust: Tensor, flows: Tensor
) -> Tensor:
    """Do the work of `agreement` with torch's operations, on any device."""
    rows, columns = choices.grid
    offsets = torch.tensor(
        [
            (ring * dx, ring * dy)
            for ring in _RINGS for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy
        ], device=flows.device,
    )  # fmt: skip
    y, x = index // columns, index % columns
    xs, ys = x[:, None] + offsets[:, 0], y[:, None] + offsets[:, 1]
    inside = (xs >= 0) & (xs < columns) & (ys >= 0) & (ys < rows)
    around = ys.clamp(0, rows - 1) * columns + xs.clamp(0, columns - 1)
    theirs = flow_from(models[around], choices.places[index][:, None])
    colour = choices.numbers[:3].flatten(1).T
    unlike = (colour[around] - colour[index][:, None]).abs().sum(-1)
    by_trust = trust[around] * inside
    by_both = by_trust * torch.exp(-_COLOUR_DECAY * unlike)
    apart = (flows[:, :, None] - theirs[:, None]).square().sum(-1)
    fine, coarse = 1 / (1 + apart / _FINE_PX2), 1 / (1 + apart / _COARSE_PX2)
    said = []
    for ring in range(len(_RINGS)):
        eight = slice(8 * ring, 8 * ring + 8)
        for weight in (by_trust[:, eight], by_both[:, eight]):
            total = weight.sum(-1, keepdim=True) + _NO_WEIGHT
            said += [torch.einsum("nkj,nj->nk", each[:, :, eight], weight) / total for each in (fine, coarse)]
    return torch.stack(said, -1)


def _agreement_on_cpu(
    choices: Choices, index: Tensor, models: Tensor, trust: Tensor, flows: Tensor
) -> Tensor:
    """Do the work of `agreement` in a compiled loop, several times quicker."""
    said = np.zeros((*flows.shape[:2], NEIGHBOURS_SAY), np.float32)
    _agree(
        index.numpy(), np.array(choices.grid), np.array(_RINGS), models.numpy(), trust.numpy(),
        choices.numbers[:3].flatten(1).numpy(), choices.places.numpy(), flows.detach().numpy(), said,
    )  # fmt: skip
    return torch.from_numpy(said)


@njit(parallel=True)
def _agree(
    index: Any,
    grid: Any,
    rings: Any,
    models: Any,
    trust: Any,
    colour: Any,
    places: Any,
    flows: Any,
    said: Any,
) -> None:
    """Write what `agreement` returns."""
    for n in prange(len(index)):
        here = index[n]
        for ring in range(len(rings)):
            total_trust, total_both = np.float32(_NO_WEIGHT), np.float32(_NO_WEIGHT)
            for place in range(9):
                if place == 4:
                    continue
                row = here // grid[1] + rings[ring] * (place // 3 - 1)
                column = here % grid[1] + rings[ring] * (place % 3 - 1)
                if row < 0 or column < 0 or row >= grid[0] or column >= grid[1]:
                    continue
                other = row * grid[1] + column
                model = models[other]
                u, v = flow_of(model[2:], places[here, 0] - model[0], places[here, 1] - model[1])
                unlike = np.float32(0)
                for i in range(3):
                    unlike += abs(colour[i, other] - colour[i, here])
                both = trust[other] * np.float32(math.exp(-_COLOUR_DECAY * unlike))
                total_trust += trust[other]
                total_both += both
                for k in range(flows.shape[1]):
                    apart = (flows[n, k, 0] - u) ** 2 + (flows[n, k, 1] - v) ** 2
                    fine = 1 / (1 + apart / np.float32(_FINE_PX2))
                    coarse = 1 / (1 + apart / np.float32(_COARSE_PX2))
                    said[n, k, 4 * ring] += trust[other] * fine
                    said[n, k, 4 * ring + 1] += trust[other] * coarse
                    said[n, k, 4 * ring + 2] += both * fine
                    said[n, k, 4 * ring + 3] += both * coarse
            for k in range(flows.shape[1]):
                said[n, k, 4 * ring] /= total_trust
                said[n, k, 4 * ring + 1] /= total_trust
                said[n, k, 4 * ring + 2] /= total_both
                said[n, k, 4 * ring + 3] /= total_both
