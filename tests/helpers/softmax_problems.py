"""Softmax regression in plain numpy, the oracle of the theorem tests: loss, gradient, Hessian, Newton.

`X (n, d)` samples in rows, `F (d, c)`, `b (c,)`, targets `Q (n, c)`, hard or soft. Losses are sums.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

Floats = NDArray[np.float64]
Record = Callable[[str, str], None]


def loss(X: Floats, Q: Floats, F: Floats, b: Floats) -> float:
    logits = X @ F + b
    return float((logsumexp(logits, axis=1) - (Q * logits).sum(axis=1)).sum())


def excess(X: Floats, Q: Floats, F: Floats, b: Floats) -> float:
    """The loss above its least value when Q itself is reachable: Σ KL(Q, p), free of cancellation."""
    log_p = (X @ F + b) - logsumexp(X @ F + b, axis=1, keepdims=True)
    ratio = log_p - np.log(Q)  # Σ Q·ratio is the loss's change; expm1 takes away its first order exactly
    return float((Q * (np.expm1(ratio) - ratio)).sum())


def probabilities(X: Floats, F: Floats, b: Floats) -> Floats:
    return np.asarray(softmax(X @ F + b, axis=1))


def augmented(X: Floats) -> Floats:
    """Append the constant 1 that carries the bias."""
    return np.hstack([X, np.ones((len(X), 1))])


def stacked(F: Floats, b: Floats) -> Floats:
    """`(d + 1, c)`: the weights over the biases, as they multiply augmented samples."""
    return np.vstack([F, b])


def gradient(X: Floats, Q: Floats, F: Floats, b: Floats) -> Floats:
    """`(d + 1, c)`, biases last."""
    return augmented(X).T @ (probabilities(X, F, b) - Q)


def hessian(X: Floats, P: Floats, *, bias: bool = True) -> Floats:
    """`(c·u, c·u)`, class by class, u = d + 1 with a bias and d without: the formula, a pair at a time."""
    Z = augmented(X) if bias else X
    classes, width = P.shape[1], Z.shape[1]
    H = np.empty((classes, width, classes, width))
    for j in range(classes):
        for k in range(classes):
            H[j, :, k] = (Z * (P[:, j] * ((j == k) - P[:, k]))[:, None]).T @ Z
    return H.reshape(classes * width, classes * width)


def newton(X: Floats, Q: Floats, start: Floats, ridge: float = 0.0) -> Floats:
    """Minimise loss + ridge/2·‖(F, b)‖² from `start (d + 1, c)`; return the same shape.

    The step is the shortest solution of the singular system, so the unseen directions stay as they were.
    """

    def objective(W: Floats) -> float:
        return loss(X, Q, W[:-1], W[-1]) + ridge / 2 * float((W**2).sum())

    W = start.copy()
    for _ in range(200):
        slope = gradient(X, Q, W[:-1], W[-1]) + ridge * W
        H = hessian(X, probabilities(X, W[:-1], W[-1])) + ridge * np.eye(W.size)
        step = -np.linalg.lstsq(H, slope.T.ravel(), rcond=1e-12)[0].reshape(W.T.shape).T
        length, before, descent = 1.0, objective(W), 1e-4 * float((slope * step).sum())
        while length > 1e-10 and objective(W + length * step) > before + length * descent:
            length /= 2
        if length <= 1e-10 or np.abs(step).max() < 1e-13:
            return W
        W = W + length * step
    raise AssertionError("Newton did not settle; the problem is probably separable")


def soft_problem(
    rng: np.random.Generator, X: Floats, classes: int, spread: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Draw F and b and return them with the targets that make them an exact minimiser."""
    F = rng.normal(scale=spread, size=(X.shape[1], classes))
    b = rng.normal(size=classes)
    return F, b, probabilities(X, F, b)


def hard_labels(rng: np.random.Generator, samples: int, classes: int) -> Floats:
    """One-hot targets drawn without looking at the samples, so that no plane separates them."""
    return np.eye(classes)[rng.integers(classes, size=samples)]
