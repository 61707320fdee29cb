"""The confidence of matches: how it moves with each figure, odd costs, and the fit of its weights."""

import numpy as np
import pytest

from flow.matching.confidence import (
    LARGEST_COST,
    WEIGHTS,
    confidence_features,
    fit_confidence,
    match_confidence,
    rival_lead,
    weighted_confidence,
)
from flow.matching.settings import ConfidenceWeights
from patchbatch.errors import PatchBatchError


def test_confidence_falls_with_the_error_and_rises_with_the_lead():
    errors = np.linspace(0, 20, 50, dtype=np.float32)
    by_error = match_confidence(np.full(50, 0.2, np.float32), np.full(50, 0.5, np.float32), errors)
    assert (np.diff(by_error) <= 0).all() and by_error[0] > by_error[-1]
    seconds = np.linspace(0.05, 2, 50, dtype=np.float32)
    by_lead = match_confidence(np.full(50, 0.2, np.float32), seconds, np.zeros(50, np.float32))
    assert (np.diff(by_lead) > 0).all()
    for confidence in (by_error, by_lead):
        assert confidence.dtype == np.float32
        assert confidence.min() >= 0 and confidence.max() <= 1


def test_the_weights_that_ship_do_not_trust_dear_matches_more():
    assert WEIGHTS.cost <= 0 and WEIGHTS.error < 0 < WEIGHTS.lead


def test_the_length_of_descriptors_does_not_matter():
    rng = np.random.default_rng(0)
    cost, second, error = rng.random((3, 100), dtype=np.float32)
    scaled = match_confidence(cost * 64, second * 64, error)
    np.testing.assert_allclose(scaled, match_confidence(cost, second, error), rtol=1e-5)


def test_features_in_closed_form():
    cost = np.array([[1, 2], [3, np.inf]], np.float32)
    second = np.array([[2, np.inf], [1, 1]], np.float32)
    features = confidence_features(cost, second, np.array([[0, 1], [np.inf, 0]], np.float32))
    lead = [0.5, 1, 1 / 3 - 1, 0]
    error = np.log([1, 2, 11, 1])
    relative = np.log([1.5, 2, 2.5, 1])  # the median cost is 2
    np.testing.assert_allclose(features.reshape(4, 3), np.transpose([lead, error, relative]), rtol=1e-6)
    dear = confidence_features(
        np.array([1, 1, 99], np.float32), cost[0, :1].repeat(3), np.zeros(3, np.float32)
    )
    assert dear[2, 2] == pytest.approx(np.log1p(LARGEST_COST))


def test_odd_costs_give_numbers():
    inf = np.inf
    cost = np.array([0, 0, 1, inf, inf, 1], np.float32)
    second = np.array([0, 1, 0, 1, inf, inf], np.float32)
    np.testing.assert_array_equal(rival_lead(cost, second), [0, 1, -1, 0, 0, 1])
    confidence = match_confidence(cost, second, np.array([0, inf, 0, 0, inf, inf], np.float32))
    assert np.isfinite(confidence).all()
    assert (confidence[3:5] == 0).all() and (confidence[[0, 1, 2, 5]] > 0).all()
    assert match_confidence(cost[:0], second[:0], cost[:0]).shape == (0,)
    nothing = np.full(3, inf, np.float32)
    assert (match_confidence(nothing, nothing, nothing) == 0).all()


def made_matches(weights, count, seed):
    rng = np.random.default_rng(seed)
    features = rng.random((count, 3)) * (1, 2, 1.5)
    return features, rng.random(count) < weighted_confidence(features, weights)


def test_the_fit_finds_the_weights_that_made_the_matches():
    weights = ConfidenceWeights(2.0, 1.5, -2.5, -0.8)
    features, right = made_matches(weights, 200_000, 0)
    fitted = fit_confidence(features, right, np.ones(len(right)))
    for name in ("bias", "lead", "error", "cost"):
        assert getattr(fitted, name) == pytest.approx(getattr(weights, name), abs=0.1)
    confidence = weighted_confidence(features, fitted)
    assert confidence.mean() == pytest.approx(right.mean(), abs=1e-4)  # a fit keeps the mean
    sure = confidence > 0.9
    assert right[sure].mean() == pytest.approx(confidence[sure].mean(), abs=0.02)


def test_importance_counts_as_repetition():
    features, right = made_matches(ConfidenceWeights(1.0, 1.0, -1.0, 0.5), 300, 1)
    importance = np.random.default_rng(2).integers(1, 4, 300)
    repeated = fit_confidence(
        features.repeat(importance, 0), right.repeat(importance), np.ones(importance.sum())
    )
    weighed = fit_confidence(features, right, importance.astype(np.float64))
    # The ridge is of one match, so a longer list feels it a little less.
    assert weighed.bias == pytest.approx(repeated.bias, abs=1e-3)
    assert weighed.error == pytest.approx(repeated.error, abs=1e-3)


def test_matches_that_a_line_divides_have_a_fit():
    features = np.zeros((40, 3))
    features[:, 1] = np.linspace(0, 2, 40)
    fitted = fit_confidence(features, features[:, 1] < 1, np.ones(40))
    assert np.isfinite([fitted.bias, fitted.error]).all() and fitted.error < 0
    assert (fitted.lead, fitted.cost) == (0, 0)


@pytest.mark.parametrize("right", [True, False])
def test_nothing_to_tell_apart(right):
    with pytest.raises(PatchBatchError, match=f"of 5 matches {5 * right} are right"):
        fit_confidence(np.zeros((5, 3)), np.full(5, right), np.ones(5))
    with pytest.raises(PatchBatchError, match="of 0 matches"):
        fit_confidence(np.zeros((0, 3)), np.zeros(0, bool), np.zeros(0))
