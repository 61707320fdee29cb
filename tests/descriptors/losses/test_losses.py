"""Losses against hand figures, plain loops and numerical gradients."""

import doctest
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbatch.descriptors.losses import LOSSES as TABLE
from patchbatch.descriptors.losses import (
    CentDrLIM,
    CentDrLIMSD,
    DrLIM,
    DrLIMSD,
    HingeSD,
    Siamese,
    SoftmaxMatching,
    ThresholdedHinge,
    make_loss,
    table,
)
from patchbatch.descriptors.losses.statistics import spread
from patchbatch.errors import PatchBatchError

LOSSES = [name for name, loss in TABLE.items() if loss.takes == "distances"]

# Matches at distances 1 and 3, non-matches at 4 and 12, margin 10: worked out by hand.
POSITIVE, NEGATIVE = torch.tensor([1.0, 3.0]), torch.tensor([4.0, 12.0])
WITH_SPREAD = ("drlim+sd", "cent+sd", "hinge+sd")
SCORES = [(name, of) for name in WITH_SPREAD for of in ("distance", "squared", "loss")][:-1]


def double(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_hand_figures():
    assert DrLIM(10)(POSITIVE, NEGATIVE) == pytest.approx((0.5 + 4.5 + 18 + 0) / 4)
    assert CentDrLIM(10)(POSITIVE, NEGATIVE) == pytest.approx(23.5)
    assert spread(POSITIVE, NEGATIVE) == pytest.approx(1 + 4)
    assert spread(POSITIVE, NEGATIVE, biased=False) == pytest.approx(math.sqrt(2) + math.sqrt(32))
    assert DrLIMSD(10, 0.8)(POSITIVE, NEGATIVE) == pytest.approx(0.8 * 5.75 + 0.2 * 5)
    assert CentDrLIMSD(10, 0.8)(POSITIVE, NEGATIVE) == pytest.approx(19.8)
    # D²: 1, 9 and 16, 144; the centrifuge's own terms: 1, 9 and 84, 0.
    assert CentDrLIMSD(10, 0.8, "squared")(POSITIVE, NEGATIVE) == pytest.approx(18.8 + 0.2 * (4 + 64))
    assert CentDrLIMSD(10, 0.8, "loss")(POSITIVE, NEGATIVE) == pytest.approx(18.8 + 0.2 * (4 + 42))
    assert HingeSD(10, 0.8)(POSITIVE, NEGATIVE) == pytest.approx(0.8 * (7 + 1) / 2 + 0.2 * 5)
    assert ThresholdedHinge(10, 2)(POSITIVE, NEGATIVE) == pytest.approx((0 + 1 + 8 + 0) / 4)
    assert ThresholdedHinge(10, 8, squared=True)(POSITIVE, NEGATIVE) == pytest.approx((0 + 1 + 2 + 0) / 4)
    at_threshold = torch.full((3,), 5.0)
    assert Siamese(5.0, 2.0)(at_threshold, at_threshold) == pytest.approx(math.log(2))


def loop_terms(name, positive, negative, margin):
    """Loss terms of the matches and of the non-matches, one pair after the other."""
    if name.startswith("drlim"):
        return [d * d / 2 for d in positive], [max(0, margin - d) ** 2 / 2 for d in negative]
    if name.startswith("cent"):
        return [d * d for d in positive], [max(0, margin**2 - d * d) for d in negative]
    if name.startswith("hinge"):
        return [max(0, margin + p - n) for p, n in zip(positive, negative, strict=True)], []
    if name == "bailer":
        return [max(0, d - 0.3) for d in positive], [max(0, margin + 0.3 - d) for d in negative]
    probability = [[1 / (1 + math.exp(0.1 * (d - 50))) for d in side] for side in (positive, negative)]
    return [-math.log(p) for p in probability[0]], [-math.log(1 - p) for p in probability[1]]


def loop_loss(name, positive, negative, margin, of="distance", biased=True, balance=0.8):
    matches, others = loop_terms(name, positive, negative, margin)
    mean = sum(matches + others) / len(matches + others)
    if name not in WITH_SPREAD:
        return mean
    scores = {"distance": (positive, negative), "loss": (matches, others)}
    scores["squared"] = ([d * d for d in positive], [d * d for d in negative])
    deviation = statistics.pstdev if biased else statistics.stdev
    return balance * mean + (1 - balance) * sum(deviation(side) for side in scores[of])


DISTANCES = st.lists(st.floats(0, 30, width=32), min_size=2, max_size=6)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(positive=DISTANCES, data=st.data())
def test_every_loss_against_a_loop(name, positive, data):
    size = len(positive) if name == "hinge+sd" else data.draw(st.integers(2, 6))
    negative = data.draw(st.lists(st.floats(0, 30, width=32), min_size=size, max_size=size))
    options = {} if name == "siamese" else {"margin": 12.0}
    got = make_loss(name, **options)(double(positive), double(negative))
    assert got.item() == pytest.approx(loop_loss(name, positive, negative, 12.0), abs=1e-5)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("name", "of"), SCORES)
def test_options_of_the_spread_against_a_loop(name, of, biased):
    positive, negative = (20 * torch.rand(3, 5, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    options = {"margin": 12.0, "balance": 0.3, "of": of, "biased": biased}
    got = make_loss(name, **options)(positive, negative)
    flat = positive.flatten().tolist(), negative.flatten().tolist()
    assert got.item() == pytest.approx(loop_loss(name, *flat, **options), rel=1e-4)


@pytest.mark.parametrize("name", WITH_SPREAD)
def test_balance_weighs_the_loss_against_the_spread(name):
    without = make_loss(name, margin=10.0, balance=1.0)(POSITIVE, NEGATIVE)
    assert make_loss(name, margin=10.0, balance=0.0)(POSITIVE, NEGATIVE) == spread(POSITIVE, NEGATIVE)
    if name != "hinge+sd":
        assert without == make_loss(name.removesuffix("+sd"), margin=10.0)(POSITIVE, NEGATIVE)


CASES = [(name, {}) for name in LOSSES] + [(name, {"of": of, "biased": False}) for name, of in SCORES]


@pytest.mark.parametrize(("name", "options"), [*CASES, ("bailer", {"squared": True})])
def test_gradients(name, options):
    margins = {} if name == "siamese" else {"margin": 10.0}
    loss = make_loss(name, **margins, **options)
    pairs = double([[0.5, 2.0, 3.0]]), double([[1.0, 4.0, 14.0]])  # none is at a kink
    assert torch.autograd.gradcheck(loss, pairs)


def test_the_spring_pushes_near_non_matches_and_the_centrifuge_far_ones():
    distances = [0.0, 5.0, 9.9, 10.1]
    spring, centrifuge = double(distances), double(distances)
    DrLIM(10)(torch.empty(0), spring).backward()
    CentDrLIM(10)(torch.empty(0), centrifuge).backward()
    assert (4 * spring.grad).tolist() == pytest.approx([-10, -5, -0.1, 0])
    assert (4 * centrifuge.grad).tolist() == pytest.approx([0, -10, -19.8, 0])


def test_bailer_leaves_near_matches_and_far_non_matches_alone():
    positive, negative = double([0.0, 0.29, 0.31]), double([0.0, 1.29, 1.31])
    (6 * make_loss("bailer")(positive, negative)).backward()
    assert positive.grad.tolist() == pytest.approx([0, 0, 1])
    assert negative.grad.tolist() == pytest.approx([-1, -1, 0])


def test_siamese_pulls_hardest_where_it_is_wrong_and_depends_on_scale_times_threshold_only():
    positive, negative = double([0.0, 50.0, 100.0]), double([0.0, 50.0, 100.0])
    loss = make_loss("siamese")(positive, negative)
    loss.backward()
    assert positive.grad.tolist() == sorted(positive.grad.tolist())
    assert positive.grad.tolist() == pytest.approx([-g for g in negative.grad.tolist()[::-1]])
    rescaled = make_loss("siamese", threshold=1.0, scale=5.0)(positive / 50, negative / 50)
    assert rescaled.item() == pytest.approx(loss.item())


@pytest.mark.parametrize("value", [0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_equal_distances_have_a_finite_loss_and_gradient(name, options, value):
    positive, negative = (torch.full((4,), value, requires_grad=True) for _ in range(2))
    loss = make_loss(name, **options)(positive, negative)
    loss.backward()
    assert torch.isfinite(torch.stack([loss, *positive.grad, *negative.grad])).all()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_batches_of_no_pair_or_one_have_a_finite_loss_and_gradient(name, options, count):
    positive, negative = (torch.full((count,), 2.0, requires_grad=True) for _ in range(2))
    loss = make_loss(name, **options)(positive, negative)
    loss.backward()
    assert torch.isfinite(torch.stack([loss, *positive.grad, *negative.grad])).all()
    assert count == 1 or loss == 0


@pytest.mark.parametrize("name", TABLE)
def test_an_entry_names_a_loss_and_the_options_it_inherits(name):
    loss, options = TABLE[name].load(), TABLE[name].load_settings()
    assert issubclass(loss, options)
    assert loss().to_table() == options().to_table()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("triplet", {}, "unknown loss 'triplet'; there are drlim, "),
        ("softmx", {}, "did you mean 'softmax'"),
        ("cent", {"balance": 0.8}, "'cent' has no option 'balance'; it takes margin"),
        ("siamese", {"margin": 1.0}, "it takes threshold, scale"),
        ("drlim", {"margin": 0.0}, "margin is 0.0; give a number, above 0"),
        ("cent+sd", {"margin": -1}, "margin is -1; give a number, above 0"),
        ("bailer", {"margin": math.nan}, "margin is nan"),
        ("cent", {"margin": math.inf}, "margin is inf"),
        ("cent", {"margin": "100"}, "margin is '100'"),
        ("cent+sd", {"balance": 1.1}, "balance is 1.1; give a number, at least 0 and at most 1"),
        ("hinge+sd", {"balance": -0.1}, "balance is -0.1"),
        ("drlim+sd", {"of": "cosine"}, "of is 'cosine'; give one of distance, squared, loss"),
        ("hinge+sd", {"of": "loss"}, "of is 'loss'; give one of distance, squared$"),
        ("cent+sd", {"biased": "no"}, "biased is 'no'; give true or false"),
        ("bailer", {"threshold": -0.1}, "threshold is -0.1; give a number, 0 or more$"),
        ("bailer", {"squared": None}, "squared is None; give true or false"),
        ("siamese", {"scale": 0}, "scale is 0; give a number, above 0"),
        ("siamese", {"threshold": 0}, "threshold is 0; give a number, above 0"),
    ],
)
def test_wrong_names_and_options_are_told(name, options, message):
    with pytest.raises(PatchBatchError, match=message):
        make_loss(name, **options)


def test_triplets_of_different_shapes_are_refused():
    with pytest.raises(PatchBatchError, match=r"shapes \(2,\) and \(2, 1\); repeat the matches"):
        HingeSD()(POSITIVE, NEGATIVE[:, None])


def test_softmax_matching_is_the_mean_surprise_and_leaves_candidates_out():
    similarity = torch.tensor([[0.0, 0.0, 5.0], [1.0, 0.0, -1.0]])
    similarity[0, 2] = -torch.inf
    target = torch.tensor([1, 0])
    expected = (math.log(2) + math.log(1 + math.exp(-1) + math.exp(-2))) / 2
    assert SoftmaxMatching(temperature=1.0)(similarity, target) == pytest.approx(expected)
    assert SoftmaxMatching(temperature=2.0)(2 * similarity, target) == pytest.approx(expected)


def test_softmax_matching_against_a_loop_and_its_gradient():
    rows = [[0.2, -0.5, 0.1], [0.9, 0.3, -0.8]]
    target = torch.tensor([2, 0])
    expected = 0.0
    for row, true in zip(rows, target.tolist(), strict=True):
        expected -= math.log(math.exp(row[true] / 0.5) / sum(math.exp(s / 0.5) for s in row)) / 2
    similarity = torch.tensor(rows, requires_grad=True)
    loss = SoftmaxMatching(temperature=0.5)(similarity, target)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    wanted = ((similarity / 0.5).softmax(dim=1) - torch.eye(3)[target]) / (2 * 0.5)
    assert torch.allclose(similarity.grad, wanted)


def test_softmax_temperature_out_of_range():
    with pytest.raises(PatchBatchError, match="temperature is 0; give a number, above 0"):
        SoftmaxMatching(temperature=0)


def test_the_example_in_the_documentation():
    assert doctest.testmod(table).failed == 0
