"""Train a trunk with multiverse heads on labelled samples that fit in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from patchbatch.devices import resolve_precision
from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting
from patchbatch.transfer.multiverse.networks import MultiverseNet


@dataclass(frozen=True)
class NetTrainSettings(Settings):
    """How long and how fast to learn: stochastic gradient descent, the rate falling to 0 along a cosine.

    Attributes
    ----------
    epochs
        Passes over the samples.
    batch
        Samples of one update; the rest of an epoch that does not fill one is left out.
    learning_rate
        At the first update.
    momentum
        In [0, 1); 0 is off.
    weight_decay
        Of the trunk; the heads have λ1 of their own. 0 is off.
    precision
        Of the products: "float32", "bfloat16", "float16" or "auto" for the device's fast one.
    seed
        Of the order of the samples.
    """

    epochs: int = setting(60, least=1)
    batch: int = setting(256, least=1)
    learning_rate: float = setting(0.1, above=0)
    momentum: float = setting(0.9, least=0, below=1)
    weight_decay: float = setting(2e-3, least=0)
    precision: str = setting("float32", choices=("auto", "float32", "bfloat16", "float16"))
    seed: int = setting(0, least=0)


def train_net(net: MultiverseNet, inputs: Tensor, labels: Tensor, settings: NetTrainSettings) -> list[float]:
    """Train in place; leave the net in evaluation mode and return the mean loss of each epoch.

    Parameters
    ----------
    net
        Trunk and heads; trained where its parameters are.
    inputs
        `(N, ...)`, what the trunk takes.
    labels
        `(N,)` class numbers.
    settings
        Length and rate.

    Raises
    ------
    PatchBatchError
        For fewer samples than a batch, inputs that are not finite, and a loss that stops being finite.
    """
    if settings.batch > len(inputs):
        raise PatchBatchError(f"batch is {settings.batch}; give 1 to {len(inputs)}, the number of samples")
    if not torch.isfinite(inputs).all():
        raise PatchBatchError("inputs are not finite; leave out or replace the samples with NaN")
    device = next(net.parameters()).device
    dtype = resolve_precision(settings.precision, device)
    optimizer = _optimizer(net, settings)
    schedule = CosineAnnealingLR(optimizer, settings.epochs * (len(inputs) // settings.batch))
    order = torch.Generator().manual_seed(settings.seed)
    net.train()
    means = []
    for epoch in range(settings.epochs):
        total = torch.zeros((), device=device)
        batches = _batches(len(inputs), settings.batch, order)
        for chosen in batches:
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                loss = net(inputs[chosen].to(device), labels[chosen].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        means.append(float(total) / len(batches))
        if not math.isfinite(means[-1]):
            raise PatchBatchError(f"the loss is {means[-1]} in epoch {epoch + 1}; use a lower learning rate")
    net.eval()
    return means


def _optimizer(net: MultiverseNet, settings: NetTrainSettings) -> SGD:
    groups = [
        {"params": list(net.trunk.parameters()), "weight_decay": settings.weight_decay},
        {"params": list(net.heads.parameters()), "weight_decay": 0.0},
    ]
    return SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def _batches(count: int, size: int, order: torch.Generator) -> tuple[Tensor, ...]:
    whole = count // size * size
    return torch.split(torch.randperm(count, generator=order)[:whole], size)
