"""Lemma 1: a column added to every class weight, and a number to every bias, change nothing."""

import numpy as np
import pytest
from softmax_problems import Record, hard_labels, loss, newton, probabilities


def test_a_common_column_changes_neither_loss_nor_probabilities(record: Record) -> None:
    """Shows Lemma 1 anywhere, not only at a minimiser, with a large v in R^d (the talk's R^c is a slip)."""
    rng = np.random.default_rng(1)
    X, Q = rng.normal(size=(200, 6)), hard_labels(rng, 200, 9)
    F, b = rng.normal(size=(6, 9)), rng.normal(size=9)
    v, s = 10 * rng.normal(size=6), 7.3
    before, after = loss(X, Q, F, b), loss(X, Q, F + v[:, None], b + s)
    moved = np.abs(probabilities(X, F + v[:, None], b + s) - probabilities(X, F, b)).max()
    assert abs(after - before) / before < 1e-12
    assert moved < 1e-12
    record(
        "1", f"Lemma 1: loss changes by {abs(after - before) / before:.1e} of itself, softmax by {moved:.1e}"
    )


def test_weight_decay_picks_the_solution_of_column_sum_zero(record: Record) -> None:
    """Shows that λ1 > 0 ends the freedom of Lemma 1: the one minimiser left has Σ f_j = 0 and Σ b_j = 0."""
    rng = np.random.default_rng(2)
    X, Q = rng.normal(size=(200, 6)), hard_labels(rng, 200, 9)
    W = newton(X, Q, 5 * rng.normal(size=(7, 9)), ridge=0.1)
    weights, biases = np.abs(W[:-1].sum(axis=1)).max(), abs(W[-1].sum())
    assert weights < 1e-8
    assert biases < 1e-8
    assert np.abs(W).max() > 0.01, "the classifier itself is not zero"
    record("1e", f"ridge 0.1: largest entry of the sum of weights {weights:.1e}, sum of biases {biases:.1e}")


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_column_that_is_not_common_does_change_the_loss(scale: float) -> None:
    """Shows that the test above can fail: the same move of one class alone is seen at once."""
    rng = np.random.default_rng(3)
    X, Q = rng.normal(size=(50, 4)), hard_labels(rng, 50, 5)
    F, b = rng.normal(size=(4, 5)), rng.normal(size=5)
    moved = F.copy()
    moved[:, 0] += scale * rng.normal(size=4)
    assert abs(loss(X, Q, moved, b) - loss(X, Q, F, b)) > 1e-3
