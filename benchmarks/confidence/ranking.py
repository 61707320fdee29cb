"""How well a confidence puts the wrong pixels last: risk against coverage, and sparsification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

CURVE_POINTS = 100


def risk_curve(score: NDArray[np.floating], loss: NDArray[np.generic]) -> Values:
    """Return the mean loss of the k pixels with the highest scores, for k = 1 ... N.

    Parameters
    ----------
    score
        `(N,)`, N at least 1. Pixels of one score come in random order; the curve is the mean over all orders.
    loss
        `(N,)`, such as whether the pixel is wrong, or its error in px.

    Returns
    -------
    ndarray
        `(N,)` in the unit of the loss; the last one is the mean of all.

    Examples
    --------
    >>> risk_curve(np.array([0.9, 0.1, 0.5]), np.array([0.0, 1.0, 1.0])).round(2).tolist()
    [0.0, 0.5, 0.67]
    """
    order = np.argsort(-score, kind="stable")
    _, group, size = np.unique(-score[order], return_inverse=True, return_counts=True)
    expected = (np.bincount(group, loss[order].astype(np.float64)) / size)[group]
    risk: Values = np.cumsum(expected) / np.arange(1, len(expected) + 1)
    return risk


def ideal_curve(loss: NDArray[np.generic]) -> Values:
    """Return the lowest `risk_curve` that any score gives: that of the order of the loss itself."""
    return risk_curve(-loss.astype(np.float64), loss)


def ranking_figures(
    confidence: NDArray[np.floating], error: Values, outlier: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Return how well a confidence orders the pixels of a pair.

    Parameters
    ----------
    confidence
        `(N,)`, N at least 1.
    error
        `(N,)` px from the truth.
    outlier
        `(N,)`, wrong by KITTI's rule.

    Returns
    -------
    dict
        `Fl`, the share of outliers, which is also the area of a random order; `AURC`, the area under their
        share among the most confident pixels, over the coverage from 0 to 1; `AURC-ideal`, that of all right
        pixels first; all in percent. `AUSE`: the area between the mean errors of the most confident pixels
        and of those with the least error, as a share of the mean error of all; None without any error.
    """
    own, ideal, mean = risk_curve(confidence, error), ideal_curve(error), float(error.mean())
    return {
        "Fl": 100 * float(outlier.mean()),
        "AURC": 100 * float(risk_curve(confidence, outlier).mean()),
        "AURC-ideal": 100 * float(ideal_curve(outlier).mean()),
        "AUSE": float((own - ideal).mean()) / mean if mean > 0 else None,
    }


def sampled(curve: Values) -> Values:
    """Return a curve over k = 1 ... N at `CURVE_POINTS` equal steps of coverage up to 1."""
    coverage = np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
    places = np.ceil(coverage * len(curve) - 1e-9).astype(np.intp) - 1
    return curve[np.maximum(places, 0)]
