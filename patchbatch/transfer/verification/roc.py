"""Scores of pairs against the truth: ROC curve, equal error rate, TAR at FAR, choice of a threshold.

A score is higher the more alike two samples are; a pair is accepted as "same" when its score is at or above
the threshold. FAR is the share of not-same pairs accepted, TAR the share of same pairs accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import as_numpy, as_same

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """A ROC curve: one point for each distinct score, from "accept none" to "accept all".

    Attributes
    ----------
    far, tar
        `(P,)` shares in [0, 1], both rising from 0 to 1. Pairs with equal scores are accepted together, so
        the curve does not depend on the order in which they were given.
    thresholds
        `(P,)` falling; accepting scores at or above it gives that point. The first is infinity.
    positives, negatives
        Numbers of same and of not-same pairs.
    """

    far: Scores
    tar: Scores
    thresholds: Scores
    positives: int
    negatives: int

    @property
    def area(self) -> float:
        """Area under the curve in [0, 1]: how often a same pair outscores a not-same one, ties half."""
        return float(np.trapezoid(self.tar, self.far))


def roc_curve(scores: ArrayLike, same: ArrayLike) -> Roc:
    """Return the ROC curve of scored pairs.

    Parameters
    ----------
    scores
        `(N,)` finite, higher for more alike.
    same
        `(N,)` bool, or integers 0 and 1; both must occur.

    Raises
    ------
    PatchBatchError
        Lengths that differ, scores that are not finite, or pairs of one kind only.

    Examples
    --------
    >>> roc_curve([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0]).tar.tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    values, truth = checked_scores(scores, same)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(values)), values.size - 1)
    hits = np.cumsum(truth)[last_of_tie]
    false = last_of_tie + 1 - hits
    return Roc(
        far=np.append(0.0, false / false[-1]),
        tar=np.append(0.0, hits / hits[-1]),
        thresholds=np.append(np.inf, values[last_of_tie]),
        positives=int(hits[-1]),
        negatives=int(false[-1]),
    )


def equal_error_rate(roc: Roc) -> float:
    """Return the error in [0, 1] where FAR and 1 - TAR are equal, on straight lines between the points."""
    excess = roc.far - (1 - roc.tar)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(roc.far[after - 1] + share * (roc.far[after] - roc.far[after - 1]))


def tar_at_far(roc: Roc, far: float) -> float:
    """Return the largest TAR of a threshold whose FAR is at most `far`.

    Nothing is interpolated: the figure belongs to a threshold that exists.

    Parameters
    ----------
    roc
        The curve.
    far
        Largest share of not-same pairs accepted, in (0, 1].

    Raises
    ------
    PatchBatchError
        `far` is outside (0, 1], or below 1 / negatives: so few negatives say nothing of a rate so low.
    """
    return float(roc.tar[_last_within(roc, far)])


def choose_threshold(scores: ArrayLike, same: ArrayLike, far: float | None = None) -> float:
    """Return the threshold that is best on scored pairs.

    Parameters
    ----------
    scores, same
        As `roc_curve` takes them: pairs for choosing, never those that are then reported on.
    far
        None: the most decisions right, every pair counted once; where several cuts between scores are
        equally right the middle one is taken. A number in (0, 1]: the largest TAR with at most this FAR.

    Raises
    ------
    PatchBatchError
        As `roc_curve`, and as `tar_at_far`.

    Examples
    --------
    >>> choose_threshold([0.9, 0.7, 0.3, 0.1], [1, 1, 0, 0])
    0.5
    """
    roc = roc_curve(scores, same)
    if far is not None:
        return float(_cut(roc, _last_within(roc, far)))
    right = np.rint(roc.tar * roc.positives + (1 - roc.far) * roc.negatives)
    best = np.flatnonzero(right == right.max())
    return float(_cut(roc, int(best[best.size // 2])))


def accuracy(scores: ArrayLike, same: ArrayLike, threshold: float) -> float:
    """Return the share of pairs, in [0, 1], that a threshold decides rightly."""
    return float(((np.asarray(scores) >= threshold) == np.asarray(same, bool)).mean())


def checked_scores(scores: ArrayLike, same: ArrayLike) -> tuple[Scores, NDArray[np.bool_]]:
    """Return scores as float64 and the truth as bool, after checking both.

    Raises
    ------
    PatchBatchError
        As `roc_curve`.
    """
    values = as_numpy(scores, "scores")
    if values.ndim != 1 or not values.size or values.dtype.kind not in "fiub":
        raise PatchBatchError(
            f"scores are {values.dtype} of shape {values.shape}; give one number for each pair"
        )
    truth = as_same(same, values.size)
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        where = int(np.argmin(np.isfinite(values)))
        raise PatchBatchError(f"the score of pair {where} is {values[where]}; look at its features")
    return values, truth


def _last_within(roc: Roc, far: float) -> int:
    if not 0 < far <= 1:
        raise PatchBatchError(f"a FAR of {far} is not in (0, 1]; give a share such as 0.01")
    if far * roc.negatives < 1 - 1e-9:  # 0.001 * 1000 may round to just below 1
        raise PatchBatchError(
            f"a FAR of {far:g} needs {int(np.ceil(1 / far - 1e-6))} not-same pairs, there are "
            f"{roc.negatives}; give more pairs or a larger FAR"
        )
    return int(np.searchsorted(roc.far, far * (1 + 1e-12), side="right")) - 1


def _cut(roc: Roc, point: int) -> float:
    """Return a threshold midway between the last score accepted at a point and the first one refused."""
    if point == 0:
        return float(np.nextafter(roc.thresholds[1], np.inf))
    accepted = roc.thresholds[point]
    if point + 1 == roc.thresholds.size:
        return float(accepted)
    middle = accepted / 2 + roc.thresholds[point + 1] / 2  # halves first: the sum may overflow
    return float(middle if middle > roc.thresholds[point + 1] else accepted)
