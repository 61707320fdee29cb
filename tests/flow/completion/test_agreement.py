"""What nodes see of each other, against slow sums over a grid."""

import numpy as np
import pytest
import torch

import flow.completion.agreement as module
from flow.completion.agreement import NEIGHBOURS_SAY, agreement, consensus
from flow.completion.choices import Choices

ROWS, COLUMNS, MOST = 5, 12, 4


def made(seed=0, rows=ROWS, columns=COLUMNS):
    """Choices of random numbers, with half of the nodes open, and the motion and trust of all."""
    rng = np.random.default_rng(seed)
    count = rows * columns
    index = np.sort(rng.choice(count, (count + 1) // 2, replace=False))
    y, x = np.divmod(np.arange(count), columns)
    places = np.stack([2 + 4 * x, 2 + 4 * y], -1).astype(np.float32)
    models = rng.normal(size=(count, 10)) * ([0] * 2 + [0.02] * 4 + [3] * 2 + [1e-3] * 2)
    models[:, :2] = places + rng.normal(0, 6, (count, 2))
    numbers = rng.random((31, rows, columns)).astype(np.float32)
    flows = rng.normal(0, 3, (len(index), MOST, 2)).astype(np.float32)
    empty = torch.zeros(0)
    tensors = [torch.from_numpy(array) for array in (flows, numbers, models.astype(np.float32), places)]
    choices = Choices(
        torch.from_numpy(index), torch.ones(len(index), MOST, dtype=torch.bool), empty, tensors[0], empty,
        empty, *tensors[1:],
    )  # fmt: skip
    trust = torch.from_numpy(rng.random(count).astype(np.float32))
    return choices, choices.models, trust, choices.flows


def flow_by_hand(model, place):
    dx, dy = place - model[:2]
    a, b, c, d, u, v, g, h = model[2:]
    depth = max(1 + g * dx + h * dy, 0.2)
    return np.array([((1 + a) * dx + b * dy + u) / depth - dx, (c * dx + (1 + d) * dy + v) / depth - dy])


def slow(choices, models, trust, flows):
    """The twelve numbers by loops over nodes, candidates, rings and neighbours."""
    rows, columns = choices.grid
    models, trust, flows = models.double().numpy(), trust.numpy(), flows.double().numpy()
    colour = choices.numbers[:3].numpy()
    said = np.zeros((len(flows), flows.shape[1], 12))
    for n, node in enumerate(choices.index.tolist()):
        y, x = divmod(node, columns)
        for k in range(flows.shape[1]):
            told = []
            for ring in (1, 3, 8):
                sums = np.zeros((2, 2))
                totals = np.full(2, 1e-3)
                for dy in (-ring, 0, ring):
                    for dx in (-ring, 0, ring):
                        r, c = y + dy, x + dx
                        if (dx, dy) == (0, 0) or not (0 <= r < rows and 0 <= c < columns):
                            continue
                        theirs = flow_by_hand(models[r * columns + c], choices.places[node].numpy())
                        apart = ((theirs - flows[n, k]) ** 2).sum()
                        alike = np.exp(-6 * np.abs(colour[:, r, c] - colour[:, y, x]).sum())
                        weights = trust[r * columns + c] * np.array([1, alike])
                        totals += weights
                        sums += weights[:, None] * [1 / (1 + apart), 1 / (1 + apart / 16)]
                told += (sums / totals[:, None]).ravel().tolist()
            said[n, k] = told
    return said


@pytest.mark.parametrize("grid", [(ROWS, COLUMNS), (1, 9), (20, 1), (1, 1)])
def test_agreement_against_loops(grid):
    """A grid of a few rows is all border; the widest ring leaves it on every side."""
    given = made(1, *grid)
    choices, *rest = given
    told = agreement(choices, choices.index, *rest)
    assert told.shape == (len(given[3]), MOST, NEIGHBOURS_SAY)
    np.testing.assert_allclose(told.numpy(), slow(*given), atol=2e-5)
    anywhere = module._agreement_anywhere(choices, choices.index, *rest)
    np.testing.assert_allclose(anywhere.numpy(), slow(*given), atol=2e-5)
    some = slice(len(choices.index) // 3, None)
    part = agreement(choices, choices.index[some], *rest[:2], rest[2][some])
    assert torch.equal(part, told[some])


def test_nobody_trusted_says_nothing():
    choices, models, trust, flows = made()
    assert not agreement(choices, choices.index, models, torch.zeros_like(trust), flows).any()


def test_all_that_move_alike_agree():
    choices, models, trust, flows = made()
    models = torch.zeros_like(models)
    models[:, :2], models[:, 6:8] = choices.places, torch.tensor([3.0, -2.0])
    flows = torch.tensor([3.0, -2.0]).expand_as(flows)
    told = agreement(choices, choices.index, models, torch.ones_like(trust), flows)
    assert told[..., :2].min() > 0.98  # by trust, one node away: everyone has such neighbours
    assert told.max() <= 1


def test_a_neighbour_of_another_colour_says_less():
    choices, models, trust, flows = made()
    choices.numbers[:3] = 0
    choices.numbers[:3, :, 6:] = 1
    models = torch.zeros_like(models)
    models[:, :2] = choices.places
    models[:, 6] = torch.where(choices.places[:, 0] > 25, 40.0, 0.0)  # the other colour moves otherwise
    told = agreement(choices, choices.index, models, torch.ones_like(trust), torch.zeros_like(flows))
    beside = choices.index % COLUMNS == 5
    assert beside.any()
    by_trust, by_both = told[beside, 0, 0], told[beside, 0, 2]
    assert (by_trust < 0.7).all() and (by_both > 0.99).all()


def test_consensus_against_loops():
    rng = np.random.default_rng(0)
    share, flows = rng.random((50, 7)), rng.normal(0, 2, (50, 7, 2))
    there = rng.random((50, 7)) < 0.7
    there[:, 0] = True
    share[~there] = 0
    chosen = consensus(*(torch.from_numpy(array) for array in (share, flows, there)))
    assert chosen.dtype == torch.int64
    for n in range(50):
        support = [
            sum(share[n, j] / (1 + ((flows[n, k] - flows[n, j]) ** 2).sum() / 2.25) for j in range(7))
            for k in range(7)
        ]
        assert chosen[n] == max(np.flatnonzero(there[n]), key=lambda k: support[k])


def test_two_that_agree_beat_one_that_is_believed_more():
    share = torch.tensor([[0.4, 0.3, 0.3]])
    flows = torch.tensor([[[20.0, 0], [0, 0], [0.1, 0]]])
    assert consensus(share, flows, torch.ones(1, 3, dtype=torch.bool)).item() in (1, 2)
    assert consensus(share, flows, torch.tensor([[True, False, False]])).item() == 0
