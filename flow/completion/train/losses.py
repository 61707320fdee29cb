"""What the network is taught by: how far off its choices are, and how well it knows that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from flow.completion.choices import Choices
from flow.completion.network import Verdict

RIGHT_PX = 3.0
"""A flow this close to the truth is right."""
_EARLY, _MASS, _RIGHT, _HIDDEN, _SETTLED = 0.5, 0.3, 0.5, 0.3, 0.3
_LEAST_SETTLED = 0.45  # confidence of the interpolated flow
_NEAR_PX = 1.5  # off the truth at which half of a candidate's share counts as near it
_LEAST_MASS = 1e-3
_SLOPE, _LONGEST_PX = 0.02, 100.0


@dataclass(frozen=True)
class Truth:
    """What is known of G nodes.

    Attributes
    ----------
    flow, valid
        `(G, 2)` px, and `(G,)` bool, where it is known.
    today
        `(G, 2)` px, the interpolated flow.
    visible
        `(G,)` bool, whether the point is seen in image 2; None where that is not known.
    """

    flow: Tensor
    valid: Tensor
    today: Tensor
    visible: Tensor | None = None


def choice_loss(verdict: Verdict, choices: Choices, truth: Truth) -> Tensor:
    """Return what a verdict costs: its scores, and what it says of being right and of being hidden.

    Every round's scores count, the last one's twice. What is said of the interpolated flow counts at nodes
    that `settled` could let keep it, from a confidence of 0.45 on, so that it can be set lower.
    """
    last = len(verdict.scores) - 1
    flow, valid = truth.flow[choices.index], truth.valid[choices.index]
    loss = verdict.right.new_zeros(())
    for number, (scores, flows) in enumerate(zip(verdict.scores, verdict.flows, strict=True)):
        loss = loss + (1 if number == last else _EARLY) * scores_loss(scores, flows, flow, valid)
    right = (chosen_error(verdict, choices, truth) <= RIGHT_PX).float()
    loss = loss + _RIGHT * _cross_entropy(verdict.right[choices.index], right, valid)
    settled = choices.trust >= _LEAST_SETTLED
    right_today = ((truth.today - truth.flow).norm(dim=-1) <= RIGHT_PX).float()
    said_right, said_hidden = verdict.as_interpolated.unbind(-1)
    loss = loss + _SETTLED * _cross_entropy(said_right, right_today, truth.valid & settled)
    if truth.visible is not None:
        hidden = 1 - truth.visible.float()
        chosen = hidden[choices.index]
        everywhere = torch.ones_like(chosen, dtype=torch.bool)
        loss = loss + _HIDDEN * _cross_entropy(verdict.hidden[choices.index], chosen, everywhere)
        loss = loss + _SETTLED * _cross_entropy(said_hidden, hidden, settled)
    return loss


def scores_loss(scores: Tensor, flows: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return how far off the believed candidates are, and how little is believed near the truth.

    With p the softmax of the scores and e the errors in px, the mean over known nodes of
    sum p (log(1 + e) + 0.02 min(e, 100)) - 0.3 log(sum p / (1 + (e / 1.5)^2) + 0.001).

    Parameters
    ----------
    scores, flows
        `(N, K)` and `(N, K, 2)` px.
    truth, valid
        `(N, 2)` px, and `(N,)` bool.
    """
    error = (flows - truth[:, None]).norm(dim=-1)
    share = scores.softmax(-1)
    expected = (share * (torch.log1p(error) + _SLOPE * error.clamp(max=_LONGEST_PX))).sum(-1)
    mass = (share / (1 + (error / _NEAR_PX) ** 2)).sum(-1)
    return _mean(expected - _MASS * torch.log(mass + _LEAST_MASS), valid)


def chosen_error(verdict: Verdict, choices: Choices, truth: Truth) -> Tensor:
    """Return how far off the chosen candidates of the open nodes are, `(N,)` px."""
    best = verdict.best[:, None, None].expand(-1, 1, 2)
    chosen = torch.gather(verdict.flows[-1], 1, best)[:, 0]
    error: Tensor = (chosen - truth.flow[choices.index]).norm(dim=-1)
    return error


def _cross_entropy(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    return _mean(binary_cross_entropy_with_logits(logits, target, reduction="none"), counted)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of those that count; 0 if none does."""
    mean: Tensor = (values * counted).sum() / counted.sum().clamp(min=1)
    return mean
