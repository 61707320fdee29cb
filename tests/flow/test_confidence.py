"""Confidence: its range, its direction, its odd cases."""

import numpy as np

from flow.matching.confidence import match_confidence, rival_lead


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


def test_the_length_of_descriptors_does_not_matter():
    rng = np.random.default_rng(0)
    cost, second, error = rng.random((3, 100), dtype=np.float32)
    scaled = match_confidence(cost * 64, second * 64, error)
    np.testing.assert_allclose(scaled, match_confidence(cost, second, error), rtol=1e-5)


def test_odd_costs_give_numbers():
    inf = np.inf
    cost = np.array([0, 0, 1, inf, inf, 1], np.float32)
    second = np.array([0, 1, 0, 1, inf, inf], np.float32)
    np.testing.assert_array_equal(rival_lead(cost, second), [0, 1, -1, 0, 0, 1])
    confidence = match_confidence(cost, second, np.array([0, inf, 0, 0, inf, inf], np.float32))
    assert np.isfinite(confidence).all()
    assert (confidence[3:5] == 0).all() and (confidence[[0, 1, 2, 5]] > 0).all()
    assert match_confidence(cost[:0], second[:0], cost[:0]).shape == (0,)
