"""The network that chooses: from what speaks for every candidate to scores, confidence and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu, softplus

from flow.completion.agreement import NEIGHBOURS_SAY, agreement, consensus
from flow.completion.choices import Choices
from flow.completion.evidence import CANDIDATE_NUMBERS, NODE_NUMBERS
from flow.completion.nodes import STEP
from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.errors import PatchBatchError

SHIPPED = Path(__file__).with_name("network.safetensors")
"""Weights that `python -m flow.completion.train` made; network.md beside them is their card."""

_KEPT = 16  # candidates of a node that go on into the rounds
_PLACES = 6  # on the way to a motion's centre where the learned border is looked at
_LIKENESS = 16
_NEVER = -1e4  # the score of a candidate that is not there
_AGREED_PX2 = 9.0  # squared px: what lies so near to the choice agrees with it
_NODES_AT_ONCE = 512
_TRUST = 0.7  # what a node counts in its neighbours' rounds, if it is sure


@dataclass(frozen=True)
class Verdict:
    """What the network says.

    Attributes
    ----------
    scores, flows
        Of each round, the first before any: `(N, K)` and `(N, K, 2)` px; from the second on K is 16 at most.
    best
        `(N,)` int64, the candidate of the last round that is chosen.
    models
        `(G, 10)` float32, centre and model of every node's motion.
    right, hidden
        `(G,)` logits: that the flow is within 3 px of the truth; that the point is not seen in image 2.
    as_interpolated
        `(G, 2)` logits, the same two of the interpolated flow: what is said where nothing is chosen.
    """

    scores: list[Tensor]
    flows: list[Tensor]
    best: Tensor
    models: Tensor
    right: Tensor
    hidden: Tensor
    as_interpolated: Tensor


class ChoiceNetwork(nn.Module):
    """Scores the candidates of the open nodes, in rounds in which they see what their neighbours chose.

    A context of every node comes from a few dilated convolutions; from it a likeness of any two nodes and a
    strength of borders between them are learned. Every candidate is judged by its numbers and by those of its
    rivals, pooled by attention; in each round also by how far the choices around agree with it.

    Parameters
    ----------
    width
        Numbers that stand for a candidate inside.
    context
        Numbers that stand for a node inside.
    """

    def __init__(self, width: int = 64, context: int = 32) -> None:
        super().__init__()
        self.context = _Context(context)
        self.likeness, self.border = nn.Linear(context, _LIKENESS), nn.Linear(context, 1)
        self.candidate = nn.Linear(CANDIDATE_NUMBERS + 5, width)
        self.at_node, self.candidate2 = nn.Linear(context, width, bias=False), nn.Linear(width, width)
        self.attention, self.pooled = nn.Linear(width, 1), nn.Linear(width, width)
        self.compared, self.first_score = nn.Linear(width, width), nn.Linear(width, 1)
        self.round = nn.Linear(width + NEIGHBOURS_SAY + 2, width)
        self.round_attention, self.round_pooled = nn.Linear(width, 1), nn.Linear(width, width)
        self.round_compared, self.round_score = nn.Linear(width, width), nn.Linear(width, 1)
        self.verdict = nn.Sequential(
            nn.Linear(2 * width + context + 6, width), nn.ReLU(), nn.Linear(width, 2)
        )
        self.settled = nn.Sequential(nn.Linear(context + 1, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, choices: Choices, rounds: int = 3) -> Verdict:
        """Judge; the weights that ship were taught with three rounds."""
        context = self.context(choices.numbers[None])[0].flatten(1).T
        held, score = self._first_look(choices, context)
        scores, flows = [score], [choices.flows]
        score = torch.gather(score, 1, held.columns)
        models, trust = choices.models, choices.trust
        looked = held.hidden
        for _ in range(rounds):
            models, trust = self._settle(choices, held, score, models, trust)
            looked, score = self._round(choices, held, score, models, trust)
            scores.append(score)
            flows.append(held.flows)
        if rounds == 0:
            scores.append(score)
            flows.append(held.flows)
        models, _ = self._settle(choices, held, score, models, trust)
        best = consensus(score.softmax(-1), held.flows, held.there)
        said_of = self._verdict(context[choices.index], looked, score, held, best)
        settled = self.settled(torch.cat([context, choices.trust[:, None]], -1))
        logits = settled.index_copy(0, choices.index, said_of)
        return Verdict(scores, flows, best, models, logits[:, 0], logits[:, 1], settled)

    def _first_look(self, choices: Choices, context: Tensor) -> tuple[_Held, Tensor]:
        """Return the candidates that go on, and the scores `(N, K)` of all."""
        likeness, border = self.likeness(context), softplus(self.border(context)).squeeze(-1)
        parts = []
        first = 0
        for nodes in _parts(len(choices.index), self.training):
            there = choices.there[nodes]
            rows = slice(first, first + int(there.sum()))
            first = rows.stop
            parts.append(self._look(choices, context, likeness, border, nodes, rows))
        held, scores = zip(*parts, strict=True)
        return _Held.joined(held), torch.cat(scores)

    def _look(
        self, choices: Choices, context: Tensor, likeness: Tensor, border: Tensor, nodes: slice, rows: slice
    ) -> tuple[_Held, Tensor]:
        """Do the work of `_first_look` for some nodes, whose candidates are some rows of all."""
        there, index = choices.there[nodes], choices.index[nodes]
        row, column = there.nonzero(as_tuple=True)
        motions = choices.motions[choices.motion[rows]]
        ties = _learned_ties(choices, likeness, border, index[row], motions)
        hidden = _linear(self.candidate, choices.candidates[rows], ties)
        hidden = relu(hidden.add_(self.at_node(context[index])[row]), inplace=True)
        hidden = relu(self.candidate2(hidden), inplace=True)
        weight = _spread(there, row, column, self.attention(hidden).squeeze(-1))
        weight = weight.softmax(-1)[row, column]
        pooled = hidden.new_zeros(len(index), hidden.shape[1])
        pooled = pooled.index_add(0, row, hidden * weight[:, None])
        hidden = relu(self.compared(hidden).add_(self.pooled(pooled)[row]), inplace=True)
        score = _spread(there, row, column, self.first_score(hidden).squeeze(-1))
        columns = score.topk(min(_KEPT, score.shape[1]), -1).indices
        number = torch.zeros_like(there, dtype=torch.long)
        number[row, column] = torch.arange(len(row), device=row.device)
        which = torch.gather(number, 1, columns)
        flows = torch.gather(choices.flows[nodes], 1, columns[..., None].expand(-1, -1, 2))
        return _Held(columns, torch.gather(there, 1, columns), flows, motions[which], hidden[which]), score

    @staticmethod
    def _settle(
        choices: Choices, held: _Held, score: Tensor, models: Tensor, trust: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what every node has chosen now, `(G, 10)`, and how far it is sure, `(G,)`."""
        with torch.no_grad():
            share = score.softmax(-1)
            best = consensus(share, held.flows, held.there)
            apart = (held.flows - held.chosen(held.flows, best)[:, None]).square().sum(-1)
            agreed = (share * (apart < _AGREED_PX2)).sum(-1)
            models = models.index_copy(0, choices.index, held.chosen(held.motions, best))
            return models, trust.index_copy(0, choices.index, _TRUST * agreed)

    def _round(
        self, choices: Choices, held: _Held, score: Tensor, models: Tensor, trust: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return hidden numbers and scores after a look at the neighbours' choices."""
        parts = []
        for nodes in _parts(len(score), self.training):
            flows, there, before = held.flows[nodes], held.there[nodes], score[nodes]
            with torch.no_grad():
                said = agreement(choices, choices.index[nodes], models, trust, flows)
                share = before.softmax(-1)[..., None]
            told = torch.cat([said, before.clamp(-30, 30)[..., None] / 5, share], -1)
            looked = relu(_linear(self.round, held.hidden[nodes], told), inplace=True)
            pooled = _attend(looked, self.round_attention, there)
            compared = self.round_compared(looked).add_(self.round_pooled(pooled)[:, None])
            looked = relu(compared, inplace=True)
            after = before + self.round_score(looked).squeeze(-1)
            parts.append((looked, after.masked_fill(~there, _NEVER)))
        looked_at, scores = zip(*parts, strict=True)
        return torch.cat(looked_at), torch.cat(scores)

    def _verdict(self, context: Tensor, looked: Tensor, score: Tensor, held: _Held, best: Tensor) -> Tensor:
        """Return two logits of the open nodes: right, and hidden."""
        share = score.softmax(-1)
        chosen = held.chosen(held.flows, best)
        apart = (held.flows - chosen[:, None]).square().sum(-1)
        near = [(share * (apart < px * px)).sum(-1) for px in (1, 3, 10)]
        told = [
            *near, share.max(-1).values, (share * torch.log1p(apart.sqrt())).sum(-1),
            torch.log1p(chosen.norm(dim=-1)),
        ]  # fmt: skip
        pooled = torch.einsum("nk,nkh->nh", share.detach(), looked)
        parts = [pooled, held.chosen(held.hidden, best), context, torch.stack(told, -1).detach()]
        said: Tensor = self.verdict(torch.cat(parts, -1))
        return said


@dataclass(frozen=True)
class _Held:
    """The candidates that go on into the rounds, at most 16 a node."""

    columns: Tensor
    there: Tensor
    flows: Tensor
    motions: Tensor
    hidden: Tensor

    @staticmethod
    def joined(parts: Sequence[_Held]) -> _Held:
        """Return the candidates of all nodes from those of some."""
        names = ("columns", "there", "flows", "motions", "hidden")
        return _Held(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def chosen(self, values: Tensor, best: Tensor) -> Tensor:
        """Return what belongs to the chosen candidates: `(N, K, D)` -> `(N, D)`."""
        return values[torch.arange(len(best), device=best.device), best]


class _Context(nn.Module):
    """Residual dilated convolutions over the grid of nodes, 69 nodes wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(NODE_NUMBERS, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation in (1, 2, 4, 8, 16, 1)
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """Return `(1, width, R, C)`."""
        x = relu(self.first(numbers))
        for block in self.blocks:
            x = x + relu(block(x))
        return x


def _parts(count: int, whole: bool) -> list[slice]:
    """Return nodes in parts whose numbers fit in a cache; in one while gradients keep all numbers anyway."""
    size = max(count, 1) if whole else _NODES_AT_ONCE
    return [slice(first, min(first + size, count)) for first in range(0, max(count, 1), size)]


def _learned_ties(
    choices: Choices, likeness: Tensor, border: Tensor, node: Tensor, motions: Tensor
) -> Tensor:
    """Return five numbers that tie each candidate's node to its motion's centre, `(T, 5)`."""
    rows, columns = choices.grid
    y, x = node // columns, node % columns
    place = (motions[:, :2] - choices.places[0]) / STEP
    cx = place[:, 0].round().long().clamp(0, columns - 1)
    cy = place[:, 1].round().long().clamp(0, rows - 1)
    here, there = likeness[node], likeness[cy * columns + cx]
    part = (torch.arange(_PLACES, device=node.device) + 0.5) / _PLACES
    xs = (cx[:, None] + (x - cx)[:, None] * part).round().long()
    ys = (cy[:, None] + (y - cy)[:, None] * part).round().long()
    between = border[ys * columns + xs]
    return torch.stack(
        [
            (here * there).sum(-1) / 4, (here - there).square().sum(-1) / _LIKENESS, between.mean(-1),
            between.max(-1).values, border[node],
        ], -1,
    )  # fmt: skip


def _linear(layer: nn.Linear, first: Tensor, rest: Tensor) -> Tensor:
    """Return what a layer makes of tables `(..., A)` and `(..., B)` side by side, without joining them."""
    wide = first.shape[-1]
    of_first, of_rest = layer.weight[:, :wide].contiguous(), layer.weight[:, wide:].contiguous()
    return linear(first, of_first, layer.bias).add_(linear(rest, of_rest))


def _spread(there: Tensor, row: Tensor, column: Tensor, values: Tensor) -> Tensor:
    """Return values of the candidates that are there in a full table, `_NEVER` elsewhere."""
    table = values.new_full(there.shape, _NEVER)
    return table.index_put((row, column), values)


def _attend(hidden: Tensor, attention: nn.Linear, there: Tensor) -> Tensor:
    weight = attention(hidden).squeeze(-1).masked_fill(~there, _NEVER).softmax(-1)
    return torch.einsum("nk,nkh->nh", weight, hidden)


def save_choice_network(network: ChoiceNetwork, path: str | PathLike[str]) -> None:
    """Write the weights in half precision as safetensors."""
    write_tensors(path, {name: value.half().cpu().numpy() for name, value in network.state_dict().items()})


@cache
def load_choice_network(path: str = str(SHIPPED)) -> ChoiceNetwork:
    """Return the network of a weights file, ready to use; the same file is read once.

    Raises
    ------
    PatchBatchError
        If the file is missing, or holds no weights of this network or such that are not finite.
    """
    mend = "python -m flow.completion.train makes such files"
    if path == str(SHIPPED):
        mend = "install the package again, or leave the choice out by --dense interpolated"
    arrays, _ = read_tensors(path, mend)
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise PatchBatchError(f"{path} holds weights that are not finite; {mend}")
    with torch.inference_mode(False):  # or what `complete` is the first to read could not be taught any more
        network = ChoiceNetwork()
        try:
            network.load_state_dict({name: torch.from_numpy(value).float() for name, value in arrays.items()})
        except RuntimeError as error:
            raise PatchBatchError(f"{path} holds no weights of a choice network; {mend}") from error
    return network.eval()
