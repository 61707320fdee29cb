"""Losses of described points: what counts as a candidate, and what the teacher adds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from patchbatch.descriptors.losses.table import LOSSES, make_loss
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train import objective
from patchbatch.descriptors.train.batch import BatchLoss
from patchbatch.descriptors.train.objective import (
    Described,
    PointMatches,
    harder,
    points_loss,
)
from patchbatch.descriptors.train.settings import ObjectiveSettings
from patchbatch.errors import PatchBatchError

SETTINGS = ObjectiveSettings(loss="softmax", temperature=0.2)
COUNT = 30


def scene(seed=0, dimension=8):
    """Thirty points on a line, 2 px apart; point i moves onto point i of the other set."""
    generator = torch.Generator().manual_seed(seed)
    one = F.normalize(torch.randn(COUNT, dimension, generator=generator), dim=1)
    two = F.normalize(one + 0.3 * torch.randn(COUNT, dimension, generator=generator), dim=1)
    places = torch.stack([2.0 * torch.arange(COUNT), torch.zeros(COUNT)], dim=1)
    rows = torch.arange(COUNT)
    matches = PointMatches(rows[3:], rows[3:], places[3:] + 0.4, (rows[3:] + 2) % COUNT)
    return Described(one, places), Described(two, places), matches


def slow_softmax(set1, set2, matches, settings):
    def one_way(queries, base, places, targets, rights):
        total = 0.0
        for query, target, right in zip(queries, targets, rights, strict=True):
            scores = {}
            for index in range(len(base)):
                near = np.hypot(*(places[index] - target)) < settings.exclude
                if index == right or not near:
                    scores[index] = np.exp(query @ base[index] / settings.temperature)
            total -= np.log(scores[right] / sum(scores.values()))
        return total / len(queries)

    a, b = set1.descriptors.numpy().astype(float), set2.descriptors.numpy().astype(float)
    places1, places2 = set1.places.numpy(), set2.places.numpy()
    source, match = matches.source.numpy(), matches.match.numpy()
    there = one_way(a[source], b, places2, matches.target.numpy(), match)
    back = one_way(b[match], a, places1, places1[source], source)
    return (there + back) / 2


@pytest.mark.parametrize("exclude", [0.1, 1.9, 2.5])
def test_softmax_is_the_loop(exclude):
    settings = replace(SETTINGS, exclude=exclude)
    set1, set2, matches = scene()
    loss = points_loss(set1, set2, matches, settings)
    assert float(loss) == pytest.approx(slow_softmax(set1, set2, matches, settings), rel=1e-4)


def test_pair_losses_see_distances_and_options():
    settings = replace(SETTINGS, loss="cent+sd", options=(("margin", 2.0), ("balance", 0.6)))
    set1, set2, matches = scene()
    queries = set1.descriptors[matches.source]
    positive = (queries - set2.descriptors[matches.match]).norm(dim=1)
    negative = (queries - set2.descriptors[matches.wrong]).norm(dim=1)
    expected = make_loss("cent+sd", margin=2.0, balance=0.6)(positive, negative)
    torch.testing.assert_close(points_loss(set1, set2, matches, settings), expected, rtol=1e-4, atol=1e-5)


def test_a_pair_loss_computes_no_similarities(monkeypatch):
    def unwanted(*_):
        raise AssertionError

    monkeypatch.setattr(objective, "_similarities", unwanted)
    points_loss(*scene(), replace(SETTINGS, loss="cent+sd"))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_prefers_right_descriptors(loss):
    set1, set2, matches = scene()
    shuffled = Described(set2.descriptors.roll(5, dims=0), set2.places)
    settings = replace(SETTINGS, loss=loss)
    assert points_loss(set1, set2, matches, settings) < points_loss(set1, shuffled, matches, settings)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_finite_gradient_where_descriptors_are_equal(loss):
    set1, _, matches = scene()
    descriptors = torch.ones_like(set1.descriptors).requires_grad_()
    same = Described(descriptors, set1.places)
    points_loss(same, same, matches, replace(SETTINGS, loss=loss)).backward()
    assert torch.isfinite(descriptors.grad).all()


def test_hard_non_matches_are_the_nearest_wrong_points():
    settings = replace(SETTINGS, loss="cent", hard=0.5, exclude=2.5)
    set1, set2, matches = scene()
    found = harder(set1, set2, matches, settings)
    half = round(0.5 * len(matches.source))
    assert torch.equal(found[half:], matches.wrong[half:])
    for row in range(half):
        allowed = [
            index
            for index in range(COUNT)
            if (set2.places[index] - matches.target[row]).norm() >= 2.5 and index != matches.match[row]
        ]
        query = set1.descriptors[matches.source[row]]
        best = min(allowed, key=lambda index: float((query - set2.descriptors[index]).norm()))
        assert found[row] == best


def test_hard_non_matches_raise_the_loss():
    set1, set2, matches = scene()
    settings = replace(SETTINGS, loss="drlim", options=(("margin", 3.0),))
    hard = points_loss(set1, set2, matches, replace(settings, hard=1.0))
    assert hard > points_loss(set1, set2, matches, settings)


def test_a_teacher_that_agrees_adds_nothing_and_pulls_when_it_does_not():
    set1, set2, matches = scene()
    alone = points_loss(set1, set2, matches, SETTINGS)
    settings = replace(SETTINGS, distill=0.25)
    same = points_loss(set1, set2, matches, settings, (set1, set2))
    torch.testing.assert_close(same, 0.75 * alone)
    other1, other2, _ = scene(seed=1, dimension=5)
    descriptors = set1.descriptors.clone().requires_grad_()
    taught = replace(SETTINGS, distill=1.0)
    loss = points_loss(Described(descriptors, set1.places), set2, matches, taught, (other1, other2))
    assert loss > 0
    loss.backward()
    step = Described(descriptors.detach() - 0.1 * descriptors.grad, set1.places)
    assert points_loss(step, set2, matches, taught, (other1, other2)) < loss


@pytest.mark.parametrize("exclude", [0.1, 2.5])
def test_what_is_learned_from_a_teacher_is_the_loop(exclude):
    """Mean over points and both ways of the divergence of this network's shares from the teacher's."""
    settings = replace(SETTINGS, distill=1.0, exclude=exclude)
    set1, set2, matches = scene()
    taught1, taught2, _ = scene(seed=1, dimension=5)

    def shares(queries, base, places, targets, rights):
        rows = np.exp(queries.numpy().astype(float) @ base.numpy().T / settings.temperature)
        for row, target, right in zip(rows, targets, rights, strict=True):
            near = (places - target).norm(dim=1).numpy() < exclude
            near[right] = False
            row[near] = 0
        return rows / rows.sum(axis=1, keepdims=True)

    ways = (
        (lambda one, two: (one.descriptors[matches.source], two.descriptors), set2.places, matches.target,
         matches.match),
        (lambda one, two: (two.descriptors[matches.match], one.descriptors), set1.places,
         set1.places[matches.source], matches.source),
    )  # fmt: skip
    each = []
    for pick, places, targets, rights in ways:
        own = shares(*pick(set1, set2), places, targets, rights)
        teacher = shares(*pick(taught1, taught2), places, targets, rights)
        some = teacher > 0
        each.append(np.sum(teacher[some] * np.log(teacher[some] / own[some])) / len(own))
    loss = points_loss(set1, set2, matches, settings, (taught1, taught2))
    assert float(loss) == pytest.approx(np.mean(each), rel=1e-4)


def test_pairs_with_fewer_than_sixteen_matches_teach_nothing(monkeypatch):
    net = PatchNet(replace(PRESETS["accurate"], channels=(2, 2, 2, 2, 4)))
    loss = BatchLoss(net, SETTINGS, bfloat16=False, seed=0)
    set1, set2, matches = scene()

    def with_first(count):
        rows = (matches.source, matches.match, matches.target, matches.wrong)
        return set1, set2, PointMatches(*(part[:count] for part in rows))

    described = [with_first(16), with_first(15), with_first(0)]
    monkeypatch.setattr(loss, "described", lambda batch, numbers: described)
    torch.testing.assert_close(loss((), [0, 1, 2]), points_loss(*with_first(16), SETTINGS))
    described[0] = with_first(3)
    assert loss((), [0, 1, 2]) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"loss": "triplet"}, {"temperature": 0}, {"hard": 1.5}, {"distill": -1}, {"near": 0.5}, {"points": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(PatchBatchError):
        ObjectiveSettings(**wrong)
