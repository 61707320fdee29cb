"""Theorem 3 and its generalisation: m orthogonal classifiers cost at most A·Σ λ² of weak directions."""

import numpy as np
import pytest
from softmax_problems import Floats, Record, excess, hessian, loss, probabilities, soft_problem, stacked

from patchbatch.transfer.multiverse.constructions import orthogonal_copies

FEATURES, CLASSES, SAMPLES, WEAK = 8, 20, 400, 4
ROUNDING = 1e-20  # with fewer samples than features gap and bound are both squares of rounding errors


def weak_problem(scale: float, weight: float = 0.0) -> tuple[Floats, Floats, Floats, Floats]:
    """Samples whose last four features are `scale` in size and whose weights there are `weight` in size."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(SAMPLES, FEATURES))
    X[:, -WEAK:] *= scale
    F, b, _ = soft_problem(rng, X, CLASSES)
    F[-WEAK:] *= weight
    return X, F, b, probabilities(X, F, b)


def cost(X: Floats, Q: Floats, F: Floats, b: Floats, copies: int) -> tuple[float, float, float]:
    """Gap J − m·L*, its bound, and the largest product between copies.

    The gap is summed without cancellation, and so could not come out negative: it is held against the plain
    difference of the losses, as far as that one's digits go.
    """
    made = orthogonal_copies(X, F, b, copies)
    gap = sum(excess(X, Q, f, bias) for f, bias in zip(made.weights, made.biases, strict=True))
    total = sum(loss(X, Q, f, bias) for f, bias in zip(made.weights, made.biases, strict=True))
    rounding = 1e-14 * copies * np.abs(X @ F + b).sum()
    assert abs(total - copies * loss(X, Q, F, b) - gap) < rounding + 1e-9 * gap
    products = np.abs(np.einsum("rdj,sdj->rsj", made.weights, made.weights))
    return gap, made.gap_bound, float(products[~np.eye(copies, dtype=bool)].max())


def second_order(X: Floats, Q: Floats, F: Floats, b: Floats, copies: int) -> float:
    """What the copies cost by the Hessian of the loss at the minimiser: the gap's first term."""
    made, H = orthogonal_copies(X, F, b, copies), hessian(X, Q)
    moves = [
        (stacked(f, bias) - stacked(F, b)).T.ravel()
        for f, bias in zip(made.weights, made.biases, strict=True)
    ]
    return sum(float(move @ H @ move) / 2 for move in moves)


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_gap_falls_with_the_square_of_the_weak_directions(copies: int, record: Record) -> None:
    """Shows m·L* ≤ J ≤ m·L* + A·Σ λ² with a gap of order λ², where the talk says λ, and orthogonal copies."""
    gaps = []
    for scale in (0.1, 0.01, 0.001):
        X, F, b, Q = weak_problem(scale)
        gap, bound, products = cost(X, Q, F, b, copies)
        assert gap <= bound
        assert products < 1e-12
        assert gap == pytest.approx(second_order(X, Q, F, b, copies), rel=scale)
        gaps.append(gap)
        record(
            "3a",
            f"m = {copies}, weak size {scale}: gap {gap:.2e}, bound {bound:.2e}, L* {loss(X, Q, F, b):.0f}",
        )
    assert np.allclose(np.array(gaps[:-1]) / gaps[1:], 100, rtol=0.05)


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_no_cost_where_the_weak_directions_are_empty(copies: int, record: Record) -> None:
    """Shows that a representation with m − 1 unused directions has m orthogonal minimisers at no cost."""
    X, F, b, Q = weak_problem(0.0)
    gap, _, products = cost(X, Q, F, b, copies)
    assert gap < 1e-9
    assert products < 1e-12
    made = orthogonal_copies(X, F, b, copies)
    ratio = np.linalg.norm(made.weights, axis=1) / np.linalg.norm(F[:-WEAK], axis=0)
    assert np.allclose(ratio, np.sqrt(copies))
    record("3b", f"m = {copies}, empty directions: gap {gap:.1e}, products {products:.0e}")


def test_gap_stays_where_the_weak_direction_is_informative(record: Record) -> None:
    """Shows the limit of the theorem: small but needed directions have large weights, and the gap stays."""
    gaps = []
    X, F, b, Q = weak_problem(1.0, weight=1.0)
    for scale in (0.1, 0.01, 0.001):
        thin, heavy = X.copy(), F.copy()
        thin[:, -1] *= scale
        heavy[-1] /= scale  # same logits, so the same minimiser of the same loss
        gap, bound, _ = cost(thin, Q, heavy, b, 2)
        assert gap <= bound
        gaps.append(gap)
    assert min(gaps) > 0.1 * loss(X, Q, F, b)
    assert np.ptp(gaps) < 0.05 * gaps[0]
    texts = ", ".join(f"{gap:.1f}" for gap in gaps)
    record("3c", f"informative direction times .1, .01, .001: gaps {texts}, L* {loss(X, Q, F, b):.0f}")


def talk_construction(X: Floats, F: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The second classifier that the talk's expansion implies: along v_d until orthogonal to the first."""
    mean = X.mean(axis=0)
    v = np.linalg.svd(X - mean, full_matrices=False)[2][-1]
    length = -(F**2).sum(axis=0) / (v @ F)
    return F + np.outer(v, length), b - (v @ mean) * length


def test_the_talks_construction_blows_up_and_the_simplex_does_not(record: Record) -> None:
    """Shows that dividing by ⟨f_j, v_d⟩ has no limit as the product goes to 0, while the simplex settles."""
    talk, simplex = [], []
    for weight in (1.0, 0.1, 0.01, 0.001):
        X, F, b, Q = weak_problem(0.01, weight)
        second, bias = talk_construction(X, F, b)
        assert np.abs((F * second).sum(axis=0)).max() < 1e-9 * (second**2).sum(axis=0).max()
        talk.append(excess(X, Q, second, bias))
        simplex.append(cost(X, Q, F, b, 2)[0])
    assert (np.diff(talk) > 0).all()
    assert talk[-1] > 1000 * talk[0]
    assert max(simplex) < 0.1
    assert np.isclose(simplex[-1], simplex[-2], rtol=0.01)
    texts = [", ".join(f"{gap:.2g}" for gap in gaps) for gaps in (talk, simplex)]
    record("3d", f"weights on weak directions 1, .1, .01, .001: talk's gap {texts[0]}; simplex {texts[1]}")


def test_a_large_mean_is_left_to_the_bias(record: Record) -> None:
    """Shows that λ must be those of the centred samples: a weak direction may hide behind a large mean."""
    X, F, b, _ = weak_problem(0.001)
    X[:, -1] += 10.0
    X[:, -WEAK:-1] *= 1000.0  # so that the last is the one weak direction
    Q = probabilities(X, F, b)
    centred, bound, _ = cost(X, Q, F, b, 2)
    v = np.linalg.svd(X, full_matrices=False)[2][-1]
    inside = v @ F
    outside = F - np.outer(v, inside)
    lengths = np.linalg.norm(outside, axis=0)
    uncentred = sum(excess(X, Q, outside + sign * np.outer(v, lengths), b) for sign in (1, -1))
    assert 0 < centred <= bound < 1e-2
    assert uncentred > 1
    record("3e", f"mean 10 on the weak axis: gap {centred:.1e} centred, {uncentred:.0f} uncentred")


def test_bound_holds_on_random_problems(record: Record) -> None:
    """Shows gap ≤ bound on 300 random problems of 2 to 5 copies, the bound being nearly reached."""
    rng = np.random.default_rng(12)
    tightest = 0.0
    for _ in range(300):
        d, c, n = rng.integers(5, 12), rng.integers(2, 15), rng.integers(5, 120)
        X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-3, 0.5, size=d) + rng.normal(size=d)
        F, b, Q = soft_problem(rng, X, int(c), spread=10 ** rng.uniform(-1.5, 0.5))
        gap, bound, products = cost(X, Q, F, b, int(rng.integers(2, 6)))
        assert gap <= bound + ROUNDING
        assert products < 1e-11 * max(1.0, float((F**2).sum(axis=0).max()))
        tightest = max(tightest, gap / (bound + ROUNDING))
    assert tightest > 0.5
    record("3f", f"300 random problems, m = 2..5: 0 violations, largest gap / bound {tightest:.2f}")
