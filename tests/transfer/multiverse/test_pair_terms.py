"""Losses over the pairs of a batch against loops over the pairs."""

import math

import pytest
import torch
import torch.nn.functional as F

from patchbatch.transfer.multiverse.pair_terms import contrastive_over_batch, softmax_over_batch
from patchbatch.transfer.multiverse.table import PAIR_TERMS


def made(count=9, seed=0):
    torch.manual_seed(seed)
    unit = F.normalize(torch.randn(count, 5, dtype=torch.float64)).requires_grad_()
    return unit, torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4])[:count]


def test_softmax_is_the_loop():
    unit, labels = made()
    losses, cosines = [], (unit @ unit.T).tolist()
    for i in range(9):
        others = [j for j in range(9) if j != i]
        whole = math.log(sum(math.exp(cosines[i][j] / 0.3) for j in others))
        same = [whole - cosines[i][j] / 0.3 for j in others if labels[j] == labels[i]]
        if same:
            losses.append(sum(same) / len(same))
    found = softmax_over_batch(unit, labels, 0.3)
    assert float(found.detach()) == pytest.approx(sum(losses) / len(losses))
    assert torch.autograd.gradcheck(lambda x: softmax_over_batch(F.normalize(x), labels, 0.3), unit)


def test_contrastive_is_the_loop():
    unit, labels = made()
    near, far = [], []
    for i in range(9):
        for j in range(i):
            squared = float((unit[i] - unit[j]).detach().square().sum())
            (near if labels[i] == labels[j] else far).append(squared)
    wanted = sum(near) / len(near) + sum(max(0, 1.44 - one) for one in far) / len(far)
    assert float(contrastive_over_batch(unit, labels, 1.2).detach()) == pytest.approx(wanted)


@pytest.mark.parametrize("name", [name for name, one in PAIR_TERMS.items() if one.target])
def test_a_batch_without_pairs_of_a_kind_counts_nothing_and_is_finite(name):
    unit, _ = made(4)
    term = PAIR_TERMS[name].load()
    alone = term(unit, torch.arange(4), 0.5)
    alone.backward()
    assert torch.isfinite(unit.grad).all()
    if name == "softmax":
        assert float(alone.detach()) == 0
    assert torch.isfinite(term(unit, torch.zeros(4, dtype=torch.long), 0.5))


@pytest.mark.parametrize("name", [name for name, one in PAIR_TERMS.items() if one.target])
def test_following_it_brings_people_together(name):
    unit, labels = made(seed=2)
    term, x = PAIR_TERMS[name].load(), unit.detach().clone().requires_grad_()
    same = (labels[:, None] == labels[None, :]) & ~torch.eye(9, dtype=torch.bool)

    def gap():
        cosines = F.normalize(x.detach()) @ F.normalize(x.detach()).T
        return float(cosines[same].mean() - cosines[labels[:, None] != labels[None, :]].mean())

    before = gap()
    for _ in range(50):
        (slope,) = torch.autograd.grad(term(F.normalize(x), labels, 0.5), x)
        x.data -= 0.5 * slope
    assert gap() > before + 0.3
