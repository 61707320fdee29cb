"""What scikit-learn's tools expect of an estimator, without scikit-learn."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import as_classes, as_numpy, as_samples
from patchbatch.transfer.verification.pairs import make_pairs
from patchbatch.transfer.verification.roc import roc_curve

MOST_PAIRS = 10_000
"""Of each kind, behind the one number that `score` gives for labelled samples."""


def not_fitted(text: str) -> PatchBatchError:
    """Return the error of an estimator used before it is fitted; for scikit-learn one of its own too."""
    if "sklearn" not in sys.modules:
        return PatchBatchError(text)
    theirs: Any = importlib.import_module("sklearn.exceptions").NotFittedError
    return cast(PatchBatchError, type("NotFittedError", (PatchBatchError, theirs), {})(text))


class Parameters:
    """Base of estimators whose constructor only stores its arguments under their own names."""

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments; `deep` changes nothing, as no argument is an estimator."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments; what was fitted stays until the next fit.

        Raises
        ------
        PatchBatchError
            A name that the constructor does not have.
        """
        for name in params:
            if name not in self._names():
                raise PatchBatchError(
                    f"{type(self).__name__} has no setting {name!r}; it has {', '.join(self._names())}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({arguments})"


class PairEstimator(Parameters):
    """Base of what is fitted to samples of classes and gives pairs of samples a score.

    `score` is what scikit-learn's tools call too. They give it samples and their classes, and want one
    number, higher for better; so it looks at its second argument.
    """

    n_features_in_: int
    _learns = True  # whether `fit` looks at the classes

    def score(self, X: ArrayLike, y: ArrayLike) -> Any:
        """Return the scores of pairs; or, of labelled samples, how well the scores tell their pairs apart.

        Parameters
        ----------
        X
            `(n, d)`, one side of the pairs; or samples.
        y
            `(n, d)`, the other side: row i of `X` is scored against row i of `y`. Or `(n,)`, the class of
            each sample, as `Pipeline.score` and `GridSearchCV` hand it over.

        Returns
        -------
        ndarray or float
            `(n,)` scores, higher for more alike; or the area under the ROC curve of pairs of the samples, in
            [0, 1]: as many of one class as of two, at most `MOST_PAIRS` of each, drawn from all.

        Raises
        ------
        PatchBatchError
            Not fitted, another number of features than at the fit, unequal numbers of rows, NaN; classes
            without pairs of both kinds.
        """
        other = as_numpy(y, "y")
        return self.area(X, other) if other.ndim == 1 else self._pair_scores(X, y)

    def area(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the area under the ROC curve of pairs of samples `(n, d)` of the classes `y` `(n,)`."""
        width = getattr(self, "n_features_in_", None)
        samples = as_samples(X, width=width, model=type(self).__name__)
        classes = as_classes(y, "y", len(samples))
        sizes = np.unique(classes, return_counts=True)[1]
        same = int((sizes * (sizes - 1) // 2).sum())
        count = min(MOST_PAIRS, same, len(samples) * (len(samples) - 1) // 2 - same)
        if count < 1:
            raise PatchBatchError("y makes pairs of one kind only; give two classes, one of two samples")
        pairs = make_pairs(classes, count, folds=1)
        scores = self._pair_scores(samples[pairs.first], samples[pairs.second])
        return roc_curve(scores, pairs.same).area

    def _pair_scores(self, a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
        """Return the score of each pair of rows; every estimator has its own."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        """Say what it is to scikit-learn, which alone calls this."""
        tags: Any = importlib.import_module("sklearn.utils")
        return tags.Tags(
            estimator_type=None,
            target_tags=tags.TargetTags(required=self._learns),
            input_tags=tags.InputTags(),
            requires_fit=self._learns,
        )
