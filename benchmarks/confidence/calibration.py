"""How well a confidence keeps its word: the error is within 3 px as often as it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import OUTLIER_PX

BINS = 20
SURE = 0.9

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Confidence against truth, of one pair or of several that weigh the same; shares of all pixels.

    Attributes
    ----------
    share
        `(BINS,)`, pixels in each of equal steps of confidence from 0 to 1; they add up to 1.
    confidence, right
        `(BINS,)`, the same, each pixel counting as its confidence; only those within 3 px of the truth.
    sure, sure_wrong, sure_outlier
        Pixels with a confidence above `SURE`; of these, those more than 3 px off; outliers by KITTI's rule.
    """

    share: Values
    confidence: Values
    right: Values
    sure: float
    sure_wrong: float
    sure_outlier: float


def calibration_of(
    confidence: NDArray[np.floating], error: Values, outlier: NDArray[np.bool_]
) -> Calibration:
    """Compare the confidence of some pixels with their errors.

    Parameters
    ----------
    confidence
        `(N,)` in [0, 1], N at least 1; what lies outside is clipped.
    error
        `(N,)` px from the truth.
    outlier
        `(N,)`, wrong by KITTI's rule.
    """
    told = np.clip(confidence.astype(np.float64), 0, 1)
    step = np.minimum((told * BINS).astype(np.intp), BINS - 1)
    right, sure = error <= OUTLIER_PX, told > SURE
    share, word, good = (
        np.bincount(step, values, BINS) / len(told) for values in (np.ones_like(told), told, right)
    )
    parts = (float(np.mean(mask)) for mask in (sure, sure & ~right, sure & outlier))
    return Calibration(share, word, good, *parts)


def joined(parts: Sequence[Calibration]) -> Calibration:
    """Join pairs, each weighing the same."""
    share, confidence, right = (
        np.mean([getattr(part, name) for part in parts], axis=0) for name in ("share", "confidence", "right")
    )
    sure, wrong, outlier = (
        float(np.mean([getattr(part, name) for part in parts]))
        for name in ("sure", "sure_wrong", "sure_outlier")
    )
    return Calibration(share, confidence, right, sure, wrong, outlier)


def calibration_error(calibration: Calibration) -> float:
    """Return the expected calibration error in [0, 1]: the mean over pixels of |confidence - right| of a bin.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    return float(np.abs(calibration.confidence - calibration.right).sum())


def calibration_figures(calibration: Calibration) -> dict[str, float | None]:
    """Return the figures in percent: `ECE`, `sure`, and of the sure ones `sure-wrong>3px` and `sure-Fl`."""
    sure = calibration.sure
    return {
        "ECE": 100 * calibration_error(calibration),
        "sure": 100 * sure,
        "sure-wrong>3px": 100 * calibration.sure_wrong / sure if sure else None,
        "sure-Fl": 100 * calibration.sure_outlier / sure if sure else None,
    }


def reliability_rows(calibration: Calibration) -> list[dict[str, float]]:
    """Return mean confidence, share right and share of all pixels, percent, of each step that has any."""
    return [
        {
            "confidence": 100 * float(word / share),
            "right": 100 * float(right / share),
            "share": 100 * float(share),
        }
        for share, word, right in zip(
            calibration.share, calibration.confidence, calibration.right, strict=True
        )
        if share > 0
    ]
