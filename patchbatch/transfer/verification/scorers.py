"""What gives a pair of feature vectors a score: cosine, any scorer behind a projection, and ensembles."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import as_numpy, as_samples
from patchbatch.transfer.parameters import PairEstimator

Features = NDArray[Any]
# Rows gathered at once: bounds the memory of a million pairs to some hundred MB.
_BLOCK = 65_536


class Scorer(Protocol):
    """Anything with `score`, such as `Cosine`, `JointBayesian` or `SiameseVerifier`."""

    def score(self, a: Features, b: Features, /) -> Any:
        """Return `(N,)` scores of the pairs of rows of `a` and `b`, `(N, D)` each; higher for more alike."""


class Cosine(PairEstimator):
    """The cosine of the angle between two vectors, in [-1, 1]; 0 where a vector is zero.

    It can be used as it is. As an estimator of scikit-learn's kind it has a `fit`, which learns the mean of
    the samples where `centre` asks for it.

    Parameters
    ----------
    mean
        `(D,)` subtracted first, such as the mean of the source data; None leaves the features as they are,
        or as `fit` centres them.
    centre
        Whether `fit` learns a mean.

    Attributes
    ----------
    mean_ : ndarray or None
        `(D,)`, what `fit` learned; None without `centre`.
    n_features_in_ : int
        D.
    """

    _learns = False

    def __init__(self, mean: ArrayLike | None = None, centre: bool = False) -> None:
        self.mean = mean
        self.centre = centre

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn the mean of samples `(N, D)` if that is wanted; their classes do not matter.

        Raises
        ------
        PatchBatchError
            Samples that are not finite numbers `(N, D)`.
        """
        samples = as_samples(X)
        self.mean_ = samples.mean(axis=0) if self.centre else None
        self.n_features_in_ = samples.shape[1]
        return self

    def _pair_scores(self, a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
        one, other = self._checked(a, "X"), self._checked(b, "y")
        if len(one) != len(other):
            raise PatchBatchError(f"X has {len(one)} rows and y has {len(other)}; give pairs of rows")
        mean = getattr(self, "mean_", None) if self.mean is None else np.asarray(self.mean)
        if mean is not None:
            one, other = one - mean, other - mean
        cosines: NDArray[Any] = np.einsum("nd,nd->n", unit_length(one), unit_length(other))
        return cosines

    def _checked(self, x: ArrayLike, name: str) -> NDArray[Any]:
        # Numbers of any size are taken: `unit_length` copes with them.
        values = as_numpy(x, name)
        width = getattr(self, "n_features_in_", None)
        if values.ndim != 2:
            raise PatchBatchError(f"{name} has shape {values.shape}; reshape it to (samples, features)")
        if width is not None and values.shape[1] != width:
            raise PatchBatchError(
                f"{name} has {values.shape[1]} features, but Cosine is expecting {width} features as input"
            )
        return values


class Projection:
    """Centring and principal components, learned from source data.

    Parameters
    ----------
    size
        Number of components kept; more keep more detail and need more data behind them.
    whiten
        Scale every component to variance 1.
    unit_length
        Scale every vector to length 1 afterwards.
    """

    def __init__(self, size: int, whiten: bool = False, unit_length: bool = False) -> None:
        self.size, self.whiten, self.unit_length = size, whiten, unit_length
        self.mean = np.zeros(0)
        self.components = np.zeros((0, 0))

    def fit(self, features: Features) -> Projection:
        """Learn mean and components from `(N, D)` features.

        Raises
        ------
        PatchBatchError
            More components than the features have directions, or features that are not finite.
        """
        samples, width = features.shape
        if not 1 <= self.size <= min(samples - 1, width):
            raise PatchBatchError(
                f"{self.size} components cannot be had of {samples} samples of {width} numbers; ask for fewer"
            )
        if not np.isfinite(features).all():
            raise PatchBatchError("the features hold values that are not finite; look at their source")
        self.mean = features.mean(axis=0, dtype=np.float64)
        centred = features - self.mean
        last = [width - self.size, width - 1]  # eigenvalues rise, and only the largest are computed
        variances, axes = eigh(centred.T @ centred / (samples - 1), subset_by_index=last)
        variances, axes = variances[::-1], axes[:, ::-1]
        self.components = axes / np.sqrt(np.maximum(variances, 1e-12 * variances[0])) if self.whiten else axes
        return self

    def transform(self, features: Features) -> NDArray[np.float64]:
        """Return `(N, size)` components of `(N, D)` features."""
        projected: NDArray[np.float64] = features @ self.components - self.mean @ self.components
        return unit_length(projected) if self.unit_length else projected


class Projected:
    """A scorer that sees features through a projection.

    Parameters
    ----------
    projection
        Fitted.
    scorer
        Fitted on what the projection gives.
    """

    def __init__(self, projection: Projection, scorer: Scorer) -> None:
        self.projection, self.scorer = projection, scorer

    def score(self, a: Features, b: Features) -> Any:
        """Return the scorer's `(N,)` scores of the projected rows."""
        return self.scorer.score(self.projection.transform(a), self.projection.transform(b))


def score_pairs(scorer: Scorer, features: Features, first: ArrayLike, second: ArrayLike) -> NDArray[Any]:
    """Return the `(P,)` scores of pairs of rows, in blocks of bounded memory.

    Parameters
    ----------
    scorer
        What scores them.
    features
        `(N, D)`.
    first, second
        `(P,)` rows, from 0.

    Raises
    ------
    PatchBatchError
        A row that is not there.
    """
    rows1, rows2 = np.asarray(first), np.asarray(second)
    if rows1.size and not 0 <= min(rows1.min(), rows2.min()) <= max(rows1.max(), rows2.max()) < len(features):
        raise PatchBatchError(f"a pair names a row that is not one of the {len(features)}; count from 0")
    blocks = [slice(start, start + _BLOCK) for start in range(0, rows1.size, _BLOCK)]
    scores = [np.asarray(scorer.score(features[rows1[b]], features[rows2[b]]), np.float64) for b in blocks]
    return np.concatenate([np.zeros(0), *scores])


def concatenate_features(*features: Features) -> NDArray[Any]:
    """Return the features of several networks side by side, each scaled to unit length.

    Parameters
    ----------
    features
        `(N, D_k)` of network k, the same samples in the same order. The scaling keeps a network with large
        numbers from outweighing the others.
    """
    _check_same_length(features)
    return np.concatenate([unit_length(array) for array in features], axis=1)


def average_scores(*scores: ArrayLike) -> NDArray[np.float64]:
    """Return the mean of several networks' scores of the same pairs.

    The scores must be of one kind: cosines, or log-likelihood ratios, whose mean is the joint log ratio of
    independent networks up to a factor.

    Parameters
    ----------
    scores
        `(P,)` of each network.
    """
    arrays = [np.asarray(array, np.float64) for array in scores]
    _check_same_length(arrays)
    mean: NDArray[np.float64] = np.mean(arrays, axis=0)
    return mean


def unit_length(features: Features) -> NDArray[Any]:
    """Return `(N, D)` rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(length).all():  # squares of huge numbers: seldom, and then worth a second pass
        largest = np.abs(features).max(axis=1, keepdims=True)
        features = features / np.where(largest > 0, largest, 1)
        length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


def _check_same_length(arrays: Any) -> None:
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise PatchBatchError(f"an ensemble's parts have {sorted(lengths)} rows; give all the same samples")
