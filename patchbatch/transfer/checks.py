"""Input checks of this room: arrays at the border, with one line saying what to mend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LARGEST = 1e140
"""Of a feature: sums of squares of larger ones overflow."""


def as_numpy(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return numpy, torch or nested lists as a numpy array, without a copy where none is needed.

    A torch tensor is taken off its graph and device; half precisions that numpy lacks become float32.

    Raises
    ------
    PatchBatchError
        The rows have unequal lengths, or it is a sparse matrix.
    """
    if hasattr(values, "toarray"):
        raise PatchBatchError(
            f"{name} is a sparse matrix, sparse input is not supported; give {name}.toarray()"
        )
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        values = tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor
    try:
        return np.asarray(values)
    except ValueError:
        raise PatchBatchError(f"{name} has rows of unequal length; give a rectangular array") from None


def as_samples(
    X: ArrayLike, name: str = "X", *, width: int | None = None, least: int = 1, model: str = "the model"
) -> Floats:
    """Check a sample matrix and return it in float64; the caller's own array is never written to.

    Parameters
    ----------
    X
        `(samples, features)`, numpy, torch or lists, of real finite numbers.
    name
        What the message calls it.
    width
        Number of features that is expected; None for any.
    least
        Least number of samples; 0 allows an empty matrix.
    model
        What the message calls whatever expects the width.

    Raises
    ------
    PatchBatchError
        Not two-dimensional, not numbers, too few samples, no features, another width, NaN, infinity, or
        numbers beyond `LARGEST`.
    """
    values = as_numpy(X, name)
    if values.dtype.kind == "O":
        values = _numbers_of(values)
    if values.dtype.kind == "c":
        raise PatchBatchError(f"Complex data not supported: {name} holds {values.dtype}; give its real part")
    if values.dtype.kind not in "fiub":
        raise PatchBatchError(f"{name} holds {values.dtype}, not real numbers; convert it to floats")
    if values.ndim != 2:
        raise PatchBatchError(f"{name} has shape {values.shape}; reshape it to (samples, features)")
    count, features = values.shape
    if width is not None and features != width:
        raise PatchBatchError(
            f"{name} has {features} features, but {model} is expecting {width} features as input"
        )
    if count < least:
        raise PatchBatchError(f"{name} has {count} samples; give {least} or more")
    if features == 0:
        raise PatchBatchError(
            f"{name} has 0 feature(s) (shape={values.shape}) while a minimum of 1 is required; "
            "give one column or more"
        )
    samples = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(samples).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise PatchBatchError(f"{name} holds NaN or infinity, first in row {row}; remove or mend that sample")
    if samples.size and max(samples.max(), -samples.min()) > LARGEST:
        row = int(np.argmax(np.abs(samples).max(axis=1)))
        raise PatchBatchError(
            f"{name} holds a number beyond {LARGEST:g}, in row {row}, whose square is no number; scale the "
            "features down"
        )
    return samples


def _numbers_of(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects that are all numbers as floats, another as it is."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return values


def as_labels(labels: ArrayLike, count: int, name: str = "labels") -> Integers:
    """Check class labels and return them as int64 `(count,)`.

    Parameters
    ----------
    labels
        One whole number for each sample, of an integer type; any values, gaps allowed.
    count
        Number of samples they belong to.
    name
        What the message calls them.

    Raises
    ------
    PatchBatchError
        Not of an integer type, or not one for each sample.
    """
    values = as_numpy(labels, name)
    if values.dtype.kind not in "iu":
        raise PatchBatchError(f"{name} are {values.dtype}, not integers; number the classes")
    if values.shape != (count,):
        raise PatchBatchError(
            f"{name} have shape {values.shape}, but there are {count} samples; give ({count},)"
        )
    return values.astype(np.int64)


def as_classes(labels: ArrayLike, name: str = "labels", count: int | None = None) -> NDArray[Any]:
    """Check class labels of any one kind and return them `(N,)`.

    Parameters
    ----------
    labels
        Whole numbers or texts, one for each sample; an array of objects that are all texts or all whole
        numbers is taken for one of those.
    name
        What the message calls them.
    count
        Number of samples they belong to; None: any.

    Raises
    ------
    PatchBatchError
        None at all, not one for each sample, not one-dimensional, or neither whole numbers nor texts.
    """
    if labels is None:
        raise PatchBatchError(
            f"this requires {name} to be passed, but the target {name} is None; give the class of each sample"
        )
    values = as_numpy(labels, name)
    if values.ndim != 1 or not values.size:
        raise PatchBatchError(f"{name} have shape {values.shape}; give one for each sample, one at least")
    if count is not None and len(values) != count:
        raise PatchBatchError(
            f"{name} have shape {values.shape}, but there are {count} samples; give ({count},)"
        )
    if values.dtype.kind == "O":
        for kind in (str, (int, np.integer)):
            if all(isinstance(one, kind) and not isinstance(one, bool) for one in values):
                return np.array(values.tolist())
    if values.dtype.kind not in "iubU" and not _whole(values):
        raise PatchBatchError(f"{name} hold {values.dtype}, not whole numbers or texts; convert them")
    return values


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and bool((np.isfinite(values) & (values == np.round(values))).all())


def as_same(same: ArrayLike, count: int, name: str = "same") -> Booleans:
    """Check the truth of pairs, and that both kinds are there; return bool `(count,)`.

    Parameters
    ----------
    same
        Booleans, or 0 and 1: whether the pair is of one class.
    count
        Number of pairs.
    name
        What the message calls it.

    Raises
    ------
    PatchBatchError
        Other values, another number of pairs, or pairs of one kind only.
    """
    values = as_numpy(same, name)
    if values.shape != (count,):
        raise PatchBatchError(
            f"{name} has shape {values.shape}, but there are {count} pairs; give ({count},)"
        )
    if values.dtype.kind not in "biu" or not np.isin(values, (0, 1)).all():
        raise PatchBatchError(f"{name} must be booleans, or 0 and 1, one for each pair")
    truth = values.astype(np.bool_)
    if truth.all() or not truth.any():
        raise PatchBatchError(f"{name} names pairs of one kind only; give same and not-same pairs")
    return truth


def index_classes(labels: NDArray[Any]) -> tuple[Integers, Integers, Integers]:
    """Return classes numbered 0 to K-1; refuse labels that no within-class scatter can be learned from.

    Returns
    -------
    tuple
        The sorted labels `(K,)`, the class number of every sample `(N,)`, the class sizes `(K,)`.

    Raises
    ------
    PatchBatchError
        One class only, or no class with two samples.
    """
    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise PatchBatchError(f"all {len(labels)} samples are of one class; give two classes or more")
    if counts.max() < 2:
        raise PatchBatchError("every class has one sample; give two samples or more for some classes")
    return classes, index.astype(np.int64), counts.astype(np.int64)
