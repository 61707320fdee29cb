"""Verification in folds: thresholds, and models where wanted, come from the other folds only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, count

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch import progress
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.verification.pairs import Pairs, check_disjoint, check_pairs
from patchbatch.transfer.verification.roc import Roc, accuracy, checked_scores, choose_threshold, roc_curve
from patchbatch.transfer.verification.scorers import Features, Scorer, score_pairs

# Learns a scorer from features (N, D) and their classes (N,).
Fit = Callable[[Features, NDArray[np.int64]], Scorer]


@dataclass(frozen=True)
class Verification:
    """The outcome of verification in folds.

    Attributes
    ----------
    scores, same
        `(N,)` the score of every pair, each as it was scored when its fold was tested, and its truth.
    folds, thresholds, accuracies
        `(K,)` the folds in rising order, the threshold chosen for each on the others, and the share of its
        pairs decided rightly, in [0, 1].
    """

    scores: NDArray[np.float64]
    same: NDArray[np.bool_]
    folds: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    accuracies: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Mean of the folds' accuracies."""
        return float(self.accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of that mean: the folds' standard deviation (ddof 1) over the root of their number.

        This is what LFW's tables print behind "±"; the standard deviation is not.
        """
        return _standard_error(self.accuracies)

    @property
    def roc(self) -> Roc:
        """ROC curve of the pairs of all folds together."""
        return roc_curve(self.scores, self.same)


def cross_validate(scores: ArrayLike, pairs: Pairs) -> Verification:
    """Judge scores that owe nothing to the pairs: each fold with the threshold of the others.

    Parameters
    ----------
    scores
        `(N,)`, one for each pair, higher for more alike.
    pairs
        In two or more folds.

    Raises
    ------
    PatchBatchError
        Fewer than two folds, scores that do not fit the pairs or are not finite, or pairs of one kind.
    """
    values, same = checked_scores(scores, pairs.same)
    folds = _folds(pairs, at_least=2)
    thresholds = [choose_threshold(values[pairs.fold != f], same[pairs.fold != f]) for f in folds]
    return _judged(values, pairs, folds, thresholds)


def verify(scorer: Scorer, features: Features, pairs: Pairs) -> Verification:
    """Score the pairs with a scorer that was not trained on their classes, and judge the scores.

    Raises
    ------
    PatchBatchError
        For a pair of a row with itself, and as `score_pairs` and `cross_validate`.
    """
    check_pairs(pairs)
    return cross_validate(score_pairs(scorer, features, pairs.first, pairs.second), pairs)


def verify_source(
    fit: Fit, features: Features, labels: NDArray[np.int64], train_rows: ArrayLike, pairs: Pairs
) -> Verification:
    """Train once on rows outside the test ("JB on source"), then verify.

    Parameters
    ----------
    fit
        Learns a scorer from the training rows.
    features, labels
        `(N, D)` and `(N,)`, training and test rows together.
    train_rows
        Rows to learn from: numbers, or a mask of length N.
    pairs
        The test. Its classes must not be among those of the training rows.

    Raises
    ------
    PatchBatchError
        Training and test share a class, a pair contradicts the labels, and as `verify`.
    """
    check_pairs(pairs, labels)
    rows = np.arange(len(labels))[np.asarray(train_rows)]
    check_disjoint(labels[rows], labels[np.concatenate([pairs.first, pairs.second])])
    return verify(fit(features[rows], labels[rows]), features, pairs)


def verify_splits(
    fit: Fit, features: Features, labels: NDArray[np.int64], row_fold: ArrayLike, pairs: Pairs
) -> Verification:
    """Train anew for each fold on the rows of the other folds ("JB on splits"), then verify.

    The threshold of a fold is chosen on held-out scores too: every other fold is scored by a model that has
    seen neither it nor the fold under test. Scores of a model's own training pairs would be too good, and the
    threshold too high. This takes K (K + 1) / 2 models.

    Parameters
    ----------
    fit
        Learns a scorer from the rows it is given.
    features, labels
        `(N, D)` and `(N,)`.
    row_fold
        `(N,)` the fold of each row; no class may be in two. Rows of folds without pairs are not used.
    pairs
        In three or more folds, each pair's two rows in its own fold.

    Raises
    ------
    PatchBatchError
        Fewer than three folds, a pair outside its fold or against the labels, a class in two folds, and as
        `verify`.
    """
    check_pairs(pairs, labels)
    row_folds = np.asarray(row_fold)
    folds = _folds(pairs, at_least=3)
    if (row_folds[pairs.first] != pairs.fold).any() or (row_folds[pairs.second] != pairs.fold).any():
        raise PatchBatchError("a pair has rows of another fold than its own; draw pairs within folds")

    fits = folds.size * (folds.size + 1) // 2
    done = count(1)

    def scored(held_out: tuple[int, ...]) -> NDArray[np.float64]:
        """Score the pairs of held-out folds with a model of all others."""
        rows = np.flatnonzero(np.isin(row_folds, [f for f in folds if f not in held_out]))
        check_disjoint(labels[rows], labels[np.isin(row_folds, held_out)])
        tested = pairs.of_folds(held_out)
        scores = score_pairs(fit(features[rows], labels[rows]), features, tested.first, tested.second)
        progress.tell("models of folds", next(done), fits)
        return scores

    choosing = np.full((folds.size, len(pairs)), np.nan)  # row f: scores to choose the threshold of fold f on
    for i, j in combinations(range(folds.size), 2):
        values, of_pairs = np.full(len(pairs), np.nan), np.isin(pairs.fold, folds[[i, j]])
        values[of_pairs] = scored((int(folds[i]), int(folds[j])))
        for tested, other in ((i, j), (j, i)):
            choosing[tested, pairs.fold == folds[other]] = values[pairs.fold == folds[other]]
    thresholds, final = [], np.empty(len(pairs))
    for row, fold in enumerate(folds):
        others = pairs.fold != fold
        thresholds.append(choose_threshold(choosing[row, others], pairs.same[others]))
        final[~others] = scored((int(fold),))
    return _judged(final, pairs, folds, thresholds)


def paired_difference(one: Verification, other: Verification) -> tuple[float, float]:
    """Return how much more accurate `one` is, and the standard error of it, from the same folds.

    Folds are hard or easy for all methods alike, so the differences vary less than the accuracies do.

    Raises
    ------
    PatchBatchError
        The two were not judged on the same folds.
    """
    if not np.array_equal(one.folds, other.folds) or not np.array_equal(one.same, other.same):
        raise PatchBatchError("the two were judged on different pairs; verify both on the same folds")
    differences = one.accuracies - other.accuracies
    return float(differences.mean()), _standard_error(differences)


def _folds(pairs: Pairs, at_least: int) -> NDArray[np.int64]:
    folds = np.unique(pairs.fold)
    if folds.size < at_least:
        raise PatchBatchError(f"the pairs are in {folds.size} folds; {at_least} or more are needed")
    return folds


def _judged(
    scores: NDArray[np.float64], pairs: Pairs, folds: NDArray[np.int64], thresholds: list[float]
) -> Verification:
    right = [
        accuracy(scores[pairs.fold == fold], pairs.same[pairs.fold == fold], threshold)
        for fold, threshold in zip(folds, thresholds, strict=True)
    ]
    values, same = checked_scores(scores, pairs.same)
    return Verification(values, same, folds, np.array(thresholds), np.array(right))


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))
