"""Theorem 1 with its condition repaired: rank of the samples WITH the constant 1, not without."""

import numpy as np
import pytest
from softmax_problems import (
    Floats,
    Record,
    augmented,
    gradient,
    hard_labels,
    hessian,
    loss,
    newton,
    probabilities,
    soft_problem,
)

FEATURES, CLASSES, SAMPLES = 6, 9, 200


def null_space(H: Floats) -> tuple[int, float, float]:
    """Number of eigenvalues that are 0 to rounding, and the two beside the border, over the largest."""
    values = np.sort(np.abs(np.linalg.eigvalsh(H)))
    count = int((values < 1e-10 * values[-1]).sum())
    return count, values[count - 1] / values[-1], values[count] / values[-1]


def test_hessian_is_that_of_the_loss_and_has_a_plus_sign(record: Record) -> None:
    """Shows that the Hessian is +Σ d̃d̃ᵀ p(j)(δ − p(k)), by differences, by pairs and by its eigenvalues."""
    rng = np.random.default_rng(4)
    X, Q = rng.normal(size=(60, 4)), hard_labels(rng, 60, 5)
    F, b = rng.normal(size=(4, 5)), rng.normal(size=5)
    P = probabilities(X, F, b)
    H = hessian(X, P)
    W, step, columns = np.vstack([F, b]), 1e-5, []
    for place in range(W.size):
        move = np.zeros(W.size)
        move[place] = step
        up, down = (W + sign * move.reshape(5, 5).T for sign in (1, -1))  # class by class, as the Hessian
        slopes = [gradient(X, Q, V[:-1], V[-1]).T.ravel() for V in (up, down)]
        columns.append((slopes[0] - slopes[1]) / (2 * step))
    differences = np.abs(np.array(columns) - H).max() / np.abs(H).max()
    psi = rng.normal(size=(5, 5))  # a row for each class
    pairs = sum(
        (psi[j] - psi[k]) @ (augmented(X).T * (P[:, j] * P[:, k])) @ augmented(X) @ (psi[j] - psi[k])
        for j in range(5)
        for k in range(j + 1, 5)
    )
    whole = psi.ravel() @ H @ psi.ravel()
    values = np.linalg.eigvalsh(H)
    assert differences < 1e-6
    assert abs(pairs - whole) / whole < 1e-12
    assert values[0] > -1e-10 * values[-1]
    record(
        "1H",
        f"Hessian against differences {differences:.1e}, pair formula {abs(pairs - whole) / whole:.1e}, "
        f"least eigenvalue {values[0]:.0e} of {values[-1]:.0f}",
    )


def test_null_space_is_the_common_column_where_the_samples_have_full_rank(record: Record) -> None:
    """Shows that only Lemma 1's d + 1 directions (d without a bias) are flat if rank D̃ = d + 1."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(SAMPLES, FEATURES))
    F, b, P = soft_problem(rng, X, CLASSES)
    count, below, above = null_space(hessian(X, P))
    bare, *_ = null_space(hessian(X, probabilities(X, F, np.zeros_like(b)), bias=False))
    assert (count, bare) == (FEATURES + 1, FEATURES)
    record(
        "1a",
        f"flat directions {count} with bias, {bare} without; border {below:.0e} | {above:.0e} of the largest",
    )


@pytest.mark.parametrize("kind", ["columns that sum to 1", "a dependent feature"])
def test_null_space_grows_with_every_direction_that_the_samples_lack(kind: str, record: Record) -> None:
    """Shows the count (d + 1) + (c − 1)(d + 1 − rank D̃) = 15 where rank D̃ = d, the loss flat there."""
    rng = np.random.default_rng(6)
    if kind == "columns that sum to 1":  # rank D = d, as the talk asks; the constant is what depends
        X = rng.random((SAMPLES, FEATURES))
        X /= X.sum(axis=1, keepdims=True)
        unseen = np.append(np.ones(FEATURES), -1.0)
        assert np.linalg.matrix_rank(X) == FEATURES
    else:
        X = rng.normal(size=(SAMPLES, FEATURES))
        mixture = rng.normal(size=FEATURES - 1)
        X[:, -1] = X[:, :-1] @ mixture
        unseen = np.concatenate([mixture, [-1.0, 0.0]])
    F, b, P = soft_problem(rng, X, CLASSES)
    count, *_ = null_space(hessian(X, P))
    move = np.outer(unseen, rng.normal(size=CLASSES))
    change = abs(loss(X, P, F + move[:-1], b + move[-1]) / loss(X, P, F, b) - 1)
    assert np.linalg.matrix_rank(augmented(X)) == FEATURES
    assert count == (FEATURES + 1) + (CLASSES - 1) == 15
    assert change < 1e-12
    apart = np.ptp(move, axis=1).max()
    assert apart > 1, "the second minimiser differs from the first by more than a common column"
    record(
        "1b",
        f"{kind}: flat directions {count}; moved by {apart:.1f}, the loss changes by {change:.1e} of itself",
    )


def test_two_minimisers_differ_by_a_common_column(record: Record) -> None:
    """Shows Theorem 1 itself: fits from two far starts agree once the common column is taken away."""
    rng = np.random.default_rng(7)
    X, Q = rng.normal(size=(SAMPLES, FEATURES)), hard_labels(rng, SAMPLES, CLASSES)
    first, second = (newton(X, Q, 3 * rng.normal(size=(FEATURES + 1, CLASSES))) for _ in range(2))
    difference = first - second
    rest = np.abs(difference - difference.mean(axis=1, keepdims=True)).max()
    assert np.abs(difference).max() > 1
    assert rest < 1e-8
    record(
        "1d", f"two fits: raw difference {np.abs(difference).max():.1f}, without the common column {rest:.1e}"
    )
