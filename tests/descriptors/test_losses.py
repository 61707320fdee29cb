"""Losses against hand figures, plain loops and numerical gradients."""

import math

import pytest
import torch

from patchbatch.descriptors.losses import cent_drlim, cent_drlim_sd, drlim, softmax_matching, spread

# Matches at distances 1 and 3, non-matches at 4 and 12, margin 10: worked out by hand.
POSITIVE, NEGATIVE = torch.tensor([1.0, 3.0]), torch.tensor([4.0, 12.0])


def test_hand_figures():
    assert drlim(POSITIVE, NEGATIVE, 10) == pytest.approx((0.5 + 4.5 + 18 + 0) / 4)
    assert cent_drlim(POSITIVE, NEGATIVE, 10) == pytest.approx(23.5)
    assert spread(POSITIVE, NEGATIVE) == pytest.approx(1 + 4)
    assert cent_drlim_sd(POSITIVE, NEGATIVE, 10, 0.8) == pytest.approx(19.8)


def slow(name, positive, negative, margin):
    total = 0.0
    for d in positive.tolist():
        total += 0.5 * d * d if name == "drlim" else d * d
    for d in negative.tolist():
        total += 0.5 * max(0, margin - d) ** 2 if name == "drlim" else max(0, margin**2 - d * d)
    return total / (len(positive) + len(negative))


@pytest.mark.parametrize("name", ["drlim", "cent"])
def test_against_a_loop(name):
    generator = torch.Generator().manual_seed(0)
    positive, negative = (torch.rand(n, generator=generator) * 20 for n in (7, 11))
    function = drlim if name == "drlim" else cent_drlim
    assert function(positive, negative, 12.0) == pytest.approx(slow(name, positive, negative, 12.0), rel=1e-5)


def test_the_centrifuge_pushes_hardest_at_the_margin_and_not_beyond():
    negative = torch.tensor([0.5, 5.0, 9.9, 10.1], requires_grad=True)
    cent_drlim(torch.empty(0), negative, 10).backward()
    assert negative.grad.tolist() == pytest.approx([-0.25, -2.5, -4.95, 0.0])


@pytest.mark.parametrize("loss", [drlim, cent_drlim, cent_drlim_sd])
def test_gradients(loss):
    positive = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    negative = torch.tensor([1.0, 4.0, 14.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, n: loss(p, n, 10.0), (positive, negative))


def test_equal_distances_have_a_finite_gradient():
    positive = torch.ones(3, requires_grad=True)
    cent_drlim_sd(positive, torch.ones(3), 10.0).backward()
    assert torch.isfinite(positive.grad).all()


def test_softmax_matching_is_the_mean_surprise_and_leaves_candidates_out():
    similarity = torch.tensor([[0.0, 0.0, 5.0], [1.0, 0.0, -1.0]])
    similarity[0, 2] = -torch.inf
    expected = (math.log(2) + math.log(1 + math.exp(-1) + math.exp(-2))) / 2
    assert softmax_matching(similarity, torch.tensor([1, 0])) == pytest.approx(expected)
