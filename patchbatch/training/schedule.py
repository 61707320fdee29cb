"""How fast to learn, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch


class Schedule(Protocol):
    """The settings that every training run has; each trainer's own class of settings says what they mean."""

    @property
    def steps(self) -> int:
        """Number of updates."""

    @property
    def batch(self) -> int:
        """Samples of an update."""

    @property
    def optimizer(self) -> str:
        """A name that `make_optimizer` knows."""

    @property
    def learning_rate(self) -> float:
        """Peak of the step size."""

    @property
    def weight_decay(self) -> float:
        """Of the optimiser, where it has one."""

    @property
    def warmup(self) -> int:
        """Steps of the rise."""

    @property
    def clip(self) -> float:
        """Largest gradient norm."""

    @property
    def report_every(self) -> int:
        """Steps between lines of the log."""

    @property
    def validate_every(self) -> int:
        """Steps between validations."""

    @property
    def save_every(self) -> int:
        """Steps between checkpoints."""


def rate_at(step: int, settings: Schedule) -> float:
    """Learning rate of a step: linear rise, then half a cosine down to 1 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, settings.steps))))
    return settings.learning_rate * rise * (0.01 + 0.99 * fall)


def make_optimizer(parameters: Iterable[Any], settings: Schedule) -> torch.optim.Optimizer:
    """Return the optimiser that `settings.optimizer` names: "adamw", "adadelta", or "sgd" with momentum 0.9.

    Parameters
    ----------
    parameters
        Tensors, or groups of them as torch's optimisers take them.
    settings
        Its name, rate and weight decay (not of AdaDelta, which the authors of 2016 used without).
    """
    if settings.optimizer == "adadelta":
        return torch.optim.Adadelta(parameters, settings.learning_rate)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay)
