"""How well the confidence of matches keeps its word, and new weights for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.matching.figures import JudgedPair
from flow.matching.confidence import fit_confidence, weighted_confidence
from flow.matching.settings import ConfidenceWeights

SURE = 0.9
BINS = 10

Values = NDArray[np.float64]


def confidence_report(pairs: Sequence[JudgedPair]) -> dict[str, Any]:
    """Compare the confidence with the share of matches within 3 px, every pair weighing the same.

    Returns
    -------
    dict
        `area` under the ROC curve; `sure`, the share in percent of matches with a confidence above
        `SURE`, and `sure-right`, how many of these are within 3 px: of all matches with known truth, the
        same as `believed` of those that the matching stage believes, and by name of each data set;
        `bins`, for ten equal steps of confidence: its mean, the share within 3 px, the share of all matches.
    """
    report = _kept_word(pairs)
    report["believed"] = _kept_word([replace(pair, found=pair.kept) for pair in pairs])
    for name in dict.fromkeys(pair.dataset for pair in pairs):
        report[name] = _kept_word([pair for pair in pairs if pair.dataset == name])
    report["bins"] = reliability(pairs)
    return report


def fit_report(pairs: Sequence[JudgedPair]) -> dict[str, Any]:
    """Fit the weights to all pairs; fit them to every second pair too, and see how they do on the others.

    Returns
    -------
    dict
        `weights`, the names of `ConfidenceWeights`; `fitted`, figures as of `confidence_report` with them on
        the same pairs; `held-out`, figures on every second pair of weights fitted to the rest (absent for
        a single pair).
    """
    weights = fit_to(pairs)
    report = {"weights": asdict(weights), "fitted": _with_weights(pairs, weights)}
    if len(pairs) > 1:
        report["held-out"] = _with_weights(pairs[1::2], fit_to(pairs[::2]))
    return report


def fit_to(pairs: Sequence[JudgedPair]) -> ConfidenceWeights:
    """Fit the weights to the matches with known truth of some pairs, every pair weighing the same."""
    chosen = [pair.known & pair.found for pair in pairs]
    features = np.concatenate([pair.features[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    right = np.concatenate([pair.right[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    return fit_confidence(features, right, _importance(chosen))


def _importance(masks: Sequence[NDArray[np.bool_]]) -> Values:
    counts = [int(np.count_nonzero(mask)) for mask in masks]
    return np.concatenate([np.full(count, 1 / max(count, 1)) for count in counts])


def _with_weights(pairs: Sequence[JudgedPair], weights: ConfidenceWeights) -> dict[str, float | None]:
    confident = [weighted_confidence(pair.features, weights).astype(np.float32) for pair in pairs]
    return _kept_word([replace(pair, confidence=new) for pair, new in zip(pairs, confident, strict=True)])


def _kept_word(pairs: Sequence[JudgedPair]) -> dict[str, Any]:
    chosen = [pair.known & pair.found for pair in pairs]
    right = np.concatenate([pair.right[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    importance = _importance(chosen)
    confidence = np.concatenate([pair.confidence[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    sure = confidence > SURE
    return {
        "area": area_under_roc(confidence, right),
        "sure": 100 * float(importance[sure].sum() / importance.sum()),
        "sure-right": 100 * float((importance * right)[sure].sum() / importance[sure].sum())
        if sure.any()
        else None,
    }


def area_under_roc(score: NDArray[np.floating], right: NDArray[np.bool_]) -> float | None:
    """Return how often a right match scores above a wrong one, ties half; None if there are not both."""
    positives = int(np.count_nonzero(right))
    negatives = right.size - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(score)[right].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def reliability(pairs: Sequence[JudgedPair]) -> list[dict[str, float]]:
    """Return mean confidence, share right and share of all matches, percent, of each step that has any."""
    chosen = [pair.known & pair.found for pair in pairs]
    confidence = np.concatenate([pair.confidence[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    right = np.concatenate([pair.right[mask] for pair, mask in zip(pairs, chosen, strict=True)])
    importance = _importance(chosen)
    step = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    weight, sure, good = (
        np.bincount(step, importance * value, BINS) for value in (np.ones_like(importance), confidence, right)
    )
    return [
        {
            "confidence": 100 * float(sure[i] / weight[i]),
            "right": 100 * float(good[i] / weight[i]),
            "share": 100 * float(weight[i] / weight.sum()),
        }
        for i in range(BINS)
        if weight[i] > 0
    ]
