"""Descriptors of any length begin at the scale at which their loss acts."""

from __future__ import annotations

import logging

import torch
import torch.distributed as dist
from torch import Tensor

from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.train.batch import Batch, BatchLoss
from patchbatch.descriptors.train.objective import distance

log = logging.getLogger(__name__)

_LEAST = 1e-3  # descriptors that are all alike have no scale (`distance` is never below 1e-4)


@torch.no_grad()
def start_at_margin(model: BatchLoss, batch: Batch, numbers: list[int]) -> float:
    """Scale a network so that the non-matches of a batch lie at the margin (or threshold), on average.

    A fresh network's descriptors are some tens apart at most. With a margin of 100 the first thousand steps
    would do little but stretch them; nothing is told apart by that. The gain of the last normalisation
    is the scale: the leaky ReLU after it does not change how lengths compare.

    Parameters
    ----------
    model
        Network and objective. Left alone where descriptors have unit length, for losses that want it, and
        where the activation is another one.
    batch, numbers
        See `BatchLoss.forward`. With several processes each has its share, and all take the same scale.

    Returns
    -------
    float
        The factor; 1 where nothing was changed.
    """
    config, objective = model.net.config, model.objective
    if config.ends_in_unit_length or config.activation != "leaky-relu" or not objective.of_pairs:
        return 1.0
    _, reach = LOSSES[objective.loss].load_settings()(**dict(objective.options)).turning_point()
    apart = [
        distance(set1.descriptors[matches.source], set2.descriptors[matches.wrong])
        for set1, set2, matches in model.described(batch, numbers)
    ]
    usual = _mean_of_all(torch.cat(apart))
    if usual < _LEAST:
        return 1.0
    factor = float(reach / usual)
    for parameter in (*model.net.normalizations[-1].parameters(), *model.net.sides.parameters()):
        parameter.mul_(factor)
    log.info("descriptors are scaled by %.3g, so that non-matches begin at the margin", factor)
    return factor


def _mean_of_all(values: Tensor) -> float:
    """Return the mean over all processes."""
    total = torch.stack([values.sum(), values.new_tensor(float(len(values)))])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(total)
    return float(total[0] / total[1].clamp(min=1))
