"""Rank and shrinkage of Joint Bayesian, chosen on classes held out of the training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats, Integers
from patchbatch.transfer.images.splits import pairs_of_people
from patchbatch.transfer.joint_bayesian.fit import principal_basis
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.pairs import Pairs
from patchbatch.transfer.verification.roc import roc_curve
from patchbatch.transfer.verification.scorers import Features, score_pairs

RANKS = (10, 25, 50, 100, 200, 400)
SHRINKAGES = (0.0, 0.1, 0.3)
HELD_OUT = 1 / 3  # of the classes with two samples or more
LEAST_CLASSES = 12  # of those; with fewer, a third of them says next to nothing
_PAIRS = 1000  # of each kind
# Beyond it all directions are not tried: their covariances take minutes, and so many have not been better.
_MOST_DIRECTIONS = 512


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    rank, shrinkage
        As `JointBayesian` takes them; None: all directions.
    area
        Under the ROC curve on the held-out classes; NaN where nothing could be held out.
    """

    rank: int | None
    shrinkage: float
    area: float

    def __str__(self) -> str:
        rank = "all directions" if self.rank is None else f"rank {self.rank}"
        if np.isnan(self.area):
            return f"{rank}, shrinkage {self.shrinkage:g}: too few classes to choose"
        return f"{rank}, shrinkage {self.shrinkage:g} (ROC area {self.area:.4f} on held-out training classes)"


def choose_rank(features: Features, labels: Integers, seed: int = 0) -> Choice:
    """Choose rank and shrinkage on training data: fit on two thirds of the classes, score pairs of the rest.

    The closed form stands for all methods, since it is the quickest.

    Parameters
    ----------
    features, labels
        `(N, d)` and `(N,)`, to learn from; nothing of a test.
    seed
        Of the classes that are held out.

    Returns
    -------
    Choice
        Of equally good ones the lowest rank, and of these the least shrinkage.

    Raises
    ------
    PatchBatchError
        All samples are equal, and whatever `JointBayesian.fit` refuses with every rank.
    """
    classes, counts = np.unique(labels, return_counts=True)
    several = classes[counts > 1]
    if len(several) < LEAST_CLASSES:
        # With hardly more differences within classes than directions, their covariance is singular or nearly.
        ample = len(labels) - len(classes) > 2 * features.shape[1]
        return Choice(None, 0.0 if ample else max(SHRINKAGES), float("nan"))
    generator = np.random.default_rng(seed)
    held_out = np.isin(labels, generator.permutation(several)[: round(HELD_OUT * len(several))])
    pairs = pairs_of_people(labels[held_out], _PAIRS, seed)
    learned, learned_labels = features[~held_out], labels[~held_out]
    mean = learned.mean(axis=0)
    width, count = learned.shape[1], len(learned)
    most = min(width, max(RANKS) if width > _MOST_DIRECTIONS else width)
    basis = principal_basis(learned - mean, most)
    # Principal axes are nested: the first columns of the widest projection are those of a narrower one.
    z, other = (learned - mean) @ basis, (features[held_out] - mean) @ basis
    best: tuple[float, int, float] | None = None
    for rank in sorted({*(one for one in RANKS if one < z.shape[1]), z.shape[1]}):
        for shrinkage in SHRINKAGES:
            area = _area(z[:, :rank], learned_labels, other[:, :rank], pairs, shrinkage)
            if area is not None and (best is None or area > best[0] + 1e-4):
                best = (area, rank, shrinkage)
    if best is None:
        JointBayesian(rank=1).fit(z, learned_labels)  # says what is wrong
        raise PatchBatchError(f"no rank suits the {count} training samples; give --rank and --shrinkage")
    area, rank, shrinkage = best
    return Choice(None if rank == min(width, z.shape[1]) == width else rank, shrinkage, area)


def _area(z: Floats, labels: Integers, other: Floats, pairs: Pairs, shrinkage: float) -> float | None:
    try:
        model = JointBayesian(shrinkage=shrinkage).fit(z, labels)
    except PatchBatchError:  # singular: too many directions for the samples
        return None
    return roc_curve(score_pairs(model, other, pairs.first, pairs.second), pairs.same).area
