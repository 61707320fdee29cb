"""The Siamese head: what it can represent, its losses, its pairs, and that it learns."""

import numpy as np
import pytest
import torch

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.roc import roc_curve
from patchbatch.transfer.verification.scorers import Cosine
from patchbatch.transfer.verification.siamese import (
    PairSampler,
    SiameseHead,
    SiameseSettings,
    SiameseVerifier,
)

# Two numbers tell the classes apart, four are noise that drowns the cosine.
CLASS_SPREAD = np.array([2.0, 2.0, 0, 0, 0, 0])
NOISE = np.array([0.5, 0.5, 3, 3, 3, 3])
SHORT = {"steps": 150, "pairs": 64, "embedding": 8, "learning_rate": 0.02}


def samples(classes, each, seed):
    """Gaussian classes and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = generator.normal(size=(classes, 6)) * CLASS_SPREAD
    return centres[labels] + generator.normal(size=(labels.size, 6)) * NOISE, labels


def held_out_area(scorer):
    """Area under the ROC curve on classes that were not trained on."""
    X, _ = samples(300, 2, 99)
    a, b = np.concatenate([X[0::2], X[0::2]]), np.concatenate([X[1::2], np.roll(X[1::2], 2, axis=0)])
    return roc_curve(scorer.score(a, b), np.repeat([True, False], 300)).area


def test_without_a_hidden_layer_it_can_be_joint_bayesian():
    X, labels = samples(200, 5, 0)
    model = JointBayesian().fit(X, labels)
    y = model.project(X)
    gamma = model.gamma_
    a, h = -(gamma**2) / ((1 + gamma) * (1 + 2 * gamma)), gamma / (1 + 2 * gamma)
    head = SiameseHead(gamma.size, SiameseSettings(embedding=gamma.size)).double()
    with torch.no_grad():
        head.embed[-1].weight.copy_(torch.eye(gamma.size))
        head.embed[-1].bias.zero_()
        # a/2 (y1^2 + y2^2) + h y1 y2 = a/2 (y1 - y2)^2 + (a + h) y1 y2
        head.compare.weight.copy_(torch.from_numpy(np.concatenate([a / 2, a + h]))[None])
        head.compare.bias.fill_((np.log1p(gamma) - 0.5 * np.log1p(2 * gamma)).sum())
        scores = head(torch.from_numpy(y[:50]), torch.from_numpy(y[50:100]))
    np.testing.assert_allclose(scores.numpy(), model.score(X[:50], X[50:100]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", ["binary", "contrastive"])
def test_it_learns_what_the_cosine_does_not_see(loss):
    X, labels = samples(200, 4, 1)
    fitted = SiameseVerifier(SiameseSettings(loss=loss, margin=3.0, **SHORT)).fit(X, labels)
    bound = held_out_area(JointBayesian().fit(X, labels))
    assert held_out_area(fitted) > bound - 0.03
    assert held_out_area(fitted) > held_out_area(Cosine()) + 0.1


def test_hidden_layer_and_dropout_train_too():
    X, labels = samples(200, 4, 1)
    settings = SiameseSettings(hidden=16, dropout=0.1, **SHORT)
    assert held_out_area(SiameseVerifier(settings).fit(X, labels)) > held_out_area(Cosine()) + 0.1


@pytest.mark.parametrize("loss", ["binary", "contrastive"])
def test_the_order_of_the_two_does_not_matter(loss):
    head = SiameseHead(5, SiameseSettings(loss=loss, hidden=7))
    a, b = torch.randn(9, 5), torch.randn(9, 5)
    torch.testing.assert_close(head(a, b), head(b, a))


def test_contrastive_loss_by_hand():
    head = SiameseHead(2, SiameseSettings(loss="contrastive", margin=2.0))
    distances = torch.tensor([0.5, 1.5, 0.5, 3.0])
    same = torch.tensor([True, True, False, False])
    assert head.loss(-distances, same).item() == pytest.approx((0.25 + 2.25 + 2.25 + 0) / 4)


def test_gradient_is_finite_for_equal_samples():
    head = SiameseHead(3, SiameseSettings(loss="contrastive"))
    x = torch.randn(4, 3)
    head.loss(head(x, x), torch.tensor([True, False, True, False])).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_pairs_are_what_they_are_called_and_all_are_drawn():
    index = np.array([2, 0, 1, 0, 2, 2, 3])  # classes 1 and 3 have one sample
    sampler = PairSampler(index, SiameseSettings(pairs=500))
    first, second, same = sampler.draw()
    assert same.sum() == 500
    np.testing.assert_array_equal(index[first] == index[second], same)
    assert (first != second).all()
    drawn = {frozenset(p) for p in zip(first.tolist(), second.tolist(), strict=True)}
    assert len(drawn) == 21  # all pairs of seven samples


def test_same_seed_same_scores_and_the_callers_generator_is_left_alone():
    X, labels = samples(20, 4, 2)
    settings = SiameseSettings(steps=5, pairs=8, embedding=4)
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    one, other = (SiameseVerifier(settings).fit(X, labels).score(X[:9], X[9:18]) for _ in range(2))
    assert torch.rand(1) == wanted
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "hinge"},
        {"embedding": 0},
        {"steps": 0},
        {"hidden": -1},
        {"dropout": 1.0},
        {"margin": 0.0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
    ],
)
def test_bad_settings(options):
    with pytest.raises(PatchBatchError):
        SiameseSettings(**options)


def test_bad_input_gets_one_line():
    X, labels = samples(20, 4, 2)
    verifier = SiameseVerifier(SiameseSettings(steps=1, pairs=2, embedding=2))
    with pytest.raises(PatchBatchError, match="not trained"):
        verifier.score(X, X)
    for bad_x, bad_labels in (
        (np.where(X > 5, np.nan, X), labels),
        (X, labels * 0),
        (X, np.arange(len(X))),
        (X, labels + 0.5),
    ):
        with pytest.raises(PatchBatchError):
            verifier.fit(bad_x, bad_labels)
    verifier.fit(X, labels)
    with pytest.raises(PatchBatchError, match="3 features, but SiameseVerifier is expecting 6"):
        verifier.score(X[:, :3], X[:, :3])
    with pytest.raises(PatchBatchError, match="give pairs"):
        verifier.score(X[:4], X[:5])
