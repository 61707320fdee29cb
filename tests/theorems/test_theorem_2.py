"""Theorem 2: when a second, orthogonal minimiser exists. The columns must lie on one sphere."""

import numpy as np
import pytest
from softmax_problems import Floats, Record, gradient, hard_labels, loss, newton, soft_problem


def origin_sphere(F: Floats) -> float:
    """How far Fᵀv = −‖f_j‖² is from solvable, 0 to 1: orthogonal to this very minimiser."""
    squares = (F**2).sum(axis=0)
    v = np.linalg.lstsq(F.T, -squares, rcond=None)[0]
    return float(np.linalg.norm(F.T @ v + squares) / np.linalg.norm(squares))


def any_sphere(F: Floats) -> float:
    """How far the columns are from one sphere with any centre z, 0 to 1: ‖f_j‖² = 2 f_j·z + constant."""
    squares = (F**2).sum(axis=0)
    rows = np.hstack([F.T, np.ones((F.shape[1], 1))])
    z = np.linalg.lstsq(rows, squares, rcond=None)[0]
    return float(np.linalg.norm(rows @ z - squares) / np.linalg.norm(squares - squares.mean()))


def test_an_ordinary_minimiser_has_no_orthogonal_twin(record: Record) -> None:
    """Shows the obstruction: fitted to c = 9 classes in d = 6, columns lie on no sphere."""
    rng = np.random.default_rng(8)
    X, Q = rng.normal(size=(200, 6)), hard_labels(rng, 200, 9)
    F = newton(X, Q, np.zeros((7, 9)))[:-1]  # the minimiser whose columns sum to 0
    residuals = origin_sphere(F), any_sphere(F)
    assert min(residuals) > 0.01
    record(
        "2a",
        f"fit, c = 9, d = 6: residual {residuals[0]:.2f} through the origin, {residuals[1]:.2f} any sphere",
    )


def test_number_of_classes_at_which_the_obstruction_begins(record: Record) -> None:
    """Shows that random columns fit a sphere through 0 up to c = d, any sphere up to c = d + 1."""
    rng = np.random.default_rng(9)
    d = 6
    on, off = [], []
    for c in range(5, 13):
        F = rng.normal(size=(d, c))
        (on if c <= d else off).append(origin_sphere(F))
        (on if c <= d + 1 else off).append(any_sphere(F))
    assert max(on) < 1e-12
    assert min(off) > 0.01
    record(
        "2b",
        f"random columns, d = 6, c = 5..12: at most {max(on):.0e} where solvable, from {min(off):.2f} beyond",
    )


@pytest.mark.parametrize("classes", [9, 20])
def test_columns_on_a_sphere_do_have_orthogonal_twins(classes: int, record: Record) -> None:
    """Shows sufficiency: from columns at distance R of z, f_j − z ± R w are orthogonal minimisers."""
    rng = np.random.default_rng(10)
    d, radius = 6, 1.7
    X = rng.normal(size=(200, d))
    z, w, out = rng.normal(size=d), rng.normal(size=d), rng.normal(size=(d, classes))
    F = z[:, None] + radius * out / np.linalg.norm(out, axis=0)
    _, b, _ = soft_problem(rng, X, classes)
    Q = np.exp(X @ F + b)
    Q /= Q.sum(axis=1, keepdims=True)
    w /= np.linalg.norm(w)
    twins = [F - z[:, None] + sign * radius * w[:, None] for sign in (1, -1)]
    dots = np.abs((twins[0] * twins[1]).sum(axis=0)).max()
    least = loss(X, Q, F, b)
    losses = max(abs(loss(X, Q, twin, b) / least - 1) for twin in twins)
    slopes = max(np.abs(gradient(X, Q, twin, b)).max() for twin in twins)
    assert dots < 1e-12
    assert losses < 1e-12
    assert slopes < 1e-10
    record(
        "2c",
        f"c = {classes} on a sphere: products {dots:.0e}, loss {losses:.0e} of itself, gradient {slopes:.0e}",
    )
