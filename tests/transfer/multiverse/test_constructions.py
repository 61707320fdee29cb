"""Orthogonal copies: what holds for any classifier, and malformed input. The bounds are in tests/theorems."""

import numpy as np
import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.constructions import orthogonal_copies, simplex


@pytest.mark.parametrize("corners", [1, 2, 3, 5, 40])
def test_simplex_is_regular(corners: int) -> None:
    points = simplex(corners)
    products = points @ points.T
    off = products[~np.eye(corners, dtype=bool)]
    assert points.shape == (corners, corners - 1)
    assert np.allclose(off, -1 / max(corners - 1, 1))
    assert corners == 1 or np.allclose(np.diag(products), 1)


@pytest.mark.parametrize("samples", [3, 40])
@pytest.mark.parametrize("copies", [2, 3, 5, 6])
def test_copies_are_orthogonal_of_one_length_and_agree_at_the_mean(samples: int, copies: int) -> None:
    rng = np.random.default_rng(copies)
    X, F, b = rng.normal(size=(samples, 6)) + 5, rng.normal(size=(6, 4)), rng.normal(size=4)
    made = orthogonal_copies(X, F, b, copies)
    products = np.einsum("rdj,sdj->jrs", made.weights, made.weights)
    diagonal = np.einsum("jrr->jr", products)
    assert made.weights.shape == (copies, 6, 4)
    assert made.biases.shape == (copies, 4)
    assert np.allclose(products, diagonal[:, :1, None] * np.eye(copies), atol=1e-11)
    mean = X.mean(axis=0)
    assert np.allclose(np.einsum("d,rdj->rj", mean, made.weights) + made.biases, mean @ F + b)


def test_one_copy_is_the_classifier_itself() -> None:
    F, b = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])
    made = orthogonal_copies(np.eye(3), F, b, copies=1)
    assert np.array_equal(made.weights[0], F)
    assert np.array_equal(made.biases[0], b)
    assert made.gap_bound == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"copies": 0}, "give 1 to 3"),
        ({"copies": 4}, "give 1 to 3"),
        ({"weights": np.ones((2, 2))}, "do not fit 3 features"),
        ({"bias": np.ones(3)}, "do not fit"),
        ({"bias": [0.0, np.inf]}, "bias holds NaN"),
        ({"weights": np.full((3, 2), np.nan)}, "weights holds NaN"),
        ({"representation": np.full((4, 3), np.inf)}, "representation holds NaN"),
    ],
)
def test_orthogonal_copies_refuse(change: dict, message: str) -> None:
    usual = {"representation": np.eye(4, 3), "weights": np.ones((3, 2)), "bias": np.zeros(2)}
    with pytest.raises(PatchBatchError, match=message):
        orthogonal_copies(**usual | change)


def test_a_simplex_without_corners_is_refused() -> None:
    with pytest.raises(PatchBatchError, match="at least one corner"):
        simplex(0)
